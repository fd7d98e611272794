"""What was behind the text, chunk after chunk of one crop: sources are followed both ways in time, then fused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from .arrays import Floats
from .follow import Pointers, chase, flow_between
from .fuse import fuse
from .painter import Guide, classical
from .patch import Patch

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
        todo = [t for t in range(first, last) if patches[t].any]
        begin = first if first == self._filled else self._start(patches, first)
        self._filled = last
        if not todo:
            self._behind = None
            return {}
        stop = self._stop(patches, last)
        forward = range(begin, last)
        backward = range(stop, first - 1, -1)
        self._flows(patches, forward, backward, run)
        behind = self._behind if forward.start == first else None
        before, self._behind = chase(patches, forward, -1, self._cuts, behind, range(first, last))
        after, _ = chase(patches, backward, +1, self._cuts, None, range(first, last))
        out: dict[int, Floats] = {}

        def finish(t: int) -> None:
            out[t] = fuse(patches[t], t, patches, [r[t] for r in (before, after) if t in r], self._guide)

        run(finish, todo)
        return out

    def sources(self) -> set[int]:
        """Frames that pointers carried over to the next chunk still point to."""
        behind = self._behind
        return set() if behind is None else {int(n) for n in np.unique(behind.frame) if n >= 0}

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
        jobs = [
            (t, to)
            for t, to in wanted
            if patches[t].any
            and t + to in patches
            and to not in patches[t].flows
            and (t if to < 0 else t + 1) not in self._cuts
        ]
        guides = sorted({n for t, to in jobs for n in (t, t + to)})
        run(lambda n: patches[n].prepare(), guides)
        run(lambda n: patches[n].trust(), sorted({t for t, _ in jobs}))

        def work(i: int) -> None:
            t, to = jobs[i]
            patches[t].flows[to] = flow_between(patches[t], patches[t + to])

        run(work, range(len(jobs)))
