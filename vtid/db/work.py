"""What a worker does with a job: claim it, keep it, advance its steps, end it.

Every write names the worker and counts only while that worker holds the lease: one that slept through its lease, and
whose job went to another, gets `LeaseLost` instead of overwriting the other's work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, case, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.calls import wake_called
from vtid.db.connect import Database
from vtid.db.effects import Effects, drop_effects
from vtid.db.fetches import Fetch, Fetches
from vtid.db.jobs import end
from vtid.db.ledger import lock_user
from vtid.db.rows import JOB, RUN, builtins, emit, to_artifact, to_asset, to_job, to_run
from vtid.db.tables import artifacts, assets, fetches, jobs, step_runs, workers
from vtid.domain.account import credits_for
from vtid.domain.artifact import Artifact, Asset, Video
from vtid.domain.job import Failure, Job, JobStatus, Result, StepRun, StepStatus

RING_AGAIN_S = 10.0
"""A job that nobody took for this long is rung for again: its bell may have gone down with the worker that heard it."""
TURN_S = 300.0
"""A job that waits for its turn is looked at again after so long, should nobody have called it before."""


class Claim(Struct, frozen=True):
    """A job in hand, with all that a turn at it needs."""

    job: Job
    runs: Sequence[StepRun]
    artifacts: Sequence[Artifact]
    assets: Mapping[str, Asset]
    """By the name of the source."""
    fetches: Sequence[Fetch] = ()


class LeaseLost(BaseException):
    """Another worker has the job now. Nothing is wrong with it; steps let this through as they do `Cancelled`."""


class Work:
    """Jobs as one worker sees them.

    Args:
        database: the truth.
        worker_id: unique among all workers.
        lease_s: for how long a claim holds without renewal.
        clock: seconds since the epoch.
        at_once: how many jobs of a user of that tier run at once; 0 for any number.
        credits_per_second: what a job costs, by the length of the video that it delivers.
    """

    def __init__(
        self,
        database: Database,
        worker_id: str,
        lease_s: float = 30.0,
        clock: Callable[[], float] = time.time,
        at_once: Callable[[str], int] = lambda _tier: 0,
        credits_per_second: float = 0.0,
    ) -> None:
        self._db = database
        self.worker_id = worker_id
        self.lease_s = lease_s
        self._clock = clock
        self._at_once = at_once
        self._credits_per_second = credits_per_second
        self.fetches = Fetches(database, clock, self._emit)
        """Of the jobs in hand."""
        self.effects = Effects(database, clock, self._hold)
        """Likewise."""

    def _mine(self, job_id: str) -> tuple[ColumnElement[bool], ...]:
        return (jobs.c.worker_id == self.worker_id, jobs.c.status == JobStatus.PROCESSING.value, jobs.c.id == job_id)

    async def _emit(self, c: AsyncConnection, job_id: str, type_: str, data: dict[str, Any], **changes: Any) -> None:
        if not await emit(c, job_id, self._clock(), type_, data, *self._mine(job_id), **changes):
            raise LeaseLost(job_id)

    async def _hold(self, c: AsyncConnection, job_id: str) -> None:
        if (await c.execute(select(jobs.c.id).where(*self._mine(job_id)))).first() is None:
            raise LeaseLost(job_id)

    # --- leases

    async def claim(self, job_id: str) -> Claim | None:
        """Take a job that is free to be taken; None when it is not (any more). Of racing workers one gets it.

        One whose user has as many at work as the tier allows stays queued, and says so.
        """
        now = self._clock()
        free = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now)
        due = or_(jobs.c.wake_at.is_(None), jobs.c.wake_at <= now)
        open_ = jobs.c.status.in_((JobStatus.QUEUED.value, JobStatus.PROCESSING.value))
        async with self._db.write() as c:
            wanted = select(*JOB).where(jobs.c.id == job_id, open_, free, due).with_for_update()
            row = (await c.execute(wanted)).one_or_none()
            if row is None:
                return None
            job = to_job(row)
            if job.cancel_requested:
                await end(c, job_id, now, JobStatus.CANCELLED, "Cancelled", job.progress)
                return None
            if job.status is JobStatus.QUEUED and await self._must_wait(c, job, now):
                return None
            # A job that comes back from a wait holds no worker id; one that still does lost its worker.
            if job.worker_id is not None:
                running = and_(step_runs.c.job_id == job_id, step_runs.c.status == StepStatus.RUNNING.value)
                await c.execute(update(step_runs).where(running).values(status="pending", lost=step_runs.c.lost + 1))
            return await self._taken(c, job, now)

    async def _must_wait(self, c: AsyncConnection, job: Job, now: float) -> bool:
        """Whether other jobs of the same user come first: those at work, and those that came in before this one."""
        user = await lock_user(c, job.user_id)
        at_once = self._at_once(user["tier"]) if user else 0
        if not user or not at_once:
            return False
        before = or_(
            jobs.c.created_at < job.created_at,
            and_(jobs.c.created_at == job.created_at, jobs.c.id < job.id),
        )
        works = jobs.c.status == JobStatus.PROCESSING.value
        first = or_(works, and_(jobs.c.status == JobStatus.QUEUED.value, before))
        ahead = select(jobs.c.id).where(jobs.c.user_id == job.user_id, first).limit(at_once)
        if len((await c.execute(ahead)).all()) < at_once:
            return False
        many = "1 job runs" if at_once == 1 else f"{at_once} jobs run"
        message = f"Waiting for its turn: {many} at once on the tier {user['tier']}"
        if message == job.message:
            await c.execute(update(jobs).where(jobs.c.id == job.id).values(wake_at=now + TURN_S))
        else:
            data = {"status": "queued", "progress": job.progress, "message": message}
            await emit(c, job.id, now, "status", data, message=message, wake_at=now + TURN_S)
        return True

    async def _taken(self, c: AsyncConnection, job: Job, now: float) -> Claim:
        """Put the lease on a free job, and read all that a turn at it needs."""
        was, job_id = job.status, job.id
        taken: dict[str, Any] = {"worker_id": self.worker_id, "lease_until": now + self.lease_s}
        taken |= {"wake_at": None, "started_at": job.started_at or now}
        job = replace(job, status=JobStatus.PROCESSING, **taken)
        taken["status"] = job.status.value
        if was is JobStatus.QUEUED:
            told = {"status": "processing", "progress": job.progress, "message": "Started"}
            await emit(c, job_id, now, "status", told, message="Started", **taken)
        else:
            await c.execute(update(jobs).where(jobs.c.id == job_id).values(updated_at=now, **taken))
        runs = await c.execute(select(*RUN).where(step_runs.c.job_id == job_id).order_by(step_runs.c.position))
        made = await c.execute(select(artifacts).where(artifacts.c.job_id == job_id))
        came = await c.execute(select(assets).where(assets.c.id.in_(job.inputs.values()))) if job.inputs else None
        by_id = {a.id: a for a in map(to_asset, came.mappings())} if came else {}
        open_ = and_(fetches.c.job_id == job_id, fetches.c.asset_id.is_(None))
        missing = select(fetches.c.source, fetches.c.url, fetches.c.filename, fetches.c.tries).where(open_)
        return Claim(
            job,
            [to_run(r) for r in runs],
            [to_artifact(r) for r in made.mappings()],
            {name: by_id[i] for name, i in job.inputs.items() if i in by_id},
            [Fetch(*row) for row in await c.execute(missing.order_by(fetches.c.source))],
        )

    async def renew(self, job_ids: Iterable[str], *, host: str, pid: int, slots: int, labels: Sequence[str]) -> None:
        """Show that this worker lives, and extend its leases.

        Args:
            job_ids: the jobs in hand. One that slipped out of it, whatever its row says, goes on in another turn.
            host: where the worker is.
            pid: its process.
            slots: jobs that it runs at once.
            labels: what it can do.
        """
        now = self._clock()
        still = jobs.c.status == JobStatus.PROCESSING.value
        mine = and_(jobs.c.worker_id == self.worker_id, still, jobs.c.id.in_(list(job_ids)))
        row = {"host": host, "pid": pid, "slots": slots, "labels": list(labels), "seen_at": now}
        async with self._db.write() as c:
            await c.execute(update(jobs).where(mine).values(lease_until=now + self.lease_s))
            known = await c.execute(update(workers).where(workers.c.id == self.worker_id).values(row))
            if not known.rowcount:
                await c.execute(insert(workers).values(row | {"id": self.worker_id, "started_at": now}))

    async def bury(self, host: str, alive: Callable[[int, float], bool]) -> list[str]:
        """End the leases of workers of this machine whose process is gone, so that their jobs need not wait for that.

        Args:
            host: as the workers of this machine name it.
            alive: whether a process id, noted at that time, still is the same process.

        Returns:
            The ids of the dead.
        """
        here = and_(workers.c.host == host, workers.c.id != self.worker_id)
        async with self._db.read() as c:
            rows = (await c.execute(select(workers.c.id, workers.c.pid, workers.c.started_at).where(here))).all()
        dead = [str(i) for i, pid, started in rows if not alive(pid, started)]
        if dead:
            async with self._db.write() as c:
                await c.execute(
                    update(jobs)
                    .where(jobs.c.worker_id.in_(dead), jobs.c.status == "processing")
                    .values(lease_until=0, rung_at=None)
                )
                await c.execute(delete(workers).where(workers.c.id.in_(dead)))
        return dead

    async def retire(self) -> None:
        """Take this worker off the list, and others that have not shown themselves for a day."""
        async with self._db.write() as c:
            await c.execute(
                delete(workers).where(or_(workers.c.id == self.worker_id, workers.c.seen_at < self._clock() - 86_400))
            )

    async def orphaned(self, job_ids: Iterable[str]) -> set[str]:
        """Which of these jobs this worker must drop: cancelled by a person, or no longer its own."""
        wanted = set(job_ids)
        keep = and_(jobs.c.worker_id == self.worker_id, jobs.c.cancel_requested.is_(False))
        async with self._db.read() as c:
            kept = (await c.execute(select(jobs.c.id).where(jobs.c.id.in_(wanted), keep))).scalars().all()
        return wanted - set(kept)

    async def hand_back(self, job_id: str) -> None:
        """Give a job back unfinished, because this worker stops: the step in hand starts again elsewhere."""
        async with self._db.write() as c:
            running = and_(step_runs.c.job_id == job_id, step_runs.c.status == StepStatus.RUNNING.value)
            data = {"status": "queued", "message": "Handed back by a worker that stops"}
            free = {"status": "queued", "worker_id": None, "lease_until": None, "rung_at": None}
            await self._emit(c, job_id, "status", data, message=data["message"], **free)
            await c.execute(update(step_runs).where(running).values(status="pending"))

    async def due(self, limit: int = 200) -> Sequence[str]:
        """Jobs to ring for: woken, orphaned by a dead worker, or lost by the queue. Marks them as rung.

        Args:
            limit: how many at most; those that have waited longest come first.
        """
        now = self._clock()
        open_ = jobs.c.status.in_((JobStatus.QUEUED.value, JobStatus.PROCESSING.value))
        free = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now)
        due = or_(jobs.c.wake_at.is_(None), jobs.c.wake_at <= now)
        unrung = or_(jobs.c.rung_at.is_(None), jobs.c.rung_at < now - RING_AGAIN_S)
        ready = and_(open_, free, due, unrung)
        async with self._db.read() as c:  # most of the time there is nothing, and readers wait for nobody
            if not (await c.execute(select(jobs.c.id).where(ready).limit(1))).first():
                return []
        async with self._db.write() as c:
            oldest = select(jobs.c.id).where(ready).order_by(jobs.c.updated_at).limit(limit)
            found = (await c.execute(oldest)).scalars().all()
            await c.execute(update(jobs).where(jobs.c.id.in_(found)).values(rung_at=now))
            return found

    # --- steps

    async def save_run(self, job_id: str, run: StepRun, *, job_progress: int, message: str | None = None) -> None:
        """Store a step's state and tell of it."""
        async with self._db.write() as c:
            await self._save_run(c, job_id, run, job_progress, message)

    async def _save_run(
        self, c: AsyncConnection, job_id: str, run: StepRun, job_progress: int, message: str | None
    ) -> None:
        told = {"step_id": run.step_id, "status": run.status.value, "progress": job_progress, "attempt": run.attempt}
        if run.error:
            told["error"] = builtins(run.error)
        changes = {"progress": job_progress} | ({"message": message} if message else {})
        await self._emit(c, job_id, "step", told | ({"message": message} if message else {}), **changes)
        await self._put_run(c, job_id, run)

    async def complete_run(
        self, job_id: str, run: StepRun, made: Sequence[Artifact], *, job_progress: int, metadata: Mapping[str, Any]
    ) -> None:
        """Store that a step is done together with what it made, and what it adds to the job: all of it or nothing."""
        told = {"step_id": run.step_id, "status": run.status.value, "progress": job_progress, "outputs": run.outputs}
        async with self._db.write() as c:
            await self._emit(c, job_id, "step", told, progress=job_progress, metadata=builtins(metadata))
            await self._put_run(c, job_id, run)
            await c.execute(delete(artifacts).where(artifacts.c.job_id == job_id, artifacts.c.step_id == run.step_id))
            for artifact in made:
                await c.execute(insert(artifacts).values(builtins(artifact) | {"created_at": self._clock()}))

    async def note(self, job_id: str, run: StepRun, *, job_progress: int, metadata: Mapping[str, Any]) -> None:
        """Store outputs that a step told before its end, so that the step may rely on it."""
        told = {"step_id": run.step_id, "status": run.status.value, "progress": job_progress, "outputs": run.outputs}
        mine = and_(step_runs.c.job_id == job_id, step_runs.c.step_id == run.step_id)
        async with self._db.write(durable=True) as c:
            await self._emit(c, job_id, "step", told, metadata=builtins(metadata))
            await c.execute(update(step_runs).where(mine).values(outputs=builtins(run.outputs)))

    async def _put_run(self, c: AsyncConnection, job_id: str, run: StepRun) -> None:
        values = builtins(run) | {"error": builtins(run.error)}
        mine = and_(step_runs.c.job_id == job_id, step_runs.c.step_id == run.step_id)
        await c.execute(update(step_runs).where(mine).values(values))

    async def progress(self, job_id: str, step_id: str, fraction: float, *, job_progress: int, message: str) -> None:
        """Store how far a step is; the caller keeps the rate down."""
        data = {"step_id": step_id, "step_progress": round(fraction, 4), "progress": job_progress, "message": message}
        async with self._db.write() as c:
            told = (*self._mine(job_id), jobs.c.cancel_requested.is_(False))  # "Cancelling…" stays to be seen
            if not await emit(
                c, job_id, self._clock(), "progress", data, *told, progress=job_progress, message=message
            ):
                await self._hold(c, job_id)
                return
            mine = and_(step_runs.c.job_id == job_id, step_runs.c.step_id == step_id)
            await c.execute(update(step_runs).where(mine).values(progress=fraction, message=message))

    async def log(self, job_id: str, step_id: str, level: str, event: str, fields: dict[str, Any]) -> None:
        """Store a line of the job's log."""
        async with self._db.write() as c:
            await self._emit(c, job_id, "log", {"step_id": step_id, "level": level, "event": event, **fields})

    # --- ends

    async def suspend(
        self, job_id: str, wake_at: float, runs: Iterable[StepRun], *, job_progress: int, message: str | None
    ) -> None:
        """Let go of a job until then.

        Args:
            job_id: of the job.
            wake_at: when one of its waiting steps is due.
            runs: the steps whose state is not stored yet.
            job_progress: in percent.
            message: what to tell; None when it waits for the same thing as before, so that polling leaves no trail.
        """
        # One that was cancelled just now, and whose worker had not heard of it, does not sleep first.
        wake = case((jobs.c.cancel_requested, self._clock()), else_=wake_at)
        free = {"worker_id": None, "lease_until": None, "rung_at": None, "wake_at": wake}
        async with self._db.write() as c:
            if message is None:
                known = await c.execute(
                    update(jobs).where(*self._mine(job_id)).values(updated_at=self._clock(), **free)
                )
                if not known.rowcount:
                    raise LeaseLost(job_id)
            else:
                data = {"status": "processing", "progress": job_progress, "message": message}
                await self._emit(c, job_id, "status", data, progress=job_progress, message=message, **free)
            for run in runs:
                await self._put_run(c, job_id, run)
            now = self._clock()
            if await wake_called(c, job_id, now):
                await c.execute(update(jobs).where(jobs.c.id == job_id).values(wake_at=now))

    async def complete(self, job_id: str, results: Sequence[Result], metadata: dict[str, Any], message: str) -> None:
        """End a job well, and charge for it."""
        async with self._db.write(durable=True) as c:
            changes = {"results": builtins(results), "metadata": builtins(metadata), "error": None}
            used = await self._cost(c, job_id, results)
            await self._end(c, job_id, JobStatus.COMPLETED, message, 100, used=used, **changes)
            await drop_effects(c, job_id)

    async def _cost(self, c: AsyncConnection, job_id: str, results: Sequence[Result]) -> int:
        """Credits that a job did cost: by the first video that it delivered."""
        first = next((r for r in results if r.kind == Video.kind), None)
        if first is None:
            return 0
        its = (artifacts.c.step_id == first.step_id, artifacts.c.output == first.output)
        row = (await c.execute(select(artifacts).where(artifacts.c.job_id == job_id, *its))).mappings().one_or_none()
        info = to_artifact(row).info if row else None
        return credits_for(info.worth_s, self._credits_per_second) if info else 0

    async def fail(self, job_id: str, failure: Failure, job_progress: int, broken: Sequence[StepRun] = ()) -> None:
        """End a job badly, together with the steps that failed: all of it or nothing."""
        async with self._db.write() as c:
            for run in broken:
                await self._save_run(c, job_id, run, job_progress, None)
            await self._end(c, job_id, JobStatus.FAILED, failure.message, job_progress, error=builtins(failure))

    async def cancelled(self, job_id: str, job_progress: int) -> None:
        """End a job as somebody wished."""
        async with self._db.write() as c:
            await self._end(c, job_id, JobStatus.CANCELLED, "Cancelled", job_progress)

    async def _end(
        self, c: AsyncConnection, job_id: str, status: JobStatus, message: str, progress: int, **changes: Any
    ) -> None:
        if not await end(c, job_id, self._clock(), status, message, progress, *self._mine(job_id), **changes):
            raise LeaseLost(job_id)
