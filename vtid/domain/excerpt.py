"""A stretch of a timeline, as a timeline of its own: the very frames and samples that the whole has there."""

from __future__ import annotations

from fractions import Fraction

from msgspec.structs import replace

from vtid.domain.timeline import SAMPLE_RATE, Captions, Clip, Footage, Overlay, Timeline, Transition


def excerpt(timeline: Timeline, first: int, last: int) -> Timeline:
    """The frames from `first` on and before `last`, and what is heard meanwhile."""
    rate, mix = timeline.canvas.rate, timeline.mix
    return replace(
        timeline,
        frames=last - first,
        main=tuple(_clip(clip, first, last, rate) for clip in timeline.main if clip.first < last and first < clip.last),
        above=tuple(_clip(one, first, last, rate) for one in timeline.above if one.first < last and first < one.last),
        overlays=tuple(
            _overlay(one, first, last)
            for one in timeline.overlays
            if one.first < last and first < one.first + one.frames
        ),
        mix=mix and replace(mix, before=mix.before + round(first * SAMPLE_RATE / rate)),
        captions=timeline.captions and _captions(timeline.captions, float(first / rate), float(last / rate)),
    )


def _clip(clip: Clip, first: int, last: int, rate: Fraction) -> Clip:
    """What a clip has between two frames, counted from the first of them."""
    begin, end = max(first, clip.first), min(last, clip.last)
    picture, passed = clip.picture, begin - clip.first
    if isinstance(picture, Footage):
        picture = replace(picture, start_s=picture.start_s + passed * picture.speed / rate)
    return replace(
        clip,
        picture=picture,
        first=begin - first,
        frames=end - begin,
        entry=clip.entry and _entry(clip.entry, passed, end - clip.first),
        before=clip.before + passed,
        after=clip.after + clip.last - end,
    )


def _entry(entry: Transition, passed: int, end: int) -> Transition | None:
    """What is left of a transition when a clip begins some frames later, and ends at another."""
    if passed >= entry.frames:
        return None
    left = min(entry.frames, end) - passed
    return replace(entry, frames=left, before=entry.before + passed, after=entry.after + entry.frames - passed - left)


def _overlay(overlay: Overlay, first: int, last: int) -> Overlay:
    begin, end = max(first, overlay.first), min(last, overlay.first + overlay.frames)
    return replace(
        overlay,
        first=begin - first,
        frames=end - begin,
        before=overlay.before + begin - overlay.first,
        after=overlay.after + overlay.first + overlay.frames - end,
    )


def _captions(captions: Captions, begin_s: float, end_s: float) -> Captions:
    lines = (
        replace(one, start_s=max(0.0, one.start_s - begin_s), end_s=min(end_s, one.end_s) - begin_s)
        for one in captions.lines
        if one.start_s < end_s and begin_s < one.end_s
    )
    return replace(captions, lines=tuple(lines))
