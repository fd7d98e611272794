"""The samples of one sound, read only as they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import av
import numpy as np
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from numpy.typing import NDArray

from vtid.domain.timeline import SAMPLE_RATE, Sound
from vtid.errors import MediaError, Problem
from vtid.media.carry import is_cover
from vtid.media.compose.graphs import Filter, chained
from vtid.media.containers import open_input, reading

Samples = NDArray[np.float32]
"""n×2, left and right, 1.0 is full scale."""
SOURCE = f"sample_rate={SAMPLE_RATE}:sample_fmt=flt:channel_layout=stereo:time_base=1/{SAMPLE_RATE}"
"""What the filter `abuffer` must know of them."""

_PRE_ROLL_S = Fraction(1, 5)
"""Decoders of sound need some packets before they give what was encoded."""

_SLIP = SAMPLE_RATE // 50
"""Samples by which the times of packets may miss the sample count, as they are rounded, before it is a gap."""


def samples(sound: Sound) -> Iterator[Samples]:
    """What a sound gives, piece by piece, at the rate of mixes; ends with the file, or never where it loops.

    Raises:
        MediaError: the file has no sound, or none that decodes.
    """
    start = sound.start_s
    while True:
        count = 0
        for piece in _tempo(_read(sound, start), sound.speed):
            count += len(piece)
            yield piece
        if not sound.loop or not count:
            return
        start = Fraction(0)


def _read(sound: Sound, start_s: Fraction) -> Iterator[Samples]:
    """From a time of the file on. Its gaps are silent, and what overlaps is left out: sound stays with its picture."""
    name = sound.path.name
    with open_input(sound.path, packets_only=True) as container, reading(sound.path):
        stream = audio_stream(container, name)
        base = stream.time_base or Fraction(1, SAMPLE_RATE)
        origin = second_zero(container, stream)
        if start_s > 0:
            target = floor((origin + start_s - _PRE_ROLL_S) / base)
            container.seek(max(target, stream.start_time or 0), stream=stream, backward=True)
        begin = origin + start_s
        position = 0
        resampler = AudioResampler(format="flt", layout="stereo", rate=SAMPLE_RATE)
        for frame in _frames(container, stream):
            if frame.pts is not None:
                at = round((frame.pts * (frame.time_base or base) - begin) * SAMPLE_RATE)
            else:
                at = position
            for piece in _resampled(resampler, frame):
                pieces, position = _fitted(piece, at, position)
                yield from pieces
                at = position
        for piece in _resampled(resampler, None):
            yield piece


def _fitted(piece: Samples, at: int, position: int) -> tuple[list[Samples], int]:
    """A piece where its time says, given what was there before it."""
    if at + len(piece) <= position and position == 0:
        return [], 0  # all of it lies before the beginning
    out = []
    if abs(at - position) > _SLIP or position == 0:
        if at > position:
            out.append(np.zeros((at - position, 2), np.float32))
        else:
            piece = piece[position - at :]
        position = max(position, at)
    return [*out, piece], position + len(piece)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, MemoryError):  # a damaged packet leaves a gap
            continue
        yield from frames


def _resampled(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[Samples]:
    for each in resampler.resample(frame):
        yield each.to_ndarray().reshape(-1, 2).astype(np.float32, copy=False)


def audio_stream(container: InputContainer, name: str) -> AudioStream:
    """The sound of a file: its first that can be decoded. Raises `MediaError` where there is none."""
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            return stream
    words = "has no sound" if not container.streams.audio else "has sound in a codec that cannot be decoded here"
    raise MediaError(f"{name} {words}.", problems=[Problem("", words, code="no_audio")])


def second_zero(container: InputContainer, stream: AudioStream) -> Fraction:
    """Second 0 of a file is that of its picture, where it has one."""
    pictures: list[Any] = [video for video in container.streams.video if not is_cover(video)]
    first = pictures[0] if pictures else stream
    return Fraction((first.start_time or 0) * (first.time_base or 0))


def _tempo(pieces: Iterator[Samples], speed: Fraction) -> Iterator[Samples]:
    """The same, faster or slower; the pitch stays."""
    if speed == 1:
        yield from pieces
        return
    yield from filtered(pieces, [("atempo", f"{factor:.6f}") for factor in _factors(speed)])


def _factors(speed: Fraction) -> list[float]:
    """The filter takes 0.5 at the least; slower is slowed several times."""
    steps = max(1, ceil(-np.log2(float(speed))) if speed < 1 else 1)
    return [float(speed) ** (1 / steps)] * steps


def filtered(pieces: Iterable[Samples], filters: Sequence[Filter]) -> Iterator[Samples]:
    """What comes out of FFmpeg's filters, one behind the other."""
    graph = Graph()
    source = graph.add("abuffer", SOURCE)
    formats = f"sample_fmts=flt:channel_layouts=stereo:sample_rates={SAMPLE_RATE}"
    sink = chained(graph, source, [*filters, ("aformat", formats), ("abuffersink", "")])
    graph.configure()
    at = 0
    for piece in pieces:
        source.push(as_frame(piece, at))
        at += len(piece)
        yield from _drained(sink)
    source.push(None)
    yield from _drained(sink)


def as_frame(piece: Samples, at: int) -> AudioFrame:
    """Samples as FFmpeg takes them; `at` is the number of the first."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece).reshape(1, -1), format="flt", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
    return frame


def _drained(sink: Any) -> Iterator[Samples]:
    """All that a graph of sound has ready, as samples."""
    while True:
        try:
            frame = sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield frame.to_ndarray().reshape(-1, 2)
