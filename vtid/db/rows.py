"""Rows to domain objects and back, and the one way to write an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.tables import events, jobs, step_runs
from vtid.domain.artifact import Artifact, Asset
from vtid.domain.job import Event, Failure, Job, JobStatus, Result, StepRun, StepStatus
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline

_JOB_FIELDS = Job.__struct_fields__
_RUN_FIELDS = StepRun.__struct_fields__
JOB = [jobs.c[name] for name in _JOB_FIELDS]
"""What `to_job` takes, in this order."""
RUN = [step_runs.c[name] for name in _RUN_FIELDS]
"""What `to_run` takes, in this order; more may follow."""


def builtins(value: Any) -> Any:
    """A domain object as the JSON columns take it; None stays None."""
    return msgspec.to_builtins(value)


# Of jobs and their steps more are read than of everything else together. Values that need no conversion get none, and
# the columns come in the order of the fields: looking each up by its name would cost more than the query.


def to_job(row: Sequence[Any]) -> Job:
    """A row of the columns `JOB`."""
    values = dict(zip(_JOB_FIELDS, row, strict=True))
    values["status"] = JobStatus(values["status"])
    values["pipeline"] = msgspec.convert(values["pipeline"], Pipeline)
    if values["error"]:
        values["error"] = msgspec.convert(values["error"], Failure)
    if values["results"]:
        values["results"] = msgspec.convert(values["results"], list[Result])
    return Job(**values)


def to_run(row: Sequence[Any]) -> StepRun:
    """A row that begins with the columns `RUN`."""
    values = dict(zip(_RUN_FIELDS, row, strict=False))
    values["status"] = StepStatus(values["status"])
    if values["error"]:
        values["error"] = msgspec.convert(values["error"], Failure)
    return StepRun(**values)


def to_asset(row: RowMapping) -> Asset:
    """A row of `assets`."""
    values = {str(k): v for k, v in row.items() if k != "user_id"}
    return msgspec.convert(values | {"info": msgspec.convert(row["info"], MediaInfo | None)}, Asset)


def to_artifact(row: RowMapping) -> Artifact:
    """A row of `artifacts`."""
    return msgspec.convert(
        {str(k): v for k, v in row.items()} | {"info": msgspec.convert(row["info"], MediaInfo | None)}, Artifact
    )


def to_event(row: RowMapping) -> Event:
    """A row of `events`."""
    return msgspec.convert({str(k): v for k, v in row.items()}, Event)


async def emit(
    connection: AsyncConnection, job_id: str, now: float, type_: str, data: dict[str, Any], *guards: Any, **changes: Any
) -> bool:
    """Change a job and write the event that tells of it, both or neither.

    The job's row hands out the sequence number, so that events of one job are in order on every database.

    Args:
        connection: inside a writing transaction.
        job_id: of the job.
        now: seconds since the epoch.
        type_: of the event.
        data: of the event.
        guards: conditions on the job's row, such as who holds its lease.
        changes: column values of the job.

    Returns:
        False, with nothing written, when no row met the guards.
    """
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, *guards)
        .values(updated_at=now, event_seq=jobs.c.event_seq + 1, **changes)
        .returning(jobs.c.event_seq)
    )
    seq = (await connection.execute(statement)).scalar_one_or_none()
    if seq is None:
        return False
    await connection.execute(insert(events).values(job_id=job_id, seq=seq, at=now, type=type_, data=data))
    return True
