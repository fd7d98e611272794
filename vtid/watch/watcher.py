"""The watcher: all hot folders of this machine, turned one round after the other; pools of hands do the work."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import wait
from itertools import islice
from typing import Any

import structlog

from vtid.app import WORKER_SEEN_S, App
from vtid.db import Overview, Standing, Watches
from vtid.domain.watch import WatchRecord, WatchState
from vtid.engine.bridge import Bridge
from vtid.engine.processes import is_dead
from vtid.errors import NotFound, VtidError
from vtid.watch.building import build
from vtid.watch.declaration import Declared
from vtid.watch.declarations import Declarations
from vtid.watch.hot import Hot
from vtid.watch.settling import turns

log = structlog.get_logger("vtid.watch")
TICK_S = 0.25
BREATH_S = 0.02
"""Between rounds: what ends within it has one round together."""
REREAD_S = 2.0
"""How often it is asked whether a declaration has changed."""
LEASE_S = 15.0
MOST_TOLD = 20
"""Files of which it is told why they wait."""
REPORT_S = 1.0
PRUNE_S = 3600.0
ATTEND_S = 1.0
"""How long a round waits for its folders to be looked at; one that takes longer has its turn when it is done."""
SLOTS = 2
"""Of workers, where none has shown itself yet."""


class Watcher:
    """Runs hot folders until it is stopped.

    Args:
        app: wired.
        bridge: to its database.
        declarations: what they are to do.
        holder: unique among all watchers, as `name_of_process` makes it.
        clock: seconds since the epoch.
        steady: seconds that nobody sets back: what is waited for here is not put off by somebody who sets the clock.
    """

    def __init__(
        self,
        app: App,
        bridge: Bridge,
        declarations: Declarations,
        holder: str,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._bridge = bridge
        self._declarations = declarations
        self._holder = holder
        self._clock = clock
        self._steady = steady
        self._watches = Watches(app.database, clock)
        self._settings = app.config.watches
        self._declared: dict[str, Declared] = {}
        self._read_again_at = 0.0
        self._hots: dict[str, Hot] = {}
        self._ending: dict[str, Hot] = {}
        """Whose declaration counts no more; they finish what they have in hand."""
        self._held_at: dict[str, float] = {}
        self._reported: dict[str, tuple[float, dict[str, Any]]] = {}
        self._prune_at = steady() + PRUNE_S
        self._wake = threading.Event()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Turn round after round until `stop`, then finish what is in hand."""
        buried = False
        while not self._stopped.is_set():
            try:
                if not buried:
                    self.bury()
                    buried = True
                self.round()
            except VtidError as error:
                log.warning("a round of the watcher failed", reason=error.message)
            except Exception:  # every hot folder depends on this loop
                log.exception("bug in the watcher")
            self._wake.wait(TICK_S)
            self._stopped.wait(BREATH_S)
            self._wake.clear()
        self.close()

    def stop(self) -> None:
        """Take no more."""
        self._stopped.set()
        self._wake.set()

    def close(self) -> None:
        """Finish what is in hand, and let go."""
        for hot in (*self._hots.values(), *self._ending.values()):
            hot.stop()
        try:
            self._bridge.run(self._watches.release(self._holder))
        except VtidError as error:  # the lease runs out by itself
            log.warning("could not let go of the hot folders", reason=error.message)

    def bury(self) -> None:
        """Let go of what dead watchers of this machine held: nobody waits for their leases to run out."""
        for record in self._bridge.run(self._watches.list()):
            if record.holder and record.lease_until and is_dead(record.holder, record.lease_until - LEASE_S):
                log.info("took a hot folder over from a watcher that died", watch=record.name)
                self._bridge.run(self._watches.release(record.holder, record.name))

    def round(self) -> None:
        """Read, hear, look, take what has settled, bring out what is done, say how it is."""
        self._reread()
        going = {name: hot.declared for name, hot in self._hots.items()}
        for declared in (going | self._declared).values():
            self._hold(declared)
        seen = self._bridge.run(self._watches.overview())
        mine = {name: record for name, record in seen.records.items() if record.holder == self._holder}
        self._end_what_counts_no_more(seen)
        hots = {name: hot for name, hot in self._hots.items() if name in mine}
        begun = [hot.begin_to_attend(mine[name]) for name, hot in hots.items() if hot.is_attended]
        wait(begun, ATTEND_S)
        for name, hot in hots.items():
            hot.follow(seen.ready.get(name, ()))
        floors = self._floors()
        self._take(hots, seen, floors)
        for name in mine:
            self._report(name, seen.standing.get(name, Standing()), floors.get(name))
        if self._steady() >= self._prune_at:
            self._prune_at = self._steady() + PRUNE_S
            for name in self._hots:
                self._bridge.run(self._watches.prune(name, self._settings.keep_days * 86_400))

    def idle(self) -> bool:
        """Whether nothing is in hand."""
        return all(not hot.busy for hot in (*self._hots.values(), *self._ending.values()))

    # --- what they are to do

    def _reread(self) -> None:
        """Take up what the declarations say now."""
        if self._steady() < self._read_again_at:
            return
        self._read_again_at = self._steady() + REREAD_S
        news = self._declarations.news()
        if news is not None:
            log.info("watching", watches=sorted(news))
            self._declared = news
            self._held_at.clear()

    def _end_what_counts_no_more(self, seen: Overview) -> None:
        """Part with hot folders that are gone, or have something else to do; a broken word changes nothing."""
        for name, hot in list(self._hots.items()):
            declared = self._declared.get(name)
            hot.closing = None
            if declared == hot.declared or (declared and declared.problems):
                continue
            moves = declared is None or _elsewhere(hot.declared, declared)
            if moves and (name in seen.standing or hot.lookout.in_hand) and hot.trouble is None:
                # Where its files are, and whose they are, only the old declaration knows.
                what = f"{hot.declared.file} is gone" if declared is None else f"{declared.file} says something new"
                hot.closing = f"{what}; that counts once the files on their way are over. Until then none is taken."
                continue
            hot.lookout.stop()
            self._ending[name] = self._hots.pop(name)
        for name, hot in list(self._ending.items()):
            if not hot.busy:
                hot.stop()
                del self._ending[name]
                self._reported.pop(name, None)
                if name not in self._declared:
                    self._bridge.run(self._watches.release(self._holder, name))

    # --- holding

    def _hold(self, declared: Declared) -> None:
        """Take a hot folder, or keep it; of several watchers at one database, one has it."""
        name, now = declared.name, self._steady()
        if now < self._held_at.get(name, now - LEASE_S) + LEASE_S / 5:
            return
        self._held_at[name] = now
        shown = self._hots[name].declared if name in self._hots else declared
        record = self._bridge.run(self._watches.hold(name, facts(shown), self._holder, LEASE_S))
        if record is None:
            if hot := self._hots.pop(name, None):
                hot.lookout.stop()
                self._ending[name] = hot
        elif name not in self._hots and name not in self._ending and not declared.problems:
            self._begin(declared, record)

    def _begin(self, declared: Declared, record: WatchRecord) -> None:
        assert declared.watch
        try:
            owner = self._bridge.run(self._owner(declared.watch.owner))
        except NotFound as error:
            problem = f"{declared.file}: watch.owner: {error.message}"
            self._bridge.run(
                self._watches.report(record.name, self._holder, state=WatchState.BROKEN.value, reason=problem)
            )
            return
        self._hots[record.name] = build(
            self._app, self._bridge, self._watches, declared, record, owner, self._wake, self._clock, self._steady
        )

    async def _owner(self, named: str) -> str:
        """The id of the account that the jobs are of. Raises `NotFound`."""
        users = self._app.accounts.users
        if not named:
            return FIRST
        if "@" in named:
            found = await users.by_email(named)
            if found is None:
                raise NotFound(f"there is no account {named}")
            return found[0].id
        return (await users.get(named)).id

    # --- taking

    def _take(self, hots: dict[str, Hot], seen: Overview, floors: Collection[str]) -> None:
        shares = [
            hot.share(seen.standing.get(name, Standing()))
            for name, hot in hots.items()
            if hot.is_attended and not seen.records[name].paused and name not in floors
        ]
        if any(share.waiting for share in shares):
            for name in turns(shares, self._room() - sum(s.open for s in shares)):
                hots[name].take_next()

    def _room(self) -> int:
        """Jobs that may be open at once: enough that no worker waits, and few enough that no folder fills the queue."""
        if self._settings.at_once:
            return self._settings.at_once
        workers = self._bridge.run(self._app.jobs.workers(time.time() - WORKER_SEEN_S))
        return 2 * max(SLOTS, sum(int(w["slots"]) for w in workers))

    def _floors(self) -> dict[str, str]:
        """Hot folders for which there is too little room to take more: name to why."""
        least, data = self._settings.min_free_disk_mb << 20, self._app.config.data.path
        try:
            free = shutil.disk_usage(data).free
        except OSError as error:
            return dict.fromkeys(self._hots, f"The data folder cannot be looked at: {error.strerror}")
        found = {}
        for name, hot in self._hots.items():
            places = {data: free} | ({hot.outbox.root: hot.room} if hot.room is not None else {})
            for place in (place for place, room in places.items() if room < least):
                left = f"{place} has {places[place] >> 20} MB left"
                found[name] = f"{left}; below {least >> 20} nothing is taken (min_free_disk_mb)."
        return found

    # --- saying

    def _report(self, name: str, standing: Standing, floor: str | None) -> None:
        """Write how a hot folder is, where that has changed or nobody has been told for a while."""
        hot, declared = self._hots.get(name), self._declared.get(name)
        problems = "; ".join(map(str, declared.problems)) if declared else ""
        now = self._steady()
        told: dict[str, Any]
        if hot is not None:
            if problems:
                problems = f"What {hot.declared.file} said before still counts, for now it is wrong: {problems}"
            folder = hot.trouble or hot.shut or hot.closing or problems
            reason = folder or floor or standing.reason or hot.lookout.partly
            state = WatchState.DEGRADED if reason else WatchState.OK
            told = {"reason": reason, "waiting": len(hot.lookout.settling)}
            told["held_back"] = dict(islice(hot.lookout.settling.reasons().items(), MOST_TOLD))
            if hot.lookout.scanned_at is not None:  # else what an earlier watcher said still holds
                told["scanned_at"] = hot.lookout.scanned_at
        elif problems:
            state, told = WatchState.BROKEN, {"reason": problems, "waiting": 0, "held_back": {}}
        else:
            return  # its owner is not known, which was told; or it ends
        told["state"] = state.value
        before, what = self._reported.get(name, (now - REPORT_S, {}))
        if what == told or (now - before < REPORT_S and what.get("state") == told["state"]):
            return
        self._reported[name] = now, told
        self._bridge.run(self._watches.report(name, self._holder, **told))


def _elsewhere(before: Declared, now: Declared) -> bool:
    """Whether files that the one has taken lie where the other would not look for them."""
    old, new = before.watch, now.watch
    assert old
    assert new
    if old.bucket or new.bucket:
        return (old.path, old.on_done) != (new.path, new.on_done)
    places = (before.folder, before.work) != (now.folder, now.work)
    return places or (old.on_done == "keep") != (new.on_done == "keep")


FIRST = "local"
"""The id of the first admin."""


def facts(declared: Declared) -> dict[str, Any]:
    """What people see of a declaration."""
    watch = declared.watch
    if watch is None:
        return {"file": str(declared.file)}
    names = ("path", "pipeline", "output", "on_done", "duplicates", "settle_seconds", "priority")
    found = {name: getattr(watch, name) for name in names}
    if not watch.bucket:
        found |= {"path": str(declared.folder), "output": str(declared.output)}
    return found | {"file": str(declared.file)}
