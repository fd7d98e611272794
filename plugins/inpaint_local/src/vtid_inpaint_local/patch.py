"""One frame's crop, as the filling sees it: what is known of it, and what is computed from it once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.sdk import Box

from . import tuning
from .arrays import Floats, Mask, Pixels, Plane
from .geometry import aligned, grow
from .painter import Guide
from .spatial import SHRUNK, close_holes

Index = NDArray[np.int32]
"""N positions in a flattened picture. OpenCV and NumPy gather by these six times as fast as by a mask or by pairs."""


class Patch:
    """One frame's crop, its hole, and the ring of known pixels around it.

    Attributes:
        pixels: H×W×3, as given.
        luma: H×W, 8 bits.
        changed: as given.
        hole: H×W, as given.
        any: whether there is a hole.
        avoid: H×W, the hole and what compression has smeared of it: nothing there may be a source.
        at: where the N pixels of the hole and of the ring around it lie, in the order of everything that is given per
            pixel.
        x, y: the same as columns and rows.
        inside: of those N, which are unknown; the others are the ring.
        span: what has to be worked on: the hole, its ring, and a little known picture around.
        flows: 2×N to the neighbour before (-1) and after (+1); half floats tell a hundredth of a pixel, and are many.
    """

    def __init__(self, pixels: Pixels, hole: Mask, changed: Mask | None = None) -> None:
        """One crop.

        Args:
            pixels: H×W×3 Y, U, V, uint8 or uint16 with 8 bits of fraction.
            hole: what is unknown.
            changed: what is known but not as it was, because a veil was taken off.
        """
        self.pixels = pixels
        self.luma: Plane = cv2.extractChannel(pixels, 0)
        if pixels.dtype == np.uint16:
            self.luma = np.minimum((self.luma.astype(np.uint32) + 128) >> 8, 255).astype(np.uint8)
        self.changed = changed
        self.hole = hole
        self.any = bool(hole.any())
        near = _grown(hole, tuning.RING_PX) if self.any else hole
        self.avoid = _grown(hole, tuning.KEEP_OFF_PX) if self.any else hole
        self.at: Index = np.flatnonzero(near).astype(np.int32)
        width = np.int32(hole.shape[1])
        self.y = (self.at // width).astype(np.int16)
        self.x = (self.at - self.y * width).astype(np.int16)
        self.inside: Mask = hole.reshape(-1).take(self.at)
        self.span = self._span()
        self._guide: Plane | None = None
        self._trust: Floats | None = None
        self.flows: dict[int, NDArray[np.float16]] = {}

    @property
    def scale(self) -> float:
        """What to divide pixels by to get the 8-bit scale."""
        return 256.0 if self.pixels.dtype == np.uint16 else 1.0

    def _span(self) -> Box:
        if not self.any:
            return 0, 0, 0, 0
        height, width = self.hole.shape
        box = int(self.x.min()), int(self.y[0]), int(self.x.max()) + 1, int(self.y[-1]) + 1
        return aligned(grow(box, tuning.RING_PX, tuning.RING_PX, width, height), SHRUNK, width, height)

    def guess(self, guide: Guide) -> Floats:
        """The span with its hole closed from its surroundings."""
        return guide(self.pixels, self.hole, self.span)

    def retire(self) -> None:
        """It has been filled, and so has the frame after it: keep what a source needs."""
        self.hole = self.avoid = self.inside = np.zeros((0, 0), bool)
        self.at, self.x, self.y = np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int16)
        self.changed = self._guide = self._trust = None
        self.flows.clear()

    def prepare(self) -> Plane:
        """Luma at half the size with the hole closed, for the flow; computed once."""
        if self._guide is None:
            luma = self.luma
            if self.any:  # closed at full size: at half of it the hole would be a pixel wider, which costs 0.3 dB
                luma = np.rint(close_holes(luma[..., None], self.hole)[..., 0]).astype(np.uint8)
            self._guide = half(luma)
        return self._guide

    def trust(self) -> Floats:
        """How far the flow is believed at every pixel of half the size: 0 in the hole, little beside it."""
        if self._trust is None:
            away = half(cv2.distanceTransform((~self.hole).view(np.uint8), cv2.DIST_L2, 3))
            trust = np.clip(away * np.float32(1 / tuning.FLOW_CLEAR_PX), tuning.FLOW_NEAR, 1) ** 2
            trust[away <= 0] = 0
            self._trust = trust
        return self._trust


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
