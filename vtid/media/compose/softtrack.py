"""Subtitles as a track of their own, which a player may show or not."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

from av import Packet
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream

from vtid.domain.timeline import Caption, Captions
from vtid.errors import InvalidInput

_CODECS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_BASE = Fraction(1, 1000)

_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""Without it the encoder of MP4's subtitles makes no header."""


class SoftTrack:
    """Writes lines when their time comes.

    Args:
        out: where they go; its streams are not written yet.
        captions: in order.

    Raises:
        InvalidInput: the container holds no subtitles.
    """

    def __init__(self, out: OutputContainer, captions: Captions) -> None:
        codec = _CODECS.get(out.format.name)
        if codec is None:
            raise InvalidInput(f"captions: {out.format.name} holds no subtitle track. Burn them in, or use mp4 or mkv.")
        self._sized = codec == "mov_text"
        self._out = out
        self._stream: SubtitleStream = out.add_stream(codec)  # type: ignore[assignment]
        self._stream.codec_context.subtitle_header = _HEADER
        self._stream.time_base = self._stream.codec_context.time_base = _BASE
        self._stream.metadata["language"] = captions.language
        self._left = deque(captions.lines)

    def write_until(self, time_s: Fraction | float) -> None:
        """Write the lines that begin before a time."""
        while self._left and self._left[0].start_s < time_s:
            self._out.mux(self._packet(self._left.popleft()))

    def _packet(self, line: Caption) -> Packet[Any]:
        data = line.text.encode()
        packet: Packet[Any] = Packet(len(data).to_bytes(2, "big") + data if self._sized else data)
        packet.time_base, packet.stream = _BASE, self._stream
        packet.pts = packet.dts = round(line.start_s * 1000)
        packet.duration = max(1, round((line.end_s - line.start_s) * 1000))
        return packet
