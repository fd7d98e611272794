"""Where shots change: no source for a pixel lies beyond a cut."""

from __future__ import annotations

import cv2
import numpy as np

from . import tuning
from .arrays import Floats, Plane


class Cuts:
    """Collects how much each frame differs from the one before; four bytes per frame of film."""

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._change: list[float] = []

    def feed(self, luma: Plane) -> None:
        """The next frame."""
        # Every other line tells as much, and more than that is not in any cache.
        thumb = cv2.resize(luma[::2], (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
        # The median of 6×4 parts of the picture: a subtitle that comes or goes changes a few, a cut changes most.
        step = np.zeros((36, 64), np.float32) if self._last is None else np.abs(thumb - self._last)
        self._change.append(float(np.median(cv2.resize(step, (6, 4), interpolation=cv2.INTER_AREA))))
        self._last = thumb

    def found(self) -> set[int]:
        """Indices of the frames that begin a shot: a change that stands out of its four neighbours on both sides."""
        change = np.array(self._change)
        out = set()
        for i in np.flatnonzero(change > tuning.CUT_LEVELS):
            around = np.concatenate([change[max(1, i - 4) : i], change[i + 1 : i + 5]])
            quiet = float(np.median(around)) if around.size else 0.0
            peak = float(around.max()) if around.size else 0.0
            if change[i] > tuning.CUT_RATIO * quiet + 3 and change[i] > 1.25 * peak:
                out.add(int(i))
        return out
