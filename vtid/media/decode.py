"""Decoding the first video stream, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from vtid.errors import MediaError, Problem
from vtid.media.carry import is_cover
from vtid.media.containers import open_input, reading, short_name
from vtid.media.frame import PlanarFrame
from vtid.media.pixels import to_planar
from vtid.media.whole import require_whole

_TICK = 1e-6
"""Seconds by which a time may miss a frame that it was read from: floats, and containers that count milliseconds."""

_BACKOFFS = (0.0, 2.0, 15.0)
"""Seconds before the wanted time at which to try a seek before starting over from the beginning."""


def main_video(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that is not cover art. Raises `MediaError` where there is none or its codec is unknown."""
    for stream in container.streams.video:
        if is_cover(stream):
            continue
        if stream.codec_context is None:
            raise MediaError(
                f"{name} holds video in a codec that cannot be decoded here. Convert it to H.264, for one."
            )
        return stream
    what = "has sound but no picture" if container.streams.audio else "holds no video"
    raise MediaError(f"{name} {what}. Give a video.", problems=[Problem("", what, code="no_video")])


def lateness(container: InputContainer, path: Path) -> int:
    """Ticks by which FFmpeg tells the frames of an AVI later than they are shown; 0 of other containers.

    AVI counts chunks and holds no times: the first is shown at once. FFmpeg takes their count for the time of decoding,
    and tells frames by as many later as the decoder may have to wait for, like those of a container that makes room
    for that. Written elsewhere as it is, the picture would come behind its sound.
    """
    if container.format.name != "avi":
        return 0
    with open_input(path, packets_only=True) as again, reading(path):  # the other one stays where it is
        first = next(again.demux(main_video(again, path.name)), None)
        return 0 if first is None or first.pts is None or first.dts is None else first.pts - first.dts


class Decoder:
    """Turns the packets of one video stream into frames.

    Damaged packets are left out, as players do; a file of which nothing decodes raises `MediaError`.
    """

    def __init__(self, path: Path, stream: VideoStream, threads: int) -> None:
        self._path = path
        self._stream = stream
        self._origin: int | None = None
        self._last: int | None = None
        self._index = 0
        self._size: tuple[int, int] | None = None
        self._error: Exception | None = None
        self.broken_packets = 0
        context = stream.codec_context
        context.thread_count = max(1, threads)
        context.thread_type = "AUTO"

    def decode(self, packet: Packet[VideoStream]) -> Iterator[PlanarFrame]:
        """The frames that a packet completes; an empty packet flushes the decoder."""
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, MemoryError) as error:
            self._error = error
            self.broken_packets += 1
            return
        for frame in frames:
            yield self._wrap(frame)

    def require_frames(self) -> None:
        """To be called at the end: raises `MediaError` if nothing could be decoded."""
        if self._origin is not None:
            return
        why = f"none of its frames can be decoded ({self._error})" if self._error else "it holds no frames"
        raise MediaError(
            f"{self._path.name} cannot be played: {why}. Give a video that plays.",
            problems=[Problem("", why, code="no_frames")],
        )

    def jumped(self) -> None:
        """Forget where the stream was: the container was seeked."""
        self._index = -1
        self._last = None

    def _wrap(self, frame: VideoFrame) -> PlanarFrame:
        self._require_same_size(frame)
        base = self._stream.time_base or Fraction(1, 1000)
        pts = self._pts(frame)
        if self._origin is None:
            self._origin = pts
        time = (pts - self._origin) * base
        if self._index < 0:
            self._index = round(time * (self._stream.average_rate or 0))
        frame = to_planar(frame)
        frame.pts, frame.time_base = pts, base
        wrapped = PlanarFrame(frame, index=self._index, pts=pts, time_s=float(time))
        self._index += 1
        self._last = pts
        return wrapped

    def _pts(self, frame: VideoFrame) -> int:
        """The frame's time; where the container has none (AVI), its decoding time, which is as good there."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if self._last is None:
            return pts or 0
        return max(self._last + 1, pts if pts is not None else self._last + (frame.duration or 1))

    def _require_same_size(self, frame: VideoFrame) -> None:
        size = frame.width, frame.height
        if self._size not in (None, size):
            was = "×".join(map(str, self._size or ()))
            raise MediaError(
                f"{self._path.name} changes its picture size from {was} to {size[0]}×{size[1]} on the way. "
                "Convert it to one size first."
            )
        self._size = size


def frames(
    path: Path, *, start_s: float | None = None, end_s: float | None = None, threads: int = 1
) -> Iterator[PlanarFrame]:
    """The frames of the first video stream in presentation order, from `start_s` on and before `end_s`.

    Times are seconds from the first frame. A file that is cut off raises `MediaError` at once, unless `end_s` says that
    only a part is wanted.
    """
    with open_input(path) as container, reading(path):
        stream = main_video(container, path.name)
        if end_s is None:
            require_whole_file(container, stream, path)
        decoder = Decoder(path, stream, threads)
        for frame in _from(container, stream, decoder, start_s or 0.0):
            if end_s is not None and frame.time_s >= end_s - _TICK:
                return
            yield frame
        decoder.require_frames()


def require_whole_file(container: InputContainer, stream: VideoStream, path: Path) -> None:
    """Raise `MediaError` where the file is cut off; an MP4's index even says how many frames are missing."""
    name = short_name(container, path)
    counted = None
    if name in ("mp4", "mov", "m4v", "3gp"):
        size = path.stat().st_size
        entries = stream.index_entries
        counted = sum(entry.pos + entry.size <= size for entry in entries), len(entries)
    require_whole(path, name, frames=counted)


def _from(container: InputContainer, stream: VideoStream, decoder: Decoder, start_s: float) -> Iterator[PlanarFrame]:
    """The frames from `start_s` on. Only the first frame tells where second 0 is, so that one is always decoded."""
    run = _decoded(container, stream, decoder)
    first = next(run, None)
    if first is None:
        return
    if start_s <= _TICK:
        yield first
        yield from run
        return
    for backoff in _BACKOFFS:
        if start_s - backoff < 1.0:
            break
        found, run = _sought(container, stream, decoder, first.pts, start_s - backoff)
        if found and found.time_s <= start_s + _TICK:
            first = found
            break
    else:
        run = _restarted(container, stream, decoder)
        first = next(run, first)
    yield from (frame for frame in _chain(first, run) if frame.time_s >= start_s - _TICK)


def _sought(
    container: InputContainer, stream: VideoStream, decoder: Decoder, origin: int, time_s: float
) -> tuple[PlanarFrame | None, Iterator[PlanarFrame]]:
    """Seek to the key frame before a time: the first frame there, and those that follow."""
    ticks = origin + round(time_s / (stream.time_base or Fraction(1, 1000)))
    container.seek(ticks, stream=stream, backward=True)
    decoder.jumped()
    run = _decoded(container, stream, decoder)
    return next(run, None), run


def _restarted(container: InputContainer, stream: VideoStream, decoder: Decoder) -> Iterator[PlanarFrame]:
    container.seek(0, any_frame=False)
    decoder.jumped()
    return _decoded(container, stream, decoder)


def _chain(first: PlanarFrame, rest: Iterator[PlanarFrame]) -> Iterator[PlanarFrame]:
    yield first
    yield from rest


def _decoded(container: InputContainer, stream: VideoStream, decoder: Decoder) -> Iterator[PlanarFrame]:
    for packet in container.demux(stream):
        yield from decoder.decode(packet)
