"""What was behind the text: found in the frames before and after, carried along the motion, fused by how well it fits.

Per crop, streaming. Dense flow (DIS; Kroeger et al., 2016) between neighbours is computed on pictures whose holes are
closed, and completed smoothly under the mask. Along it travel pointers (frame, x, y), not colours, so that a pixel is
sampled once, however far it has come: colours handed from frame to frame would blur. Both directions and the spatial
guess are fused with weights of one over the squared error that each makes on the ring of known pixels around the hole;
the smooth part of that error is taken off first, which absorbs changes of light and vignettes. The same error is
the consistency check and the guard against missed cuts, and makes the seam disappear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.sdk import Box

from . import tuning
from .arrays import Floats, Mask, Pixels
from .geometry import grow
from .spatial import close_holes, enlarge, spread

Ints = NDArray[np.int32]
Mapper = Callable[[Callable[[int], object], Iterable[int]], None]
"""Does something for every number, possibly at once on several threads."""


class Patch:
    """One frame's crop: what is known of it, and what is computed from it once."""

    def __init__(self, pixels: Pixels, hole: Mask, changed: Mask | None = None) -> None:
        """One crop.

        Args:
            pixels: H×W×3 Y, U, V, uint8 or uint16 with 8 bits of fraction.
            hole: what is unknown.
            changed: what is known but not as it was, because a veil was taken off.
        """
        self.pixels = pixels
        self.changed = changed
        self.hole = hole
        self.any = bool(hole.any())
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tuning.RING_PX + 1,) * 2)
        self.near: Mask = np.asarray(cv2.dilate(hole.astype(np.uint8), kernel) > 0) if self.any else hole
        """The hole and its ring: what pointers are followed for."""
        off = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tuning.KEEP_OFF_PX + 1,) * 2)
        self.avoid: Mask = np.asarray(cv2.dilate(hole.astype(np.uint8), off) > 0) if self.any else hole
        """The hole and what compression has smeared of it: nothing here may be a source."""
        ys, xs = np.nonzero(self.near)
        self.ys, self.xs = ys.astype(np.int32), xs.astype(np.int32)
        self.span = self._span()
        self._guide: Pixels | None = None
        self.flows: dict[int, Floats] = {}

    @property
    def scale(self) -> float:
        """What to divide pixels by to get the 8-bit scale."""
        return 256.0 if self.pixels.dtype == np.uint16 else 1.0

    @property
    def values(self) -> Floats:
        """Pixels on the 8-bit scale."""
        return self.pixels.astype(np.float32) / np.float32(self.scale)

    def _span(self) -> Box:
        """What has to be worked on: the hole, its ring, and a little known picture around."""
        if not self.any:
            return 0, 0, 0, 0
        box = int(self.xs.min()), int(self.ys.min()), int(self.xs.max()) + 1, int(self.ys.max()) + 1
        return grow(box, tuning.RING_PX, tuning.RING_PX, self.hole.shape[1], self.hole.shape[0])

    def guess(self) -> Floats:
        """The span with its hole closed from its surroundings."""
        x0, y0, x1, y1 = self.span
        return close_holes(self.values[y0:y1, x0:x1], self.hole[y0:y1, x0:x1])

    def prepare(self) -> Pixels:
        """Luma with the hole closed, in 8 bits, for the flow; computed once."""
        if self._guide is None:
            luma = self.values[..., :1]
            closed = close_holes(luma, self.hole) if self.any else luma
            self._guide = np.clip(np.rint(closed[..., 0]), 0, 255).astype(np.uint8)
        return self._guide


class Reached(NamedTuple):
    """For every pixel near the hole of a frame (in the order of `Patch.ys`, `xs`): where its source lies."""

    frame: Ints
    """-1 where there is none."""
    x: Floats
    y: Floats


Pointers = tuple[Ints, Floats, Floats]
"""The same as pictures, handed on to the next frame."""


def sigma(height: int) -> float:
    """How smooth the motion and the errors under a mask are taken to be, pixels."""
    a, b = tuning.SMOOTH
    return a + height / b


