"""Frames and packets from the middle of a film, each with its true number."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import dropwhile
from pathlib import Path
from typing import Self

from av import Packet
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard
from av.video.stream import VideoStream

from vtid.errors import Misfit
from vtid.media.containers import open_input, reading
from vtid.media.decode import Decoder, main_video
from vtid.media.frame import PlanarFrame
from vtid.media.smart.index import Anchors

_SEEK_TRIES = 3
"""Key frames, each before the last, to which seeking is tried before the film is read from its beginning. Containers
seek by decoding time or by clusters, and may land a little late."""


class Film:
    """An open film whose frames and key frames are known. A context manager.

    Args:
        path: of the film.
        pts: when each frame is shown, in presentation order.
        anchors: where decoding may begin.
        threads: of the decoder.
    """

    def __init__(self, path: Path, pts: array[int], anchors: Anchors, threads: int = 1) -> None:
        self.path = path
        self._threads = threads
        self._pts, self._anchors = pts, anchors
        self._open = ExitStack()
        self._container: InputContainer
        self._stream: VideoStream
        self._decoder: Decoder
        self._reopen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def packets(self, first: int) -> Iterator[Packet[VideoStream]]:
        """The packets from frame `first` on, which must be a key frame, in the file's order."""
        with reading(self.path):
            yield from self._from_anchor(bisect_left(self._anchors.frame, first))

    def frames(self, first: int, last: int) -> Iterator[PlanarFrame]:
        """The frames from `first` on and before `last`.

        Raises:
            Misfit: a frame does not come, or one comes at a time at which there is none.
        """
        expected, base = first, self._stream.time_base or Fraction(1, 1000)
        for frame in self._decoded(self._anchor_for(first), first):
            at = bisect_left(self._pts, frame.pts)
            if at < first:
                continue
            if at != expected or self._pts[at] != frame.pts:
                raise Misfit(f"{self.path.name}: frame {expected} does not decode as its packets say.")
            frame.index, frame.time_s = at, float((frame.pts - self._pts[0]) * base)
            yield frame
            expected += 1
            if expected >= last:
                return
        raise Misfit(f"{self.path.name}: {last - expected} of {last - first} frames do not decode.")

    def _anchor_for(self, frame: int) -> int:
        """The key frame to decode from; -1 for the beginning of the file.

        Frames behind a key frame of an open group are certain only if a group before was decoded too: its leading
        frames refer to that, and some encoders refresh the picture piece by piece.
        """
        at = bisect_right(self._anchors.frame, frame) - 1
        return at if at < 0 or self._anchors.closed[at] else at - 1

    def _decoded(self, anchor: int, first: int) -> Iterator[PlanarFrame]:
        """Frames, of those before `first` only what others may need where the codec tells which these are."""
        tells, begin = self._stream.codec_context.name == "h264", self._pts[first]
        with reading(self.path):
            for packet in self._from_anchor(anchor):
                unseen = tells and packet.pts is not None and packet.pts < begin
                self._stream.codec_context.skip_frame = "NONREF" if unseen else "DEFAULT"
                yield from self._decoder.decode(packet)

    def _from_anchor(self, anchor: int) -> Iterator[Packet[VideoStream]]:
        """The packets from a key frame on, and the empty one that flushes the decoder."""
        wanted = self._anchors.pts[anchor] if anchor >= 0 else None
        for back in range(min(_SEEK_TRIES, anchor + 1)):
            try:
                self._container.seek(self._anchors.dts[anchor - back], stream=self._stream, backward=True)
            except FFmpegError:  # the container has no index, or a wrong one
                break
            self._decoder.jumped()
            packets = self._container.demux(self._stream)
            begin = next((packet for packet in packets if _reaches(packet, wanted)), None)
            if begin is not None and begin.pts == wanted:
                yield begin
                yield from packets
                return
        self._reopen()
        packets = self._container.demux(self._stream)
        if wanted is not None:
            packets = dropwhile(lambda packet: packet.pts != wanted, packets)
        yield from packets

    def _reopen(self) -> None:
        """Back to the very beginning, for which seeking is not reliable everywhere."""
        self._open.close()
        self._container = self._open.enter_context(open_input(self.path))
        self._stream = main_video(self._container, self.path.name)
        self._decoder = Decoder(self.path, self._stream, self._threads)
        for other in self._container.streams:
            if other.index != self._stream.index:
                other.discard = Discard.all


def _reaches(packet: Packet[VideoStream], wanted: int | None) -> bool:
    """Is this the wanted key frame, or one behind it?"""
    return wanted is not None and packet.is_keyframe and packet.pts is not None and packet.pts >= wanted
