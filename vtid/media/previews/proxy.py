"""A small copy that players seek to the frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from av import VideoFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from vtid.domain.previewing import Progress
from vtid.domain.timeline import SAMPLE_RATE, Canvas, Placing, Sound
from vtid.errors import MediaError
from vtid.media.compose.geometry import Shape, place, reduced, shape_of
from vtid.media.compose.graphs import Chain, Filter, to_sdr
from vtid.media.compose.pictures import tagged
from vtid.media.compose.sound import Samples, as_frame, samples
from vtid.media.containers import open_input, open_output, output_format, reading, removed_on_failure
from vtid.media.decode import Decoder, main_video, require_whole_file
from vtid.media.encoders import proxy_plan
from vtid.media.hardware import Hardware
from vtid.media.sidedata import is_mirrored

LONG, SHORT = 1280, 720
"""A proxy lies within a box of these sides, upright or lying."""
AUDIO_BIT_RATE = 128_000
TICKS = 90_000
"""Per second, where the source's own ticks are no whole number to the second."""


def proxy(path: Path, target: Path, threads: int, progress: Progress, hardware: Hardware) -> str:
    """See `vtid.sdk.Previewing.proxy`."""
    with ExitStack() as held:
        source = held.enter_context(open_input(path))
        stream = main_video(source, path.name)
        require_whole_file(source, stream, path)
        decoder = Decoder(path, stream, threads)
        base = stream.time_base or Fraction(1, 1000)
        frames = _decoded(source.demux(stream), decoder, path)
        first = next(frames, None)
        decoder.require_frames()
        assert first is not None
        shrink = _Shrinker(first, stream)
        ticks = Fraction(1, base.denominator if base.numerator == 1 else TICKS)
        plan = proxy_plan(
            shrink.width, shrink.height, ticks, stream.average_rate or Fraction(25), output_format(target)
        )
        held.enter_context(removed_on_failure(target))
        out = held.enter_context(open_output(target, timescale=ticks.denominator))
        video = held.enter_context(hardware.track(out, plan, threads, frame_threads=True))
        sound = _SoundTrack(out, path) if source.streams.audio else None
        total = float((stream.duration or 0) * base)
        origin, last, shown = first.pts or 0, -1, 1
        for frame in _first_and(first, frames):
            at = round(((frame.pts or 0) - origin) * base / ticks)
            at = max(at, last + 1)
            picture = shrink(frame)
            picture.pts, picture.time_base, picture.pict_type = at, ticks, 0
            shown = at - last if last >= 0 else shown
            last = at
            out.mux(video.encode(picture))
            if sound:
                sound.write_until(at * ticks)
            progress(min(1.0, float(at * ticks) / total) if total else 0.0)
        for packet in video.encode(None):
            out.mux(packet)
        if sound:
            sound.write_until((last + shown) * ticks)
            sound.finish()
        return video.encoder


def _decoded(packets: Iterator, decoder: Decoder, path: Path) -> Iterator[VideoFrame]:  # type: ignore[type-arg]
    with reading(path):
        for packet in packets:
            for frame in decoder.decode(packet):
                yield frame.av


def _first_and(first: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    yield first
    yield from rest


class _Shrinker:
    """Frames become small, upright, of square pixels, BT.709."""

    def __init__(self, first: VideoFrame, stream: VideoStream) -> None:
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        shape = shape_of(first, aspect, mirrored=is_mirrored(first))
        self.width, self.height = small(shape)
        self._canvas = Canvas(self.width, self.height, Fraction(25))
        fill = Placing(fit="stretch")
        placed = place(shape, fill, self._canvas, pad=False)
        filters: list[Filter] = [
            *to_sdr(first, reduced(shape, fill, self._canvas)),
            *placed.filters,
            ("format", "yuv420p"),
        ]
        self._chain = Chain(first, filters)

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        return tagged(self._chain(frame), self._canvas)


def small(shape: Shape) -> tuple[int, int]:
    """Width and height of a picture as it is shown, within the box of a proxy; even, and never larger than it was."""
    width, height = Fraction(shape.width) * shape.aspect, Fraction(shape.height)
    if shape.turn % 180:
        width, height = height, width
    by = min(Fraction(1), LONG / max(width, height), SHORT / min(width, height))
    return max(2, 2 * round(width * by / 2)), max(2, 2 * round(height * by / 2))


class _SoundTrack:
    """The sound, as far as there is picture for it; a file whose sound does not decode is silent."""

    def __init__(self, out: OutputContainer, path: Path) -> None:
        self._out = out
        self._stream: AudioStream = out.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        self._stream.bit_rate = AUDIO_BIT_RATE
        self._pieces: Iterator[Samples] | None = samples(Sound(path, 0, 0))
        self._at = 0

    def write_until(self, time_s: Fraction) -> None:
        """Write what is heard until a time."""
        while self._pieces is not None and self._at < time_s * SAMPLE_RATE:
            try:
                piece = next(self._pieces, None)
            except MediaError:
                piece = None
            if piece is None:
                self._pieces = None
                return
            self._out.mux(self._stream.encode(as_frame(piece, self._at)))
            self._at += len(piece)

    def finish(self) -> None:
        """Write what the encoder still has."""
        self._out.mux(self._stream.encode(None))
