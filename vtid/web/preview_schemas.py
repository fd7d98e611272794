"""What goes over the wire about the previews that an editor needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from vtid.domain.artifact import Artifact
from vtid.domain.job import Job, JobStatus, StepRun
from vtid.domain.previewing import Level
from vtid.web.schemas import ErrorView, Percent, job_summary


class FactsView(Struct):
    """When each frame is shown."""

    url: Annotated[str, Meta(description="JSON: every stream, and the times of all frames.")]
    frames: int
    duration_s: Annotated[float, Meta(description="From the first frame to the end of the last.")]
    variable: Annotated[bool, Meta(description="Whether frames are not equally far apart.")]


class ProxyView(Struct):
    """A small copy that players seek to the frame."""

    url: str
    width: int
    height: int
    size: Annotated[int, Meta(description="Bytes.")]
    encoder: str


class WaveformView(Struct):
    """Peaks of the sound."""

    url: Annotated[str, Meta(description="The levels one behind another; ask for one by its range of bytes.")]
    sample_rate: int
    duration_s: float
    levels: Annotated[list[Level], Meta(description="From fine to coarse.")]


class SpritesView(Struct):
    """Thumbnails on sheets, in rows from left to right, sheet after sheet."""

    url: Annotated[str, Meta(description="WebVTT; it names the sheets as they lie beside it.")]
    sheets: list[str]
    width: int
    height: int
    columns: int
    rows: int
    interval_s: float
    count: int


class ShotsView(Struct):
    """Where shots begin."""

    url: Annotated[str, Meta(description="JSON: begin, end and frames of each.")]
    count: int


class FilePreviews(Struct, kw_only=True):
    """The previews of a file, each as soon as it is there. They are made by a job, which can be followed."""

    job_id: str
    asset_id: str
    status: JobStatus
    progress: Percent
    message: str
    error: ErrorView | None
    facts: FactsView | None
    proxy: ProxyView | None
    waveform: Annotated[WaveformView | None, Meta(description="Null also where there is no sound.")]
    sprites: SpritesView | None
    shots: ShotsView | None


class StillView(Struct):
    """One picture."""

    at_s: float
    width: int
    height: int
    url: str


class StillsView(Struct, kw_only=True):
    """Single pictures of a film."""

    job_id: str
    asset_id: str
    status: JobStatus
    progress: Percent
    message: str
    error: ErrorView | None
    stills: list[StillView]


class StillsJson(Struct, forbid_unknown_fields=True):
    """Which pictures."""

    at: Annotated[
        list[Annotated[float, Meta(ge=0)]],
        Meta(min_length=1, max_length=50, description="Seconds from the first frame."),
    ]
    width: Annotated[
        Annotated[int, Meta(ge=16, le=8192)] | None, Meta(description="Pixels, where the picture is wider.")
    ] = None
    format: Literal["jpg", "png"] = "jpg"


Link = Callable[[Artifact], str]


def previews_view(
    job: Job, asset_id: str, runs: Sequence[StepRun], made: Sequence[Artifact], link: Link, beside: str
) -> FilePreviews:
    """The previews as their owner sees them.

    Args:
        job: that makes them.
        asset_id: of the file.
        runs: its steps.
        made: the files that there are.
        link: gives a signed URL.
        beside: where they are served under their names, with a slash at the end.
    """
    said = {run.step_id: run.outputs for run in runs}
    there = {(one.step_id, one.output): one for one in made}
    sheets = sorted((one for one in made if one.output.startswith("sheets_")), key=lambda one: int(one.output[7:]))
    parts: dict[str, Any] = dict.fromkeys(("facts", "proxy", "waveform", "sprites", "shots"))
    if one := there.get(("facts", "facts")):
        parts["facts"] = said["facts"] | {"url": link(one)}
    if one := there.get(("proxy", "video")):
        parts["proxy"] = said["proxy"] | {"url": link(one), "size": one.size}
    if one := there.get(("waveform", "waveform")):
        parts["waveform"] = said["waveform"]["report"] | {"url": link(one)}
    if ("sprites", "index") in there:
        report = {name: value for name, value in said["sprites"]["report"].items() if name != "sheets"}
        parts["sprites"] = report | {"url": f"{beside}sprites.vtt", "sheets": [link(sheet) for sheet in sheets]}
    if one := there.get(("shots", "shots")):
        parts["shots"] = said["shots"] | {"url": link(one)}
    return msgspec.convert(_standing(job, asset_id) | parts, FilePreviews)


def stills_view(job: Job, asset_id: str, made: Sequence[Artifact], link: Link) -> StillsView:
    """Single pictures as their owner sees them."""
    there = {one.output: one for one in made}
    report = job.metadata.get("stills", {}).get("report", [])
    stills = [
        fact | {"url": link(there[f"stills_{number}"])}
        for number, fact in enumerate(report, 1)
        if f"stills_{number}" in there
    ]
    return msgspec.convert(_standing(job, asset_id) | {"stills": stills}, StillsView)


def _standing(job: Job, asset_id: str) -> dict[str, Any]:
    error = job_summary(job, None).error
    return {
        "job_id": job.id,
        "asset_id": asset_id,
        "status": job.status.value,
        "progress": job.progress,
        "message": job.message,
        "error": msgspec.to_builtins(error),
    }


def named(made: Sequence[Artifact]) -> Mapping[str, Artifact]:
    """The files of previews by the names under which they are served."""
    return {one.filename: one for one in made}
