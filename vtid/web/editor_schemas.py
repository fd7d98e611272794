"""The pro editor's requests and answers as they go over the wire."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from vtid.domain.job import JobStatus
from vtid.domain.segment import Segment
from vtid.web.schemas import AssetId, AudioAssetIds, CallbackUrl, ErrorView, Percent

SEGMENTS = [
    {
        "startTime": 0.0,
        "endTime": 15.0,
        "audioInput": {"refId": "audio-1", "startTime": 0.0, "endTime": 15.0},
        "label": "Intro",
        "color": "#FF9800",
    }
]


class ProFields(Struct, forbid_unknown_fields=True):
    """The fields of the pro editor's form, beside its files."""

    segments_data: Annotated[
        str, Meta(description="A JSON list of segments: startTime, endTime, audioInput {refId, startTime?, endTime?}.")
    ]
    effects: Annotated[
        str | None,
        Meta(description="A JSON list: type (erasure, text, protection), startTime, endTime, coordinates {x, y, …}."),
    ] = None
    display_name: Annotated[str, Meta(max_length=200)] | None = None
    asset_id: AssetId = None
    audio_asset_ids: AudioAssetIds = None
    callback_url: CallbackUrl = None


class ProTaken(Struct):
    """A pro job that was taken in."""

    job_id: str
    status: JobStatus
    message: str
    segments_count: int
    total_duration: Annotated[float, Meta(description="Of the video, in seconds.")]
    estimated_credits: int | None


class ProStatus(Struct):
    """How a pro job stands."""

    job_id: str
    status: JobStatus
    progress: Percent
    message: str
    output_url: str | None
    segments: list[Segment]
    effects: Annotated[list[Any], Meta(description="In fractions of the picture.")]
    intermediate_url: Annotated[
        str | None, Meta(description="The lip-synced video, once there is one; it stays where text removal failed.")
    ]
    error: ErrorView | None
    metadata: dict[str, Any]
