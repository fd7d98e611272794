"""Which files have come to rest. Pure: it is told what is there and what time it is, and touches nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from msgspec import Struct

AGAIN_S = 1.0
"""After so long at least a file that was not ready is looked at again,"""
AGAIN_SHARE = 10
"""and after a tenth of the time that it has been lying there,"""
AGAIN_MOST_S = 60.0
"""but after so long at last."""


class Seen(Struct, frozen=True):
    """A file as it was when somebody looked."""

    path: str
    """In the folder, with `/`."""
    size: int
    stamp: str
    """Changes when the content does: time of change and number of the file, or an etag."""


class _Waiting(Struct):
    seen: Seen
    companions: tuple[Seen, ...]
    quiet_since: float
    held_until: float = 0.0
    reason: str = ""


class Settled(Struct, frozen=True):
    """A file that has not changed for long enough."""

    seen: Seen
    companions: tuple[Seen, ...]
    at: float
    """When that was so."""
    quiet_since: float


class Settling:
    """The files of one folder that are not taken yet.

    What counts is how long vtid itself has seen no change: clocks of shares, and times of change that a copy brings
    along, say nothing about that.

    Args:
        settle_s: how long a file must not change.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, path: str) -> bool:
        return path in self._waiting

    def paths(self) -> list[str]:
        """Of the files that wait."""
        return list(self._waiting)

    def reasons(self) -> Mapping[str, str]:
        """Why files are held back that would be due: path to words."""
        return {path: w.reason for path, w in self._waiting.items() if w.reason}

    def see(self, seen: Seen, companions: tuple[Seen, ...], now: float) -> None:
        """A file is there, and so are the files that go with it; a change of any of them starts its time anew."""
        known = self._waiting.get(seen.path)
        if known is None or (known.seen, known.companions) != (seen, companions):
            self._waiting[seen.path] = _Waiting(seen, companions, now)

    def stir(self, path: str, now: float) -> None:
        """Something happened to a file, though it may look as before."""
        if known := self._waiting.get(path):
            known.quiet_since, known.held_until, known.reason = now, 0.0, ""

    def restore(self, settled: Settled, now: float, reason: str) -> None:
        """A file that was due and not ready waits on. It is left alone for a while, longer the longer it waits."""
        if settled.seen.path not in self._waiting:
            pause = min(max(AGAIN_S, (now - settled.quiet_since) / AGAIN_SHARE), AGAIN_MOST_S)
            self._waiting[settled.seen.path] = _Waiting(
                settled.seen, settled.companions, settled.quiet_since, now + pause, reason
            )

    def drop(self, path: str) -> None:
        """It is taken, or gone."""
        self._waiting.pop(path, None)

    def due(self, now: float, most: int) -> list[Settled]:
        """The files that may be taken now, up to so many; those that came to rest first at the front."""
        ready = (w for w in self._waiting.values() if w.quiet_since + self._settle_s <= now and w.held_until <= now)
        first = heapq.nsmallest(most, ready, key=lambda w: (w.quiet_since, w.seen.path)) if most > 0 else []
        return [Settled(w.seen, w.companions, w.quiet_since + self._settle_s, w.quiet_since) for w in first]


class Share(Struct, frozen=True):
    """What a hot folder has waiting, for the choice of who comes next."""

    name: str
    priority: int
    waiting: int
    open: int
    """Jobs of it that have not ended."""


def turns(shares: list[Share], room: int) -> Iterator[str]:
    """Whose file is taken next, and next, until there is no room.

    Higher priorities come first; among equals, whoever has the fewest jobs open. So ten thousand files in one folder
    do not keep a single one in another from its turn.
    """
    left = {s.name: s.waiting for s in shares}
    opened = {s.name: s.open for s in shares}
    order = {s.name: (-s.priority, at) for at, s in enumerate(shares)}
    for _ in range(room):
        ready = [name for name, count in left.items() if count > 0]
        if not ready:
            return
        chosen = min(ready, key=lambda n: (order[n][0], opened[n], order[n][1]))
        left[chosen] -= 1
        opened[chosen] += 1
        yield chosen
