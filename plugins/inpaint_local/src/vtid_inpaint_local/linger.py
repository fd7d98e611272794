"""Text that no single picture shows, but the mean of many does: a faint mark over a scene that moves."""

from __future__ import annotations

from collections import deque

import numpy as np

from . import tuning
from .arrays import Pixels


class Linger:
    """The pictures of the last looks; small ones, as the detector is shown."""

    def __init__(self) -> None:
        self._pictures: deque[tuple[int, Pixels]] = deque(maxlen=tuning.LINGER_LOOKS)
        self._fresh = 0

    def add(self, number: int, picture: Pixels) -> None:
        """The picture of another look."""
        self._pictures.append((number, picture))
        self._fresh += 1

    def mean(self) -> tuple[int, Pixels] | None:
        """Once in so many looks: the frame that they go back to, and their mean, in which what moved is blurred.

        None in between, and where nothing moved: then each picture shows what all do.
        """
        if self._fresh < tuning.LINGER_LOOKS:
            return None
        self._fresh = 0
        stack = np.stack([p for _, p in self._pictures])
        mean = stack.mean(0, dtype=np.float32)
        moved = float(np.abs(stack[::2] - mean).mean())
        return (self._pictures[0][0], np.rint(mean).astype(np.uint8)) if moved > tuning.LINGER_MOVES else None
