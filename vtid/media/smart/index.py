"""What the packets of a film tell without decoding: when each frame is shown, and where it can be cut."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream
from msgspec import Struct, structs
from numpy.typing import NDArray

from vtid.media.containers import open_input, reading
from vtid.media.decode import Decoder, main_video
from vtid.media.smart import nal
from vtid.media.smart.headers import length_size, parameter_sets

_INTRA = frozenset(("prores", "ffv1", "mjpeg", "dnxhd"))
"""Codecs of which every key frame stands alone, and most or all frames are key frames."""

_NO_TIME = -(1 << 62)
"""Stands for a time that a packet does not have."""


class Anchors(Struct, frozen=True):
    """Where decoding may begin: one entry for each key frame, in presentation order. All parts are equally long."""

    frame: array[int]
    """Which frame it is, in presentation order."""
    pts: array[int]
    dts: array[int]
    """To seek by; the presentation time where the container has none."""
    closed: array[int]
    """1: nothing shown from here on needs anything from before."""


_NOWHERE = Anchors(array("q"), array("q"), array("q"), array("q"))


class Index(Struct, frozen=True):
    """A film by its packets."""

    pts: array[int]
    """Of each frame, in presentation order."""
    anchors: Anchors
    starts: list[int]
    """Frames that open a closed group, of which all frames follow it in the file and all earlier ones precede it."""
    ends: array[int]
    """Numbers of frames that come first both in the file and on the screen, ascending."""
    unfit: list[tuple[int, int]]
    """Groups with frames that are decoded and never shown."""
    delay: int
    """By how many packets the decoding of a frame may come late, counted from its place on the screen."""
    last_duration: int
    """Of the last frame, as its packet says, in ticks."""
    doubt: str | None
    """Why the packets do not tell what the frames are, in words."""
    changes: str | None
    """Why the stream's header does not go for all of it, in words."""


class _Read:
    """What one pass over the packets collects."""

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self.codec = context.codec.canonical_name
        header = bytes(context.extradata or b"")
        self.length = length_size(self.codec, header) if self.codec in ("h264", "hevc") else nal.ANNEX_B
        self.sets = set(parameter_sets(self.codec, header)) if self.codec in ("h264", "hevc") else set()
        self.times = array("q")
        self.keys: list[tuple[int, int, bool]] = []
        self.hidden: list[int] = []
        self.last = _NO_TIME, 0
        self.begin: int | None = None
        self.doubt: str | None = None
        self.changes: str | None = None

    def take(self, packet: Packet[VideoStream]) -> None:
        """Look at the next packet in the file."""
        if self._comes_too_early(packet) or packet.is_discard:
            self.hidden.append(len(self.times))
            return
        if packet.pts is None:
            self.doubt = "the container does not say when each frame is shown"
        if packet.is_keyframe:
            at = packet.dts if packet.dts is not None else packet.pts
            self.keys.append((len(self.times), at if at is not None else _NO_TIME, self._closed(packet)))
        shown = packet.pts if packet.pts is not None else _NO_TIME
        self.last = max(self.last, (shown, packet.duration or 0))
        self.times.append(shown)

    def _comes_too_early(self, packet: Packet[VideoStream]) -> bool:
        """Recordings begin anywhere: nothing is shown of what lies before the first key frame, or refers to that."""
        if self.begin is None and packet.is_keyframe:
            self.begin = packet.pts
        if self.codec not in ("h264", "hevc") or packet.pts is None:
            return False
        return self.begin is None or packet.pts < self.begin

    def _closed(self, packet: Packet[VideoStream]) -> bool:
        if self.codec in ("h264", "hevc"):
            units = nal.split(bytes(packet), self.length)
            inside = {unit for unit in units if nal.is_set(self.codec, unit)}
            if self.length != nal.ANNEX_B and not inside <= self.sets:
                self.changes = "the source's picture parameters change on the way"
            if self.codec == "hevc" and any(nal.kind(self.codec, unit) == nal.HEVC_DOLBY_VISION for unit in units):
                self.changes = "the source has Dolby Vision metadata with each picture, which rendered ones would lack"
            kinds = {nal.kind(self.codec, unit) for unit in inside}
            needed = {nal.kind(self.codec, unit) for unit in self.sets} if self.length == nal.ANNEX_B else set()
            return nal.is_idr(self.codec, units) and needed <= kinds
        if self.codec == "vp9":
            return _is_vp9_key(bytes(packet)[:1])
        return self.codec in _INTRA


