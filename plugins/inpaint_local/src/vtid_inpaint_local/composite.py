"""Second pass: a window of frames moves over the film; in it holes are filled and painted, and nothing else changes.

The caller's thread decodes (by asking for frames), cuts crops, paints, and encodes (by being given frames); a second
one fills, on plain arrays, so that both cores are busy and nobody but the caller ever touches a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from vtid.sdk import Box, Frame

from . import tuning
from .arrays import Mask, Pixels
from .events import Event, Findings
from .plates import Filled, Plate, hole_at, plates_of
from .veil import lift
from .zones import Zones


class Batch(NamedTuple):
    """Frames that leave the window together."""

    last: int
    """One past the last."""
    work: Future[list[Filled]] | None
    """What is to be painted into them; None where there is nothing."""
    plates: list[Plate]


class Composite:
    """An edit for `Media.rewrite`: frames in, the same frames out, text painted over."""

    def __init__(
        self,
        found: Findings,
        zones: Zones,
        width: int,
        height: int,
        *,
        threads: int = 1,
        frame_bytes: int = 0,
    ) -> None:
        """Ready for the first frame.

        Args:
            found: of the first pass.
            zones: what must stay.
            width: of the coded picture.
            height: of the coded picture.
            threads: for filling.
            frame_bytes: of one decoded frame; large ones make the window shorter.
        """
        self._zones = zones
        self._plates = sorted(plates_of(found.events, width, height, found.cuts), key=lambda p: p.first)
        self._threads = threads
        room = tuning.WINDOW_BYTES // frame_bytes if frame_bytes else 10**6
        self.look = int(min(tuning.LOOK, max(6, room // 2)))
        self.chunk = int(min(tuning.CHUNK, max(4, (room - self.look) // 2)))
        self._window: deque[tuple[int, Frame]] = deque()
        self._next = 0
        self._batches: deque[Batch] = deque()
        self.touched = 0
        """Frames that were painted."""

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yields every frame, in order."""
        with ExitStack() as stack:
            filler = stack.enter_context(ThreadPoolExecutor(1, "fill"))  # one: chunks of a plate build on each other
            pool = stack.enter_context(ThreadPoolExecutor(self._threads)) if self._threads > 1 else None

            def run(work: Callable[[int], object], numbers: Iterable[int]) -> None:
                deque((pool.map if pool else map)(work, numbers), maxlen=0)

            def submit(plates: list[Plate], first: int, last: int) -> Future[list[Filled]]:
                return filler.submit(lambda: [f for p in plates for f in p.fill(first, last, run)])

            number = -1
            for number, frame in enumerate(frames):
                self._take(number, frame)
                self._advance(submit, number + 1, ended=False)
                yield from self._ready(1)
            self._advance(submit, number + 1, ended=True)
            yield from self._ready(0)

    def _take(self, number: int, frame: Frame) -> None:
        """Into the window, and its crops onto the plates that need them."""
        self._window.append((number, frame))
        for plate in takewhile(lambda p: p.first - tuning.LOOK <= number, self._plates):
            if plate.needs(number):
                events = self._events_at(number)
                hole = hole_at(number, frame.time_s, plate.box, events, self._zones)
                pixels = crop(frame, plate.box)
                plate.add(number, pixels, hole, self._lift(number, frame.time_s, pixels, plate.box, events))

    def _lift(self, number: int, time_s: float, pixels: Pixels, box: Box, events: list[Event]) -> Mask | None:
        """Take veils off the crop, but where something must stay: what was changed, None where nothing was."""
        if not any(e.veil is not None for e in events):
            return None
        before = pixels.copy()
        changed = lift(pixels, number, box, events)
        allowed = changed.copy()
        self._zones.limit(allowed, box, time_s)
        kept = changed & ~allowed
        pixels[kept] = before[kept]
        return allowed if allowed.any() else None

    def _events_at(self, number: int) -> list[Event]:
        """Events that cover the frame."""
        begun = takewhile(lambda p: p.first <= number, self._plates)
        return [e for p in begun for e in p.events if e.start <= number < e.end]

    def _advance(
        self, submit: Callable[[list[Plate], int, int], Future[list[Filled]]], seen: int, *, ended: bool
    ) -> None:
        """Make batches: stretches without text at once, chunks with text once they can look far enough ahead."""
        while self._next < seen:
            first = self._next
            begins = min((max(first, p.first) for p in self._plates), default=seen)
            if begins > first:
                self._batches.append(Batch(min(begins, seen), None, []))
            elif ended or seen - first >= self.chunk + self.look:
                last = min(first + self.chunk, seen)
                mine = [p for p in self._plates if p.first < last]
                self._batches.append(Batch(last, submit(mine, first, last), mine))
                self._plates = [p for p in self._plates if p.last > last]
            else:
                return
            self._next = self._batches[-1].last

    def _ready(self, running: int) -> Iterator[Frame]:
        """Frames of the batches that are done; waits for the oldest while more than so many are being filled."""
        while self._batches:
            batch = self._batches[0]
            at_work = sum(b.work is not None for b in self._batches)
            if batch.work is not None and not batch.work.done() and at_work <= running:
                return
            self._batches.popleft()
            if batch.work is not None:
                self._paint(batch.work.result(), batch)
            while self._window and self._window[0][0] < batch.last:
                yield self._window.popleft()[1]

    def _paint(self, filled: list[Filled], batch: Batch) -> None:
        frames = dict(self._window)
        for one in filled:
            frames[one.number].paint(one.box, one.pixels, one.mask)
        self.touched += len({one.number for one in filled})
        for plate in batch.plates:
            plate.forget(batch.last)


def crop(frame: Frame, box: Box) -> Pixels:
    """A crop as the filler keeps it: 8 bits for 8-bit video, else 16 bits of which 8 are fraction."""
    values = frame.yuv(box)
    if frame.bit_depth <= 8:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.clip(np.rint(values * 256), 0, 65535).astype(np.uint16)
