"""Where a hidden pixel is seen in other frames: pointers along the optical flow.

Dense flow (DIS; Kroeger et al., 2016) between neighbours is computed on pictures whose holes are closed, and completed
smoothly under the mask. Along it travel pointers (frame, x, y), not colours, so that a pixel is sampled once, however
far it has come: colours handed from frame to frame would blur. What small errors add up to on the way is taken back
when a frame is fused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from . import tuning
from .arrays import Floats
from .kernels import FLOW_UNIT, Fixed, Ints, Pointers, Reached, step
from .patch import Patch, sigma
from .spatial import SHRUNK, enlarge, spread


def _dis() -> cv2.DISOpticalFlow:
    """Fine enough to be exact, without the smoothing at the end: the flow is smoothed far more under the mask."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(tuning.FLOW_STRIDE)
    dis.setGradientDescentIterations(tuning.FLOW_STEPS)
    dis.setVariationalRefinementIterations(0)
    return dis


def connect(patches: Mapping[int, Patch], t: int) -> None:
    """Find the flows between frame `t` and the one after it, both ways (`Patch.flows`)."""
    earlier, later = patches[t], patches[t + 1]
    here, other, towards = (later, earlier, -1) if later.any else (earlier, later, +1)
    dense = np.asarray(_dis().calc(here.prepare(), other.prepare(), None), np.float32)  # type: ignore[call-overload]
    trust = here.where.trust()
    there, _ = spread([plane * trust for plane in cv2.split(dense)], trust, sigma(here.hole.shape[0]) / 2)
    here.flows[towards] = _near(here, there)
    if other.any:
        other.flows[-towards] = _near(other, inverse(there))


def _near(patch: Patch, flow: Sequence[Floats]) -> Fixed:
    """A flow of half the size, made smaller, at the pixels near the hole: 2×N in the order of `at`, see `FLOW_UNIT`."""
    h, w = patch.hole.shape
    scale, most = 2 / FLOW_UNIT, np.iinfo(np.int16).max
    near = np.stack([enlarge(plane * scale, w, h).reshape(-1).take(patch.at) for plane in flow])
    return np.rint(near.clip(-most, most, out=near), out=near).astype(np.int16)


def inverse(flow: Sequence[Floats]) -> list[Floats]:
    """The way back of a flow that is so smooth that a fixed point is found in a few steps (Chen et al., 2008).

    Args:
        flow: right and down, planes made smaller by `SHRUNK`; offsets in pixels of before.
    """
    h, w = flow[0].shape
    columns, rows = np.arange(w, dtype=np.float32)[None], np.arange(h, dtype=np.float32)[:, None]
    back = [-plane for plane in flow]
    for _ in range(tuning.INVERSE_STEPS):
        x, y = columns + back[0] / SHRUNK, rows + back[1] / SHRUNK
        there = (cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in flow)
        back = [np.asarray(-plane, np.float32) for plane in there]
    return back


def handed_on(patch: Patch, reached: Reached) -> Pointers:
    """Pointers of one frame, for the next. All that may not be a source (`Patch.avoid`) is among them."""
    return Pointers(patch.where.row(), reached.frame, reached.x - patch.x, reached.y - patch.y)


def chase(
    patches: Mapping[int, Patch],
    order: Iterable[int],
    towards: int,
    cuts: set[int],
    behind: Pointers | None,
    wanted: range,
) -> tuple[dict[int, Reached], Pointers | None]:
    """Carry pointers through the frames in this order.

    Args:
        patches: by frame number.
        order: of frames; rising with towards = -1 (sources lie before), falling with +1.
        towards: the neighbour that sources come from.
        cuts: frames that begin a shot.
        behind: pointers of the frame before the first in this order.
        wanted: frames whose answers are kept.

    Returns:
        What each of the wanted frames with a hole reaches, and the pointers of the last one.
    """
    out: dict[int, Reached] = {}
    oldest, newest = min(patches), max(patches)
    for t in order:
        here, other = patches[t], patches.get(t + towards)
        cut = (t if towards < 0 else t + 1) in cuts
        if not here.any or other is None or cut:
            behind = None
            continue
        if towards not in here.flows:
            connect(patches, min(t, t + towards))
        reached = step(
            (here.x, here.y),
            here.flows[towards],
            other.avoid,
            behind,
            number=t + towards,
            oldest=max(oldest, t - tuning.AGE),
            newest=min(newest, t + tuning.LOOK),
        )
        behind = handed_on(here, reached)
        if t in wanted:
            out[t] = reached
    return out, behind


def named(frames: Ints) -> list[int]:
    """The frames that are named in a flat array, in order; -1 names none. `numpy.unique` would sort all of them."""
    least = int(frames.min(initial=0x7FFFFFFF, where=frames >= 0))
    counts = np.bincount((frames + np.int32(1 - least)).clip(0))
    return [least + n - 1 for n in np.flatnonzero(counts).tolist() if n]