def _is_vp9_key(head: bytes) -> bool:
    """Section 6.2 of the VP9 bitstream specification: marker, profile, show_existing_frame, frame_type."""
    text = nal.bits(head)
    at = 5 if text[2:4] == "11" else 4  # profile 3 has a reserved bit behind it
    return text[:2] == "10" and text[at : at + 2] == "00"


def read_index(container: InputContainer, stream: VideoStream, path: Path) -> Index:
    """Read all packets of a stream, decoding none."""
    read = _Read(stream)
    with reading(path):
        for packet in container.demux(stream):
            if packet.size:
                read.take(packet)
    times = np.frombuffer(read.times, np.int64) if read.times else np.zeros(0, np.int64)
    doubt = read.doubt
    if doubt is None and len(np.unique(times)) < len(times):
        doubt = "several frames are said to be shown at the same time"
    if doubt is None and not len(times):
        doubt = "none of its packets is said to be a key frame"
    if doubt is None and read.codec == "vp8":
        doubt = "VP8 has packets that are never shown"
    return _indexed(read, times, doubt)


def _indexed(read: _Read, times: NDArray[np.int64], doubt: str | None) -> Index:
    order = np.argsort(times, kind="stable")
    count = len(times)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    # whole[i]: the first i packets of the file are the first i frames on the screen
    whole = np.concatenate(([True], np.maximum.accumulate(rank) == np.arange(count))) if count else np.ones(1, bool)
    starts = [at for at, _, closed in read.keys if closed and whole[at]]
    keys = sorted((int(rank[at]), int(times[at]), dts, closed) for at, dts, closed in read.keys)
    anchors = Anchors(*(array("q", column) for column in zip(*keys, strict=True))) if keys else _NOWHERE
    return Index(
        pts=array("q", times[order].tobytes()) if count else array("q"),
        anchors=anchors,
        starts=starts,
        ends=array("q", np.flatnonzero(whole).astype(np.int64).tobytes()),
        unfit=[_group(starts, count, at) for at in read.hidden],
        delay=int(np.max(np.arange(count) - rank, initial=0)),
        last_duration=read.last[1],
        doubt=doubt,
        changes=read.changes,
    )


def _group(starts: list[int], count: int, at: int) -> tuple[int, int]:
    """The frames of the group in which the packet lies that comes before the `at`-th frame of the file."""
    bounds = [0, *(start for start in starts if start), count]
    place = int(np.searchsorted(bounds, at, side="left"))
    return bounds[max(0, place - 1)], bounds[min(place, len(bounds) - 1)]


def counted_index(path: Path, read: Index, threads: int) -> Index:
    """The index of a film whose packets can't be believed: its frames are counted by decoding every one.

    Nothing can be copied by it. Where frames have times that no packet has, there are no anchors either, and the film
    can only be decoded from its beginning.

    Args:
        path: of the film.
        read: what its packets say.
        threads: of the decoder.
    """
    pts = array("q")
    with open_input(path) as container, reading(path):
        stream = main_video(container, path.name)
        decoder = Decoder(path, stream, threads)
        for packet in container.demux(stream):
            pts.extend(frame.pts for frame in decoder.decode(packet))
        decoder.require_frames()
    known = np.isin(np.frombuffer(pts, np.int64), np.frombuffer(read.pts, np.int64)) if read.pts else np.zeros(1, bool)
    anchors = _NOWHERE if read.doubt or not known.all() else _among(read.anchors, pts)
    return structs.replace(read, pts=pts, anchors=anchors, starts=[], ends=array("q"), unfit=[], delay=0)


def _among(anchors: Anchors, pts: array[int]) -> Anchors:
    """The key frames that are frames of the film, under their numbers."""
    place = np.searchsorted(np.frombuffer(pts, np.int64), np.frombuffer(anchors.pts, np.int64))
    rows = [
        (int(at), time, dts, closed)
        for at, time, dts, closed in zip(place, anchors.pts, anchors.dts, anchors.closed, strict=True)
        if at < len(pts) and pts[at] == time
    ]
    return Anchors(*(array("q", column) for column in zip(*rows, strict=True))) if rows else _NOWHERE


def last_duration(stream: VideoStream, index: Index) -> int:
    """How long the last frame is shown, in ticks."""
    begin, length = stream.start_time, stream.duration
    left = begin + length - index.pts[-1] if begin is not None and length else 0
    return left if left > 0 else index.last_duration
