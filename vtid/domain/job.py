"""Jobs and step runs: their states and the moves that are allowed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from vtid.domain.pipeline import Pipeline
from vtid.errors import Conflict, Problem


class JobStatus(StrEnum):
    """The state of a job, in the words of the HTTP contract."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Nothing happens to the job any more unless somebody retries it."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class StepStatus(StrEnum):
    """The state of a step of a job."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    """Suspended: waits for something outside and holds no worker."""
    COMPLETED = "completed"
    SKIPPED = "skipped"
    """Its `when` was false, or it failed and `on_error = "continue"`."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """The step will not run again in this pass over the job."""
        return self in (StepStatus.COMPLETED, StepStatus.SKIPPED, StepStatus.FAILED, StepStatus.CANCELLED)


JOB_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.CANCELLED, JobStatus.FAILED}),
    # Back to queued: a worker that stops hands its job back.
    JobStatus.PROCESSING: frozenset({JobStatus.QUEUED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    # A retry puts an ended job back.
    JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
    JobStatus.CANCELLED: frozenset({JobStatus.QUEUED}),
}


def check_move(before: JobStatus, after: JobStatus) -> None:
    """Raise `Conflict` unless a job may go from one state to the other."""
    if after not in JOB_MOVES[before]:
        raise Conflict(f"A job that is {before} cannot become {after}.")


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why a step or a job failed, in words for its owner."""

    code: str
    message: str
    step_id: str | None = None
    problems: list[Problem] = field(default_factory=list)
    suggestion: str | None = None


class Result(Struct, frozen=True):
    """What a job delivered."""

    step_id: str
    output: str
    key: str
    filename: str
    kind: str
    size: int
    sent_to: str | None = None
    """`s3://BUCKET/KEY` of the copy that went to a bucket."""


class StepRun(Struct, kw_only=True):
    """One step of one job, in its present attempt."""

    step_id: str
    position: int
    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    """How many times it was started afresh; a wake-up is not a new attempt."""
    lost: int = 0
    """How many of its workers died under it."""
    progress: float = 0.0
    """0 to 1."""
    message: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    wake_at: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    """The outputs that are not files; the files are artifacts."""
    error: Failure | None = None


class Job(Struct, kw_only=True):
    """One run of a pipeline. Times are seconds since the epoch, UTC."""

    id: str
    status: JobStatus
    pipeline: Pipeline
    """Frozen: as it was when the job came in."""
    params: dict[str, Any]
    """The job's own parameters, which `when` and `bind` refer to; the steps' params are frozen into the pipeline."""
    inputs: dict[str, str]
    """Name of the source (`video`) to the id of its asset."""
    original_filename: str
    display_name: str | None = None
    user_id: str = "local"
    progress: int = 0
    message: str = "Waiting for a worker"
    created_at: float = 0.0
    updated_at: float = 0.0
    started_at: float | None = None
    completed_at: float | None = None
    error: Failure | None = None
    results: list[Result] = field(default_factory=list)
    """What was delivered, in the order of the pipeline's [[deliver]] tables; the first is the result."""
    metadata: dict[str, Any] = field(default_factory=dict)
    cancel_requested: bool = False
    wake_at: float | None = None
    worker_id: str | None = None
    lease_until: float | None = None
    event_seq: int = 0
    estimated_credits: int | None = None
    actual_credits_used: int | None = None
    """Known once the job has ended."""
    metered: bool = False
    """Whether its owner pays for it; the two numbers above are told either way."""


class Event(Struct, frozen=True):
    """Something that happened to a job; a durable row. `seq` counts from 1 within the job."""

    job_id: str
    seq: int
    at: float
    type: str
    """`status`, `progress`, `step`, `log`."""
    data: dict[str, Any]
