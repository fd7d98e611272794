"""What is known about a media file, as plain data. Times are seconds as exact fractions where they can be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from msgspec import Struct

WRITABLE = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".3gp": "3gp",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".mts": "mpegts",
    ".flv": "flv",
    ".mxf": "mxf",
    ".nut": "nut",
}
"""Ending of a file that a video can be written to -> FFmpeg's name of its container."""

STILLS = frozenset({"png", "jpg", "webp", "bmp", "tif"})
"""Containers that hold one picture."""


MOST_PER_SECOND = 240
"""Pictures that a second of video counts as at most."""

MOST_PIXELS = 1 << 26
"""67 million: a video of 12K, a square picture of 8192. A step has some copies of a picture in memory at once."""
TOO_MANY_PIXELS = "too_many_pixels"
"""The code of the problem that a file has whose pictures have more."""


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
    mirrored: bool = False
    """Whether a player puts the picture upside down before it turns it: the two together mirror it."""
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
    def worth_s(self) -> float:
        """Seconds that it counts for: its duration, but no more pictures in a second than cameras take.

        What a file says of its duration costs nothing to write; each of its pictures costs work.
        """
        frames = max((v.frames or 0 for v in self.video), default=0)
        return max(self.duration_s, frames / MOST_PER_SECOND)

    @property
    def width(self) -> int:
        """Coded width of the first video stream, 0 without one."""
        return self.video[0].width if self.video else 0

    @property
    def height(self) -> int:
        """Coded height of the first video stream, 0 without one."""
        return self.video[0].height if self.video else 0


def writable_ending(path: Path) -> str:
    """The ending, with its dot, of a file made from another: the same where it can be written, else `.mkv`."""
    ending = path.suffix.lower()
    return ending if ending in WRITABLE else ".mkv"
