"""The length of pictures and colours for which the document says `auto`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from . import document as doc
from .complaints import Complaints
from .times import exact, nearest

AUTO = "auto"
Length = Callable[[int], Fraction | None]
"""Seconds of a clip of another kind, by its number; None where that cannot be said."""


def is_auto(clip: doc.Clip) -> bool:
    """Whether nothing but the clips and sounds around it say how long it is seen."""
    return clip.duration == AUTO and clip.video_url is None


def shares(
    clips: Sequence[doc.Clip], rate: Fraction, end: Fraction | None, length: Length, complaints: Complaints
) -> dict[int, Fraction]:
    """Seconds of each such clip of track 0, by its number; those that were complained of are missing.

    Clips from one start_time to the next share the time in between equally, the last ones that until the sound ends.

    Args:
        clips: all of the document.
        rate: of the film, frames per second.
        end: of the sound, seconds of the film.
        length: of clips of other kinds.
        complaints: gets what is wrong.
    """
    out: dict[int, Fraction] = {}
    groups: list[list[int]] = []
    for number, clip in enumerate(clips):
        if clip.track == 0:
            if not groups or clip.start_time is not None:
                groups.append([])
            groups[-1].append(number)
    starts = [exact(clips[group[0]].start_time or 0.0) for group in groups]
    for group, start, until in zip(groups, starts, [*starts[1:], end], strict=False):
        automatic = [number for number in group if is_auto(clips[number])]
        if automatic:
            each = _each(clips, group, rate, start, until, length, complaints)
            out |= dict.fromkeys(automatic, each) if each is not None else {}
    return out


def _each(
    clips: Sequence[doc.Clip],
    group: Sequence[int],
    rate: Fraction,
    start: Fraction,
    until: Fraction | None,
    length: Length,
    complaints: Complaints,
) -> Fraction | None:
    automatic = [number for number in group if is_auto(clips[number])]
    if until is None:
        for number in automatic:
            complaints.add(
                f"clips[{number}].duration",
                "is auto, and there is no sound that says when the film ends; say how long it is seen",
                "missing",
            )
        return None
    room = until - start
    for number in group:
        clip = clips[number]
        if clip.end_time is not None and number > automatic[0]:
            complaints.add(f"clips[{number}].end_time", "give its duration or start_time: before it lies one of auto")
            return None
        if clip.transition and number != group[0]:
            room += Fraction(max(1, nearest(exact(clip.transition.duration) * rate))) / rate
        if number not in automatic:
            lasts = length(number)
            if lasts is None:  # which is complained of elsewhere
                return None
            room -= lasts
    if room * rate < len(automatic):
        for number in automatic:
            complaints.add(
                f"clips[{number}].duration",
                f"is auto, and the clips beside it leave it no time until {float(until):g} s",
            )
        return None
    return room / len(automatic)