def flow_between(here: Patch, other: Patch) -> Floats:
    """Where each pixel near the hole of `here` lies in `other`: N×2 offsets, in the order of `ys`, `xs`."""
    h, w = here.hole.shape
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dense = np.asarray(dis.calc(here.prepare(), other.prepare(), None), np.float32)  # type: ignore[call-overload]
    known = (~here.hole).astype(np.float32)
    smooth, _ = spread(dense, known, sigma(h))
    return enlarge(smooth, w, h)[here.ys, here.xs]


def step(
    here: Patch, other: Patch, flow: Floats, *, number: int, behind: Pointers | None, oldest: int, newest: int
) -> Reached:
    """One frame on: each pixel's source is where it comes to lie in `other`, or what that pixel itself points to."""
    h, w = here.hole.shape
    qx, qy = here.xs + flow[:, 0], here.ys + flow[:, 1]
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
    patches: Mapping[int, Patch], order: Iterable[int], towards: int, cuts: set[int], behind: Pointers | None
) -> tuple[dict[int, Reached], Pointers | None]:
    """Carry pointers through the frames in this order.

    Args:
        patches: by frame number.
        order: of frames; rising with towards = -1 (sources lie before), falling with +1.
        towards: the neighbour that sources come from.
        cuts: frames that begin a shot.
        behind: pointers of the frame before the first in this order.

    Returns:
        What each frame with a hole reaches, and the pointers of the last one.
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
        out[t] = reached
    return out, behind


def gather(patches: Mapping[int, Patch], reached: Reached) -> tuple[Mask, Floats]:
    """Sample every source once, bicubic: which pixels have one, and their values on the 8-bit scale."""
    has = reached.frame >= 0
    values = np.zeros((has.size, 3), np.float32)
    at = np.flatnonzero(has)
    order = at[np.argsort(reached.frame[at], kind="stable")]
    bounds = np.flatnonzero(np.diff(reached.frame[order])) + 1
    for group in np.split(order, bounds):
        if group.size:
            patch = patches[int(reached.frame[group[0]])]
            values[group] = _sample(patch.pixels, reached.x[group], reached.y[group]) / patch.scale
    return has, values


def _sample(pixels: Pixels, x: Floats, y: Floats) -> Floats:
    """Bicubic samples at N points; remap takes at most 32767 columns, so the points lie in rows."""
    wide = 4096
    rows = -(-x.size // wide)
    mx, my = np.zeros((2, rows * wide), np.float32) if rows > 1 else np.zeros((2, x.size), np.float32)
    mx[: x.size], my[: x.size] = x, y
    shape = (rows, wide) if rows > 1 else (1, x.size)
    got = cv2.remap(pixels, mx.reshape(shape), my.reshape(shape), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(got.reshape(-1, 3)[: x.size], np.float32)


class Candidate(NamedTuple):
    """One guess at the picture, and the squared error expected of it."""

    values: Floats
    error: Floats


def judge(patch: Patch, guess: Floats, has: Mask, values: Floats) -> Candidate:
    """A temporal guess, corrected by the smooth part of its error on the ring; the rest of that error is its doubt."""
    x0, y0, x1, y1 = patch.span
    smoothness = sigma(patch.hole.shape[0])
    h, w = y1 - y0, x1 - x0
    picture = guess.copy()
    ys, xs = patch.ys[has] - y0, patch.xs[has] - x0
    picture[ys, xs] = values[has]
    reached = np.zeros((h, w), bool)
    reached[ys, xs] = True
    ring = (~patch.hole[y0:y1, x0:x1] & reached).astype(np.float32)
    off = guess - picture
    low, support = spread(off, ring, smoothness)
    smooth = enlarge(low, w, h)
    doubt, _ = spread(_energy(off - smooth), ring, smoothness)
    doubt = doubt + 0.25 * _energy(low)
    doubt[support < 0.003] = 1e6
    error = enlarge(doubt, w, h)
    error[~reached] = 1e6
    return Candidate(picture + smooth, error)


def _energy(values: Floats) -> Floats:
    """Mean square over the channels; einsum makes no copies and is four times as fast as mean."""
    return np.asarray(np.einsum("ijk,ijk->ij", values, values) / values.shape[2], np.float32)


def fuse(patch: Patch, temporal: Iterable[tuple[Mask, Floats]]) -> Floats:
    """The span with its hole filled, from the spatial guess and whatever time gave."""
    guess = patch.guess()
    h, w = guess.shape[:2]
    x0, y0, x1, y1 = patch.span
    known = (~patch.hole[y0:y1, x0:x1]).astype(np.float32)
    luma = guess[..., 0]
    both, _ = spread(np.dstack([luma, luma * luma]), known, sigma(patch.hole.shape[0]))
    variance = enlarge(np.maximum(both[..., 1] - both[..., 0] ** 2, 0), w, h)
    weight = _weight(tuning.SPATIAL_TRUST**2 * variance)
    total, weights = guess * weight[..., None], weight
    for has, values in temporal:
        if has.any():
            one = judge(patch, guess, has, values)
            weight = _weight(one.error)
            total += one.values * weight[..., None]
            weights = weights + weight
    return np.asarray(total / weights[..., None], np.float32)


def _weight(error: Floats) -> Floats:
    return np.asarray((error + tuning.ERROR_FLOOR) ** -tuning.WEIGHT_POWER, np.float32)


def in_turn(work: Callable[[int], object], numbers: Iterable[int]) -> None:
    """The plain `Mapper`."""
    for number in numbers:
        work(number)


class Filler:
    """Fills chunk after chunk of one crop; carries the forward pointers from chunk to chunk."""

    def __init__(self, cuts: set[int]) -> None:
        self._cuts = cuts
        self._behind: Pointers | None = None

    def fill(self, patches: Mapping[int, Patch], first: int, last: int, run: Mapper = in_turn) -> dict[int, Floats]:
        """Fill frames `first` to `last` (exclusive): frame to the filled pixels of its patch's `span`.

        Args:
            patches: of these frames and, as far as there are any, `tuning.LOOK` frames on both sides.
            first: chunks follow each other without a gap.
            last: one past.
            run: does independent work at once where there are threads.
        """
        todo = [t for t in range(first, last) if patches[t].any]
        if not todo:
            self._behind = None
            return {}
        stop = self._stop(patches, last)
        forward = range(self._start(patches, first), last)
        backward = range(stop, first - 1, -1)
        self._flows(patches, forward, backward, run)
        behind = self._behind if forward.start == first else None
        before, self._behind = chase(patches, forward, -1, self._cuts, behind)
        after, _ = chase(patches, backward, +1, self._cuts, None)
        out: dict[int, Floats] = {}

        def finish(t: int) -> None:
            out[t] = fuse(patches[t], (gather(patches, r[t]) for r in (before, after) if t in r))

        run(finish, todo)
        return out

    def sources(self) -> set[int]:
        """Frames that pointers carried over to the next chunk still point to."""
        behind = self._behind
        return set() if behind is None else {int(n) for n in np.unique(behind[0]) if n >= 0}

    def _start(self, patches: Mapping[int, Patch], first: int) -> int:
        """Where pointers must begin: earlier than the chunk only if holes lead up to it and none were carried over."""
        if self._behind is not None:
            return first
        while first - 1 in patches and patches[first - 1].any and first - 2 in patches:
            first -= 1
        return first

    def _stop(self, patches: Mapping[int, Patch], last: int) -> int:
        """The last frame that must be looked at for sources that lie after: the end of the hole, within the window."""
        t = last - 1
        while t + 1 in patches and patches[t].any:
            t += 1
        return t

    def _flows(self, patches: Mapping[int, Patch], forward: range, backward: range, run: Mapper) -> None:
        """All the flows that the chases will ask for, at once."""
        wanted = [(t, -1) for t in forward] + [(t, +1) for t in backward]
        jobs = [
            (t, to)
            for t, to in wanted
            if patches[t].any
            and t + to in patches
            and to not in patches[t].flows
            and (t if to < 0 else t + 1) not in self._cuts
        ]
        guides = sorted({n for t, to in jobs for n in (t, t + to)})
        run(lambda n: patches[n].prepare(), guides)

        def work(i: int) -> None:
            t, to = jobs[i]
            patches[t].flows[to] = flow_between(patches[t], patches[t + to])

        run(work, range(len(jobs)))
