"""From a file that has settled to a job: read whole, no duplicate, taken, submitted. What is done is a row before."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import structlog

from vtid.app import App
from vtid.db import Watches
from vtid.domain.job import Job
from vtid.domain.watch import FileState, WatchFile
from vtid.engine.bridge import Bridge
from vtid.errors import (
    Conflict,
    FetchFailed,
    InsufficientCredits,
    InvalidInput,
    NotFound,
    PipelineError,
    QuotaExceeded,
    StorageError,
    Unavailable,
    VtidError,
)
from vtid.watch import naming, sidecars
from vtid.watch.checking import Plan, merged, plan
from vtid.watch.declaration import Declared
from vtid.watch.place import Place
from vtid.watch.putting_away import PuttingAway
from vtid.watch.settling import Settled
from vtid.watch.whole import Unready, writer_of

log = structlog.get_logger("vtid.watch")
PASSING = (Unavailable, StorageError, FetchFailed, InsufficientCredits, QuotaExceeded)
"""Nothing is wrong with the file: it is tried again by itself."""


class Passing(Exception):
    """Something outside does not work now. The words say what; the file waits."""


class Taking:
    """Takes the files of one hot folder.

    Args:
        app: wired; its intake is the door in.
        declared: the hot folder.
        place: its files.
        owner: id of the account that the jobs are of.
        watches: the rows.
        bridge: to the database.
        away: puts away what becomes no job.
        stalled_s: how long a video that is not whole is waited for.
        clock: seconds since the epoch.
        steady: seconds that nobody sets back; those of what has settled.
    """

    def __init__(
        self,
        app: App,
        declared: Declared,
        place: Place,
        owner: str,
        watches: Watches,
        bridge: Bridge,
        away: PuttingAway,
        stalled_s: float,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        assert declared.watch
        self._app = app
        self._declared = declared
        self._watch = declared.watch
        self._place = place
        self._owner = owner
        self._watches = watches
        self._bridge = bridge
        self._away = away
        self._stalled_s = stalled_s
        self._clock = clock
        self._steady = steady
        self._sources: dict[str | None, tuple[dict[str, str], str] | None] = {}

    def sources(self, path: str) -> tuple[dict[str, str], str] | None:
        """What the pipeline of a file takes, and which of it the file itself is; None where that cannot be said now."""
        pattern = naming.rule_for(path, self._watch.subfolders)
        if pattern not in self._sources:
            try:
                found = plan(self._declared, path, self._app.pipelines, self._app.plugins.specs)
                self._sources[pattern] = found.sources, found.main
            except VtidError:
                return None
        return self._sources[pattern]

    def take(self, settled: Settled) -> WatchFile | None:
        """Make a job of a file, or put it where it belongs; None where there is nothing to take.

        Raises:
            Unready: it is not whole yet; nothing was touched.
            Passing: its row waits to be tried again.
        """
        seen = settled.seen
        if self._place.one(seen.path) != seen:
            raise Unready("it changed")
        self._require_whole(settled)
        digest = self._place.digest(seen.path)
        now = self._clock()
        file = WatchFile(
            id=str(uuid.uuid4()),
            watch=self._declared.name,
            path=seen.path,
            size=seen.size,
            stamp=seen.stamp,
            state=FileState.CLAIMED,
            sha256=digest,
            companions=[c.path for c in settled.companions],
            settled_at=now - (self._steady() - settled.at),
            claimed_at=now,
        )
        earlier = self._earlier(file)
        if earlier and self._place.one(seen.path) != seen:
            return None  # another daemon has taken this very file meanwhile
        if earlier and self._watch.duplicates == "skip":
            return self._skip(file, earlier)
        self._bridge.run(self._watches.add(file))
        if not self._place.claim(file):
            self._bridge.run(self._watches.forget(file.id))
            return None
        return self.go_on(file)

    def go_on(self, file: WatchFile) -> WatchFile | None:
        """Make a job of a file that is taken; what a killed watcher began is taken up here."""
        if not self._place.is_held(file) or not self._place.is_unchanged(file):
            self._place.prepare(known=True)  # a share that is gone is no file that was removed
            # Killed before it was taken, or given back: what lies in the folder is found by the next look.
            self._place.forget(file)
            self._place.give_back(file)
            self._bridge.run(self._watches.forget(file.id))
            return None
        self._place.claim_companions(file)
        earlier = self._place.first(file) if self._watch.duplicates != "allow" else None
        if earlier and self._watch.duplicates == "skip":
            self._place.give_back(file)
            self._bridge.run(self._watches.forget(file.id))
            return self._skip(file, earlier)
        if earlier:
            words = f"Its bytes were here before, as {earlier}."
            return self._away.begin(file, FileState.DUPLICATE, words)
        return self._submit(file)

    def _require_whole(self, settled: Settled) -> None:
        """A video whose end is missing is most likely on its way: a copy that stalls looks like any other file."""
        local, path = self._place.local(settled.seen.path), settled.seen.path
        if local is None:
            return
        if writer_of(local):
            raise Unready("a program still has it open for writing")
        kind = next((k for k in ("video", "audio") if naming.is_kind(path, k)), None)
        waits = settled.quiet_since + self._stalled_s
        if kind is None or self._steady() >= waits:
            return
        try:
            self._app.prober.probe(local, kind)
        except InvalidInput as error:
            left = round(waits - self._steady())
            raise Unready(f"it is not whole ({error.message}); it is waited for another {left} s") from error

    def _earlier(self, file: WatchFile) -> str | None:
        assert file.sha256
        return None if self._watch.duplicates == "allow" else self._place.owner_of(file.sha256)

    def _skip(self, file: WatchFile, earlier: str) -> WatchFile:
        """Leave a duplicate where it is, and remember it."""
        now = self._clock()
        file.state, file.reason, file.ended_at = FileState.DUPLICATE, f"Its bytes were here before, as {earlier}.", now
        self._bridge.run(self._watches.add(file))
        log.info("left a duplicate alone", watch=file.watch, path=file.path, same_as=earlier)
        return file

    # --- the job

    def _submit(self, file: WatchFile) -> WatchFile:
        try:
            job = self._bridge.run(self._job(file, self._plan(file)))
        except PASSING as error:
            raise self.later(file, error.message) from error
        except Conflict:  # it has become a job: by us, just before we were killed, or by a watcher that seemed dead
            return self._bridge.run(self._watches.file(file.id))
        except InvalidInput as error:
            return self._away.fail(file, error.message, [str(p) for p in error.problems])
        log.info("took a file", watch=file.watch, path=file.path, job_id=job.id)
        taken = self._bridge.run(self._watches.file(file.id))
        self._bridge.run(self._watches.tell(taken, "taken from a hot folder"))
        return taken

    def _plan(self, file: WatchFile) -> Plan:
        """What is to be done; a pipeline that is broken is no fault of the file's."""
        try:
            found = plan(self._declared, file.path, self._app.pipelines, self._app.plugins.specs)
        except (NotFound, PipelineError) as error:
            raise Unavailable(error.message) from error
        given = next((n for n in naming.params_of(file.path) if n in file.companions), None)
        if given is None:
            return found
        params = sidecars.parse_params(given, self._place.text(file, given))
        return Plan(found.pipeline, merged(found.params, params), found.sources, found.main, found.rule)

    async def _job(self, file: WatchFile, wanted: Plan) -> Job:
        inputs = naming.companions(file.path, file.companions, wanted.sources, wanted.main)
        async with self._app.intake.draft(self._owner) as draft:
            await self._place.bring(draft, wanted.main, file, file.path)
            for source, path in inputs.items():
                await self._place.bring(draft, source, file, path)
            return await draft.submit(
                pipeline=wanted.pipeline, params=wanted.params, display_name=file.path[-200:], dropped=file.id
            )

    def later(self, file: WatchFile, reason: str) -> Passing:
        """Note that a file waits for something that passes; longer each time."""
        wait = self._away.backoff.delay(file.tries + 1)
        changes = {"tries": file.tries + 1, "next_at": self._clock() + wait, "reason": reason}
        self._bridge.run(self._watches.change(file, **changes))
        log.warning("a file waits", watch=file.watch, path=file.path, reason=reason, again_s=round(wait, 1))
        return Passing(reason)


def words_of(error: VtidError) -> str:
    """An error and what to do about it."""
    return f"{error.message} {error.suggestion}" if error.suggestion else error.message
