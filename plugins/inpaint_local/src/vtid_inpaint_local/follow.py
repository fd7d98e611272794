"""Where a hidden pixel is seen in other frames: pointers along the optical flow.

Dense flow (DIS; Kroeger et al., 2016) between neighbours is computed on pictures whose holes are closed, and completed
smoothly under the mask. Along it travel pointers (frame, x, y), not colours, so that a pixel is sampled once, however
far it has come: colours handed from frame to frame would blur. What small errors add up to on the way is taken back
when a frame is fused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import tuning
from .arrays import Floats, Mask, Plane
from .patch import Patch, sigma
from .spatial import SHRUNK, enlarge, spread

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
    """The same, handed on to the next frame, which looks it up by place."""

    row: Ints
    """Of each place of a flattened crop, where it is in the following; anything where it is not in them."""
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


def _near(patch: Patch, flow: Sequence[Floats]) -> NDArray[np.float16]:
    """A flow of half the size, made smaller, at the pixels near the hole: 2×N in the order of `at`."""
    h, w = patch.hole.shape
    return np.stack([2 * enlarge(plane, w, h).reshape(-1).take(patch.at) for plane in flow]).astype(np.float16)


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
        from_there = behind.row.take(nearest.take(held))
        frame[held] = behind.frame.take(from_there)
        x[held] += behind.right.take(from_there)
        y[held] += behind.down.take(from_there)
    good &= (frame >= oldest) & (frame <= newest) & (x >= 0) & (x <= w - 1.01) & (y >= 0) & (y <= h - 1.01)
    frame[~good] = -1
    return Reached(frame, x, y)


def handed_on(patch: Patch, reached: Reached) -> Pointers:
    """Pointers of one frame, for the next. All that may not be a source (`Patch.avoid`) is among them."""
    row = np.empty(patch.hole.size, np.int32)
    row[patch.at] = np.arange(patch.at.size, dtype=np.int32)
    return Pointers(row, reached.frame, reached.x - patch.x, reached.y - patch.y)


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
            here,
            other,
            here.flows[towards],
            number=t + towards,
            behind=behind,
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


def covered(patches: Mapping[int, Patch], traced: Traced) -> Mask:
    """Which of the M sources lie under a text of their own frame.

    A chase asks only in the frame in which it arrives. What it hands on from there moves on by fractions of a pixel,
    and after twenty frames may have come under the letters that stood beside it.
    """
    out = np.zeros(traced.which.size, bool)
    for number, part in traced.groups:
        patch = patches[number]
        height, width = patch.under.shape
        x = np.rint(traced.x[part]).astype(np.int32) - np.int32(patch.left)
        y = np.rint(traced.y[part]).astype(np.int32) - np.int32(patch.top)
        out[part] = patch.under.reshape(-1).take(y.clip(0, height - 1) * np.int32(width) + x.clip(0, width - 1))
        if patch.trimmed:
            out[part] |= (x < 0) | (y < 0) | (x >= width) | (y >= height)
    return out


def gather(patches: Mapping[int, Patch], traced: Traced) -> Floats:
    """Sample every source once, bicubic: 3×M on the 8-bit scale."""
    values = np.empty((3, traced.which.size), np.float32)
    for number, part in traced.groups:
        patch = patches[number]
        x, y = traced.x[part] - np.float32(patch.left), traced.y[part] - np.float32(patch.top)
        values[:, part] = sampled(patch.pixels, x, y, cv2.INTER_CUBIC).T
        if patch.scale != 1:
            values[:, part] /= patch.scale
    return values


def gather_luma(patches: Mapping[int, Patch], traced: Traced) -> Floats:
    """The same of the luma alone, bilinear, from 8 bits: M."""
    values = np.empty(traced.which.size, np.float32)
    for number, part in traced.groups:
        patch = patches[number]
        x, y = traced.x[part] - np.float32(patch.left), traced.y[part] - np.float32(patch.top)
        values[part] = sampled(patch.luma, x, y, cv2.INTER_LINEAR)
    return values


def sampled(pixels: Plane, x: Floats, y: Floats, method: int) -> Plane:
    """Samples at M points, M×C."""
    count, rows = x.size, -(-x.size // _WIDE)
    if rows > 1:
        x, y = (np.pad(v, (0, -v.size % rows)).reshape(rows, -1) for v in (x, y))
        got = cv2.remap(pixels, x, y, method, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(got.reshape(-1, *pixels.shape[2:])[:count])
    return np.asarray(cv2.remap(pixels, x[None], y[None], method, borderMode=cv2.BORDER_REPLICATE)[0])
