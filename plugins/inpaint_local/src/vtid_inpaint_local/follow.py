"""Where a hidden pixel is seen in other frames: pointers along the optical flow.

Dense flow (DIS; Kroeger et al., 2016) between neighbours is computed on pictures whose holes are closed, and completed
smoothly under the mask. Along it travel pointers (frame, x, y), not colours, so that a pixel is sampled once, however
far it has come: colours handed from frame to frame would blur. What small errors add up to on the way is taken back at
the end: where the sampled pixels around the hole lie a fraction of a pixel off those of the frame itself, all of them
are moved (Lucas and Kanade, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import tuning
from .arrays import Floats, Pixels
from .patch import Patch, sigma
from .spatial import enlarge, spread

Ints = NDArray[np.int32]


class Reached(NamedTuple):
    """For every pixel near the hole of a frame (in the order of `Patch.ys`, `xs`): where its source lies."""

    frame: Ints
    """-1 where there is none."""
    x: Floats
    y: Floats


Pointers = tuple[Ints, Floats, Floats]
"""The same as pictures, handed on to the next frame."""


def _dis() -> cv2.DISOpticalFlow:
    """Fine enough to be exact, without the smoothing at the end: the flow is smoothed far more under the mask."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(tuning.FLOW_SCALE)
    dis.setPatchStride(tuning.FLOW_STRIDE)
    dis.setGradientDescentIterations(tuning.FLOW_STEPS)
    dis.setVariationalRefinementIterations(0)
    return dis


def flow_between(here: Patch, other: Patch) -> NDArray[np.float16]:
    """Where each pixel near the hole of `here` lies in `other`: N×2 offsets, in the order of `ys`, `xs`."""
    h, w = here.hole.shape
    dis = _dis()
    dense = np.asarray(dis.calc(here.prepare(), other.prepare(), None), np.float32)  # type: ignore[call-overload]
    away = cv2.distanceTransform((~here.hole).astype(np.uint8), cv2.DIST_L2, 3)
    trust = np.where(away > 0, np.clip(away / tuning.FLOW_CLEAR_PX, tuning.FLOW_NEAR, 1) ** 2, 0).astype(np.float32)
    smooth, _ = spread(dense, trust, sigma(h))
    return enlarge(smooth, w, h)[here.ys, here.xs].astype(np.float16)


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
    qx, qy = here.xs + flow[:, 0].astype(np.float32), here.ys + flow[:, 1].astype(np.float32)
    inside = (qx >= 0) & (qx <= w - 1) & (qy >= 0) & (qy <= h - 1)
    rx = np.clip(np.rint(qx).astype(np.int32), 0, w - 1)
    ry = np.clip(np.rint(qy).astype(np.int32), 0, h - 1)
    free = ~other.avoid[ry, rx]
    frame = np.where(free, number, -1).astype(np.int32)
    x, y = qx.astype(np.float32), qy.astype(np.float32)
    if behind is not None:
        frame = np.where(free, number, behind[0][ry, rx]).astype(np.int32)
        x = np.where(free, qx, behind[1][ry, rx] + (qx - rx)).astype(np.float32)
        y = np.where(free, qy, behind[2][ry, rx] + (qy - ry)).astype(np.float32)
    good = inside & (frame >= oldest) & (frame <= newest) & (x >= 0) & (x <= w - 1.01) & (y >= 0) & (y <= h - 1.01)
    return Reached(np.where(good, frame, -1).astype(np.int32), x, y)


def spread_out(patch: Patch, reached: Reached) -> Pointers:
    """Pointers as pictures."""
    shape = patch.hole.shape
    frame = np.full(shape, -1, np.int32)
    x, y = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    frame[patch.ys, patch.xs] = reached.frame
    x[patch.ys, patch.xs] = reached.x
    y[patch.ys, patch.xs] = reached.y
    return frame, x, y


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


def gather(patches: Mapping[int, Patch], reached: Reached) -> Floats:
    """Sample every source once, bicubic: N×3 on the 8-bit scale, 0 where there is none."""
    values = np.zeros((reached.frame.size, 3), np.float32)
    for number, group in _by_frame(reached):
        patch = patches[number]
        values[group] = _sample(patch.pixels, reached.x[group], reached.y[group])
        if patch.scale != 1:
            values[group] /= patch.scale
    return values


