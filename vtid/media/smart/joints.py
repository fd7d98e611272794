"""Smart render, last step: the film is looked at where its spans meet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from vtid.domain.rendering import RenderPlan
from vtid.errors import Misfit
from vtid.media.containers import open_input
from vtid.media.decode import main_video
from vtid.media.pixels import bit_depth
from vtid.media.smart.index import Index, counted_index, read_index
from vtid.media.smart.window import Film

_AROUND = 16
"""Frames that are looked at before a joint and behind it: the most pictures that decoders of H.264 and HEVC keep
(A.3.1, A.4.2), so that whatever was left over from before would show."""


def check_joints(source: Path, target: Path, plan: RenderPlan, *, threads: int) -> int:
    """Read all packets of a joined film, and decode it where spans meet.

    Frames before a joint and behind it must come, at their times. The first ones of a copied span must be those of the
    source to the bit; its further ones are the same packets behind the same ones, and follow from these.

    The film is decoded once at most, the source hardly at all: places that lie close together are decoded in one go.

    Returns:
        The number of joints.

    Raises:
        Misfit: the film is not as it should be.
    """
    with open_input(target) as container:
        stream = main_video(container, target.name)
        tick_s = float(stream.time_base or 0)
        index = read_index(container, stream, target)
    if index.doubt:  # AVI, VP8: the packets don't tell, so that all is decoded
        _require_times(counted_index(target, index, threads), tick_s, plan, target)
        return len(plan.spans) - 1
    _require_times(index, tick_s, plan, target)
    begins = [span.first for span in plan.spans if span.first or span.copied]
    with (
        Film(source, plan.pts, plan.coding.anchors, threads) as before,
        Film(target, index.pts, index.anchors, threads) as after,
    ):
        for first, last in _windows(begins, index, plan.frames):
            _look(before, after, plan, first, last)
    return len(plan.spans) - 1


def _require_times(index: Index, tick_s: float, plan: RenderPlan, target: Path) -> None:
    """The frames' times from the first must be those planned, to the tick of the coarser time base."""
    if len(index.pts) != plan.frames:
        raise Misfit(f"{target.name} holds {len(index.pts)} frames, and {plan.frames} were to be there.")
    planned_tick_s = float(plan.time_base)
    planned = _from_first(plan) * planned_tick_s
    late = np.abs(_from_first(index) * tick_s - planned)
    allowed = 1e-6 if tick_s == planned_tick_s else max(tick_s, planned_tick_s)
    if len(late) and late.max() > allowed:
        raise Misfit(f"{target.name} shows frame {int(late.argmax())} {late.max():.4f} s away from its time.")


def _from_first(film: Index | RenderPlan) -> NDArray[np.int64]:
    pts = np.frombuffer(film.pts, np.int64)
    return pts - pts[:1]


def _windows(begins: list[int], index: Index, frames: int) -> Iterator[tuple[int, int]]:
    """Stretches around the beginnings of spans; two are one where the second can only be decoded from the first on."""
    begin = end = -1
    for middle in begins:
        first, last = max(0, middle - _AROUND), min(frames, middle + _AROUND)
        anchor = bisect_right(index.anchors.frame, first) - 1
        if end >= 0 and (first <= end or anchor < 0 or index.anchors.frame[anchor] < end):
            end = last
            continue
        if end >= 0:
            yield begin, end
        begin, end = first, last
    if end >= 0:
        yield begin, end


def _look(before: Film, after: Film, plan: RenderPlan, first: int, last: int) -> None:
    """Decode the frames of a window, and compare those behind which a copied span begins."""
    frames = after.frames(first, last)
    for span in plan.spans:
        begin, end = max(first, span.first), min(last, span.last)
        known = max(begin, min(end, span.first + _AROUND)) if span.copied else begin
        for wanted in before.frames(begin, known) if begin < known else ():
            found = next(frames)
            if not _same(wanted.av, found.av):
                raise Misfit(f"{after.path.name}: frame {found.index} of {span} is not as in the source.")
        for _ in range(end - known):
            found = next(frames)
            if found.av.is_corrupt and not span.copied:
                raise Misfit(f"{after.path.name}: frame {found.index} of {span} does not decode cleanly.")


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
