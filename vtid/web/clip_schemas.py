"""What goes over the wire about processing clips."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Operation = Literal["normalize", "resize", "convert_codec", "thumbnail", "extract_thumbnail", "normalize_audio"]
Size = Annotated[str, Meta(pattern=r"^[0-9]{2,4}x[0-9]{2,4}$", examples=["1280x720"])]


class ClipJson(Struct, forbid_unknown_fields=True):
    """A clip."""

    clip_url: Annotated[str | None, Meta(description="http(s); fetched as the job's first work.")] = None
    url: Annotated[str | None, Meta(description="The same as `clip_url`.")] = None
    clip_id: Annotated[Annotated[str, Meta(min_length=1, max_length=200)] | None, Meta(description="Your own.")] = None
    operations: Annotated[list[Operation] | None, Meta(description="Instead of those for all.")] = None
    metadata: Annotated[dict[str, Any], Meta(description="Given back with the result.")] = field(default_factory=dict)


class ProcessingOptions(Struct, forbid_unknown_fields=True):
    """How."""

    target_resolution: Annotated[
        Size | Literal["480p", "720p", "1080p", "4k"] | None, Meta(description="`1280x720`, or one by name.")
    ] = None
    maintain_aspect_ratio: Annotated[bool, Meta(description="With bars where needed; else distorted.")] = True
    video_codec: Literal["h264", "hevc", "av1", "vp9"] | None = None
    audio_codec: Annotated[
        Literal["aac", "opus"] | None, Meta(description="opus goes with vp9, aac with the rest.")
    ] = None
    crf: Annotated[
        Annotated[int, Meta(ge=0, le=51)] | None, Meta(description="Up to 20 is high quality, from 26 low.")
    ] = None
    target_fps: Annotated[float, Meta(ge=1, le=120)] | None = None
    thumbnail_timestamp: Annotated[Annotated[float, Meta(ge=0, le=604_800)], Meta(description="Seconds.")] = 0.0
    thumbnail_sizes: Annotated[list[Size], Meta(max_length=10, description="The width counts.")] = field(
        default_factory=lambda: ["320x180"]
    )


class ClipsJson(Struct, forbid_unknown_fields=True):
    """Clips to be processed, each by a job of its own."""

    clips: Annotated[list[ClipJson], Meta(min_length=1, max_length=100)]
    operations: Annotated[list[Operation], Meta(description="For all that have none of their own.")] = field(
        default_factory=lambda: ["normalize"]
    )
    callback_url: Annotated[
        Annotated[str, Meta(max_length=4096)] | None, Meta(description="Told, signed, when all have ended.")
    ] = None
    priority: Annotated[int, Meta(ge=1, le=10, description="Above 5 goes before what waits.")] = 5
    processing_options: ProcessingOptions = field(default_factory=ProcessingOptions)


class ClipTaken(Struct):
    """A clip that was taken in."""

    job_id: str
    clip_id: str
    status: str
    queued_at: str


class ClipsTaken(Struct):
    """A request that was taken in."""

    request_id: str
    jobs: list[ClipTaken]
    total_clips: int
    message: str
