"""One frame's crop, as the filling sees it: what is known of it, and what is computed from it once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.sdk import Box

from . import tuning
from .arrays import Floats, Mask, Pixels, Plane, eight_bits
from .geometry import aligned, grow
from .kernels import Crop, Fixed, Ints
from .painter import Guide, classical
from .places import Places
from .spatial import SHRUNK, Closing, Known

Index = NDArray[np.int32]
"""N positions in a flattened picture. OpenCV and NumPy gather by these six times as fast as by a mask or by pairs."""


class Where:
    """Where a frame's hole lies: the same for frame after frame, while the same texts stand, and then shared by them.

    Attributes:
        paint: H×W, the part of it that is to be filled, as given.
        spared: as given.
        hole: H×W, what is unknown: both.
        any: whether there is a hole.
        avoid: H×W, the hole and what compression has smeared of it: nothing there may be a source.
        avoid_at: places of that in the flattened crop.
        at: where the N pixels of the hole and of the ring around it lie, in the order of everything that is given per
            pixel.
        x, y: the same as columns and rows.
        inside: of those N, which are unknown; the others are the ring.
        span: what has to be worked on: the hole, its ring, and a little known picture around.
    """

    def __init__(self, paint: Mask, spared: Mask | None = None) -> None:
        self.paint = paint
        self.spared = spared if spared is not None and spared.any() else None
        hole = paint if self.spared is None else paint | self.spared
        self.hole = hole
        self.any = bool(hole.any())
        near = _grown(hole, tuning.RING_PX) if self.any else hole
        self.avoid = _grown(hole, tuning.KEEP_OFF_PX) if self.any else hole
        self.at: Index = np.flatnonzero(near).astype(np.int32)
        width = np.int32(hole.shape[1])
        self.y = (self.at // width).astype(np.int16)
        self.x = (self.at - self.y * width).astype(np.int16)
        self.avoid_at = np.flatnonzero(self.avoid)
        self.inside: Mask = hole.reshape(-1).take(self.at)
        self.span = self._span()
        self._trust: Floats | None = None
        self._row: Ints | None = None
        self._closing: Closing | None = None
        self._near: Closing | None = None
        self._known: Known | None = None
        self._places: Places | None = None
        self._rim: Mask | None = None

    def matches(self, paint: Mask, spared: Mask | None) -> bool:
        """Whether it is of such a hole."""
        if spared is not None and not spared.any():
            spared = None
        if spared is None or self.spared is None:
            return spared is self.spared and np.array_equal(paint, self.paint)
        return np.array_equal(paint, self.paint) and np.array_equal(spared, self.spared)

    def _span(self) -> Box:
        if not self.any:
            return 0, 0, 0, 0
        height, width = self.hole.shape
        box = int(self.x.min()), int(self.y[0]), int(self.x.max()) + 1, int(self.y[-1]) + 1
        return aligned(grow(box, tuning.RING_PX, tuning.RING_PX, width, height), SHRUNK, width, height)

    def closing(self) -> Closing:
        """Of the hole."""
        if self._closing is None:
            self._closing = Closing(self.hole)
        return self._closing

    def near(self) -> Closing:
        """Of the part of the hole that lies in the span: all of it."""
        if self._near is None:
            self._near = Closing(self._in_span(), tuning.GUESS_RIM)
        return self._near

    def known(self) -> Known:
        """Of the span."""
        if self._known is None:
            self._known = Known(self._in_span(), sigma(self.hole.shape[0]))
        return self._known

    def places(self) -> Places:
        """Of the pixels of `at`, in the span."""
        if self._places is None:
            self._places = Places(self.x, self.y, self.span, SHRUNK)
        return self._places

    def rim(self) -> Mask:
        """Of those N, what is known and what touches that."""
        if self._rim is None:
            known = cv2.dilate((~self.hole).view(np.uint8), np.ones((3, 3), np.uint8))
            self._rim = known.reshape(-1).take(self.at) > 0
        return self._rim

    def _in_span(self) -> Mask:
        x0, y0, x1, y1 = self.span
        return np.ascontiguousarray(self.hole[y0:y1, x0:x1])

    def row(self) -> Ints:
        """Of each place of the flattened crop, where it is in `at`; anything where it is not in it."""
        if self._row is None:
            self._row = np.zeros(self.hole.size, np.int32)
            self._row[self.at] = np.arange(self.at.size, dtype=np.int32)
        return self._row

    def trust(self) -> Floats:
        """How far the flow is believed at every pixel of half the size: 0 in the hole, little beside it."""
        if self._trust is None:
            height, width = self.hole.shape
            # Outside the span everything is farther away than that; halves of odd sides would not meet its own.
            x0, y0, x1, y1 = self.span if self.any and not (height | width) % 2 else (0, 0, width, height)
            away = half(cv2.distanceTransform((~self.hole[y0:y1, x0:x1]).view(np.uint8), cv2.DIST_L2, 3))
            near = np.clip(away * np.float32(1 / tuning.FLOW_CLEAR_PX), tuning.FLOW_NEAR, 1) ** 2
            near[away <= 0] = 0
            trust = np.ones((max(1, height // 2), max(1, width // 2)), np.float32)
            trust[y0 // 2 : y0 // 2 + near.shape[0], x0 // 2 : x0 // 2 + near.shape[1]] = near
            self._trust = trust
        return self._trust


_NOWHERE = Where(np.zeros((0, 0), bool))


class Patch:
    """One frame's crop, its hole, and the ring of known pixels around it.

    Attributes:
        pixels: H×W×3, as given.
        luma: H×W, 8 bits.
        changed: as given.
        where: its hole; what that says is the patch's own too.
        under: H×W, the hole, kept as long as the patch.
        left, top: what has been cut off the crop since; pixels are still counted from its old corner.
        trimmed: whether anything has.
        flows: 2×N to the neighbour before (-1) and after (+1), in units of `FLOW_UNIT`.
    """

    def __init__(
        self,
        pixels: Pixels,
        hole: Mask,
        changed: Mask | None = None,
        spared: Mask | None = None,
        like: Patch | None = None,
    ) -> None:
        """One crop.

        Args:
            pixels: H×W×3 Y, U, V, uint8 or uint16 with 8 bits of fraction.
            hole: what is unknown, and is to be filled.
            changed: what is known but not as it was, because a veil was taken off.
            spared: text that stays. Nobody knows what is behind it either, and it is no background for the rest.
            like: another, whose hole may be the same.
        """
        same = like is not None and like.where.matches(hole, spared)
        self._stand(like.where if like is not None and same else Where(hole, spared))
        self.under = self.hole
        self.pixels = pixels
        self.luma: Plane = cv2.extractChannel(pixels, 0)
        if pixels.dtype == np.uint16:
            self.luma = np.minimum((self.luma.astype(np.uint32) + 128) >> 8, 255).astype(np.uint8)
        self.changed = changed
        self._guide: Plane | None = None
        self.flows: dict[int, Fixed] = {}
        self.left = self.top = 0
        self.trimmed = False

    def _stand(self, where: Where) -> None:
        self.where = where
        self.paint, self.hole, self.any, self.avoid = where.paint, where.hole, where.any, where.avoid
        self.at, self.x, self.y, self.inside, self.span = where.at, where.x, where.y, where.inside, where.span

    def guess(self, guide: Guide) -> Floats:
        """The span with its hole closed from its surroundings: Y, U and V, 3×h×w."""
        if guide is not classical:
            return np.stack(cv2.split(guide(self.pixels, self.hole, self.span)))
        x0, y0, x1, y1 = self.span
        return self.where.near().planes(eight_bits(self.pixels[y0:y1, x0:x1]))

    def retire(self) -> None:
        """It has been filled, and so has the frame after it: keep what a source needs."""
        self._stand(_NOWHERE)
        if self.pixels.dtype == np.uint8:
            self.luma = self.pixels[..., 0]  # no plane of its own: copied where it is wanted, which is seldom
        self.changed = self._guide = None
        self.flows.clear()

    def trim(self, box: Box) -> None:
        """Keep of a retired patch what lies in a box: most of a crop around a text is no source for anything."""
        x0, y0, x1, y1 = box
        self.pixels, self.under = self.pixels[y0:y1, x0:x1].copy(), self.under[y0:y1, x0:x1].copy()
        self.luma = self.pixels[..., 0] if self.pixels.dtype == np.uint8 else self.luma[y0:y1, x0:x1].copy()
        self.left, self.top, self.trimmed = x0, y0, True

    def crop(self) -> Crop:
        """What a source needs of it."""
        return Crop(self.pixels, self.under, self.left, self.top)

    def prepare(self) -> Plane:
        """Luma at half the size with the hole closed, for the flow; computed once."""
        if self._guide is None:
            luma = self.luma
            if self.any:  # closed at full size: at half of it the hole would be a pixel wider, which costs 0.3 dB
                closed = luma.astype(np.float32)
                self.where.closing().close(closed)
                luma = np.rint(closed).astype(np.uint8)
            self._guide = half(luma)
        return self._guide


def around(mask: Mask) -> Box | None:
    """The box around what is true; None where nothing is."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return (x, y, x + w, y + h) if w and h else None


def half(plane: Plane) -> Plane:
    """A plane at half its size."""
    h, w = plane.shape
    return np.asarray(cv2.resize(plane, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA))


def _grown(mask: Mask, by: int) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1,) * 2)
    return np.asarray(cv2.dilate(mask.view(np.uint8), kernel)).view(np.bool_)


def sigma(height: int) -> float:
    """How smooth the motion and the errors under a mask are taken to be, pixels, in a crop of this height."""
    a, b = tuning.SMOOTH
    return a + height / b
