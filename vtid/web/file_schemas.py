"""What goes over the wire about files and uploads."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from vtid.db import Upload, Usage
from vtid.domain.artifact import Asset
from vtid.web.schemas import JobSummary, iso

MOST_CHUNKS = 10_000
Filename = Annotated[str, Meta(min_length=1, max_length=1000)]


# --- out


class AssetView(Struct):
    """A file that came in."""

    asset_id: str
    filename: str
    size: Annotated[int, Meta(description="Bytes.")]
    kind: Annotated[str, Meta(description="`video`, `audio`, `image`; `file` of what nobody looked into.")]
    created_at: str
    job_id: Annotated[str | None, Meta(description="Of the job that it came with and goes with.")]
    sha256: str | None
    duration: Annotated[float | None, Meta(description="Seconds.")]
    width: int | None
    height: int | None
    container: str | None
    video_codec: str | None
    audio_codec: str | None
    url: Annotated[str, Meta(description="Signed, with HTTP Range; for a new one, ask again.")]


class AssetDetail(AssetView):
    """A file that came in, with everything that is known of it."""

    info: Annotated[dict[str, Any] | None, Meta(description="Every stream with its facts.")]


class AssetList(Struct):
    """A page of files, newest first."""

    files: list[AssetView]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class UsageView(Struct):
    """What a user has stored, in bytes; what several files share is counted once."""

    total: int
    quota: Annotated[int | None, Meta(description="What there may be; null: no limit.")]
    assets: Annotated[int, Meta(description="Files that came in.")]
    asset_count: int
    artifacts: Annotated[int, Meta(description="Files that steps made.")]
    uploads: Annotated[int, Meta(description="What unfinished uploads will take.")]


class ShareView(Struct):
    """A link that needs no login."""

    url: str
    expires_at: str


class ChunkedInitView(Struct):
    """An upload that was begun."""

    upload_id: str
    chunk_count: int
    chunk_size: int
    expires_at: str


class ChunkView(Struct):
    """A chunk that is there for good."""

    upload_id: str
    chunk_index: int
    size: int
    chunks_received: int
    chunk_count: int


class ChunkedView(Struct):
    """How an upload in chunks stands."""

    upload_id: str
    filename: str
    total_size: int
    chunk_size: int
    chunk_count: int
    received: Annotated[list[int], Meta(description="The indices of the chunks that are there.")]
    missing: list[int]
    complete: bool
    expires_at: str


class TusView(Struct):
    """How a tus upload stands."""

    upload_id: str
    filename: str
    size: int
    offset: int
    complete: bool
    asset: AssetView | None
    expires_at: str


class DirectView(Struct):
    """How an upload past the daemon stands."""

    upload_id: str
    filename: str
    size: int
    part_size: Annotated[int, Meta(description="Bytes of each part but the last.")]
    part_count: int
    received: Annotated[dict[str, int], Meta(description="Part number to its size, of those that the storage has.")]
    complete: bool
    expires_at: str


class DirectUrls(Struct):
    """Where parts go."""

    urls: Annotated[dict[str, str], Meta(description="Part number to the URL that it is PUT to.")]
    expires_at: str


class Refused(Struct):
    """A file of a batch that no job was made of."""

    file: Annotated[str, Meta(description="Its name, or its asset id.")]
    status: int
    detail: str


class BatchView(Struct):
    """What became of a batch."""

    jobs: list[JobSummary]
    refused: list[Refused]


# --- in


class AssetQuery(Struct, forbid_unknown_fields=True):
    """Which files to list."""

    kind: Literal["video", "audio", "image", "file"] | None = None
    text: Annotated[str, Meta(max_length=200, description="Part of the file name.")] | None = None
    q: Annotated[str, Meta(max_length=200, description="The same as `text`.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=200, description="`next` of the page before.")] | None = None


class ShareJson(Struct, forbid_unknown_fields=True):
    """For how long a link works."""

    ttl_seconds: Annotated[int, Meta(ge=1, le=604800, description="At most a week.")] = 86400


class ChunkedInitJson(Struct, forbid_unknown_fields=True):
    """A file that will come in chunks."""

    filename: Filename
    total_size: Annotated[int, Meta(ge=1, description="Bytes.")]
    chunk_size: Annotated[int, Meta(ge=1, description="Bytes of each chunk but the last.")] = 8 << 20


class ChunkFields(Struct, forbid_unknown_fields=True):
    """The fields of a chunk's form beside its bytes."""

    chunk_index: Annotated[int, Meta(ge=0, description="From 0.")]


class DirectJson(Struct, forbid_unknown_fields=True):
    """A file that will go to the bucket itself."""

    filename: Filename
    size: Annotated[int, Meta(ge=1, description="Bytes.")]
    part_size: Annotated[int, Meta(ge=5 << 20, le=5 << 30, description="Bytes of each part but the last.")] = 64 << 20


class PartsJson(Struct, forbid_unknown_fields=True):
    """Parts that URLs are wanted for."""

    numbers: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1, max_length=1000)]


class BatchFields(Struct, forbid_unknown_fields=True):
    """The fields of a batch's form beside its files."""

    pipeline: Annotated[str, Meta(min_length=1, max_length=100, description="GET /api/v1/pipelines lists them.")]
    params: Annotated[str, Meta(description="A JSON object, for each of the jobs.")] = "{}"


class BatchJson(Struct, forbid_unknown_fields=True):
    """Jobs on files that came in before."""

    pipeline: Annotated[str, Meta(min_length=1, max_length=100)]
    asset_ids: Annotated[list[str], Meta(min_length=1, max_length=50)]
    params: dict[str, Any] = msgspec.field(default_factory=dict)


# --- from the domain


def asset_view(asset: Asset, url: str) -> AssetView:
    """A file as a list shows it."""
    return AssetView(**_asset(asset, url))


def asset_detail(asset: Asset, url: str) -> AssetDetail:
    """A file as its owner sees it."""
    return AssetDetail(**_asset(asset, url), info=msgspec.to_builtins(asset.info) if asset.info else None)


def _asset(asset: Asset, url: str) -> dict[str, Any]:
    info = asset.info
    return {
        "asset_id": asset.id,
        "filename": asset.filename,
        "size": asset.size,
        "kind": asset.kind,
        "created_at": iso(asset.created_at),
        "job_id": asset.job_id,
        "sha256": asset.sha256,
        "duration": round(info.duration_s, 3) if info and asset.kind != "image" else None,
        "width": (info.width or None) if info else None,
        "height": (info.height or None) if info else None,
        "container": info.container if info else None,
        "video_codec": info.video[0].codec if info and info.video else None,
        "audio_codec": info.audio[0].codec if info and info.audio else None,
        "url": url,
    }


def usage_view(usage: Usage, quota: int | None) -> UsageView:
    """What a user has stored."""
    return UsageView(usage.total, quota, usage.assets, usage.asset_count, usage.artifacts, usage.uploads)


def chunk_count(upload: Upload) -> int:
    """How many chunks an upload has."""
    return -(-upload.size // chunk_size(upload))


def chunk_size(upload: Upload) -> int:
    """Bytes of each chunk but the last."""
    assert upload.chunk_size is not None
    return upload.chunk_size
