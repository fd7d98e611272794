"""When the detector looks at the film, and at what size; on threads of their own, ahead of the scan.

A look costs as much as decoding twenty frames. Which frames will be looked at is known ahead as long as no text ends,
so the detector may begin with them while the scan still follows those before. What it sees does not depend on when it
looks; a look that turns out not to be wanted is time lost and no more.

Of the looks between those at the full width, those are left out before which nothing has come into the picture that may
be text. What such a look would have found, one at the full width finds while the ring still goes back to its beginning.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Frame

from . import tuning
from .arrays import Floats, Pixels
from .detect import Detector, Found, boxes_of
from .geometry import Turn
from .novelty import anything_new, strokes_in

_AT_ONCE = 2
"""Looks ahead at a time: they are most of what a film without text takes, and one thread would leave a core idle."""


class Look(NamedTuple):
    """What the detector saw in a frame."""

    picture: Pixels
    """The frame upright and small, BGR."""
    found: list[Found] | None
    """Boxes in pixels of the upright picture at full size; None where nothing has come since the look before, and the
    detector was not asked."""


class _Plan(NamedTuple):
    """Read by one thread and replaced by another."""

    due: int
    """The next frame to be looked at."""
    looks: int = 0
    """How many have been."""
    last: int = -1
    """The latest of them."""


class _Begun(NamedTuple):
    """A look ahead."""

    picture: Pixels
    how: tuple[bool, int | None]
    """Whether at the full width, and else since which frame something must have come."""
    found: Future[list[Found]] | None


class Looker:
    """Shows frames to a detector."""

    def __init__(self, detector: Detector, turn: Turn, every: int, *, sparing: bool = False) -> None:
        """Ready for the first frame.

        Args:
            detector: looks.
            turn: how the picture is shown.
            every: frames from one look to the next.
            sparing: leave out looks before which nothing has come.
        """
        self._detector, self._turn, self._every, self._sparing = detector, turn, every, sparing
        self._pool = ThreadPoolExecutor(_AT_ONCE, "look")
        self._coming: dict[int, Frame] = {}
        self._begun: dict[int, _Begun] = {}
        self._strokes: dict[int, Floats] = {}
        self._plan = _Plan(every // 4)
        self.looks = 0
        """Frames that the detector was shown."""

    @property
    def name(self) -> str:
        """See `Detector`."""
        return self._detector.name

    @property
    def last(self) -> int:
        """The frame that was looked at last."""
        return self._plan.last

    def due(self, number: int) -> bool:
        """Whether to look at this frame."""
        return number >= self._plan.due

    def hurry(self, number: int) -> None:
        """Look no later than at this frame; and every so often from there on."""
        if number < self._plan.due:
            self._plan = self._plan._replace(due=number)
            self._forget()
            for coming, frame in list(self._coming.items()):
                if coming >= number:
                    self._begin(coming, frame)

    def expect(self, number: int, frame: Frame) -> None:
        """Begin to look at a frame that will come later, if it will be looked at as far as is known now.

        Called for each frame before the scan has it, by a thread of its own.
        """
        self._coming[number] = frame
        self._begin(number, frame)

    def _begin(self, number: int, frame: Frame) -> None:
        plan = self._plan
        ahead, off = divmod(number - plan.due, self._every)
        if ahead >= 0 and not off:
            before = number - self._every if ahead else plan.last
            picture, how = self._picture(number, frame), self._how(number, before, plan.looks + ahead)
            wanted = self._wanted(number, how)
            if wanted is not None:
                found = self._pool.submit(self._see, picture, how[0]) if wanted else None
                self._begun[number] = _Begun(picture, how, found)

    def look(self, number: int, frame: Frame) -> Look:
        """Look at a frame; the next is due in a while."""
        how = self._how(number, self._plan.last, self._plan.looks)
        begun = self._begun.pop(number, None)
        if begun is None or begun.how != how:
            begun = _Begun(self._picture(number, frame), how, None)
            found = self._see(begun.picture, how[0]) if self._wanted(number, how) else None
        elif begun.found is None:
            found = None
        else:  # what no thread has come to yet is quicker seen here
            found = self._see(begun.picture, how[0]) if begun.found.cancel() else begun.found.result()
        self._plan = _Plan(number + self._every, self._plan.looks + 1, number)
        self.looks += found is not None
        self._forget()
        return Look(begun.picture, found)

    def find(self, picture: Pixels) -> list[Found]:
        """Text in an upright picture of any size, in pixels of the picture at full size."""
        scale = self._turn.shown[0] / picture.shape[1]
        return [
            Found((x0 * scale, y0 * scale, x1 * scale, y1 * scale), score)
            for (x0, y0, x1, y1), score in boxes_of(self.boxes(picture))
        ]

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        return self._detector.boxes(bgr)

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        return self._detector.read(bgr)

    def close(self) -> None:
        """The film has ended."""
        self._pool.shutdown(cancel_futures=True)
        self._begun.clear()

    def _see(self, picture: Pixels, whole: bool) -> list[Found]:
        return self.find(picture if whole else _smaller(picture, tuning.DETECT_SMALL))

    def _picture(self, number: int, frame: Frame) -> Pixels:
        """The frame as the detector is shown it; its strokes are counted."""
        # The width is meant for the picture as shown; a turned one is scaled by its other side.
        width = max(64, round(tuning.DETECT_WIDTH * frame.width / max(self._turn.shown)))
        picture = self._turn.upright(frame.bgr(width))
        if self._sparing:
            self._strokes[number] = strokes_in(_smaller(picture, tuning.DETECT_SMALL))
        return picture

    def _how(self, number: int, before: int, looks: int) -> tuple[bool, int | None]:
        """How to look at a frame before which another was looked at, after so many looks; see `_Begun`."""
        whole = looks % tuning.DETECT_EVERY == 0
        # Whoever looks out of turn was told that there may be something.
        in_turn = self._sparing and not whole and number - before == self._every
        return whole, before if in_turn else None

    def _wanted(self, number: int, how: tuple[bool, int | None]) -> bool | None:
        """Whether to ask the detector; None where the frame before was not looked at after all."""
        if how[1] is None:
            return True
        before = self._strokes.get(how[1])
        return None if before is None else anything_new(before, self._strokes[number])

    def _forget(self) -> None:
        """Drop looks that will not be wanted, as far as is known now, and what was kept for those that have been."""
        plan = self._plan
        for other in list(self._begun):
            if other < plan.due or (other - plan.due) % self._every:
                begun = self._begun.pop(other, None)
                if begun is not None and begun.found is not None:
                    begun.found.cancel()
        for kept in (self._strokes, self._coming):
            for other in list(kept):
                if other < plan.last:
                    kept.pop(other, None)


def _smaller(picture: Pixels, longer: int) -> Pixels:
    """A picture whose longer side is at most so many pixels."""
    h, w = picture.shape[:2]
    scale = longer / max(h, w)
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA))
