"""Rows to domain objects and back, and the one way to write an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import RowMapping, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.tables import events, jobs
from vtid.domain.artifact import Artifact, Asset
from vtid.domain.job import Event, Failure, Job, Result, StepRun
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline

_JOB_FIELDS = {f.name for f in msgspec.structs.fields(Job)}


def builtins(value: Any) -> Any:
    """A domain object as the JSON columns take it; None stays None."""
    return msgspec.to_builtins(value)


def to_job(row: Mapping[Any, Any]) -> Job:
    """A row of `jobs`."""
    values = {str(k): v for k, v in row.items() if k in _JOB_FIELDS}
    values["pipeline"] = msgspec.convert(row["pipeline"], Pipeline)
    values["error"] = msgspec.convert(row["error"], Failure | None)
    values["results"] = msgspec.convert(row["results"], list[Result])
    return msgspec.convert(values, Job)


def to_run(row: RowMapping) -> StepRun:
    """A row of `step_runs`."""
    return msgspec.convert({str(k): v for k, v in row.items() if k != "job_id"}, StepRun)


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
