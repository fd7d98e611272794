"""What the doors do with jobs: take in, show, list, cancel, retry, delete, follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.assets import keep, require_unused, still_referred, take_room
from vtid.db.clips import clip_ended
from vtid.db.connect import Database
from vtid.db.derived import Derivation, note_derived
from vtid.db.editing import Editing, keep_edits
from vtid.db.gather import Gather
from vtid.db.ledger import lock_user, reserve, settle
from vtid.db.listing import JobFilter, count_of, page_of
from vtid.db.rows import JOB, RUN, builtins, emit, to_artifact, to_event, to_job, to_run
from vtid.db.tables import artifacts, assets, events, fetches, idempotency, jobs, step_runs, webhooks, workers
from vtid.db.watches import become
from vtid.db.webhooks import enqueue
from vtid.domain.artifact import Artifact, Asset
from vtid.domain.job import Event, Job, JobStatus, StepRun, StepStatus, check_move
from vtid.domain.webhook import Webhook
from vtid.errors import Conflict, NotFound


class Awaited(Struct, frozen=True):
    """A file that a job is to fetch itself."""

    source: str
    url: str
    """Sealed."""
    filename: str


class NewJob(Struct, frozen=True):
    """A job about to be added, with the files that came with it."""

    job: Job
    assets: Sequence[Asset] = ()
    awaited: Sequence[Awaited] = ()
    callback: Webhook | None = None
    idempotency_key: str | None = None
    shared: frozenset[str] = frozenset()
    """Ids of the assets whose bytes are those of earlier ones."""
    quota: int | None = None
    """Bytes that its owner may have stored."""
    dropped: str | None = None
    """Id of the file of a hot folder that it is of."""
    editing: Editing = Editing()
    derivation: Derivation | None = None
    """What it makes of what, where that depends on one file alone."""


class Jobs:
    """Jobs as the API, the CLI and the hot folders see them. Another user's job is not there."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock
        self._whole = Gather(self._read_whole)

    # --- in

    async def add(self, new: NewJob) -> Job:
        """Store a job, its files, its first event and what it may cost in one transaction; returns it as stored.

        Raises:
            InsufficientCredits, QuotaExceeded: its owner has too few, or too much; nothing is stored.
            Conflict: the file of a hot folder has become a job before.
            AlreadyMade: another job makes the same of the same content.
        """
        job, now = new.job, self._clock()
        fresh = sum(asset.size for asset in new.assets if asset.id not in new.shared)
        async with self._db.write(durable=True) as c:
            await take_room(c, job.user_id, fresh, new.quota)
            await c.execute(insert(jobs).values(_job_row(job, now)))
            if new.derivation:
                await note_derived(c, job.user_id, job.id, new.derivation)
            for asset in new.assets:
                await keep(c, asset, job.user_id, job.id, now, shares=asset.id in new.shared)
            if new.callback:
                owner = {"created_at": now, "updated_at": now}
                await c.execute(insert(webhooks).values(builtins(new.callback) | owner))
            await keep_edits(c, job.id, new.editing)
            if new.awaited:
                await c.execute(insert(fetches), [builtins(a) | {"job_id": job.id, "tries": 0} for a in new.awaited])
            runs = [StepRun(step_id=s.id, position=i) for i, s in enumerate(job.pipeline.steps)]
            await c.execute(insert(step_runs), [builtins(r) | {"job_id": job.id} for r in runs])
            await emit(c, job.id, now, "status", {"status": "queued", "progress": 0, "message": job.message})
            if new.idempotency_key:
                mine = and_(idempotency.c.user_id == job.user_id, idempotency.c.key == new.idempotency_key)
                await c.execute(update(idempotency).where(mine).values(job_id=job.id))
            if new.dropped:
                await become(c, new.dropped, job.id)
            if job.metered:
                await reserve(c, job.user_id, job.id, job.estimated_credits or 0, now)
        return msgspec.structs.replace(job, created_at=now, updated_at=now, event_seq=1)

    # --- out

    async def get(self, job_id: str, user_id: str | None = None) -> Job:
        """One job. Raises `NotFound`."""
        return to_job(_found(await self._db.snapshot(lambda c: _one(c, job_id, user_id)), job_id))

    async def runs(self, job_id: str) -> Sequence[StepRun]:
        """The job's steps in the order of the pipeline."""
        return [to_run(r) for r in await self._db.snapshot(lambda c: _runs(c, job_id))]

    async def with_runs(self, job_id: str, user_id: str | None = None) -> tuple[Job, Sequence[StepRun]]:
        """A job and its steps, as they are at one moment. Raises `NotFound`."""
        found = await self._whole.get(job_id)
        if found is None or user_id not in (None, found[0].user_id):
            raise _missing(job_id)
        return found

    async def _read_whole(self, job_ids: Collection[str]) -> dict[str, tuple[Job, list[StepRun]]]:
        def read(connection: Connection) -> dict[str, tuple[Job, list[StepRun]]]:
            wanted = {"wanted": list(job_ids)}
            found: dict[str, tuple[Job, list[StepRun]]] = {
                j.id: (j, []) for j in map(to_job, connection.execute(_JOBS, wanted))
            }
            for row in connection.execute(_RUNS_OF, wanted):
                found[row[-1]][1].append(to_run(row))
            return found

        return await self._db.snapshot(read)

    async def artifacts(self, job_id: str) -> Sequence[Artifact]:
        """The files that the job's steps made."""
        async with self._db.read() as c:
            rows = await c.execute(
                select(artifacts).where(artifacts.c.job_id == job_id).order_by(artifacts.c.created_at)
            )
            return [to_artifact(r) for r in rows.mappings()]

    async def list(self, wanted: JobFilter) -> Sequence[Job]:
        """A page of jobs, newest first; each page costs the same however many jobs there are."""
        query = page_of(wanted)
        return [to_job(r) for r in await self._db.snapshot(lambda c: c.execute(query).all())]

    async def count(self, wanted: JobFilter) -> int:
        """How many jobs there are of those, on all pages."""
        query = count_of(wanted)
        return int(await self._db.snapshot(lambda c: c.execute(query).scalar_one()))

    async def events(self, job_id: str, after: int = 0, limit: int = 500) -> Sequence[Event]:
        """The job's events after a sequence number, oldest first."""
        query = (
            select(events).where(events.c.job_id == job_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
        )
        return [to_event(r) for r in await self._db.snapshot(lambda c: c.execute(query).mappings().all())]

    async def sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        """Job id to the number of its newest event, for those that exist."""
        query = select(jobs.c.id, jobs.c.event_seq).where(jobs.c.id.in_(job_ids))
        return {str(i): int(s) for i, s in await self._db.snapshot(lambda c: c.execute(query).all())}

    async def leases(self, job_ids: Sequence[str]) -> dict[str, float | None]:
        """Job id to the end of the lease that a worker has on it, for those that exist."""
        async with self._db.read() as c:
            rows = await c.execute(select(jobs.c.id, jobs.c.lease_until).where(jobs.c.id.in_(job_ids)))
            return {str(i): until for i, until in rows}

    async def counts(self, user_id: str | None = None) -> dict[str, int]:
        """How many jobs are in each state: all of them, or a user's."""
        where = [jobs.c.user_id == user_id] if user_id else []
        async with self._db.read() as c:
            rows = await c.execute(select(jobs.c.status, func.count()).where(*where).group_by(jobs.c.status))
            return {s.value: 0 for s in JobStatus} | {str(s): int(n) for s, n in rows}

    async def workers(self, seen_since: float) -> Sequence[dict[str, Any]]:
        """The workers that showed themselves since then."""
        async with self._db.read() as c:
            rows = await c.execute(select(workers).where(workers.c.seen_at >= seen_since))
            return [dict(r) for r in rows.mappings()]

    # --- decisions of people

    async def cancel(self, job_id: str, user_id: str | None = None) -> Job:
        """Cancel a job: at once where nobody works on it, else its worker is told. An ended job stays as it is."""
        now = self._clock()
        async with self._db.write() as c:
            job = to_job(await _row(c, job_id, user_id))
            if job.status.ended:
                return job
            if job.lease_until is not None and job.lease_until > now:
                if not job.cancel_requested:
                    data = {"status": job.status.value, "progress": job.progress, "message": "Cancelling…"}
                    await emit(c, job_id, now, "status", data, cancel_requested=True, message="Cancelling…")
            else:
                await end(c, job_id, now, JobStatus.CANCELLED, "Cancelled", job.progress)
        return await self.get(job_id)

    async def retry(self, job_id: str, user_id: str | None = None) -> Job:
        """Put a failed or cancelled job back: from the first step that did not complete; what is done stays done.

        Raises:
            Conflict: it has not ended, or ended well.
            InsufficientCredits: its owner has too few by now.
        """
        now = self._clock()
        async with self._db.write() as c:
            job = to_job(await _row(c, job_id, user_id))
            if not job.status.ended or job.status is JobStatus.COMPLETED:
                raise Conflict(f"Only a failed or cancelled job can be retried; this one is {job.status.value}.")
            check_move(job.status, JobStatus.QUEUED)
            again = [s.value for s in StepStatus if s is not StepStatus.COMPLETED]
            fresh = {
                "status": "pending",
                "lost": 0,
                "progress": 0.0,
                "message": None,
                "error": None,
                "wake_at": None,
                "started_at": None,
                "ended_at": None,
            }
            await c.execute(
                update(step_runs).where(step_runs.c.job_id == job_id, step_runs.c.status.in_(again)).values(fresh)
            )
            await c.execute(update(fetches).where(fetches.c.job_id == job_id).values(tries=0))
            message = "Waiting for a worker"
            changes = {
                "status": "queued",
                "message": message,
                "error": None,
                "completed_at": None,
                "cancel_requested": False,
                "actual_credits_used": None,
            }
            changes |= {"wake_at": None, "rung_at": None, "lease_until": None, "worker_id": None}
            await emit(
                c, job_id, now, "status", {"status": "queued", "progress": job.progress, "message": message}, **changes
            )
            if job.metered:
                await reserve(c, job.user_id, job_id, job.estimated_credits or 0, now)
        return await self.get(job_id)

    async def delete(self, job_id: str, user_id: str | None = None) -> tuple[Sequence[str], set[str]]:
        """Remove an ended job, what is known of it and the assets that came with it.

        Returns:
            The storage keys of those assets, which are the caller's to remove, and those of the job's files that other
            assets share, which are not.
        """
        async with self._db.write() as c:
            job = to_job(await _row(c, job_id, user_id))
            if not job.status.ended:
                raise Conflict(f"This job is {job.status.value}; cancel it first.")
            own = (await c.execute(select(assets.c.id, assets.c.key).where(assets.c.job_id == job_id))).all()
            if own:
                await require_unused(c, job.user_id, {i for i, _ in own})
            await c.execute(delete(jobs).where(jobs.c.id == job_id))
            keys = [str(key) for _, key in own]
            shared = await still_referred(c, keys)
            return [key for key in keys if key not in shared], shared


async def end(
    connection: AsyncConnection,
    job_id: str,
    now: float,
    status: JobStatus,
    message: str,
    progress: int,
    *guards: Any,
    used: int = 0,
    **changes: Any,
) -> bool:
    """End a job inside a transaction: its row, its open steps, its last event, its credits, who is to be told of it.

    Nobody needs its progress events now; the user's next job has its turn. `used` is what it cost, in credits.
    """
    final: dict[str, Any] = {"status": status.value, "message": message, "progress": progress, "completed_at": now}
    final |= {"lease_until": None, "worker_id": None, "wake_at": None, "rung_at": None}
    data: dict[str, Any] = {"status": status.value, "progress": progress, "message": message}
    if changes.get("error"):
        data["error"] = changes["error"]
    if not await emit(connection, job_id, now, "status", data, *guards, **(final | changes)):
        return False
    open_runs = (StepStatus.PENDING.value, StepStatus.RUNNING.value, StepStatus.WAITING.value)
    closed = StepStatus.CANCELLED if status is JobStatus.CANCELLED else StepStatus.SKIPPED
    mine = step_runs.c.job_id == job_id
    await connection.execute(
        update(step_runs)
        .where(mine, step_runs.c.status.in_(open_runs))
        .values(status=closed.value, ended_at=now, wake_at=None)
    )
    await connection.execute(delete(events).where(events.c.job_id == job_id, events.c.type == "progress"))
    await settle(connection, job_id, used, now)
    await enqueue(connection, job_id, now)
    await clip_ended(connection, job_id, now)
    await _let_next(connection, job_id)
    return True


async def _let_next(connection: AsyncConnection, job_id: str) -> None:
    """Wake the job of the same user that waits longest for its turn."""
    user_id = (await connection.execute(select(jobs.c.user_id).where(jobs.c.id == job_id))).scalar_one()
    if await lock_user(connection, user_id) is None:  # of nobody, nothing waits
        return
    waits = (jobs.c.user_id == user_id, jobs.c.status == JobStatus.QUEUED.value, jobs.c.wake_at.is_not(None))
    # One that a worker looks at right now is skipped: that worker waits for the user's row, and then sees this ending.
    held = select(jobs.c.id).where(*waits).order_by(jobs.c.created_at, jobs.c.id).limit(1)
    first = (await connection.execute(held.with_for_update(skip_locked=True))).scalar_one_or_none()
    if first:
        await connection.execute(update(jobs).where(jobs.c.id == first).values(wake_at=None, rung_at=None))


async def _row(connection: AsyncConnection, job_id: str, user_id: str | None) -> Any:
    return _found((await connection.execute(_which(job_id, user_id))).one_or_none(), job_id)


def _one(connection: Connection, job_id: str, user_id: str | None) -> Any:
    row = connection.execute(_JOB, {"wanted": job_id}).one_or_none()
    return None if row is None or user_id not in (None, row.user_id) else row


# Built once: for what is asked most, building the statement would cost more than running it.
_JOB = select(*JOB).where(jobs.c.id == bindparam("wanted"))
_JOBS = select(*JOB).where(jobs.c.id.in_(bindparam("wanted", expanding=True)))
_RUNS_OF = (
    select(*RUN, step_runs.c.job_id)
    .where(step_runs.c.job_id.in_(bindparam("wanted", expanding=True)))
    .order_by(step_runs.c.job_id, step_runs.c.position)
)
_RUNS = select(*RUN).where(step_runs.c.job_id == bindparam("wanted")).order_by(step_runs.c.position)


def _runs(connection: Connection, job_id: str) -> Sequence[Row[Any]]:
    return connection.execute(_RUNS, {"wanted": job_id}).all()


def _which(job_id: str, user_id: str | None) -> Select[Any]:
    return select(*JOB).where(jobs.c.id == job_id, *([jobs.c.user_id == user_id] if user_id else []))


def _found(row: Any, job_id: str) -> Any:
    if row is None:
        raise _missing(job_id)
    return row


def _missing(job_id: str) -> NotFound:
    return NotFound(f"There is no job {job_id}.")


def _job_row(job: Job, now: float) -> dict[str, Any]:
    """The columns of a new job."""
    return {
        "id": job.id,
        "user_id": job.user_id,
        "status": job.status.value,
        "pipeline_name": job.pipeline.name,
        "pipeline": builtins(job.pipeline),
        "params": builtins(job.params),
        "inputs": job.inputs,
        "original_filename": job.original_filename,
        "display_name": job.display_name,
        "message": job.message,
        "metadata": builtins(job.metadata),
        "results": [],
        "estimated_credits": job.estimated_credits,
        "metered": job.metered,
        "created_at": now,
        "updated_at": now,
        "rung_at": now,
    }
