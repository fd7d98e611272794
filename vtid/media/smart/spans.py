"""Dividing a film into copied and rendered spans; arithmetic only."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vtid.domain.rendering import Span, merged


def divide(
    frames: int,
    starts: Sequence[int],
    ends: Sequence[int],
    touched: Sequence[tuple[int, int]],
    splits: Sequence[int],
    least_frames: int,
) -> tuple[Span, ...]:
    """Cover a film with spans.

    Args:
        frames: of the film.
        starts: frames at which a copied span may begin, ascending: each opens a closed group of pictures.
        ends: numbers of frames after which copying may stop, ascending: nothing before needs what follows, nothing
            behind is shown earlier. Every start is among them, and the film's end.
        touched: frame ranges that must not be copied.
        splits: frames at which rendered stretches may be divided.
        least_frames: see `vtid.sdk.Media.plan`.

    Without starts, everything is rendered.
    """
    out: list[Span] = []
    for first, last, copied in _joined(_stretches(frames, starts, ends, merged(touched, frames), least_frames)):
        if copied:
            out.append(Span(first, last, True))
        else:
            cuts = [first, *_cuts(first, last, splits, max(1, least_frames)), last]
            out.extend(Span(a, b, False) for a, b in pairwise(cuts))
    return tuple(out)


def _stretches(
    frames: int, starts: Sequence[int], ends: Sequence[int], touched: Sequence[tuple[int, int]], least: int
) -> Iterator[tuple[int, int, bool]]:
    """Group by group: copied, rendered, or its untouched head copied and the rest rendered."""
    if not starts:
        yield 0, frames, False
        return
    if starts[0] > 0:
        yield 0, starts[0], False
    for first, last in zip(starts, [*starts[1:], frames], strict=True):
        hit = _first_touched(first, last, touched)
        if hit is None:
            yield first, last, True
            continue
        head = ends[bisect_right(ends, hit) - 1]
        if head - first >= max(1, least):
            yield first, head, True
            yield head, last, False
        else:
            yield first, last, False


def _first_touched(first: int, last: int, touched: Sequence[tuple[int, int]]) -> int | None:
    at = bisect_right(touched, first, key=lambda each: each[1])  # the first range that ends behind `first`
    if at == len(touched) or touched[at][0] >= last:
        return None
    return max(first, touched[at][0])


def _joined(stretches: Iterator[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Neighbours of one kind are one."""
    out: list[tuple[int, int, bool]] = []
    for first, last, copied in stretches:
        if out and out[-1][2] == copied:
            out[-1] = out[-1][0], last, copied
        elif last > first:
            out.append((first, last, copied))
    return out


def _cuts(first: int, last: int, splits: Sequence[int], least: int) -> Iterator[int]:
    """Where to divide a rendered stretch, so that no piece is short."""
    inside = sorted(splits)
    for cut in inside[bisect_left(inside, first + least) :]:
        if cut - first >= least and last - cut >= least:
            yield cut
            first = cut
