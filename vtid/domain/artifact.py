"""What flows between steps: typed handles on files, and what is remembered of them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from vtid.domain.media import MediaInfo


class File(Struct, frozen=True, omit_defaults=True):
    """A file that a step is given or gives back. `path` is local and lies in the step's workspace.

    The sub-types say what is in it; a pipeline may wire a type only to the same type.
    """

    kind: ClassVar[str] = "file"
    path: Path
    name: str | None = None
    """The name that people see; the path's own name where None."""
    url: str | None = None
    """Of inputs: a signed link for a service outside, where services can reach this daemon or its bucket. It works for
    a week."""


class Video(File, frozen=True, omit_defaults=True):
    """A file with at least one video stream."""

    kind: ClassVar[str] = "video"
    info: MediaInfo | None = None
    """Filled in for inputs; for outputs vtid probes the file itself."""


class Audio(File, frozen=True, omit_defaults=True):
    """A file with at least one audio stream and no video that matters."""

    kind: ClassVar[str] = "audio"
    info: MediaInfo | None = None


class Image(File, frozen=True, omit_defaults=True):
    """A still picture."""

    kind: ClassVar[str] = "image"


class Subtitles(File, frozen=True, omit_defaults=True):
    """A text file with timed text: SRT, VTT or ASS."""

    kind: ClassVar[str] = "subtitles"


FILE_TYPES: dict[str, type[File]] = {t.kind: t for t in (File, Video, Audio, Image, Subtitles)}


class Asset(Struct, frozen=True):
    """A file that came in. Never changed."""

    id: str
    kind: str
    filename: str
    """As the person named it."""
    size: int
    key: str
    """Where the storage keeps it."""
    created_at: float
    info: MediaInfo | None = None
    sha256: str | None = None
    """Of its bytes, in hexadecimal; None where nobody asked."""
    job_id: str | None = None
    """Of the job that it came with, and goes with; None of one that was uploaded by itself."""


class Artifact(Struct, frozen=True):
    """A file that a step made, kept in storage."""

    job_id: str
    step_id: str
    output: str
    kind: str
    filename: str
    size: int
    key: str
    created_at: float
    info: MediaInfo | None = None
