"""The text that was removed, as subtitles: SRT for players and translators, JSON with boxes for programs.

What the tracker follows are lines, sometimes pieces of lines. People want captions: lines that come and go together, in
reading order, each once. Text that the reader did not recognise is never passed off as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

import msgspec
from msgspec import Struct

from vtid.sdk import Box, Coordinates

from . import bounds
from .events import Event
from .geometry import Turn, area, cover, meet, text_height, union
from .report import Kind

UNREAD = "Not read: in a script that the reader does not know, or unclear."


class Line(Struct, kw_only=True):
    """One line of a caption."""

    text: str | None
    confidence: float
    """Of the reader, 0 to 1; also where it was too low to give a text."""
    box: Coordinates
    """In fractions of the picture as shown."""


class Caption(Struct, kw_only=True):
    """Lines that come and go together."""

    start_s: float
    """Time of the first frame with it."""
    end_s: float
    """Time of the first frame without it."""
    kind: Kind
    text: str | None
    """Lines in reading order; None where one of them could not be read."""
    confidence: float
    note: str | None = None
    """Why there is no text."""
    box: Coordinates
    lines: list[Line]


class Boxes(Struct, kw_only=True):
    """The JSON file."""

    width: int
    """Of the picture as shown, pixels."""
    height: int
    duration_s: float
    captions: list[Caption]


class _Piece(Struct):
    """A line in the making."""

    box: Box
    """As shown, pixels."""
    start: int
    end: int
    kind: Kind
    text: str
    sure: float


def captions(events: Sequence[Event], times: Sequence[float], end_s: float, turn: Turn) -> list[Caption]:
    """What was there to read, in order.

    Args:
        events: of the film; erasures are no text.
        times: of its frames, seconds.
        end_s: when its last frame ends.
        turn: how it is shown.
    """
    pieces = [
        _Piece(_shown(e.box, turn), e.start, e.end, e.kind, e.text.strip(), e.sure) for e in events if not e.erasure
    ]
    pieces = _joined(_once(pieces))
    sure = readable(pieces)
    groups = sorted(_together(pieces), key=lambda g: (min(p.start for p in g), min(p.box[1] for p in g)))
    return [_caption(_in_reading_order(group), sure, [*times, end_s], turn) for group in groups]


def srt(found: Sequence[Caption]) -> str:
    """SubRip text of the subtitles among them that could be read, no marks, tickers and signs. May be empty."""
    cues = [c for c in found if c.kind == "subtitle" and c.text]
    return "".join(
        f"{number}\n{_clock(c.start_s)} --> {_clock(c.end_s)}\n{c.text}\n\n" for number, c in enumerate(cues, 1)
    )


def boxes(found: Sequence[Caption], turn: Turn, duration_s: float) -> bytes:
    """The JSON file's content."""
    width, height = turn.shown
    whole = Boxes(width=width, height=height, duration_s=duration_s, captions=list(found))
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def _clock(seconds: float) -> str:
    rest, ms = divmod(round(seconds * 1000), 1000)
    minutes, s = divmod(rest, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{s:02},{ms:03}"


def _shown(box: Box, turn: Turn) -> Box:
    at, (width, height) = turn.shown_region(box), turn.shown
    x, y = round(at.x * width), round(at.y * height)
    return x, y, x + round(at.width * width), y + round(at.height * height)


# --- pieces to lines --------------------------------------------------------------------------------------------------


def _once(pieces: list[_Piece]) -> list[_Piece]:
    """Without those that lie in another for most of their time: the same text, found twice."""
    out: list[_Piece] = []
    for piece in sorted(pieces, key=lambda p: (len(p.text), p.sure, p.end - p.start), reverse=True):
        if not any(
            cover(piece.box, o.box) > bounds.PIECE_INSIDE
            and min(piece.end, o.end) - max(piece.start, o.start) >= 0.5 * (piece.end - piece.start)
            for o in out
        ):
            out.append(piece)
    return out


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """A text that a flash or a cut broke in two, in one piece again."""
    out: list[_Piece] = []
    for piece in sorted(pieces, key=lambda p: p.start):
        before = next(
            (
                o
                for o in out
                if o.kind == piece.kind
                and -bounds.PIECE_GAP <= piece.start - o.end <= bounds.PIECE_GAP
                and min(cover(piece.box, o.box), cover(o.box, piece.box)) > bounds.PIECE_INSIDE
                and _alike(piece.text, o.text)
            ),
            None,
        )
        if before is None:
            out.append(piece)
            continue
        if piece.sure > before.sure:
            before.text, before.sure = piece.text, piece.sure
        before.end = max(before.end, piece.end)
    return out


def _alike(one: str, other: str) -> bool:
    return bool(one and other) and SequenceMatcher(None, one, other, autojunk=False).ratio() > bounds.PIECE_ALIKE


# --- lines to captions ------------------------------------------------------------------------------------------------


def _together(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Lines of one caption: side by side or one above the other, and there for the same frames."""
    groups: list[list[_Piece]] = []
    for piece in pieces:
        mine = [g for g in groups if any(_belong(piece, p) for p in g)]
        groups = [g for g in groups if g not in mine]
        groups.append([piece, *(p for g in mine for p in g)])
    return groups


def _belong(a: _Piece, b: _Piece) -> bool:
    if a.kind != b.kind or max(abs(a.start - b.start), abs(a.end - b.end)) > bounds.LINE_FRAMES:
        return False
    small, large = sorted((text_height(a.box), text_height(b.box)))
    if large > bounds.LINE_HEIGHTS * small:
        return False
    apart = [max(a.box[i], b.box[i]) - min(a.box[i + 2], b.box[i + 2]) for i in (0, 1)]
    reach = (bounds.WORD_GAP, bounds.LINE_GAP) if _wide(a) else (bounds.LINE_GAP, bounds.WORD_GAP)
    return apart[0] <= reach[0] * large and apart[1] <= reach[1] * large and min(apart) < 0


def _wide(piece: _Piece) -> bool:
    return piece.box[2] - piece.box[0] >= piece.box[3] - piece.box[1]


def _in_reading_order(group: Sequence[_Piece]) -> list[list[_Piece]]:
    """Rows from the top, each from the left; columns, as East Asian scripts have them, from the right."""
    if sum(map(_wide, group)) * 2 >= len(group):
        return _rows(group, lambda p: (p.box[1], p.box[3]), lambda p: p.box[0])
    return _rows(group, lambda p: (-p.box[2], -p.box[0]), lambda p: p.box[1])


def _rows(
    group: Sequence[_Piece], across: Callable[[_Piece], tuple[int, int]], along: Callable[[_Piece], int]
) -> list[list[_Piece]]:
    """Pieces whose extents across the lines share more than half belong to one line."""
    rows: list[list[_Piece]] = []
    for piece in sorted(group, key=lambda p: sum(across(p))):
        low, high = across(piece)
        if rows:
            first, last = across(rows[-1][0])
            if min(high, last) - max(low, first) > 0.5 * min(high - low, last - first):
                rows[-1].append(piece)
                continue
        rows.append([piece])
    return [sorted(row, key=along) for row in rows]


def readable(all_of_them: Sequence[_Piece] | Sequence[Event]) -> Callable[[_Piece | Event], bool]:
    """Which of a film's texts may be given as text: those read with confidence, in a script that the reader knows.

    In one that it does not, a lookalike now and then still reads well; so most of a film's subtitles must.
    """
    texts = [p for p in all_of_them if p.kind == "subtitle"]
    known = 2 * sum(p.sure >= bounds.READ_SURE for p in texts) >= len(texts)
    return lambda p: known and bool(p.text.strip()) and p.sure >= bounds.READ_SURE


def _caption(
    rows: Sequence[Sequence[_Piece]], sure: Callable[[_Piece | Event], bool], times: Sequence[float], turn: Turn
) -> Caption:
    pieces = [p for row in rows for p in row]
    read = [sure(p) for p in pieces]
    text = "\n".join(_spaced([p.text for p in row]) for row in rows) if all(read) else None
    return Caption(
        start_s=times[min(p.start for p in pieces)],
        end_s=times[max(p.end for p in pieces)],
        kind=pieces[0].kind,
        text=text,
        confidence=round(min(p.sure for p in pieces), 3),
        note=None if text is not None else UNREAD,
        box=_fractions(union([p.box for p in pieces]), turn),
        lines=[
            Line(text=p.text if good else None, confidence=round(p.sure, 3), box=_fractions(p.box, turn))
            for p, good in zip(pieces, read, strict=True)
        ],
    )


def _spaced(texts: Sequence[str]) -> str:
    """Pieces of a line joined: with a space, but not between Chinese characters or kana."""
    out = texts[0]
    for text in texts[1:]:
        tight = "⺀" <= out[-1:] <= "鿿" and "⺀" <= text[:1] <= "鿿"
        out += text if tight else f" {text}"
    return out


def _fractions(box: Box, turn: Turn) -> Coordinates:
    w, h = turn.shown
    x0, y0, x1, y1 = meet(box, (0, 0, w, h))
    assert area((x0, y0, x1, y1))
    return Coordinates(x=x0 / w, y=y0 / h, width=(x1 - x0) / w, height=(y1 - y0) / h)
