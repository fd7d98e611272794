"""What services outside called back about, so that waiting steps wake and repeats wake nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.tables import callbacks, jobs, step_runs
from vtid.domain.job import JobStatus, StepStatus


class Woken(StrEnum):
    """What a callback did."""

    NOW = "woken"
    """The step waited, and is due now."""
    SOON = "at work"
    """A worker is at the job: the step is due as soon as that worker lets go of it."""
    REPEATED = "repeated"
    LATE = "late"
    """The job has ended, or is gone."""

    @property
    def rings(self) -> bool:
        """Whether the workers are to hear of it."""
        return self is Woken.NOW


class Calls:
    """Callbacks, as they come in."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def note(self, job_id: str, step_id: str, key: str) -> Woken:
        """Store that a service called, and make the waiting step due, unless it is a repeat or too late."""
        now = self._clock()
        async with self._db.write() as c:
            wanted = select(jobs.c.status, jobs.c.worker_id).where(jobs.c.id == job_id).with_for_update()
            row = (await c.execute(wanted)).one_or_none()
            if row is None or JobStatus(row.status).ended:
                return Woken.LATE
            mine = and_(callbacks.c.job_id == job_id, callbacks.c.step_id == step_id)
            if (await c.execute(select(callbacks.c.at).where(mine, callbacks.c.key == key))).first():
                return Woken.REPEATED
            # The worker's own word on the wait comes when it lets go (`wake_called`), and would undo ours.
            at_work = row.worker_id is not None
            place = {"job_id": job_id, "step_id": step_id, "key": key}
            await c.execute(insert(callbacks).values(at=now, heard=not at_work, **place))
            if at_work:
                return Woken.SOON
            await _wake(c, job_id, [step_id], now)
            await c.execute(update(jobs).where(jobs.c.id == job_id).values(wake_at=now, rung_at=now))
            return Woken.NOW

    async def rouse(self, per_second: float) -> Sequence[str]:
        """Have steps look that wait: a service may have called while nobody listened, and may not call again.

        They are due one after another, since each asks a service. Those that wait to be tried again go on waiting.

        Args:
            per_second: so many.

        Returns:
            The ids of their jobs, in the order in which they are due.
        """
        now = self._clock()
        waits = and_(step_runs.c.status == StepStatus.WAITING.value, step_runs.c.error.is_(None))
        wanted = select(step_runs.c.job_id, step_runs.c.step_id).where(waits).order_by(step_runs.c.wake_at)
        async with self._db.write() as c:
            found = (await c.execute(wanted)).all()
            for at, (job_id, step_id) in enumerate(found):
                due = now + at / per_second
                mine = and_(step_runs.c.job_id == job_id, step_runs.c.step_id == step_id, step_runs.c.wake_at > due)
                await c.execute(update(step_runs).where(mine).values(wake_at=due))
                free = and_(jobs.c.id == job_id, jobs.c.worker_id.is_(None), jobs.c.wake_at > due)
                await c.execute(update(jobs).where(free).values(wake_at=due))
        return [str(job_id) for job_id, _ in found]


async def wake_called(connection: AsyncConnection, job_id: str, now: float) -> bool:
    """Make those steps due that were called for while a worker was at the job; whether there were any."""
    unheard = and_(callbacks.c.job_id == job_id, callbacks.c.heard.is_(False))
    found = (await connection.execute(select(callbacks.c.step_id).where(unheard))).scalars().all()
    if not found:
        return False
    await connection.execute(update(callbacks).where(unheard).values(heard=True))
    return await _wake(connection, job_id, found, now)


async def _wake(connection: AsyncConnection, job_id: str, step_ids: Sequence[str], now: float) -> bool:
    waits = and_(step_runs.c.job_id == job_id, step_runs.c.status == StepStatus.WAITING.value)
    these = step_runs.c.step_id.in_(step_ids)
    return bool((await connection.execute(update(step_runs).where(waits, these).values(wake_at=now))).rowcount)
