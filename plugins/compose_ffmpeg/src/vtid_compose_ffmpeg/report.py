"""What the steps take and give: a film, or what it would be."""

from __future__ import annotations

from vtid.sdk import Audio, File, Image, Placed, Struct, Video, field


class Inputs(Struct):
    """What comes in."""

    files: dict[str, File] = field(default_factory=dict)
    """`file_NAME` is `asset:NAME` in the document."""


class Piece(Struct):
    """A stretch of the film, and how it comes about."""

    start_s: float
    end_s: float
    copied: bool
    """Bit for bit from the source."""
    why: str


class Report(Struct):
    """What the film is, or would be."""

    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    seen: bool
    """Whether it has a picture; else size, rate and frames are only what the sound was measured by."""
    pieces: list[Piece]
    placed: list[Placed] = field(default_factory=list)
    """What is seen and heard when, in the whole film."""
    warnings: list[str] = field(default_factory=list)
    """What was done otherwise than asked."""
    encoder: str | None = None
    """None before it is rendered."""
    audio_encoder: str | None = None
    loudness: float | None = None
    """LUFS, measured; None for silence."""
    seconds: float = 0.0
    """That rendering took."""


class Outputs(Struct):
    """What comes out: one file, as `output.format` has it."""

    report: Report
    video: Video | None = None
    """A film, or an animation."""
    picture: Image | None = None
    sound: Audio | None = None


class PlanOutputs(Struct):
    """What a look at the document gives."""

    report: Report
