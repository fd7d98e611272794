"""What goes over the wire about compositions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from vtid.domain.artifact import Asset
from vtid.domain.job import Job, JobStatus, StepRun, StepStatus
from vtid.web.schemas import CallbackUrl, ErrorView, FileView, Percent, iso, job_summary

STEP = "film"
"""The id of the one step of the pipeline."""
MOST_CLIPS = 100
"""Of one request to process clips."""
FieldValue = str | float | bool | None
STAGES = ("pending", "downloading", "rendering", "encoding", "uploading")
"""In this order; at last it is `completed`, `failed` or `cancelled`."""


# --- out


class CompositionView(Struct, kw_only=True):
    """A composition. It is a job: what is said of jobs holds for it under the same id."""

    id: str
    composition_id: Annotated[str, Meta(description="The same as `id`.")]
    title: str | None
    description: str | None
    status: JobStatus
    overall_progress: Percent
    message: str
    output_url: Annotated[str | None, Meta(description="Signed, with HTTP Range; for a new one, ask again.")]
    created_at: str
    updated_at: str
    completed_at: str | None
    estimated_credits: int | None
    actual_credits_used: int | None
    error: ErrorView | None


class CompositionList(Struct):
    """A page of compositions, newest first."""

    compositions: list[CompositionView]
    total: int
    offset: int
    limit: int


class StageView(Struct):
    """One stage on the way of a composition."""

    stage: str
    progress: Percent
    started_at: str | None
    completed_at: str | None
    message: str | None


class CompositionStatus(Struct, kw_only=True):
    """How a composition stands."""

    id: str
    composition_id: str
    status: JobStatus
    overall_progress: Percent
    current_stage: Annotated[str, Meta(description=f"{', '.join(STAGES)}; at last completed, failed or cancelled.")]
    message: str
    stages: list[StageView]
    error: ErrorView | None


class Resources(Struct):
    """What a composition used."""

    credits: Annotated[int | None, Meta(description="Null until it has ended.")]
    render_seconds: Annotated[float | None, Meta(description="That rendering took.")]
    encoder: str | None
    audio_encoder: str | None
    input_bytes: int
    output_bytes: int


class InputFile(Struct):
    """A file that the document names."""

    name: Annotated[str, Meta(description="As the document in `request` names it.")]
    asset_id: Annotated[str | None, Meta(description="Null until it has been fetched, and where it was deleted.")]
    filename: str | None
    size: int | None
    duration: Annotated[float | None, Meta(description="Seconds.")]


class CompositionMetadata(Struct, kw_only=True):
    """All that is known of a composition."""

    id: str
    composition_id: str
    request: Annotated[dict[str, Any], Meta(description="The document. Of a URL, what may be a key in it is left out.")]
    resources: Resources
    input_files: list[InputFile]
    output_file: FileView | None
    warnings: Annotated[list[str], Meta(description="What was done otherwise than asked.")]
    report: Annotated[dict[str, Any] | None, Meta(description="The film: size, frames, what was copied and why.")]


class DownloadView(Struct):
    """Where a finished composition is."""

    download_url: Annotated[str, Meta(description="Signed, with HTTP Range.")]
    expires_at: str
    file_size_bytes: int
    format: str
    filename: str


class CancelledView(Struct):
    """What was cancelled."""

    cancelled: int
    composition_ids: list[str]


# --- in


class CompositionJson(Struct, forbid_unknown_fields=True):
    """A film, described; `GET /api/v1/compositions/schema` has every field of every part."""

    clips: Annotated[list[dict[str, Any]], Meta(min_length=1, description="What is seen, in order.")]
    title: Annotated[str | None, Meta(description="Of the film.")] = None
    description: str | None = None
    audio: Annotated[dict[str, Any] | None, Meta(description="Music, voices, and how loud all of it is.")] = None
    overlays: Annotated[list[dict[str, Any]] | None, Meta(description="Text over the film.")] = None
    captions: Annotated[dict[str, Any] | None, Meta(description="Subtitles from a file.")] = None
    output: Annotated[dict[str, Any] | None, Meta(description="Format, size and quality of what comes out.")] = None
    fields: Annotated[
        dict[str, FieldValue] | None,
        Meta(description="Names that `{{name}}` may stand for in any text, each with its default; null has none."),
    ] = None
    values: Annotated[dict[str, FieldValue] | None, Meta(description="Instead of the defaults.")] = None
    callback_url: CallbackUrl = None


class CompositionQuery(Struct, forbid_unknown_fields=True):
    """Which compositions to list."""

    status_filter: JobStatus | None = None
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class CompositionLimits(Struct):
    """What a composition may have."""

    max_clips: int
    max_overlays: int
    max_duration_seconds: float


class ClipLimits(Struct):
    """What one request to process clips may have."""

    max_clips: int


class LimitsView(Struct):
    """What this daemon takes in."""

    compositions: CompositionLimits
    process_clips: ClipLimits
    max_upload_mb: int


# --- from the domain


def composition_view(job: Job, output_url: str | None) -> CompositionView:
    """A composition as its owner sees it."""
    told = job_summary(job, output_url)
    asked = _noted(job).get("request", {})
    return CompositionView(
        id=job.id,
        composition_id=job.id,
        title=asked.get("title") or job.display_name,
        description=asked.get("description"),
        status=job.status,
        overall_progress=job.progress,
        message=job.message,
        output_url=told.output_url,
        created_at=told.created_at,
        updated_at=told.updated_at,
        completed_at=told.completed_at,
        estimated_credits=job.estimated_credits,
        actual_credits_used=job.actual_credits_used,
        error=told.error,
    )


def status_view(job: Job, runs: Sequence[StepRun]) -> CompositionStatus:
    """A composition's stages."""
    stages = list(_stages(job, next((one for one in runs if one.step_id == STEP), None)))
    current = next((one.stage for one in stages if one.started_at and not one.completed_at), STAGES[0])
    return CompositionStatus(
        id=job.id,
        composition_id=job.id,
        status=job.status,
        overall_progress=job.progress,
        current_stage=job.status.value if job.status.ended else current,
        message=job.message,
        stages=stages,
        error=job_summary(job, None).error,
    )


