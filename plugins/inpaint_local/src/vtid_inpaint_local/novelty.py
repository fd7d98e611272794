"""Whether anything that may be text has come into the picture: a thousandth of what the detector takes to say so.

A text that comes brings strokes, thin and strong, into places that had fewer of them. So of every picture it is counted
how many pixels of each small block lie on strokes, and where no block has clearly more than it and those around it had
a moment ago, no text has come that is not faint. Scenes that are full of strokes and move say nothing: there, something
is new all the time.
"""

from __future__ import annotations

import cv2
import numpy as np

from . import tuning
from .arrays import Floats, Pixels


def strokes_in(bgr: Pixels) -> Floats:
    """The share of each block of a picture that lies on thin bright or thin dark strokes."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    kernel = np.ones((tuning.NEW_STROKE_PX, tuning.NEW_STROKE_PX), np.uint8)
    bright, dark = (cv2.morphologyEx(grey, how, kernel) for how in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    strong = (cv2.max(bright, dark) > tuning.NEW_LEVELS).astype(np.float32)
    across, down = tuning.NEW_BLOCK
    size = max(1, grey.shape[1] // across), max(1, grey.shape[0] // down)
    return np.asarray(cv2.resize(strong, size, interpolation=cv2.INTER_AREA), np.float32)


def anything_new(before: Floats, now: Floats) -> bool:
    """Whether there are strokes where there were fewer, by what `strokes_in` says of two pictures of one size."""
    around = cv2.dilate(before, np.ones((3, 3), np.uint8))  # what moves a little is not new
    return int(np.count_nonzero(now > around + tuning.NEW_SHARE)) >= tuning.NEW_BLOCKS
