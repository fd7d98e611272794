"""Filled frames made steady: each takes over part of what the frame before has at the same place of the scene.

Every frame is filled for itself, and what is guessed differs a little from one to the next, which flickers. A recursive
filter along the motion (Dubois and Sabri, Noise reduction in image sequences using motion-compensated temporal
filtering, 1984) evens that out; where both frames differ by more than such noise, something else has come to be there,
and the new frame stays as it is.
"""

from __future__ import annotations

import cv2
import numpy as np

from vtid.sdk import Box

from . import tuning
from .arrays import Floats
from .kernels import FLOW_UNIT, sampled
from .patch import Patch


class Steady:
    """Told of one filled frame after the other."""

    def __init__(self) -> None:
        self._before: tuple[int, Box, Floats] | None = None

    def settle(self, number: int, patch: Patch, filled: Floats) -> None:
        """Take over what the frame before has, in place.

        Args:
            number: of the frame; what follows another is the next.
            patch: of the frame, with its flow to the frame before.
            filled: h×w×3 over the patch's span, on the 8-bit scale.
        """
        before, self._before = self._before, (number, patch.span, filled)
        if before is None or before[0] != number - 1 or -1 not in patch.flows:
            return
        x0, y0, x1, y1 = before[1]
        inside = np.flatnonzero(patch.inside)
        moves = patch.flows[-1].take(inside, axis=1) * FLOW_UNIT
        moves[np.abs(moves) < tuning.STEADY_STILL] = 0
        right, down = moves
        x, y = patch.x.take(inside) + right - np.float32(x0), patch.y.take(inside) + down - np.float32(y0)
        there = np.flatnonzero((x >= 0) & (x <= x1 - x0 - 1) & (y >= 0) & (y <= y1 - y0 - 1))
        if not there.size:
            return
        left, top, wide = patch.span[0], patch.span[1], patch.span[2] - patch.span[0]
        at = (patch.y.take(inside) - np.int32(top)) * np.int32(wide) + (patch.x.take(inside) - np.int32(left))
        at = at.take(there).astype(np.intp)
        seen = sampled(before[2], x.take(there), y.take(there), cv2.INTER_CUBIC)
        values = filled.reshape(-1, 3)
        off = seen - values.take(at, axis=0)
        apart, known = np.zeros((2, *filled.shape[:2]), np.float32)
        apart.reshape(-1)[at] = np.square(off) @ np.full(3, 1 / 3, np.float32)
        known.reshape(-1)[at] = 1
        apart, known = (cv2.GaussianBlur(plane, (0, 0), tuning.STEADY_SIGMA) for plane in (apart, known))
        differ = apart.reshape(-1).take(at) / known.reshape(-1).take(at)
        share = tuning.STEADY * np.exp(differ * np.float32(-1 / tuning.STEADY_NOISE))
        values[at] += off * share[:, None]
