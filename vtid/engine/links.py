"""What a running step's questions turn into: rows. `vtid.engine.child` has the `Link` at the other end of the pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import structlog

from vtid.db import Work
from vtid.engine.bridge import Bridge
from vtid.errors import DiskFull, Unavailable
from vtid.sdk import Recorded
from vtid.sealing import Sealer

log = structlog.get_logger("vtid.step")


class Pace:
    """The one writer rate of a job: progress is stored at most so often, whatever the steps report.

    Args:
        per_second: writes allowed.
        clock: monotonic seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 1.0 / per_second
        self._clock = clock
        self._last = float("-inf")

    def due(self) -> bool:
        """Whether a write may happen now; if so, it is counted."""
        now = self._clock()
        if now - self._last < self._gap:
            return False
        self._last = now
        return True


class DatabaseLink:
    """Stores what one step of one job says.

    Args:
        work: this worker's view of the database.
        bridge: to it.
        job_id: of the job.
        step_id: of the step.
        pace: of the job.
        job_progress: the whole job's percent for a step's fraction.
        title: the message where the step gives none.
        says: the message, whatever the step gives.
        stopped: raises when the step has to end.
        noted: stores outputs that the step tells before its end.
        sealer: of what `once` keeps: links that somebody signed are among it.
    """

    def __init__(
        self,
        work: Work,
        bridge: Bridge,
        *,
        job_id: str,
        step_id: str,
        pace: Pace,
        job_progress: Callable[[float], int],
        title: str,
        says: str = "",
        stopped: Callable[[], None],
        noted: Callable[[dict[str, Any]], None],
        sealer: Sealer,
    ) -> None:
        self._work = work
        self._bridge = bridge
        self._job_id = job_id
        self._step_id = step_id
        self._pace = pace
        self._job_progress = job_progress
        self._message = says or title
        self._says = says
        self._stopped = stopped
        self._noted = noted
        self._sealer = sealer

    def progress(self, fraction: float, message: str | None) -> None:
        """Store it unless the last was just now. Raises `Cancelled`."""
        self._stopped()
        self._message = self._says or message or self._message
        percent = self._job_progress(fraction)
        if self._pace.due():
            self._note(
                self._work.progress(self._job_id, self._step_id, fraction, job_progress=percent, message=self._message)
            )

    def log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Store it with the job and write it to the daemon's log."""
        log.log(
            _LEVELS.get(level, 20),
            event,
            job_id=self._job_id,
            step_id=self._step_id,
            **{f"step_{k}": v for k, v in fields.items()},
        )
        self._note(self._work.log(self._job_id, self._step_id, level, event, fields))

    def _note(self, work: Coroutine[Any, Any, None]) -> None:
        """Store something that is not worth a step: while the database is away, it is left out."""
        try:
            self._bridge.run(work)
        except (Unavailable, DiskFull) as error:
            log.warning("could not store a step's word", job_id=self._job_id, reason=error.message)

    def note(self, outputs: dict[str, Any]) -> None:
        """Store them, also for who has cancelled: what was ordered is still known by its number."""
        self._noted(outputs)

    def once_begin(self, key: str) -> Recorded:
        """Store the intent, or say what is known."""
        self._stopped()
        known, sealed = self._bridge.run(self._work.effects.begin(self._job_id, self._step_id, key))
        if sealed is None:
            return known
        return msgspec.structs.replace(known, value=msgspec.json.decode(self._sealer.open(sealed)))

    def once_end(self, key: str, value: Any) -> None:
        """Store the value."""
        sealed = self._sealer.seal(msgspec.json.encode(value).decode())
        self._bridge.run(self._work.effects.end(self._job_id, self._step_id, key, sealed))

    def once_forget(self, key: str) -> None:
        """Remove what is stored."""
        self._bridge.run(self._work.effects.forget(self._job_id, self._step_id, key))


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
