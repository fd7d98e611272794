"""Text that no single picture shows, but the mean of many does: a faint mark over a scene that moves.

In the mean its contrast is raised against what is around it: detectors were trained on text that people can read with
ease, and pass over white letters on a bright sky however long they stand.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from . import tuning
from .arrays import Floats, Pixels
from .spatial import enlarge, smooth


class Linger:
    """The pictures of the last looks; small ones, as the detector is shown."""

    def __init__(self) -> None:
        self._pictures: deque[tuple[int, Pixels]] = deque(maxlen=tuning.LINGER_LOOKS)
        self._fresh = 0

    def add(self, number: int, picture: Pixels) -> None:
        """The picture of another look."""
        self._pictures.append((number, picture))
        self._fresh += 1

    @property
    def pictures(self) -> list[Pixels]:
        """Of the last looks, oldest first."""
        return [picture for _, picture in self._pictures]

    def mean(self, *, last: bool = False) -> tuple[int, Pixels | None] | None:
        """Once in so many looks: the frame that they go back to, and their mean, in which what moved is blurred.

        Args:
            last: of the film's end, where half as many new looks will do.

        Returns:
            None in between; and no mean where nothing moved: then each picture shows what all do.
        """
        if self._fresh < tuning.LINGER_LOOKS // (2 if last else 1):
            return None
        self._fresh = 0
        pictures = self.pictures
        mean = np.zeros(pictures[0].shape, np.float32)
        for picture in pictures:
            cv2.accumulate(picture, mean)
        mean /= len(pictures)
        near = cv2.convertScaleAbs(mean)
        moved = float(np.mean([cv2.norm(p, near, cv2.NORM_L1) / near.size for p in pictures[::2]]))
        return self._pictures[0][0], raised(mean) if moved > tuning.LINGER_MOVES else None


def raised(picture: Floats) -> Pixels:
    """A BGR picture around a middle grey, what stands out of its surroundings drawn stronger."""
    h, w = picture.shape[:2]
    planes = cv2.split(picture)
    around = cv2.merge([enlarge(smooth(np.asarray(p), tuning.RAISE_SMOOTH * w), w, h) for p in planes])
    return np.asarray(np.clip(np.rint(128 + np.float32(tuning.RAISE) * (picture - around)), 0, 255), np.uint8)
