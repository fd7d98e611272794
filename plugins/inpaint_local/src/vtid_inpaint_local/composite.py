"""Second pass: a window of frames moves over a span of the film; in it holes are filled and painted, nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import takewhile

import numpy as np

from vtid.sdk import Box, Frame

from . import tuning
from .arrays import Mask, Pixels
from .events import Event, Findings
from .fill import Mapper
from .ground import lay
from .outside import Bystander
from .painter import Guide, classical
from .plates import holes_at, letters_at, plates_of
from .veil import calm, calm_edges, lift, mend_chroma
from .zones import Zones


class Composite:
    """An edit for `Media.render`: the frames of a span and of its surroundings in, those of the span out, painted."""

    def __init__(
        self,
        found: Findings,
        zones: Zones,
        width: int,
        height: int,
        *,
        first: int = 0,
        last: int | None = None,
        threads: int = 1,
        frame_bytes: int = 0,
        guide: Guide = classical,
        bystander: Bystander | None = None,
    ) -> None:
        """Ready for the first frame.

        Args:
            found: of the first pass; events that lie elsewhere do no harm.
            zones: what must stay.
            width: of the coded picture.
            height: of the coded picture.
            first: frame of the span.
            last: one past its last; None: the film's end.
            threads: for filling.
            frame_bytes: of one decoded frame; large ones make the window shorter.
            guide: what one frame alone says of what was behind.
            bystander: sees sampled frames before they are painted, and where.
        """
        self._zones = zones
        self._plates = sorted(plates_of(found.events, width, height, found.cuts, guide), key=lambda p: p.first)
        self._threads = threads
        self._bystander = bystander
        room = tuning.WINDOW_BYTES // frame_bytes if frame_bytes else 10**6
        self.look = int(min(tuning.LOOK, max(6, room // 2)))
        self.chunk = int(min(tuning.CHUNK, max(4, room - self.look)))
        self._window: deque[Frame] = deque()
        self._next = first
        self._last = last
        self.touched = 0
        """Frames that were painted."""

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yields every frame of the span, in order."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self._threads)) if self._threads > 1 else None

            def run(work: Callable[[int], object], numbers: Iterable[int]) -> None:
                deque((pool.map if pool else map)(work, numbers), maxlen=0)

            seen = self._next
            for frame in frames:
                self._take(frame)
                seen = frame.index + 1
                yield from self._done(seen, run, ended=False)
            yield from self._done(seen, run, ended=True)

    def _take(self, frame: Frame) -> None:
        """Into the window, and its crops onto the plates that need them."""
        number = frame.index
        if number >= self._next and (self._last is None or number < self._last):
            self._window.append(frame)
        for plate in takewhile(lambda p: p.first - tuning.LOOK <= number, self._plates):
            if plate.needs(number):
                events = self._events_at(number)
                hole, spared = holes_at(number, frame.time_s, plate.box, events, self._zones)
                pixels = crop(frame, plate.box)
                lifted = self._lift(number, frame.time_s, pixels, plate.box, events)
                if lifted is not None:
                    mend_chroma(pixels, hole, lifted)
                for letters in letters_at(number, frame.time_s, plate.box, events, self._zones):
                    lay(pixels, letters)
                    hole &= ~letters
                    lifted = letters if lifted is None else lifted | letters
                plate.add(number, pixels, hole, lifted, spared)

    def _lift(self, number: int, time_s: float, pixels: Pixels, box: Box, events: list[Event]) -> Mask | None:
        """Take veils off the crop, but where something must stay: what was changed, None where nothing was."""
        if not any(e.veil is not None for e in events):
            return None
        before = pixels.copy()
        changed = lift(pixels, number, box, events)
        calm(pixels, number, box, events, changed)
        calm_edges(pixels, number, box, events)
        allowed = changed.copy()
        self._zones.limit(allowed, box, time_s)
        kept = changed & ~allowed
        pixels[kept] = before[kept]
        return allowed if allowed.any() else None

    def _events_at(self, number: int) -> list[Event]:
        """Events that cover the frame."""
        begun = takewhile(lambda p: p.first <= number, self._plates)
        return [e for p in begun for e in p.events if e.start <= number < e.end]

    def _done(self, seen: int, run: Mapper, *, ended: bool) -> Iterator[Frame]:
        """The frames that need no more: stretches without text at once, text once it can look far enough ahead."""
        end = seen if self._last is None else min(seen, self._last)
        while self._next < end:
            first = self._next
            self._plates = [p for p in self._plates if p.last > first]
            begins = min((max(first, p.first) for p in self._plates), default=end)
            if begins > first:
                self._next = min(begins, end)
                self._show(self._next)
            elif ended or seen - first >= self.chunk + self.look:
                self._next = min(first + self.chunk, end)
                self._show(self._next)
                self._fill(first, self._next, run)
            else:
                return
            while self._window and self._window[0].index < self._next:
                yield self._window.popleft()

    def _show(self, last: int) -> None:
        """Show the bystander frames as they are in the source."""
        for frame in takewhile(lambda f: f.index < last, self._window):
            if self._bystander is not None:
                self._bystander.see(frame.index, frame)

    def _fill(self, first: int, last: int, run: Mapper) -> None:
        frames = {frame.index: frame for frame in self._window}
        painted = set()
        for plate in takewhile(lambda p: p.first < last, self._plates):
            for one in plate.fill(first, last, run):
                frames[one.number].paint(one.box, one.pixels, one.mask)
                if self._bystander is not None:
                    self._bystander.painted(one.number, one.box, one.mask)
                painted.add(one.number)
            plate.forget(last)
        self.touched += len(painted)


def crop(frame: Frame, box: Box) -> Pixels:
    """A crop as the filler keeps it: 8 bits for 8-bit video, else 16 bits of which 8 are fraction."""
    if frame.bit_depth <= 8:
        return frame.yuv8(box)
    return np.clip(np.rint(frame.yuv(box) * 256), 0, 65535).astype(np.uint16)
