"""What is known about a media file, as plain data. Times are seconds as exact fractions where they can be."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

STILLS = frozenset({"png", "jpg", "webp", "bmp", "tif"})
"""Containers that hold one picture."""


class VideoStream(Struct, frozen=True, omit_defaults=True):
    """One video stream, as FFmpeg names things."""

    index: int
    codec: str
    width: int
    """Coded width in pixels, before rotation."""
    height: int
    pixel_format: str
    bit_depth: int
    time_base: str
    """As `1/90000`."""
    frame_rate: str | None = None
    """The average rate as a fraction (`30000/1001`); meaningless for a variable rate."""
    rotation: int = 0
    """Degrees counter-clockwise by which a player turns the picture: 0, 90, 180 or 270."""
    sample_aspect: str = "1/1"
    color_primaries: int = 2
    color_transfer: int = 2
    color_space: int = 2
    color_range: int = 0
    """The four colour tags as ISO/IEC 23091-2 numbers; 2 (0 for the range) means unspecified."""
    interlaced: bool = False
    bit_rate: int | None = None
    frames: int | None = None
    """As the container says; None where it does not."""

    @property
    def hdr(self) -> bool:
        """True for PQ (SMPTE ST 2084) and HLG transfer curves."""
        return self.color_transfer in (16, 18)

    @property
    def rate(self) -> Fraction | None:
        """The average frame rate, or None where the container does not say."""
        return Fraction(self.frame_rate) if self.frame_rate else None


class AudioStream(Struct, frozen=True, omit_defaults=True):
    """One audio stream."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str = ""
    language: str | None = None


class OtherStream(Struct, frozen=True, omit_defaults=True):
    """A subtitle, data or attachment stream."""

    index: int
    type: str
    codec: str
    language: str | None = None


class MediaInfo(Struct, frozen=True, omit_defaults=True):
    """The facts of a probe."""

    container: str
    """Short name, as the file's ending would say: mp4, mov, mkv, webm, avi, ts …"""
    size: int
    """Bytes."""
    duration_s: float
    bit_rate: int | None = None
    video: tuple[VideoStream, ...] = ()
    audio: tuple[AudioStream, ...] = ()
    other: tuple[OtherStream, ...] = ()

    @property
    def kind(self) -> str:
        """What it is, in the words of files' kinds: `image`, `video` or `audio`."""
        if self.container in STILLS:
            return "image"
        return "video" if self.video else "audio"

    @property
    def width(self) -> int:
        """Coded width of the first video stream, 0 without one."""
        return self.video[0].width if self.video else 0

    @property
    def height(self) -> int:
        """Coded height of the first video stream, 0 without one."""
        return self.video[0].height if self.video else 0
