"""Copied and rendered pieces in a row: the packets of one film, with times that no joint can be seen in."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av import Packet
from msgspec import Struct

from vtid.errors import Misfit
from vtid.media.smart import headers, nal
from vtid.media.smart.index import Anchors
from vtid.media.smart.matching import Joint
from vtid.media.smart.spool import unspool
from vtid.media.smart.window import Film


class Origin(Struct, frozen=True, eq=False):
    """A film of which packets are taken."""

    path: Path
    pts: array[int]
    """When each of its frames is shown, in presentation order."""
    anchors: Anchors
    delay: int
    """By how many packets the decoding of its frames may come late."""


class Piece(Struct, frozen=True, eq=False):
    """A stretch of the film that is written; copied where it has an origin, else rendered."""

    first: int
    last: int
    """Lies outside."""
    origin: Origin | None = None
    begin: int = 0
    """The frame of its origin with which it begins."""
    part: Path | None = None
    """Where its packets lie, if it is rendered."""

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.last - self.first

    def __str__(self) -> str:
        return f"the {'copied' if self.origin else 'rendered'} frames {self.first} to {self.last}"


class Row(Struct, frozen=True, eq=False):
    """A film, as it is put together."""

    pieces: tuple[Piece, ...]
    """Without a gap from frame 0 on."""
    pts: array[int]
    """When each of its frames is shown."""
    time_base: Fraction
    last_duration: int
    """Of the last frame, in ticks."""
    joint: Joint

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.pts)


class Reader:
    """Opens the films that pieces are taken from, one at a time. A context manager."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._stack = ExitStack()
        self._open: tuple[Origin, Film] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def film(self, origin: Origin) -> Film:
        """The open film."""
        if self._open is None or self._open[0] is not origin:
            self._stack.close()
            film = Film(origin.path, origin.pts, origin.anchors, self._threads)
            self._open = origin, self._stack.enter_context(film)
        return self._open[1]


class Packets:
    """The film's packets in the order of decoding.

    The decoding times follow from those on the screen: the packet at place i is decoded when the frame at place
    i - delay is shown, for the largest delay that a piece needs. That is what encoders do within one stream, so that
    the times rise everywhere, whatever the pieces had.
    """

    def __init__(self, row: Row) -> None:
        self._row = row
        self._rendered = {piece.first: _Rendered(piece, row.joint) for piece in row.pieces if piece.origin is None}
        delays = [part.delay for part in self._rendered.values()]
        delays += [piece.origin.delay for piece in row.pieces if piece.origin]
        self._delay = max(delays, default=0)

    def __iter__(self) -> Iterator[Packet[Any]]:
        with Reader() as reader:
            place = 0
            for piece in self._row.pieces:
                if piece.origin:
                    packets = _copied(piece, piece.origin, reader.film(piece.origin))
                else:
                    packets = self._rendered[piece.first].packets()
                for frame, packet in packets:
                    self._stamp(packet, frame, place)
                    yield packet
                    place += 1

    def _stamp(self, packet: Packet[Any], frame: int, place: int) -> None:
        pts = self._row.pts
        packet.time_base = self._row.time_base
        packet.pts = pts[frame]
        packet.duration = pts[frame + 1] - pts[frame] if frame + 1 < len(pts) else self._row.last_duration
        if place >= self._delay:
            packet.dts = pts[place - self._delay]
        else:  # before the first frame is shown there is no frame to take the time from: as x264 does it
            packet.dts = pts[min(place, len(pts) - 1)] - pts[min(self._delay, len(pts) - 1)] + pts[0]


def _copied(piece: Piece, origin: Origin, film: Film) -> Iterator[tuple[int, Packet[Any]]]:
    """Each packet with the number of its frame in the film that is written."""
    shown = (packet for packet in film.packets(piece.begin) if packet.size and not packet.is_discard)
    count = 0
    for packet in islice(shown, piece.frames):
        at = bisect_left(origin.pts, packet.pts or 0)
        if not piece.begin <= at < piece.begin + piece.frames or origin.pts[at] != packet.pts:
            raise Misfit(f"{origin.path.name}: the packets of {piece} are not where they were when it was planned.")
        yield at - piece.begin + piece.first, packet
        count += 1
    if count != piece.frames:
        raise Misfit(f"{origin.path.name} has {count} packets of {piece}.")


class _Rendered:
    """The packets of a part, in the form of the stream that they become a piece of."""

    def __init__(self, piece: Piece, joint: Joint) -> None:
        assert piece.part is not None
        self._piece, self._part, self._joint = piece, piece.part, joint
        times = np.array([packet.pts for packet in unspool(piece.part)], np.int64)
        if len(times) != piece.frames or len(np.unique(times)) != piece.frames:
            raise Misfit(f"{piece.part.name} holds {len(np.unique(times))} frames, and {piece} are {piece.frames}.")
        self._rank = np.argsort(np.argsort(times))
        self.delay = int(np.max(np.arange(len(times)) - self._rank, initial=0))

    def packets(self) -> Iterator[tuple[int, Packet[Any]]]:
        """Each with the number of its frame in the film."""
        for rank, encoded in zip(self._rank, unspool(self._part), strict=True):
            packet: Packet[Any] = Packet(self._fitted(encoded.data))
            packet.is_keyframe = encoded.key
            yield self._piece.first + int(rank), packet

    def _fitted(self, data: bytes) -> bytes:
        joint = self._joint
        if joint.numbers is None:
            return data
        codec = "hevc" if joint.encode.encoder == "libx265" else "h264"
        units = headers.without_sets(codec, nal.split(data, nal.ANNEX_B))
        if codec == "hevc":
            try:
                units = [headers.renumbered(unit, joint.numbers) for unit in units]
            except headers.Unjoinable as error:
                raise Misfit(f"{self._part.name}: {error}.") from error
        return nal.pack(units, joint.length)


def row_of(pieces: Sequence[Piece], pts: array[int], time_base: Fraction, last_duration: int, joint: Joint) -> Row:
    """A row, its pieces looked at: they cover all frames. Raises `Misfit` where they do not."""
    reached = 0
    for piece in pieces:
        if piece.first != reached:
            raise Misfit(f"Frame {reached} was due, and {piece} come.")
        reached = piece.last
    if reached != len(pts):
        raise Misfit(f"The pieces end with frame {reached}, and {len(pts)} were to be there.")
    return Row(tuple(pieces), pts, time_base, last_duration, joint)
