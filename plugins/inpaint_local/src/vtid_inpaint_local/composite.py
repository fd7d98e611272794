"""Second pass: a window of frames moves over the film; in it holes are filled and painted, and nothing else changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

import numpy as np

from vtid.sdk import Box, Frame

from . import tuning
from .arrays import Pixels
from .events import Event, Findings
from .fill import Mapper
from .plates import hole_at, plates_of
from .zones import Zones


class Composite:
    """An edit for `Media.rewrite`: frames in, the same frames out, text painted over."""

    def __init__(
        self, found: Findings, zones: Zones, width: int, height: int, *, threads: int = 1, frame_bytes: int = 0
    ) -> None:
        self._zones = zones
        self._plates = sorted(plates_of(found.events, width, height, found.cuts), key=lambda p: p.first)
        self._threads = threads
        room = tuning.WINDOW_BYTES // max(1, frame_bytes) if frame_bytes else 10**6
        self.look = int(min(tuning.LOOK, max(6, room // 2)))
        self.chunk = int(min(tuning.CHUNK, max(4, room - self.look)))
        self._window: deque[tuple[int, Frame]] = deque()
        self.touched = 0
        """Frames that were painted."""
        self.peak = 0
        """Most frames held at once."""

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yields every frame, in order."""
        with ThreadPoolExecutor(self._threads) as pool:

            def run(work: Callable[[int], object], numbers: Iterable[int]) -> None:
                for _ in pool.map(work, numbers):
                    pass

            for number, frame in enumerate(frames):
                self._take(number, frame)
                yield from self._give(run, number + 1)
            yield from self._give(run, None)

    def _take(self, number: int, frame: Frame) -> None:
        self._window.append((number, frame))
        self.peak = max(self.peak, len(self._window))
        for plate in self._plates:
            if plate.first - tuning.LOOK > number:
                break
            if plate.needs(number):
                hole = hole_at(number, frame.time_s, plate.box, self._events_at(number), self._zones)
                plate.add(number, crop(frame, plate.box), hole)

    def _events_at(self, number: int) -> list[Event]:
        """Events that cover the frame."""
        begun = takewhile(lambda p: p.first <= number, self._plates)
        return [e for p in begun for e in p.events if e.start <= number < e.end]

    def _give(self, run: Mapper, seen: int | None) -> Iterator[Frame]:
        """What is ready: frames before the first plate at once, chunks once they can look far enough ahead."""
        while self._window:
            first = self._window[0][0]
            begins = min((max(first, p.first) for p in self._plates if p.last > first), default=None)
            if begins is None or begins > first:
                count = len(self._window) if begins is None else min(len(self._window), begins - first)
                for _ in range(count):
                    yield self._window.popleft()[1]
                if begins is None or not self._window:
                    return
                continue
            if seen is not None and seen - first < self.chunk + self.look:
                return
            yield from self._chunk(run, first, min(first + self.chunk, self._window[-1][0] + 1))

    def _chunk(self, run: Mapper, first: int, last: int) -> Iterator[Frame]:
        frames = dict(self._window)
        painted: set[int] = set()
        for plate in [p for p in self._plates if p.first < last and p.last > first]:
            for number, box, pixels, mask in plate.fill(first, last, run):
                frames[number].paint(box, pixels, mask)
                painted.add(number)
        self.touched += len(painted)
        self._plates = [p for p in self._plates if p.last > last]
        del frames
        for _ in range(last - first):
            yield self._window.popleft()[1]


def crop(frame: Frame, box: Box) -> Pixels:
    """A crop as the filler keeps it: 8 bits for 8-bit video, else 16 bits of which 8 are fraction."""
    values = frame.yuv(box)
    if frame.bit_depth <= 8:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.clip(np.rint(values * 256), 0, 65535).astype(np.uint16)