def metadata_view(job: Job, assets: Mapping[str, Asset], output_url: str | None) -> CompositionMetadata:
    """All that is known of a composition; `assets` are those of its files that are still there, by id."""
    report = job.metadata.get(STEP, {}).get("report")
    result = job.results[0] if job.results else None
    names = _noted(job).get("files") or {name: name for name in job.inputs}
    return CompositionMetadata(
        id=job.id,
        composition_id=job.id,
        request=_noted(job).get("request", job.pipeline.steps[0].with_),
        resources=Resources(
            credits=job.actual_credits_used,
            render_seconds=report["seconds"] if report else None,
            encoder=report["encoder"] if report else None,
            audio_encoder=report["audio_encoder"] if report else None,
            input_bytes=sum(one.size for one in assets.values()),
            output_bytes=result.size if result else 0,
        ),
        input_files=[_input(name, assets.get(job.inputs.get(source, ""))) for source, name in names.items()],
        output_file=FileView(result.step_id, result.output, result.kind, result.filename, result.size, output_url)
        if result and output_url
        else None,
        warnings=report["warnings"] if report else [],
        report=report,
    )


def _input(name: str, asset: Asset | None) -> InputFile:
    if asset is None:
        return InputFile(name, None, None, None, None)
    return InputFile(
        name, asset.id, asset.filename, asset.size, round(asset.info.duration_s, 3) if asset.info else None
    )


def _noted(job: Job) -> dict[str, Any]:
    """What the route kept of the request; nothing of a job that came in by another door."""
    found: dict[str, Any] = job.metadata.get("composition", {})
    return found


def _stages(job: Job, run: StepRun | None) -> Iterator[StageView]:
    """Waiting, fetching, rendering with encoding in the same pass, storing; each as far as the job got."""
    began = run.started_at if run else None
    rendered = run.ended_at if run and began else None
    good = run is not None and run.status is StepStatus.COMPLETED
    percent = 100 if good else round((run.progress if run else 0.0) * 100)
    over = job.completed_at
    yield _stage("pending", 100 if job.started_at else 0, job.created_at, job.started_at or over, job)
    if any(name.startswith("http") for name in _noted(job).get("files", {}).values()):
        yield _stage("downloading", 100 if began else 0, job.started_at, began or over, job)
    yield _stage("rendering", percent, began, rendered or over, job)
    yield _stage("encoding", percent, began, rendered or over, job)  # a frame is encoded as soon as it is rendered
    yield _stage("uploading", 100 if job.results else 0, rendered if good else None, over, job)


def _stage(name: str, percent: int, began: float | None, ended: float | None, job: Job) -> StageView:
    """One stage; one that is going on says what the job says."""
    if began is None:
        return StageView(name, 0, None, None, None)
    return StageView(name, percent, iso(began), iso(ended) if ended else None, None if ended else job.message)