def gather_luma(patches: Mapping[int, Patch], reached: Reached) -> Floats:
    """The same of the luma alone, bilinear, from 8 bits: N."""
    values = np.zeros(reached.frame.size, np.float32)
    for number, group in _by_frame(reached):
        values[group] = _sample(patches[number].prepare(), reached.x[group], reached.y[group], cv2.INTER_LINEAR)
    return values


def _by_frame(reached: Reached) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Source frames, each with the pixels that it is the source of."""
    at = np.flatnonzero(reached.frame >= 0)
    frames = reached.frame[at].astype(np.int64)
    order = at[np.argsort(frames, kind="stable")]
    bounds = np.flatnonzero(np.diff(reached.frame[order])) + 1
    for group in np.split(order, bounds):
        if group.size:
            yield int(reached.frame[group[0]]), group


def _sample(pixels: Pixels, x: Floats, y: Floats, method: int = cv2.INTER_CUBIC) -> Pixels:
    """Samples at N points; remap takes at most 32767 columns, so the points lie in rows."""
    wide = 4096
    rows = -(-x.size // wide)
    mx, my = np.zeros((2, rows * wide), np.float32) if rows > 1 else np.zeros((2, x.size), np.float32)
    mx[: x.size], my[: x.size] = x, y
    shape = (rows, wide) if rows > 1 else (1, x.size)
    got = cv2.remap(pixels, mx.reshape(shape), my.reshape(shape), method, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(got.reshape(rows * wide if rows > 1 else x.size, *pixels.shape[2:])[: x.size])


def align(patch: Patch, guess: Floats, patches: Mapping[int, Patch], reached: Reached) -> Reached:
    """Take back the drift of a chase: move sources by what they are off around the hole.

    One step of Lucas and Kanade's method on the ring, weighted against outliers, its equations carried smoothly over
    the hole.

    Args:
        patch: the frame.
        guess: its span with the hole closed, h×w×3.
        patches: all that may be sources.
        reached: where its pixels' sources lie.
    """
    x0, y0, x1, y1 = patch.span
    h, w = y1 - y0, x1 - x0
    smoothness = tuning.ALIGN_SMOOTH * sigma(patch.hole.shape[0])
    has = reached.frame >= 0
    ys, xs = patch.ys[has] - y0, patch.xs[has] - x0
    picture = guess[..., 0].copy()
    picture[ys, xs] = gather_luma(patches, reached)[has]
    there = np.zeros((h, w), np.uint8)
    there[ys, xs] = 1
    ring = cv2.erode(there, np.ones((3, 3), np.uint8)).astype(np.float32)  # gradients need neighbours
    ring[patch.hole[y0:y1, x0:x1]] = 0
    off = guess[..., 0] - picture
    low, _ = spread(off, ring, smoothness)
    off -= enlarge(low, w, h)
    typical = float(np.sqrt((off * off * ring).sum() / max(1.0, float(ring.sum()))))
    weight = ring / (1 + (off / (2 * typical + 1)) ** 2)
    gx = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    terms, _ = spread(np.dstack([gx * gx, gx * gy, gy * gy, gx * off, gy * off]), weight, smoothness)
    a, b, c, e, f = (terms[..., i] for i in range(5))
    a, c = a + tuning.ALIGN_RIDGE, c + tuning.ALIGN_RIDGE
    most = tuning.ALIGN_MOST
    move = np.dstack([c * e - b * f, a * f - b * e]) / (a * c - b * b)[..., None]
    by = enlarge(np.clip(move, -most, most).astype(np.float32), w, h)[patch.ys - y0, patch.xs - x0]
    height, width = patch.hole.shape
    x = np.clip(reached.x + by[:, 0], 0, width - 1.01, dtype=np.float32)
    y = np.clip(reached.y + by[:, 1], 0, height - 1.01, dtype=np.float32)
    return Reached(reached.frame, x, y)
