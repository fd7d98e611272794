"""From a job that has ended to its results in the output folder, and its file where it belongs."""

from __future__ import annotations

from pathlib import PurePosixPath

import structlog

from vtid.app import App
from vtid.db import Watches
from vtid.domain.job import Failure, Job, JobStatus, Result
from vtid.domain.watch import FileState, WatchFile
from vtid.engine.bridge import Bridge
from vtid.errors import Conflict, NotFound
from vtid.watch import naming
from vtid.watch.declaration import Declared
from vtid.watch.outbox import Outbox
from vtid.watch.place import Place
from vtid.watch.putting_away import PuttingAway
from vtid.watch.taking import PASSING, Taking, words_of

log = structlog.get_logger("vtid.watch")
_PASSING_CODES = ("disk_full", "storage", "unavailable", "download_failed")
_FOR_A_PERSON = ("needs_attention", "insufficient_credits", "quota_exceeded")
PASSING_CODES = frozenset((*_PASSING_CODES, *_FOR_A_PERSON))
"""Of a job that failed: causes that are not the file's. They pass by themselves, or once somebody has acted."""


class Returning:
    """Brings out what the jobs of one hot folder made.

    Args:
        app: wired; it has the jobs and the storage.
        declared: the hot folder.
        place: its files.
        outbox: where results go.
        watches: the rows.
        bridge: to the database.
        taking: takes up what has no job yet.
        away: puts the files away.
    """

    def __init__(
        self,
        app: App,
        declared: Declared,
        place: Place,
        outbox: Outbox,
        watches: Watches,
        bridge: Bridge,
        taking: Taking,
        away: PuttingAway,
    ) -> None:
        assert declared.watch
        self._app = app
        self._watch = declared.watch
        self._place = place
        self._outbox = outbox
        self._watches = watches
        self._bridge = bridge
        self._taking = taking
        self._away = away

    def go_on(self, file: WatchFile) -> None:
        """Do what is next for a file that is on its way.

        Raises:
            Passing: that cannot be done now; its row waits.
        """
        try:
            match file.state:
                case FileState.CLAIMED:
                    self._taking.go_on(file)
                case FileState.SUBMITTED | FileState.DELIVERING:
                    self._after_job(file)
                case FileState.LEAVING:
                    self._away.go_on(file)
        except PASSING as error:
            raise self._taking.later(file, words_of(error)) from error

    def _after_job(self, file: WatchFile) -> None:
        try:
            job = self._bridge.run(self._app.jobs.get(file.job_id or ""))
        except NotFound:
            self._away.fail(file, "Its job was deleted before it had ended, or before its result was brought here.")
            return
        match job.status:
            case JobStatus.COMPLETED:
                self._deliver(file, job)
            case JobStatus.CANCELLED:
                self._away.fail(file, "Somebody cancelled its job.")
            case JobStatus.FAILED:
                self._after_failure(file, job)

    def _after_failure(self, file: WatchFile, job: Job) -> None:
        failure = job.error or Failure("bug", "The job failed without a word.")
        words = f"{failure.message} {failure.suggestion}" if failure.suggestion else failure.message
        if failure.code not in PASSING_CODES:
            if not self._is_changed(file):  # a copy that went on meanwhile is another file, and perhaps a good one
                self._away.fail(file, words, [str(p) for p in failure.problems])
        elif file.next_at is None:
            raise self._taking.later(file, words)
        else:
            # Its wait is over. The next failure waits longer; what the job did so far stays done.
            self._bridge.run(self._watches.change(file, next_at=None))
            try:
                self._bridge.run(self._app.jobs.retry(job.id))
            except Conflict:
                return  # somebody else has done so
            self._app.ring(job.id)

    def _deliver(self, file: WatchFile, job: Job) -> None:
        if self._is_changed(file):
            return
        if not self._place.is_held(file):
            self._away.fail(file, "It was removed while it was worked on; its result stays with the job.")
            return
        file = self._bridge.run(self._watches.change(file, state=FileState.DELIVERING))
        try:
            for index, (result, name) in enumerate(zip(job.results, self._names(file, job), strict=True)):
                self._one(file, index, result, name)
        except Conflict as error:
            self._away.fail(file, error.message)
            return
        except NotFound as error:
            self._away.fail(file, f"Its result is not in the storage any more: {error.message}")
            return
        log.info("delivered", watch=file.watch, path=file.path, job_id=job.id, targets=file.targets)
        self._bridge.run(self._watches.tell(file, "delivered to a folder", targets=file.targets))
        self._away.begin(file, FileState.DONE)

    def _is_changed(self, file: WatchFile) -> bool:
        """Whether a file has been written to since it was taken; then it is put back, to be taken as it is now."""
        if self._place.is_unchanged(file):
            return False
        self._place.prepare(known=True)  # a share that is gone is no file that was removed
        if not self._place.is_held(file):
            return False
        words = "It was written to while it was worked on; it is taken again as it is now."
        self._away.begin(file, FileState.CHANGED, words)
        return True

    def _one(self, file: WatchFile, index: int, result: Result, name: str) -> None:
        def choose(target: str) -> None:
            file.targets = [*file.targets[:index], target]
            self._bridge.run(self._watches.change(file, targets=file.targets))

        chosen = file.targets[index] if index < len(file.targets) else None
        fetch = self._app.storage.fetch
        self._outbox.deliver(
            f"{file.id}-{index}", name, lambda target: fetch(result.key, target), result.size, chosen, choose
        )

    def _names(self, file: WatchFile, job: Job) -> list[str]:
        """What the results of a job are called; where several would have one name, the later ones say their step."""
        folder = PurePosixPath(file.path).parent
        names: list[str] = []
        for result in job.results:
            parts = (file.path, result.filename, job.pipeline.name, result.step_id)
            name = naming.result_name(self._watch.name, *parts)
            if str(folder / name) in names:
                name = naming.result_name(f"{{stem}}.{{pipeline}}.{{step}}-{len(names) + 1}.{{ext}}", *parts)
            names.append(str(folder / name))
        return names
