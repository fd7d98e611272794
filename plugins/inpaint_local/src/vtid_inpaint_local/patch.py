"""One frame's crop, as the filling sees it: what is known of it, and what is computed from it once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.sdk import Box

from . import tuning
from .arrays import Floats, Mask, Pixels, eight_bits
from .geometry import grow
from .painter import Guide
from .spatial import close_holes


class Patch:
    """One frame's crop, its hole, and the ring of known pixels around it."""

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
        near: Mask = np.asarray(cv2.dilate(hole.astype(np.uint8), kernel) > 0) if self.any else hole
        off = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tuning.KEEP_OFF_PX + 1,) * 2)
        self.avoid: Mask = np.asarray(cv2.dilate(hole.astype(np.uint8), off) > 0) if self.any else hole
        """The hole and what compression has smeared of it: nothing here may be a source."""
        ys, xs = np.nonzero(near)
        self.ys, self.xs = ys.astype(np.int16), xs.astype(np.int16)
        """The N pixels of the hole and of the ring around it, in the order of everything that is given per pixel."""
        self.inside: Mask = hole[ys, xs]
        """Of those, which are unknown; the others are the ring."""
        self.span = self._span()
        self._guide: Pixels | None = None
        self.flows: dict[int, NDArray[np.float16]] = {}
        """N×2 to the neighbour before (-1) and after (+1); half floats tell a hundredth of a pixel, and are many."""

    @property
    def scale(self) -> float:
        """What to divide pixels by to get the 8-bit scale."""
        return 256.0 if self.pixels.dtype == np.uint16 else 1.0

    def _span(self) -> Box:
        """What has to be worked on: the hole, its ring, and a little known picture around."""
        if not self.any:
            return 0, 0, 0, 0
        box = int(self.xs.min()), int(self.ys.min()), int(self.xs.max()) + 1, int(self.ys.max()) + 1
        return grow(box, tuning.RING_PX, tuning.RING_PX, self.hole.shape[1], self.hole.shape[0])

    def guess(self, guide: Guide) -> Floats:
        """The span with its hole closed from its surroundings."""
        return guide(self.pixels, self.hole, self.span)

    def retire(self) -> None:
        """It has been filled, and so has the frame after it: keep what a source needs, pixels and guide."""
        self.hole = self.avoid = self.inside = np.zeros((0, 0), bool)
        self.ys = self.xs = np.zeros(0, np.int16)
        self.changed = None
        self.flows.clear()

    def prepare(self) -> Pixels:
        """Luma with the hole closed, in 8 bits, for the flow; computed once."""
        if self._guide is None:
            luma = eight_bits(self.pixels[..., :1])
            closed = close_holes(luma, self.hole) if self.any else luma
            self._guide = np.clip(np.rint(closed[..., 0]), 0, 255).astype(np.uint8)
        return self._guide


def sigma(height: int) -> float:
    """How smooth the motion and the errors under a mask are taken to be, pixels, in a crop of this height."""
    a, b = tuning.SMOOTH
    return a + height / b
