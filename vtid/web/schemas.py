"""What goes over the wire: the contract's names, in its order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from vtid.domain.job import Failure, Job, JobStatus, StepRun
from vtid.domain.pipeline import SOURCE_NAME

Percent = Annotated[int, Meta(ge=0, le=100)]


# --- out


class FieldProblem(Struct):
    """One complaint."""

    field: Annotated[str, Meta(description="The place: `params.width`, `segments[2].endTime`.")]
    message: str
    code: str


class ProblemView(Struct):
    """An error (RFC 9457)."""

    type: Annotated[str, Meta(description="`urn:vtid:problem:CODE`; the code is stable.")]
    title: str
    status: int
    detail: str
    errors: Annotated[list[FieldProblem], Meta(description="Every single complaint.")]
    request_id: Annotated[str, Meta(description="Under which the daemon's log tells more.")]
    suggested_action: str | UnsetType = UNSET


class StepView(Struct):
    """One step of a job."""

    id: str
    title: str
    status: str
    progress: Percent
    message: str | None
    attempt: int


class ErrorView(Struct):
    """Why a job failed."""

    code: str
    message: str
    step_id: str | None
    suggested_action: str | None


class JobSummary(Struct, kw_only=True):
    """A job as a list shows it."""

    job_id: str
    status: JobStatus
    progress: Percent
    message: str
    result_url: Annotated[str | None, Meta(description="Signed, with HTTP Range; for a new one, ask again.")]
    output_url: Annotated[str | None, Meta(description="The same as `result_url`.")]
    created_at: str
    updated_at: str
    completed_at: str | None
    error: ErrorView | None
    original_filename: str
    display_name: str | None
    pipeline: str
    estimated_credits: Annotated[int | None, Meta(description="Held back while it runs.")] = None
    actual_credits_used: Annotated[int | None, Meta(description="Null until it has ended.")] = None
    metadata: dict[str, Any]


class JobView(JobSummary, kw_only=True):
    """A job."""

    steps: list[StepView]


class JobList(Struct):
    """A page of jobs, newest first."""

    jobs: list[JobSummary]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class FileView(Struct):
    """A file that a job's step made."""

    step_id: str
    output: str
    kind: str
    filename: str
    size: int
    url: str


class HealthView(Struct):
    """Whether the daemon can work."""

    status: str
    services: Annotated[list[str], Meta(description="Those that work.")]
    problems: Annotated[dict[str, str] | UnsetType, Meta(description="The others, and what is wrong.")] = UNSET


class CheckView(Struct):
    """Whether one of the things that it depends on works."""

    status: str
    latency_ms: float
    detail: str | UnsetType = UNSET


class PreviewView(Struct):
    """A preview. It is a job: what is said of jobs holds for it under the same id."""

    preview_id: str
    status: JobStatus
    progress: Percent
    message: str
    error: ErrorView | None
    still_url: Annotated[str | None, Meta(description="PNG of the picture without its text; where a time was given.")]
    boxes_url: Annotated[str | None, Meta(description="The report as a JSON file.")]
    report: Annotated[
        dict[str, Any] | None,
        Meta(description="In `found`: box, time, kind and text of each, and whether it goes. Null until it is done."),
    ]


# --- in


AssetId = Annotated[str | None, Meta(description="A file that came in before, in place of `file`.")]
MaskAssetId = Annotated[str | None, Meta(description="The same in place of `mask`.")]
AudioAssetId = Annotated[str | None, Meta(description="The same in place of `audio`.")]
CallbackUrl = Annotated[
    Annotated[str, Meta(max_length=4096)] | None,
    Meta(description="Told, signed, when the job has ended: see `/api/v1/webhooks`."),
]


AudioAssetIds = Annotated[
    str | None,
    Meta(description="Ids of audio files that came in before, in place of `audio_files`; commas between."),
]


class SubmitJson(Struct, forbid_unknown_fields=True):
    """A job on a file that came in before, or lies in a bucket, or that vtid is to fetch."""

    pipeline: Annotated[str, Meta(min_length=1, max_length=100)]
    asset_id: AssetId = None
    mask_asset_id: MaskAssetId = None
    audio_asset_id: AudioAssetId = None
    audio_asset_ids: Annotated[
        list[str] | None, Meta(description="Sounds for segments: the refId of the first is `audio-1`.")
    ] = None
    files: Annotated[
        dict[Annotated[str, Meta(pattern=SOURCE_NAME.pattern)], str],
        Meta(description="Other files that came in before: the id of each by what the pipeline calls it."),
    ] = msgspec.field(default_factory=dict)
    video_url: Annotated[
        str | None,
        Meta(
            description="http(s), on the public internet; fetched as the job's first work. "
            "Or `s3://BUCKET/KEY` of a bucket in storage.buckets."
        ),
    ] = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    display_name: Annotated[str, Meta(max_length=200)] | None = None
    callback_url: CallbackUrl = None


