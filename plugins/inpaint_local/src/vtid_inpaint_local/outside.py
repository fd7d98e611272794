"""How much changed where nothing was to change: the result against the source, away from all that was painted.

What the composite paints it paints through masks, so the picture elsewhere can differ by coding alone. Saying so is
cheap and measuring is better: of some frames a small copy is kept on the way into the encoder, and compared when the
result is looked at anyway. No frame is decoded for it. The copy is of means over blocks, so that coding noise, which
has none, does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box, Frame

from . import bounds
from .arrays import Floats, Mask, Plane
from .report import Outside


class Seen(NamedTuple):
    """One frame of the source."""

    means: Floats
    """Of the luma of blocks."""
    outside: Mask
    """Blocks in which nothing is painted."""


class Bystander:
    """Sees sampled frames before they are painted, and again in the result."""

    def __init__(self, frames: int, seen: Mapping[int, Seen] | None = None) -> None:
        """Ready for some frames, or with what others saw.

        Args:
            frames: of the film.
            seen: by number of frame.
        """
        self._every = -(-frames // bounds.OUTSIDE_FRAMES) or 1
        self.seen = dict(seen or {})
        self._changed = self._blocks = self._frames = 0
        self._most = 0.0

    def see(self, number: int, frame: Frame) -> None:
        """A frame as it is in the source; kept if it is one of the samples."""
        if number % self._every == self._every // 2:
            means = _means(frame.luma())
            self.seen[number] = Seen(means, np.ones(means.shape, bool))

    def painted(self, number: int, box: Box, mask: Mask) -> None:
        """Where a frame that was seen is painted."""
        if number not in self.seen:
            return
        outside = self.seen[number].outside
        side, margin = bounds.OUTSIDE_BLOCK, bounds.OUTSIDE_MARGIN_PX
        x0, y0 = (max(0, v - margin) // side for v in box[:2])
        x1, y1 = (-(-(v + margin) // side) for v in box[2:])
        inside = np.zeros(((y1 - y0) * side, (x1 - x0) * side), np.uint8)
        x, y = box[0] - x0 * side, box[1] - y0 * side
        inside[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        inside = np.asarray(cv2.dilate(inside, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)))
        touched: Mask = np.asarray(inside.reshape(y1 - y0, side, x1 - x0, side).max((1, 3)) > 0)
        here = outside[y0:y1, x0:x1]
        here &= ~touched[: here.shape[0], : here.shape[1]]

    def watch(self, frames: Iterable[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
        """Frames of the result with their numbers, compared as they pass."""
        self._changed = self._blocks = self._frames = 0
        self._most = 0.0
        for number, frame in frames:
            if number in self.seen:
                self._compare(frame, self.seen[number])
            yield number, frame

    def _compare(self, frame: Frame, before: Seen) -> None:
        apart = np.abs(_means(frame.luma()) - before.means)[before.outside]
        self._frames += 1
        self._blocks += apart.size
        self._changed += int((apart > bounds.OUTSIDE_LEVELS).sum())
        self._most = max(self._most, float(apart.max(initial=0)))

    @property
    def found(self) -> Outside | None:
        """What the comparison said; None where there was none."""
        if not self._blocks:
            return None
        ppm = 1e6 * self._changed / self._blocks
        return Outside(frames=self._frames, ppm=round(ppm, 1), most=round(self._most, 1))


def _means(plane: Plane) -> Floats:
    """The mean of every block; what is left over at the right and lower edge is left out."""
    side = bounds.OUTSIDE_BLOCK
    height, width = plane.shape[0] // side, plane.shape[1] // side
    whole = plane[: height * side, : width * side].astype(np.float32)
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)
