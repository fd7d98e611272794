"""What of a composed film is a source's as it is: its packets are copied, and only the rest is rendered.

A stretch can be copied where each frame of the film is the frame of the source that is next in turn, in its own size
and colours, with nothing over it; and then only whole groups of pictures, as `smart` divides films.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from vtid.domain.timeline import Clip, Footage, Mix, Placing, Sound, Stretch, Timeline, Writing
from vtid.media.compose.material import Material, examine
from vtid.media.containers import output_format
from vtid.media.smart.sequence import Origin, Piece
from vtid.media.smart.spans import divide

_LEAST_S = Fraction(1, 5)
"""A group's head that is shorter is not worth a joint."""

_IN_BETWEEN = "a cut lies within its group of pictures"
_UNLIKE = "its source is coded in another way than the first that is copied"


class Arrangement(Struct, frozen=True, eq=False):
    """How a film comes about."""

    stretches: tuple[Stretch, ...]
    pieces: tuple[Piece, ...] = ()
    """The same, as they are put together; those that are rendered have no part yet."""
    lead: Material | None = None
    """The source whose header the film has; None: all is rendered."""
    whole: bool = False
    """The film is all of that source with its own sound: all its streams go along."""


class _Taken(Struct, frozen=True, eq=False):
    """Frames that can be copied."""

    first: int
    frames: int
    origin: Origin
    begin: int


def arrange(timeline: Timeline, target: Path, writing: Writing) -> Arrangement:
    """Divide a film into what is copied and what is rendered."""
    causes = list(_changes(timeline))
    known: dict[Path, Material | str] = {}
    taken: list[_Taken] = []
    lead: Material | None = None
    for clip in timeline.main:
        material = _material(clip, timeline, target, writing, known)
        if isinstance(material, Material) and lead is not None and material.header != lead.header:
            material = _UNLIKE
        if isinstance(material, str):
            causes.append((clip.first, clip.last, material))
            continue
        found = list(_copyable(clip, material, timeline, causes))
        lead = lead or (material if found else None)
        taken += found
    if lead is None:
        whys = dict.fromkeys(why for _, _, why in sorted(causes)) or {_IN_BETWEEN: None}
        return Arrangement((Stretch(0, timeline.frames, copied=False, why="; ".join(whys)),))
    pieces = tuple(_row(taken, timeline.frames))
    return Arrangement(
        stretches=tuple(
            Stretch(p.first, p.last, p.origin is not None, "nothing in it is changed" if p.origin else _why(p, causes))
            for p in pieces
        ),
        pieces=pieces,
        lead=lead,
        whole=_is_whole(timeline, lead),
    )


def _changes(timeline: Timeline) -> Iterator[tuple[int, int, str]]:
    """Frames that are no source's alone, and why."""
    for overlay in timeline.overlays:
        yield overlay.first, overlay.first + overlay.frames, "text is over it, or over frames that depend on it"
    for clip in timeline.above:
        yield clip.first, clip.last, "another clip is over it, or over frames that depend on it"
    for clip in timeline.main:
        if clip.entry:
            yield clip.first, clip.first + clip.entry.frames, "one clip leads into another"
    if not timeline.main:
        yield 0, timeline.frames, "nothing is shown"


def _material(
    clip: Clip, timeline: Timeline, target: Path, writing: Writing, known: dict[Path, Material | str]
) -> Material | str:
    """What a clip's source offers; or why nothing of the clip can be copied, in words."""
    picture = clip.picture
    if not writing.copy or writing.bit_rate:
        return "a bit rate is asked for" if writing.bit_rate else "copying was not wanted"
    if not isinstance(picture, Footage):
        return "it is no video"
    if picture.speed != 1:
        return "the clip has another speed"
    if replace(clip.placing, fit="contain", background=(0, 0, 0)) != Placing():
        return "the clip is moved, cropped, turned or transparent"
    if picture.path not in known:
        known[picture.path] = examine(picture, timeline.canvas, output_format(target), writing.codec)
    return known[picture.path]


def _copyable(
    clip: Clip, material: Material, timeline: Timeline, causes: Sequence[tuple[int, int, str]]
) -> Iterator[_Taken]:
    """Where frames of a clip can be copied."""
    assert isinstance(clip.picture, Footage)
    slots, index = _slots(clip.picture, material, timeline.canvas.rate), material.index
    first, last = bisect_left(slots, 0), bisect_left(slots, clip.frames)
    uneven = [(at - 1, at + 1) for at in range(first + 1, last) if slots[at] - slots[at - 1] != 1]
    touched = [
        tuple(bisect_left(slots, frame - clip.first) for frame in (begin, end))
        for begin, end, _ in causes
        if begin < clip.last and clip.first < end
    ]
    outside = [(0, first), (last, len(slots))]
    ranges = [*outside, *uneven, *((a, b) for a, b in touched), *index.unfit]
    least = max(1, round(timeline.canvas.rate * _LEAST_S))
    for span in divide(len(slots), index.starts, index.ends, ranges, (), least):
        if span.copied:
            yield _Taken(clip.first + slots[span.first], span.frames, material.origin, span.first)


def _slots(picture: Footage, material: Material, rate: Fraction) -> list[int]:
    """For each frame of a source the frame of its clip at which it is shown, as `pictures` has it: the nearest."""
    begin = material.start + picture.start_s / material.time_base
    per_tick = material.time_base * rate
    by, of = 2 * per_tick.numerator, begin.denominator * per_tick.denominator
    return [((ticks * begin.denominator - begin.numerator) * by + of) // (2 * of) for ticks in material.origin.pts]


def _row(taken: Sequence[_Taken], frames: int) -> Iterator[Piece]:
    """All frames of the film: those that are taken, and what lies between."""
    at = 0
    for one in taken:
        if one.first > at:
            yield Piece(at, one.first)
        yield Piece(one.first, one.first + one.frames, one.origin, one.begin)
        at = one.first + one.frames
    if at < frames:
        yield Piece(at, frames)


def _why(piece: Piece, causes: Sequence[tuple[int, int, str]]) -> str:
    whys = dict.fromkeys(why for first, last, why in sorted(causes) if first < piece.last and piece.first < last)
    return "; ".join(whys) or _IN_BETWEEN


def _is_whole(timeline: Timeline, lead: Material) -> bool:
    """Whether the film is one source from its first frame to its last, with all its sound as it is."""
    [clip, *others] = timeline.main
    if others or not isinstance(clip.picture, Footage) or clip.first or timeline.captions:
        return False
    if _slots(clip.picture, lead, timeline.canvas.rate) != list(range(timeline.frames)):
        return False
    path = lead.origin.path
    plain = Sound(path, 0, timeline.samples)
    mix = timeline.mix or Mix()
    return mix.loudness is None and mix.sounds == ((plain,) if lead.has_sound else ())
