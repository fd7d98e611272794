"""Encoders of graphics cards and other chips: what might be there, whether it works, which is taken."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct, field

CODECS = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1", "libvpx-vp9": "vp9"}
"""Encoder in software -> its codec, of those that hardware may stand in for."""

_UNFIT = re.compile(r"[^A-Za-z0-9]+")


class Encoder(Struct, frozen=True, kw_only=True):
    """An encoder that a machine may have.

    Options are FFmpeg's; `{crf}`, `{bit_rate}`, `{device}` and `{index}` are filled in.
    """

    name: str
    """FFmpeg's: `h264_nvenc`."""
    codec: Literal["h264", "hevc", "av1", "vp9"]
    family: str
    """`nvenc`, `vaapi` …"""
    engine: Literal["pyav", "ffmpeg"] = "pyav"
    """Whether it is in PyAV's own FFmpeg, or needs the `ffmpeg` of the machine."""
    devices: tuple[str, ...] = ()
    """Patterns of the files under /dev by which the system shows the hardware. Each file is a card."""
    pixel_format: str = "yuv420p"
    quality: dict[str, str] = field(default_factory=dict)
    """Options at a constant quality."""
    rate: dict[str, str] = field(default_factory=lambda: {"b": "{bit_rate}"})
    """Options at a bit rate."""
    before: tuple[str, ...] = ()
    """Arguments of `ffmpeg` before its input."""
    filters: str = ""
    """Through which `ffmpeg` brings pictures onto the card."""


class Candidate(Struct, frozen=True):
    """An encoder on one card, to be tried or used."""

    encoder: Encoder
    device: str = ""
    """Empty: whichever the driver takes."""
    ffmpeg: str = ""
    """Of the machine, where the encoder needs it."""

    @property
    def card(self) -> str:
        """What sessions are counted on, and what is rested; fit for a file name."""
        return _UNFIT.sub("-", f"{self.encoder.family}-{self.device.rpartition('/')[2]}").strip("-")

    @property
    def key(self) -> str:
        """Unlike that of all others."""
        return f"{self.encoder.engine}:{self.encoder.name}@{self.device}"

    def filled(self, text: str, *, crf: float = 23.0, bit_rate: int = 0) -> str:
        """An option or argument with its values."""
        index = re.search(r"\d+$", self.device)
        values = {"crf": f"{round(crf)}", "bit_rate": str(bit_rate), "device": self.device}
        values["index"] = index[0] if index else "0"
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return text


class Verdict(Struct, frozen=True):
    """What came of trying an encoder."""

    candidate: Candidate
    works: bool
    reason: str | None = None
    """Why it does not, in the driver's own words where it says any."""
    psnr: float | None = None
    """Decibels of its pictures, decoded again, against those that went in."""
    seconds: float = 0.0
    """That trying took."""
    tried_at: float = 0.0


class Choices(Struct, frozen=True):
    """What a step may encode with, in place of software."""

    candidates: tuple[Candidate, ...] = ()
    """The first that suits and has a session free is taken."""
    sessions: int = 2
    """At once on a card."""
    folder: str = ""
    """Where sessions are counted, for all processes of this machine."""
    stall_s: float = 60.0
    """How long an encoder may be silent before it has hung."""
