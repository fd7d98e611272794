"""What was behind the text, chunk after chunk of one crop: sources are followed both ways in time, then fused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from vtid.sdk import Box

from . import tuning
from .arrays import Floats
from .follow import chase, connect, named
from .fuse import fuse
from .geometry import grow, union
from .kernels import Crops, Pointers
from .painter import Guide, classical
from .patch import Patch
from .rest import Resting, reach
from .steady import Steady

Mapper = Callable[[Callable[[int], object], Iterable[int]], None]
"""Does something for every number, possibly at once on several threads."""


def in_turn(work: Callable[[int], object], numbers: Iterable[int]) -> None:
    """The plain `Mapper`."""
    for number in numbers:
        work(number)


class Filler:
    """Fills chunk after chunk of one crop; carries the forward pointers from chunk to chunk."""

    def __init__(self, cuts: set[int], guide: Guide = classical) -> None:
        self._cuts = cuts
        self._guide = guide
        self._behind: Pointers | None = None
        self._resting = Resting(-1)
        self._steady = Steady()
        self._filled: int | None = None
        """One past the last frame of the chunk before."""

    def fill(self, patches: Mapping[int, Patch], first: int, last: int, run: Mapper = in_turn) -> dict[int, Floats]:
        """Fill frames `first` to `last` (exclusive): frame to the filled pixels of its patch's `span`.

        Args:
            patches: of these frames and, as far as there are any, `tuning.LOOK` frames on both sides.
            first: chunks follow each other without a gap.
            last: one past.
            run: does independent work at once where there are threads.
        """
        todo = [t for t in range(first, last) if patches[t].paint.any()]
        fresh = first != self._filled
        begin = self._start(patches, first) if fresh else first
        self._filled = last
        past = range(min(patches), last) if fresh else range(first, last)
        if fresh:
            self._resting = Resting(-1)
        stood = reach(patches, past, self._resting, self._cuts, range(first, last))
        if not any(patches[t].any for t in range(first, last)):
            self._behind = None
            return {}
        stop = self._stop(patches, last)
        forward = range(begin, last)
        backward = range(stop, first - 1, -1)
        self._flows(patches, forward, backward, run)
        behind = self._behind if forward.start == first else None
        before, self._behind = chase(patches, forward, -1, self._cuts, behind, range(first, last))
        after, _ = chase(patches, backward, +1, self._cuts, None, range(first, last))
        future = range(min(max(patches), last - 1 + tuning.LOOK), first - 1, -1)
        stands = reach(patches, future, Resting(+1), self._cuts, range(first, last))
        out: dict[int, Floats] = {}
        crops = Crops({number: patch.crop() for number, patch in patches.items()})

        def finish(t: int) -> None:
            chased = [found.pop(t) for found in (before, after) if t in found]  # as large as what takes their place
            rest = [found.pop(t) for found in (stood, stands) if t in found]
            out[t] = fuse(patches[t], t, crops, chased, self._guide, rest)

        run(finish, todo)
        for number in todo:
            self._steady.settle(number, patches[number], out[number])
        return out

    def sources(self) -> set[int]:
        """Frames that pointers carried over to the next chunk still point to."""
        along = set() if self._behind is None else set(named(self._behind.frame))
        return along | self._resting.sources()

    def extent(self, number: int, last: Patch) -> Box:
        """Where in one of the sources they point to, and some pixels around, for what they will yet drift.

        Args:
            number: of the source.
            last: the last frame that was filled.
        """
        height, width = last.hole.shape
        boxes = [] if (rest := self._resting.extent(number)) is None else [rest]
        if self._behind is not None:
            which = np.flatnonzero(self._behind.frame == number)
            x = last.x.take(which) + self._behind.right.take(which)
            y = last.y.take(which) + self._behind.down.take(which)
            if which.size:
                boxes.append((int(x.min()), int(y.min()), int(x.max()) + 2, int(y.max()) + 2))
        return grow(union(boxes), tuning.SOURCE_PX, tuning.SOURCE_PX, width, height)

    def _start(self, patches: Mapping[int, Patch], first: int) -> int:
        """Where pointers of a span's first chunk must begin: earlier, if holes lead up to it."""
        while first - 1 in patches and patches[first - 1].any and first - 2 in patches:
            first -= 1
        return first

    def _stop(self, patches: Mapping[int, Patch], last: int) -> int:
        """The last frame that must be looked at for sources that lie after: the end of the hole, within the window."""
        t = last - 1
        while t + 1 in patches and patches[t].any:
            t += 1
        return t

    def _flows(self, patches: Mapping[int, Patch], forward: range, backward: range, run: Mapper) -> None:
        """All the flows that the chases will ask for, at once."""
        wanted = [(t, -1) for t in forward] + [(t, +1) for t in backward]
        pairs = {
            min(t, t + to)
            for t, to in wanted
            if patches[t].any
            and t + to in patches
            and to not in patches[t].flows
            and (t if to < 0 else t + 1) not in self._cuts
        }
        both = sorted({n for t in pairs for n in (t, t + 1)})
        run(lambda n: patches[n].prepare(), both)
        wheres = {id(patches[n].where): patches[n].where for n in both}
        run(lambda n: wheres[n].trust(), wheres)
        run(lambda t: connect(patches, t), sorted(pairs))
