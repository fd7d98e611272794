"""Smart render, last step: the film is looked at where its spans meet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from vtid.errors import Misfit
from vtid.media.containers import open_input
from vtid.media.decode import main_video
from vtid.media.pixels import bit_depth
from vtid.media.smart.index import Index, counted_index, read_index
from vtid.media.smart.sequence import Reader, Row
from vtid.media.smart.window import Film

_AROUND = 16
"""Frames that are looked at before a joint and behind it: the most pictures that decoders of H.264 and HEVC keep
(A.3.1, A.4.2), so that whatever was left over from before would show."""


def check_joints(target: Path, row: Row, *, threads: int) -> int:
    """Read all packets of a film that was put together, and decode it where its pieces meet.

    Frames before a joint and behind it must come, at their times. The first ones of a copied piece must be those of
    its origin to the bit; its further ones are the same packets behind the same ones, and follow from these.

    The film is decoded once at most, the origins hardly at all: places that lie close together are decoded in one go.
    Between two rendered pieces only the frames behind the joint are looked at: a rendered piece begins with a keyframe,
    under the header that the one before has too, so that nothing is left over between them.

    Returns:
        The number of joints.

    Raises:
        Misfit: the film is not as it should be.
    """
    with open_input(target, packets_only=True) as container:
        stream = main_video(container, target.name)
        tick_s = float(stream.time_base or 0)
        index = read_index(container, stream, target)
    if index.doubt:  # AVI, VP8: the packets don't tell, so that all is decoded
        _require_times(counted_index(target, index, threads), tick_s, row, target)
        return len(row.pieces) - 1
    _require_times(index, tick_s, row, target)
    with Reader(threads) as before, Film(target, index.pts, index.anchors, threads) as after:
        for first, last in _windows(_places(row), index):
            _look(before, after, row, first, last)
    return len(row.pieces) - 1


def _require_times(index: Index, tick_s: float, row: Row, target: Path) -> None:
    """The frames' times from the first must be those planned, to the tick of the coarser time base."""
    if len(index.pts) != row.frames:
        raise Misfit(f"{target.name} holds {len(index.pts)} frames, and {row.frames} were to be there.")
    planned_tick_s = float(row.time_base)
    planned = _from_first(row) * planned_tick_s
    late = np.abs(_from_first(index) * tick_s - planned)
    allowed = 1e-6 if tick_s == planned_tick_s else max(tick_s, planned_tick_s)
    if len(late) and late.max() > allowed:
        raise Misfit(f"{target.name} shows frame {int(late.argmax())} {late.max():.4f} s away from its time.")


def _from_first(film: Index | Row) -> NDArray[np.int64]:
    pts = np.frombuffer(film.pts, np.int64)
    return pts - pts[:1]


def _places(row: Row) -> Iterator[tuple[int, int]]:
    """Around the beginnings of pieces: the first frame to be looked at, and one past the last."""
    before = None
    for piece in row.pieces:
        if piece.first or piece.origin:
            rendered = before is not None and not before.origin and not piece.origin
            yield max(0, piece.first - (0 if rendered else _AROUND)), min(row.frames, piece.first + _AROUND)
        before = piece


def _windows(places: Iterable[tuple[int, int]], index: Index) -> Iterator[tuple[int, int]]:
    """The same; two are one where the second can only be decoded from the first on."""
    begin = end = -1
    for first, last in places:
        anchor = bisect_right(index.anchors.frame, first) - 1
        if end >= 0 and (first <= end or anchor < 0 or index.anchors.frame[anchor] < end):
            end = last
            continue
        if end >= 0:
            yield begin, end
        begin, end = first, last
    if end >= 0:
        yield begin, end


def _look(before: Reader, after: Film, row: Row, first: int, last: int) -> None:
    """Decode the frames of a window, and compare those with which a copied piece begins."""
    frames = after.frames(first, last)
    for piece in row.pieces:
        begin, end = max(first, piece.first), min(last, piece.last)
        if begin >= end:
            continue
        known = max(begin, min(end, piece.first + _AROUND)) if piece.origin else begin
        if piece.origin and begin < known:
            shift = piece.begin - piece.first
            for wanted in before.film(piece.origin).frames(begin + shift, known + shift):
                found = next(frames)
                if not _same(wanted.av, found.av):
                    raise Misfit(f"{after.path.name}: frame {found.index} of {piece} is not as in its source.")
        for _ in range(end - known):
            found = next(frames)
            if found.av.is_corrupt and piece.origin is None:
                raise Misfit(f"{after.path.name}: frame {found.index} of {piece} does not decode cleanly.")


def _same(a: VideoFrame, b: VideoFrame) -> bool:
    """To the bit."""
    width = 1 if bit_depth(a.format.name) == 8 else 2
    return a.format.name == b.format.name and all(
        np.array_equal(_samples(a, at, width), _samples(b, at, width)) for at in range(len(a.planes))
    )


def _samples(frame: VideoFrame, plane: int, width: int) -> NDArray[np.uint8]:
    """The bytes of a plane, without the padding at the end of each line."""
    it = frame.planes[plane]
    lines = np.frombuffer(it, np.uint8).reshape(-1, it.line_size)  # type: ignore[call-overload]
    return lines[: it.height, : it.width * width]  # type: ignore[no-any-return]
