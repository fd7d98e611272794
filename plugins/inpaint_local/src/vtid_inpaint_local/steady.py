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
        places = patch.where.places()
        off = places.moved(patch.inside, patch.flows[-1], before[2], before[1], filled)
        apart, known = (cv2.GaussianBlur(plane, (0, 0), tuning.STEADY_SIGMA) for plane in (off.squares, off.ones))
        places.drawn(off._replace(squares=np.asarray(apart), ones=np.asarray(known)), filled)
