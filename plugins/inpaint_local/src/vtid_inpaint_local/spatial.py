"""A quick guess from the same frame alone: what the flow is guided by, and what remains where time shows nothing.

Push-pull (Gortler et al., The Lumigraph, 1996): known pixels are averaged down a pyramid until every hole is closed,
then the holes are filled from the coarser level on the way up. Linear in the pixels whatever the hole's size; Telea's
marching takes six times as long for a difference that the fusion with time makes disappear.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from . import tuning
from .arrays import Floats, Mask, Pixels, widen

SHRUNK = 4
"""What is only wanted smooth is worked on at a quarter of the size, where it costs a sixteenth. Pictures whose sides
are multiples of this are made smaller five times as fast."""


STEP = tuning.SPATIAL_STEP
STEPS = (np.s_[STEP:], np.s_[:-STEP]), (np.s_[:, STEP:], np.s_[:, :-STEP])
"""Each pixel and another so many on, down and across."""


class Closing:
    """Closes one hole (H×W) in any number of pictures: what depends on the hole alone is worked out once.

    Args:
        hole: what is unknown.
        rim: pixels around it that it is closed from; None takes all there are. What lies behind an edge near the hole
            flows into it then, and a hole below a branch takes the branch's colour.
    """

    def __init__(self, hole: Mask, rim: int | None = None) -> None:
        self._hole = hole
        self._known = (~hole if rim is None else widen(hole, rim) & ~hole).astype(np.float32)
        self._levels: list[tuple[Floats, Floats]] = []
        """Coarser and coarser, down to the first without a hole: what to multiply sums by, and how much is known."""
        weight = self._known
        self._any = bool(hole.any()) and bool(weight.any())
        while self._any:
            share = np.asarray(cv2.pyrDown(weight), np.float32)
            weight = np.minimum(np.float32(1), share * 2)  # a coarse pixel counts in full once half of it is known
            self._levels.append((np.asarray(weight / np.maximum(share, 1e-6), np.float32), weight))
            if min(weight.shape) < 3 or float(weight.min()) > 0.5:
                break

    def close(self, plane: Floats) -> None:
        """A plane (H×W) with its hole filled smoothly, in place; everything else stays."""
        if not self._any:
            return
        sums = [plane * self._known]
        for scale, _ in self._levels:
            sums.append(np.asarray(cv2.pyrDown(sums[-1]), np.float32) * scale)
        out = np.asarray(sums.pop() / np.maximum(self._levels[-1][1], 1e-6), np.float32)
        for here, (_, weight) in zip(reversed(sums[1:]), reversed(self._levels[:-1]), strict=True):
            out = np.asarray(here + _enlarged(out, here) * (1 - weight), np.float32)
        cv2.copyTo(_enlarged(out, plane), self._hole.view(np.uint8), plane)

    def planes(self, pixels: Pixels) -> Floats:
        """The planes (C×H×W) of a crop (H×W×C) with its hole filled smoothly."""
        out = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
        for plane, whole in zip(out, cv2.split(pixels), strict=True):
            plane[:] = whole
            self.close(plane)
        return out


class Known:
    """What the worth of a spatial guess depends on in one hole (H×W), whatever the picture.

    Attributes:
        known: H×W, 1 outside the hole.
        pairs: how many known pixels near each place have another `tuning.SPATIAL_STEP` on, smaller by `SHRUNK`.
        share: how many are known, the same.
        worth: H×W, what a pixel's depth in the hole leaves of the guess's weight.
    """

    def __init__(self, hole: Mask, sigma: float) -> None:
        self.known = (~hole).astype(np.float32)
        pairs = np.zeros_like(self.known)
        for a, b in STEPS:
            pairs[a] += self.known[a] * self.known[b]
        self.pairs = np.maximum(3 * smooth(pairs, sigma), np.float32(1e-3))
        self.share = np.maximum(smooth(self.known, sigma), np.float32(1e-3))
        depth = np.maximum(cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 3), 1)
        self.worth = np.asarray(depth ** np.float32(-tuning.WEIGHT_POWER * tuning.SPATIAL_ERROR[3]), np.float32)


def close_holes(pixels: Pixels, hole: Mask) -> Floats:
    """The crop (H×W×C) with its hole filled smoothly; everything else as it was."""
    return np.asarray(cv2.merge(list(Closing(hole).planes(pixels))).reshape(pixels.shape), np.float32)


def _enlarged(small: Floats, like: Floats) -> Floats:
    """A level at the size of the next finer one."""
    return np.asarray(cv2.pyrUp(small, dstsize=like.shape[::-1]), np.float32)


def spread(weighted: Sequence[Floats], weight: Floats, sigma: float) -> tuple[list[Floats], Floats]:
    """Carry known values smoothly over the unknown: normalised convolution (Knutsson and Westin, 1993) with a Gaussian.

    Args:
        weighted: planes of value × weight.
        weight: how much each pixel is known.
        sigma: of the Gaussian, in pixels of these planes.

    Returns:
        The planes and their support, both smaller by `SHRUNK`; see `enlarge`.
    """
    support = smooth(weight, sigma)
    bottom = support + np.float32(1e-6)
    return [smooth(plane, sigma) / bottom for plane in weighted], support


def smooth(plane: Floats, sigma: float) -> Floats:
    """A plane made smaller by `SHRUNK`, blurred by so many of its pixels."""
    h, w = plane.shape
    size = max(2, w // SHRUNK), max(2, h // SHRUNK)
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return blurred(np.asarray(small, np.float32), sigma)


def blurred(small: Floats, sigma: float) -> Floats:
    """What was made smaller, blurred by so many pixels of before."""
    return np.asarray(cv2.GaussianBlur(small, (0, 0), sigma / SHRUNK), np.float32)


def enlarge(values: Floats, width: int, height: int) -> Floats:
    """What was made smaller, at full size."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
