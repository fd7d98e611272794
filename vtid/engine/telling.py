"""What is said of a job when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog

from vtid.domain.artifact import Asset
from vtid.domain.job import Job, JobStatus, Result, StepRun

log = structlog.get_logger("vtid.job")


def last_words(job: Job, results: Sequence[Result]) -> str | None:
    """The last words that the pipeline has for what was delivered."""
    pairs = zip(job.pipeline.deliver, results, strict=False)
    return next((said for wanted, result in pairs if (said := wanted.says.get(result.step_id))), None)


def summary(job: Job, runs: Iterable[StepRun]) -> str:
    """The last words of a job: its last step's own summary where it gives one."""
    for run in sorted(runs, key=lambda r: -r.position):
        for value in run.outputs.values():
            if isinstance(value, dict) and isinstance(value.get("summary"), str):
                return str(value["summary"])
    return f"{job.pipeline.title} completed"


def log_end(
    job: Job, runs: Iterable[StepRun], assets: Mapping[str, Asset], now: float, status: JobStatus, **more: object
) -> None:
    """One rich line in the log for a job that ended."""
    runs = list(runs)
    ended = [r for r in runs if r.ended_at and r.started_at]
    log.info(
        f"job {status.value}",
        job_id=job.id,
        user_id=job.user_id,
        pipeline=job.pipeline.name,
        filename=job.original_filename,
        input_bytes=sum(a.size for a in assets.values()),
        duration_seconds=round(now - job.created_at, 3),
        waited_seconds=round((job.started_at or now) - job.created_at, 3),
        step_seconds={r.step_id: round((r.ended_at or 0) - (r.started_at or 0), 3) for r in ended},
        attempts={r.step_id: r.attempt for r in runs if r.attempt > 1},
        **more,
    )
