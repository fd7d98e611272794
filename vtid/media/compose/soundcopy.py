"""The sound of a cut, packet by packet: what is heard as it is in its source need not be encoded again.

A packet of AAC is 1024 samples long and is whole only behind the one before it. So that one goes along, and the file's
edit list leaves out what lies before the cut, to the sample: it is what encoders do with their own first packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

from av import Packet
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Discard
from msgspec import Struct

from vtid.domain.timeline import SAMPLE_RATE, Sound, Timeline
from vtid.media.carry import clone
from vtid.media.compose.sound import audio_stream, second_zero
from vtid.media.containers import open_input, reading

_HOLDS = ("mp4", "mov")
"""Containers whose edit lists begin and end a sound within a packet."""

_PACKET = 1024
"""Samples of a packet of AAC-LC."""

_SEEK_S = Fraction(1, 2)
"""So much before the wanted packet is sought."""


class Cut(Struct, frozen=True):
    """A stretch of a file's sound."""

    path: Path
    start_s: Fraction
    length_s: Fraction


def plain_cut(timeline: Timeline, container: str) -> Cut | None:
    """What is heard of a film, where that is one stretch of one file's sound as it is there; else None.

    Args:
        timeline: with a mix.
        container: FFmpeg's name of the one that is written.
    """
    mix = timeline.mix
    if mix is None or mix.loudness is not None or len(mix.sounds) != 1 or container not in _HOLDS:
        return None
    sound = mix.sounds[0]
    if sound != Sound(sound.path, 0, sound.samples, start_s=sound.start_s):
        return None
    if sound.samples < mix.before + timeline.samples:
        return None
    start_s = sound.start_s + Fraction(mix.before, SAMPLE_RATE)
    cut = Cut(sound.path, start_s, Fraction(timeline.frames) / timeline.canvas.rate)
    with open_input(sound.path, "audio", packets_only=True) as source:
        return cut if _packets_are_known(source, sound.path, cut) else None


def _packets_are_known(source: InputContainer, path: Path, cut: Cut) -> bool:
    """Whether it is AAC-LC from before the cut on, in packets that follow one another without a gap."""
    stream = audio_stream(source, path.name)
    context = stream.codec_context
    if context.name != "aac" or context.profile != "LC" or stream.time_base != Fraction(1, context.sample_rate):
        return False
    wanted = _begin(source, stream, cut)
    first = next(_from(source, stream, path, wanted), None)
    return first is not None and first.pts is not None and first.pts <= wanted


def _begin(source: InputContainer, stream: AudioStream, cut: Cut) -> int:
    """The cut's first sample, in ticks of the stream."""
    assert stream.time_base is not None
    return round((second_zero(source, stream) + cut.start_s) / stream.time_base)


def _from(source: InputContainer, stream: AudioStream, path: Path, wanted: int) -> Iterator[Packet[Any]]:
    """The packets from the one before that in which a sample lies."""
    assert stream.time_base is not None
    for other in source.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    with reading(path):
        target = wanted - floor(_SEEK_S / stream.time_base)
        if target > (stream.start_time or 0):
            source.seek(target, stream=stream, backward=True)
        for packet in source.demux(stream):
            if packet.pts is not None and packet.pts + 2 * _PACKET > wanted:
                yield packet


class CopiedSound:
    """Takes packets over, as far as it is asked.

    Args:
        out: where they go; its streams are not written yet.
        cut: of which sound.
    """

    encoder = None

    def __init__(self, out: OutputContainer, cut: Cut) -> None:
        self._out = out
        self._source = open_input(cut.path, "audio", packets_only=True)
        stream = audio_stream(self._source, cut.path.name)
        assert stream.time_base is not None
        self._stream = clone(out, stream)
        self._base = stream.time_base
        self._begin = _begin(self._source, stream, cut)
        self._end = self._begin + round(cut.length_s / stream.time_base)
        self._packets = _from(self._source, stream, cut.path, self._begin)
        self._next = next(self._packets, None)

    def write_until(self, time_s: Fraction) -> None:
        """Write what is heard until a time."""
        while self._next is not None and (self._at(self._next) - self._begin) * self._base < time_s:
            packet, self._next = self._next, next(self._packets, None)
            at = self._at(packet)
            if at >= self._end:
                self._next = None
                return
            packet.pts = packet.dts = at - self._begin
            packet.duration = min(_PACKET, self._end - at)
            packet.stream = self._stream
            self._out.mux_one(packet)

    def finish(self) -> None:
        """Write the rest. How loud it is, nobody has measured."""
        self.write_until(self._end * self._base)

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    @staticmethod
    def _at(packet: Packet[Any]) -> int:
        return packet.pts or 0
