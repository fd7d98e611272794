"""Where a hidden pixel is seen in other frames: pointers along the optical flow.

Dense flow (DIS; Kroeger et al., 2016) between neighbours is computed on pictures whose holes are closed, and completed
smoothly under the mask. Along it travel pointers (frame, x, y), not colours, so that a pixel is sampled once, however
far it has come: colours handed from frame to frame would blur. What small errors add up to on the way is taken back at
the end: where the sampled pixels around the hole lie a fraction of a pixel off those of the frame itself, all of them
are moved (Lucas and Kanade, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import tuning
from .arrays import Floats, Plane
from .patch import Patch, sigma
from .spatial import enlarge, spread

Ints = NDArray[np.int32]
_WIDE = 32767
"""Most columns that OpenCV's remap takes."""


class Reached(NamedTuple):
    """For every pixel near the hole of a frame (in the order of `Patch.at`): where its source lies."""

    frame: Ints
    """-1 where there is none."""
    x: Floats
    y: Floats


class Pointers(NamedTuple):
    """The same as flattened pictures, handed on to the next frame."""

    frame: Ints
    right: Floats
    """How far the source lies to the right of the pixel itself, …"""
    down: Floats
    """… and below it."""


def _dis() -> cv2.DISOpticalFlow:
    """Fine enough to be exact, without the smoothing at the end: the flow is smoothed far more under the mask."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(tuning.FLOW_STRIDE)
    dis.setGradientDescentIterations(tuning.FLOW_STEPS)
    dis.setVariationalRefinementIterations(0)
    return dis


def flow_between(here: Patch, other: Patch) -> NDArray[np.float16]:
    """Where each pixel near the hole of `here` lies in `other`: 2×N offsets, right and down, in the order of `at`."""
    h, w = here.hole.shape
    dense = np.asarray(_dis().calc(here.prepare(), other.prepare(), None), np.float32)  # type: ignore[call-overload]
    trust = here.trust()
    planes = [plane * trust for plane in cv2.split(dense)]
    smooth, _ = spread(planes, trust, sigma(h) / 2)
    return np.stack([2 * enlarge(plane, w, h).reshape(-1).take(here.at) for plane in smooth]).astype(np.float16)


def step(
    here: Patch,
    other: Patch,
    flow: NDArray[np.float16],
    *,
    number: int,
    behind: Pointers | None,
    oldest: int,
    newest: int,
) -> Reached:
    """One frame on: each pixel's source is where it comes to lie in `other`, or what that pixel itself points to."""
    h, w = here.hole.shape
    x, y = here.x + flow[0].astype(np.float32), here.y + flow[1].astype(np.float32)
    good = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    nearest = np.clip(np.rint(y), 0, h - 1).astype(np.int32) * np.int32(w)
    nearest += np.clip(np.rint(x), 0, w - 1).astype(np.int32)
    taken = other.avoid.reshape(-1).take(nearest)
    frame = np.full(x.size, number, np.int32)
    if behind is None:
        frame[taken] = -1
    else:
        held = np.flatnonzero(taken)
        from_there = nearest.take(held)
        frame[held] = behind.frame.take(from_there)
        x[held] += behind.right.take(from_there)
        y[held] += behind.down.take(from_there)
    good &= (frame >= oldest) & (frame <= newest) & (x >= 0) & (x <= w - 1.01) & (y >= 0) & (y <= h - 1.01)
    frame[~good] = -1
    return Reached(frame, x, y)


def spread_out(patch: Patch, reached: Reached) -> Pointers:
    """Pointers as pictures."""
    size = patch.hole.size
    out = Pointers(np.full(size, -1, np.int32), np.zeros(size, np.float32), np.zeros(size, np.float32))
    out.frame[patch.at] = reached.frame
    out.right[patch.at] = reached.x - patch.x
    out.down[patch.at] = reached.y - patch.y
    return out


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
            here.flows[towards] = flow_between(here, other)
        reached = step(
            here,
            other,
            here.flows[towards],
            number=t + towards,
            behind=behind,
            oldest=max(oldest, t - tuning.AGE),
            newest=min(newest, t + tuning.LOOK),
        )
        behind = spread_out(here, reached)
        if t in wanted:
            out[t] = reached
    return out, behind


class Traced(NamedTuple):
    """Pixels that have a source, in the order of the frames that those lie in."""

    which: NDArray[np.intp]
    """M places in the order of `Patch.at`."""
    x: Floats
    y: Floats
    groups: list[tuple[int, slice]]
    """Each source frame with its part of those M."""


def trace(reached: Reached) -> Traced:
    """Sort what was reached by frame."""
    has = np.flatnonzero(reached.frame >= 0)
    frames = reached.frame.take(has)
    first = int(frames.min(initial=0x7FFFFFFF))
    keys = (frames - first).astype(np.int16)  # radix sort, an eighth of the time
    which = has.take(np.argsort(keys, kind="stable"))
    counts = np.bincount(keys)
    ends = np.cumsum(counts)
    groups = [(first + i, slice(ends[i] - n, ends[i])) for i, n in enumerate(counts) if n]
    return Traced(which, reached.x.take(which), reached.y.take(which), groups)


def gather(patches: Mapping[int, Patch], traced: Traced) -> Floats:
    """Sample every source once, bicubic: 3×M on the 8-bit scale."""
    values = np.empty((3, traced.which.size), np.float32)
    for number, part in traced.groups:
        patch = patches[number]
        values[:, part] = sampled(patch.pixels, traced.x[part], traced.y[part], cv2.INTER_CUBIC).T
        if patch.scale != 1:
            values[:, part] /= patch.scale
    return values


def gather_luma(patches: Mapping[int, Patch], traced: Traced) -> Floats:
    """The same of the luma alone, bilinear, from 8 bits: M."""
    values = np.empty(traced.which.size, np.float32)
    for number, part in traced.groups:
        values[part] = sampled(patches[number].luma, traced.x[part], traced.y[part], cv2.INTER_LINEAR)
    return values


def sampled(pixels: Plane, x: Floats, y: Floats, method: int) -> Plane:
    """Samples at M points, M×C."""
    count, rows = x.size, -(-x.size // _WIDE)
    if rows > 1:
        x, y = (np.pad(v, (0, -v.size % rows)).reshape(rows, -1) for v in (x, y))
        got = cv2.remap(pixels, x, y, method, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(got.reshape(-1, *pixels.shape[2:])[:count])
    return np.asarray(cv2.remap(pixels, x[None], y[None], method, borderMode=cv2.BORDER_REPLICATE)[0])