class SubmitFields(Struct, forbid_unknown_fields=True):
    """The fields of a form beside its file."""

    pipeline: Annotated[str, Meta(min_length=1, max_length=100, description="GET /api/v1/pipelines lists them.")]
    params: Annotated[str, Meta(description="A JSON object.")] = "{}"
    display_name: Annotated[str, Meta(max_length=200)] | None = None
    asset_id: AssetId = None
    mask_asset_id: MaskAssetId = None
    audio_asset_id: AudioAssetId = None
    audio_asset_ids: AudioAssetIds = None
    callback_url: CallbackUrl = None


class PlainFields(Struct, forbid_unknown_fields=True):
    """The same where the route names the pipeline."""

    params: Annotated[str, Meta(description="A JSON object.")] = "{}"
    display_name: Annotated[str, Meta(max_length=200)] | None = None
    asset_id: AssetId = None
    mask_asset_id: MaskAssetId = None
    audio_asset_id: AudioAssetId = None
    callback_url: CallbackUrl = None


class PreviewFields(PlainFields, forbid_unknown_fields=True):
    """The fields of a form that asks for a preview."""

    at_s: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Seconds from the start: look around this time only, and show the picture there."),
    ] = None


class PreviewJson(Struct, forbid_unknown_fields=True):
    """A preview of the video of an earlier job or preview, or of another file; it need not be sent again."""

    job_id: Annotated[str | None, Meta(description="An earlier job or preview, whose files are looked at.")] = None
    asset_id: Annotated[str | None, Meta(description="A file that came in before.")] = None
    mask_asset_id: MaskAssetId = None
    at_s: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Seconds from the start: look around this time only, and show the picture there."),
    ] = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    display_name: Annotated[str, Meta(max_length=200)] | None = None


class JobQuery(Struct, forbid_unknown_fields=True):
    """Which jobs to list."""

    status: JobStatus | None = None
    pipeline: Annotated[str, Meta(max_length=100)] | None = None
    text: Annotated[str, Meta(max_length=200, description="Part of a file name, display name or id.")] | None = None
    q: Annotated[str, Meta(max_length=200, description="The same as `text`.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=200, description="`next` of the page before.")] | None = None


class EventsQuery(Struct, forbid_unknown_fields=True):
    """From where to follow a job."""

    last_event_id: Annotated[int, Meta(ge=0, description="As `Last-Event-ID`, for clients that cannot send it.")] = 0


class FileQuery(Struct):
    """The proof that a link is ours. Whatever else a player or a messenger appends to a link does no harm."""

    expires: str = ""
    signature: str = ""
    name: str = ""


# --- from the domain


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def job_summary(job: Job, result_url: str | None) -> JobSummary:
    """A job as a list shows it."""
    return JobSummary(**_summary(job, result_url))


def job_view(job: Job, runs: Sequence[StepRun], result_url: str | None) -> JobView:
    """A job as its owner sees it."""
    titles = {s.id: s.title for s in job.pipeline.steps}
    steps = [
        StepView(r.step_id, titles[r.step_id], r.status.value, round(r.progress * 100), r.message, r.attempt)
        for r in runs
    ]
    return JobView(**_summary(job, result_url), steps=steps)


def preview_view(job: Job, step_id: str, links: Mapping[str, str]) -> PreviewView:
    """A preview as its owner sees it; `links` are those of its files by output."""
    return PreviewView(
        preview_id=job.id,
        status=job.status,
        progress=job.progress,
        message=job.message,
        error=_error(job.error),
        still_url=links.get("still"),
        boxes_url=links.get("boxes"),
        report=job.metadata.get(step_id, {}).get("report"),
    )


def _summary(job: Job, result_url: str | None) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "status": job.status,
        "progress": job.progress,
        "message": job.message,
        "result_url": result_url,
        "output_url": result_url,
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "completed_at": None if job.completed_at is None else iso(job.completed_at),
        "error": _error(job.error),
        "original_filename": job.original_filename,
        "display_name": job.display_name,
        "pipeline": job.pipeline.name,
        "estimated_credits": job.estimated_credits,
        "actual_credits_used": job.actual_credits_used,
        "metadata": job.metadata,
    }


def _error(failure: Failure | None) -> ErrorView | None:
    return ErrorView(failure.code, failure.message, failure.step_id, failure.suggestion) if failure else None
