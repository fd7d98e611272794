"""What lies in one hot folder and waits for its turn: listened for, looked for, sorted. Nothing is touched here."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

import structlog

from vtid.db import Watches
from vtid.domain.watch import WatchRecord
from vtid.engine.bridge import Bridge
from vtid.watch import naming
from vtid.watch.declaration import Declared
from vtid.watch.explaining import refusal
from vtid.watch.noticing import Listening
from vtid.watch.place import Place
from vtid.watch.settling import Seen, Settled, Settling

log = structlog.get_logger("vtid.watch")
LOOK_SHARE = 10
"""A look through a folder that took a second is followed by the next after ten, however much is heard."""
Sources = Callable[[str], tuple[dict[str, str], str] | None]
"""What the pipeline of a file takes, and which of it the file itself is; None where that cannot be said now."""


class Lookout:
    """Knows what waits in one hot folder.

    Args:
        declared: the hot folder.
        place: its files.
        sources: of the pipeline of a file.
        sweep: called once, before the first look, with the ids of the files that are on their way.
        watches: the rows.
        bridge: to the database.
        rescan_s: how often all of it is looked through.
        wake: set when something was heard.
        clock: seconds since the epoch.
        steady: seconds that nobody sets back; by these it is waited.
    """

    def __init__(
        self,
        declared: Declared,
        place: Place,
        sources: Sources,
        sweep: Callable[[set[str]], None],
        watches: Watches,
        bridge: Bridge,
        rescan_s: float,
        wake: threading.Event,
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        assert declared.watch
        self._declared = declared
        self._watch = declared.watch
        self._place = place
        self._sources = sources
        self._sweep = sweep
        self._watches = watches
        self._bridge = bridge
        self._rescan_s = rescan_s
        self._wake = wake
        self._clock = clock
        self._steady = steady
        self.settling = Settling(declared.watch.settle_seconds)
        self.scanned_at: float | None = None
        """When all of it was looked through, since the epoch; None: it has to be now."""
        self._scan_again_at = 0.0
        self._answered: float | None = None
        self._listener: Listening | None = None
        self._identity: object = None
        self._remembered: dict[str, tuple[int, str]] = {}
        self._dirty: set[str] = set()
        self._look_again_at = 0.0
        self._unready: deque[tuple[Settled, str]] = deque()
        self._stuck: dict[str, str] = {}
        self._begun = False
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()

    # --- what others do with the files

    def lay_hands_on(self, paths: Iterable[str]) -> set[str]:
        """Have files left alone until `let_go`. Returns those that nobody had in hand."""
        with self._lock:
            mine = set(paths) - self._in_hand
            self._in_hand |= mine
            return mine

    def let_go(self, path: str) -> None:
        """Nobody has it in hand any more."""
        with self._lock:
            self._in_hand.discard(path)

    @property
    def in_hand(self) -> int:
        """How many files are worked on by somebody here."""
        with self._lock:
            return len(self._in_hand)

    def remember(self, seen: Seen) -> None:
        """A file stays in the folder, and is not meant any more as it is now."""
        self._remembered[seen.path] = (seen.size, seen.stamp)

    def put_back(self, settled: Settled, reason: str) -> None:
        """A file whose turn it was is not ready; it is looked at again."""
        self._unready.append((settled, reason))

    def note(self, path: str, stuck: str | None) -> None:
        """Why a file that is ready cannot be taken; None: it could."""
        if stuck:
            self._stuck[path] = stuck
        else:
            self._stuck.pop(path, None)

    @property
    def partly(self) -> str | None:
        """Why some of it cannot be looked into, or some files not taken, while the rest is well."""
        reasons = [*self._place.unread.values(), *self._stuck.values()]
        return reasons[0] if reasons else None

    def stop(self) -> None:
        """Listen no more."""
        if self._listener:
            self._listener.stop()

    # --- looking

    def attend(self, record: WatchRecord) -> None:
        """Hear and look, as far as it is time to. Raises what the place raises when it does not answer."""
        asked = self._is_asked(record)
        self._prepare(asked=asked)
        self._hear()
        now = self._steady()
        self._take_back(now)
        if asked or self.scanned_at is None or now >= self._scan_again_at:
            self._look_through(now)
            self._answered = record.rescan_at
        elif self._dirty and now >= self._look_again_at:
            self._look_at(self._dirty, now)

    def _is_asked(self, record: WatchRecord) -> bool:
        """Whether somebody asked for another look, and none has followed, of this watcher or an earlier one."""
        if self._answered is None and record.rescan_at is not None and record.rescan_at <= (record.scanned_at or 0.0):
            self._answered = record.rescan_at
        return record.rescan_at != self._answered

    def _prepare(self, *, asked: bool) -> None:
        identity = self._place.identity()
        if self._begun and identity == self._identity and identity is not None and not asked:
            return
        files = self._bridge.run(self._watches.open(self._declared.name))
        self._place.prepare(known=bool(files) and not asked)
        identity = self._place.identity()
        keeps = self._watch.on_done == "keep"
        self._remembered = self._bridge.run(self._watches.remembered(self._declared.name, keeps=keeps))
        if keeps:  # they lie in the folder while they are worked on
            self._remembered |= {file.path: (file.size, file.stamp) for file in files}
        if not self._begun:
            ids = {file.id for file in files}
            if count := self._place.strays(ids):
                log.warning("gave back files that nothing is known of", watch=self._declared.name, files=count)
            self._sweep(ids)
        self._begun = True
        if identity != self._identity or self._listener is None:
            self._listen(identity)
            self.scanned_at = None

    def _listen(self, identity: object) -> None:
        self.stop()
        self._listener = None
        self._identity = identity or self._place.identity()
        watch = self._watch
        self._listener = self._place.listener(poll=watch.poll, poll_s=watch.poll_seconds, wake=self._wake)
        self._listener.start()

    def _hear(self) -> None:
        """Which sub-folders have to be looked at, and which files were stirred."""
        if self._listener is None:
            return
        if self._listener.deaf:
            self._listen(None)
            self.scanned_at = None
        heard, more = self._listener.heard()
        if more:
            self._scan_again_at = min(self._scan_again_at, self._look_again_at)
        now = self._steady()
        for path in heard:
            self.settling.stir(path, now)
            # What was heard of may be a folder that came whole, with files in it that nobody hears of.
            self._dirty |= {path, str(PurePosixPath(path).parent).removeprefix(".")}

    def _take_back(self, now: float) -> None:
        """Files whose turn it was and that were not ready wait on; one that has changed begins anew."""
        while self._unready:
            settled, reason = self._unready.popleft()
            seen = self._place.one(settled.seen.path)
            if seen == settled.seen:
                self.settling.restore(settled, now, reason)
            else:
                self.note(settled.seen.path, None)
                if seen is not None:
                    self.settling.see(seen, settled.companions, now)

    def _look_through(self, now: float) -> None:
        found = list(self._place.look())
        self._sort_in(found, now, gone=set(self.settling.paths()))
        self.scanned_at, self._dirty = self._clock(), set()
        self._scan_again_at = now + self._rescan_s
        self._look_again_at = now + LOOK_SHARE * (self._steady() - now)

    def _look_at(self, folders: Iterable[str], now: float) -> None:
        self._dirty = set()
        top = {f for f in folders if not any(str(p) in folders for p in PurePosixPath(f).parents if str(p) != ".")}
        if "" in top:
            top = {""}
        for folder in top:
            local = self._place.local(folder)
            if local is None or (folder and (local.is_symlink() or not local.is_dir())):
                continue
            found = list(self._place.look(folder))
            prefix = f"{folder}/" if folder else ""
            self._sort_in(found, now, gone={p for p in self.settling.paths() if p.startswith(prefix)})
        self._look_again_at = now + LOOK_SHARE * (self._steady() - now)

    # --- sorting

    def _sort_in(self, found: list[Seen], now: float, gone: set[str]) -> None:
        """Tell what waits from what does not; of what was not found any more, nothing does."""
        groups = _by_stem(found)
        partners = {path for seen in found for path in self._partners(seen, groups)}
        for seen in found:
            if not self._is_meant(seen) or seen.path in partners:
                continue
            given = self._companions(seen, groups)
            if self._watch.trigger and not any(c.path in naming.params_of(seen.path) for c in given):
                continue
            self.settling.see(seen, given, now)
            gone.discard(seen.path)
        for path in gone:
            self.settling.drop(path)
            self.note(path, None)

    def _is_meant(self, seen: Seen) -> bool:
        if self._remembered.get(seen.path) == (seen.size, seen.stamp):
            return False
        with self._lock:
            if seen.path in self._in_hand:
                return False
        return refusal(self._watch, seen.path) is None

    def _companions(self, seen: Seen, groups: dict[str, list[Seen]]) -> tuple[Seen, ...]:
        """What goes with a file: its params, and what its pipeline takes beside it."""
        near = {s.path: s for s in groups.get(_base(seen.path), ())}
        params = [near[p] for p in naming.params_of(seen.path) if p in near][:1]
        return (*params, *(near[p] for p in self._partners(seen, groups)))

    def _partners(self, seen: Seen, groups: dict[str, list[Seen]]) -> list[str]:
        near = groups.get(_base(seen.path), ())
        if len(near) < 2 or refusal(self._watch, seen.path) is not None:
            return []
        wanted = self._sources(seen.path)
        if wanted is None:
            return []
        sources, main = wanted
        return list(naming.companions(seen.path, [s.path for s in near], sources, main).values())


def _base(path: str) -> str:
    return path.rpartition(".")[0] if "." in path.rpartition("/")[2] else path


def _by_stem(found: list[Seen]) -> dict[str, list[Seen]]:
    """Files by every beginning of their name that ends before a dot: `clip.en.wav` with `clip` and with `clip.en`."""
    groups: dict[str, list[Seen]] = defaultdict(list)
    for seen in found:
        folder, slash, name = seen.path.rpartition("/")
        for at, letter in enumerate(name):
            if letter == "." and at:
                groups[f"{folder}{slash}{name[:at]}"].append(seen)
    return groups
