"""Files that a job was given by their URL: fetched as its first work, then judged as an upload is.

A turn that fetches does nothing else. It holds the job's lease and no slot; when the files are there it lets go of the
job, and whichever slot is free next goes on with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import structlog

from vtid.accounts import pricing
from vtid.db import Claim, Fetch, Work
from vtid.domain.artifact import Asset
from vtid.domain.job import Job
from vtid.engine.bridge import Bridge
from vtid.engine.control import Control
from vtid.engine.intake import Intake
from vtid.engine.isolation import remove_folder
from vtid.engine.layout import source_key
from vtid.engine.links import Pace
from vtid.engine.retry import Backoff
from vtid.errors import Cancelled, FetchFailed, InsufficientCredits, InvalidInput, QuotaExceeded, RetryLater
from vtid.net import Broken, Download, Fetched, Limits, Outbound, TooSlow
from vtid.storage.base import safe_filename

log = structlog.get_logger("vtid.fetch")
TAKEN_S = 2.0
FORGOTTEN_S = 7 * 24 * 3600.0
"""A part of a file that nobody has touched for this long is nobody's."""


class Fetcher:
    """Fetches what jobs wait for.

    Args:
        work: this worker's view of the database.
        bridge: to it.
        intake: judges what came, and has the storage.
        outbound: the way out.
        limits: of a download.
        folder: for what has come so far; it outlives this process.
        tries: attempts in a row that may bring nothing.
        backoff: waits between them.
        require_room: raises `DiskFull` unless so many bytes fit.
    """

    def __init__(
        self,
        work: Work,
        bridge: Bridge,
        intake: Intake,
        outbound: Outbound,
        limits: Limits,
        folder: Path,
        tries: int,
        backoff: Backoff,
        require_room: Callable[[int], None],
    ) -> None:
        self._work = work
        self._bridge = bridge
        self._intake = intake
        self._outbound = outbound
        self._limits = limits
        self._folder = folder
        self._tries = tries
        self._backoff = backoff
        self._require_room = require_room

    def take_turn(self, claim: Claim, control: Control, pace: Pace) -> None:
        """Bring what can be brought now, and let go of the job: due at once, or when the other side may be well again.

        Raises:
            FetchFailed, InvalidInput: as `bring` does.
        """
        try:
            self.bring(claim, control, pace)
        except RetryLater as busy:
            self.wait(claim, busy.after, busy.message)
        else:
            self.wait(claim, 0.0, None)

    def wait(self, claim: Claim, seconds: float, message: str | None) -> None:
        """Let go of a job until then. Of the same words as before nobody is told again."""
        job, now = claim.job, time.time()
        told = None if message == job.message else message
        self._bridge.run(self._work.suspend(job.id, now + seconds, (), job_progress=job.progress, message=told))

    def bring(self, claim: Claim, control: Control, pace: Pace) -> Mapping[str, Asset]:
        """The files of a job by their source, once all of them are there.

        Raises:
            RetryLater: the line broke; what has come is kept.
            FetchFailed: it broke too often; what has come is kept all the same.
            InvalidInput: a file is not to be had, or is not what the job needs.
        """
        if not claim.fetches:
            return claim.assets
        job, assets = claim.job, dict(claim.assets)
        for fetch in claim.fetches:
            assets[fetch.source] = self._one(job, fetch, assets, control, pace)
        remove_folder(self._folder / job.id)
        return assets

    def sweep(self) -> int:
        """Remove what jobs that were never taken up again have left. Returns how many folders."""
        limit = time.time() - FORGOTTEN_S
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        old = [f for f in found if max(p.stat().st_mtime for p in (f, *f.rglob("*"))) < limit]
        for folder in old:
            remove_folder(folder)
        return len(old)

    def _one(self, job: Job, fetch: Fetch, known: Mapping[str, Asset], control: Control, pace: Pace) -> Asset:
        folder = self._folder / job.id / fetch.source
        try:
            with _alone(folder):
                fetched = self._download(job, fetch, folder, control, pace)
                return self._keep(job, fetch, known, fetched)
        except (InvalidInput, Cancelled):
            remove_folder(self._folder / job.id)
            raise

    def _download(self, job: Job, fetch: Fetch, folder: Path, control: Control, pace: Pace) -> Fetched:
        url = self._intake.sealer.open(fetch.url)
        field = f"{fetch.source}_url"
        download = Download(self._outbound, self._limits, folder, field=field, require_room=self._require_room)
        before = download.kept

        def got(done: int, total: int | None) -> None:
            if pace.due():
                size = f" of {total / 1e6:.1f} MB" if total else " MB"
                words = f"Downloading {fetch.filename}: {done / 1e6:.1f}{size}"
                fraction = done / total if total else None
                self._bridge.run(self._work.fetches.going_on(job.id, fetch.source, fraction, words, job.progress))

        try:
            return download.run(url, check=control.check, got=got)
        except Broken as error:
            # What drips is no gain: a server could hold a place for ever by it.
            self._later(job, fetch, error, gained=download.kept > before and not isinstance(error, TooSlow))

    def _later(self, job: Job, fetch: Fetch, error: Broken, *, gained: bool) -> NoReturn:
        """Try again after a while; after too many attempts that brought nothing, never."""
        tries = 1 if gained else fetch.tries + 1
        log.info("a download broke off", job_id=job.id, reason=error.message, tries=tries)
        if tries >= self._tries:
            words = f"{fetch.filename} could not be downloaded: {error.message}."
            raise FetchFailed(words, suggestion="When the other side is well again, retry the job.") from error
        self._bridge.run(self._work.fetches.broke(job.id, fetch.source, tries))
        after = max(self._backoff.delay(tries), min(error.after or 0.0, self._backoff.max_s))
        raise RetryLater(after, f"{error.message}. Downloading goes on in {after:.0f} s.") from error

    def _keep(self, job: Job, fetch: Fetch, known: Mapping[str, Asset], fetched: Fetched) -> Asset:
        """Store a file that has come, and look at it as at an upload."""
        filename = safe_filename(fetched.filename, fetch.filename)
        key = source_key(job.user_id, job.id, fetch.source, filename)
        storage = self._intake.storage
        storage.put(key, fetched.path, move=True)
        try:
            examined = self._bridge.run(self._intake.examine(job.user_id, fetch.source, filename, key))
            asset = examined.asset
            infos = {name: a.info for name, a in {**known, fetch.source: asset}.items() if a.info}
            self._intake.check_steps(job.pipeline, infos)
        except InvalidInput:
            storage.delete(key)
            raise
        if fetch.filename == job.original_filename:
            job.original_filename = filename
        job.inputs |= {fetch.source: asset.id}
        estimate = self._intake.estimate(job.pipeline, pricing.longest(infos.values()))
        quota = self._bridge.run(self._intake.quota(job.user_id))
        try:
            self._bridge.run(self._work.fetches.done(job, fetch.source, asset, f"{filename} is here", estimate, quota))
        except (InsufficientCredits, QuotaExceeded):
            storage.delete(key)
            raise
        return asset


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a download's folder: a worker that slept through its lease may still be writing there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RetryLater(TAKEN_S, "Another worker still holds the download") from None
        yield
