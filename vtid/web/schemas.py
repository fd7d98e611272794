"""What goes over the wire: the contract's names, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from vtid.domain.job import Failure, Job, StepRun


class StepView(Struct):
    """One step of a job."""

    id: str
    title: str
    status: str
    progress: Annotated[int, Meta(ge=0, le=100)]
    message: str | None
    attempt: int


class ErrorView(Struct):
    """Why a job failed."""

    code: str
    message: str
    step_id: str | None
    suggested_action: str | None


class JobView(Struct):
    """A job."""

    job_id: str
    status: str
    progress: Annotated[int, Meta(ge=0, le=100)]
    message: str
    result_url: str | None
    output_url: str | None
    created_at: str
    updated_at: str
    completed_at: str | None
    error: ErrorView | None
    original_filename: str
    display_name: str | None
    pipeline: str
    estimated_credits: int | None
    actual_credits_used: int | None
    metadata: dict[str, Any]
    steps: list[StepView]


class JobList(Struct):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next: str | None
    """Give it back as `cursor` for the next page; null on the last."""


class FileView(Struct):
    """A file that a job's step made."""

    step_id: str
    output: str
    kind: str
    filename: str
    size: int
    url: str


class SubmitAsset(Struct, forbid_unknown_fields=True):
    """A job on a file that came in before."""

    pipeline: str
    asset_id: str | None = None
    video_url: str | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    display_name: str | None = None


class HealthView(Struct):
    """Whether the daemon can work."""

    status: str
    services: list[str]
    problems: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class CheckView(Struct):
    """Whether one of the things that it depends on works."""

    status: str
    latency_ms: float
    detail: str | msgspec.UnsetType = msgspec.UNSET


def iso(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(job: Job, runs: Sequence[StepRun], result_url: str | None) -> JobView:
    """A job as its owner sees it."""
    titles = {s.id: s.title for s in job.pipeline.steps}
    return JobView(
        job_id=job.id,
        status=job.status.value,
        progress=job.progress,
        message=job.message,
        result_url=result_url,
        output_url=result_url,
        created_at=iso(job.created_at) or "",
        updated_at=iso(job.updated_at) or "",
        completed_at=iso(job.completed_at),
        error=_error(job.error),
        original_filename=job.original_filename,
        display_name=job.display_name,
        pipeline=job.pipeline.name,
        estimated_credits=None,
        actual_credits_used=None,
        metadata=job.metadata,
        steps=[
            StepView(r.step_id, titles[r.step_id], r.status.value, round(r.progress * 100), r.message, r.attempt)
            for r in runs
        ],
    )


def _error(failure: Failure | None) -> ErrorView | None:
    return ErrorView(failure.code, failure.message, failure.step_id, failure.suggestion) if failure else None
