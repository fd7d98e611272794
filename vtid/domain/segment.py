"""Segments: time ranges of a video, each with the sound that belongs there."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from vtid.errors import Problem

SLACK_S = 0.1
"""Containers disagree with themselves about their length by so much."""
Seconds = Annotated[float, Meta(ge=0)]


class AudioInput(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Which sound, and which part of it."""

    ref_id: Annotated[str, Meta(min_length=1, max_length=200)]
    duration: Seconds | None = None
    """Of the whole sound, as front ends know it; the file itself tells better."""
    start_time: Seconds | None = None
    end_time: Seconds | None = None
    """The part of it: both or neither."""


class Segment(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A time range of a video in seconds, and its sound."""

    start_time: Seconds
    end_time: Seconds
    audio_input: AudioInput
    label: Annotated[str, Meta(max_length=200)] | None = None
    color: Annotated[str, Meta(max_length=50)] | None = None
    options_override: dict[str, Any] = field(default_factory=dict)
    """Options for this segment alone, as the service that does the work has them."""

    @property
    def sound_s(self) -> float | None:
        """Length of the part of the sound, where one is named."""
        cut = self.audio_input
        return None if cut.start_time is None or cut.end_time is None else cut.end_time - cut.start_time


def segment_problems(
    segments: Sequence[Segment],
    *,
    video_s: float | None,
    audio_s: Mapping[str, float | None],
    place: str = "segments",
    unknown: Callable[[str], str] | None = None,
) -> list[Problem]:
    """Everything that is wrong with segments.

    Args:
        segments: as given.
        video_s: length of the video, where it is known.
        audio_s: length of each sound that there is, by refId; None where it is not known.
        place: the name to use in complaints.
        unknown: says of a refId that it names no sound; by default, which there are.
    """
    problems: list[Problem] = []
    uses = Counter(one.audio_input.ref_id for one in segments)
    for at, one in enumerate(segments):
        here, cut = f"{place}[{at}]", one.audio_input
        if one.end_time <= one.start_time:
            words = f"must be after startTime ({one.start_time:g} s)"
            problems.append(Problem(f"{here}.endTime", words, "empty_range"))
        elif video_s is not None and one.end_time > video_s + SLACK_S:
            words = f"past the end of the video ({video_s:.2f} s)"
            problems.append(Problem(f"{here}.endTime", words, "past_end"))
        if cut.ref_id not in audio_s:
            said = f'there is no audio "{cut.ref_id}"; there are: {", ".join(audio_s) or "none"}'
            words = unknown(cut.ref_id) if unknown else said
            problems.append(Problem(f"{here}.audioInput.refId", words, "unknown"))
        problems += _cut_problems(f"{here}.audioInput", cut, audio_s.get(cut.ref_id), shared=uses[cut.ref_id] > 1)
    return problems + _overlaps(segments, place)


def _cut_problems(here: str, cut: AudioInput, sound_s: float | None, *, shared: bool) -> list[Problem]:
    if cut.start_time is None or cut.end_time is None:
        if (cut.start_time is None) != (cut.end_time is None):
            missing = "startTime" if cut.start_time is None else "endTime"
            return [Problem(f"{here}.{missing}", "is missing; give both startTime and endTime, or neither", "missing")]
        words = (
            f'several segments use "{cut.ref_id}": each needs startTime and endTime, or all begin with the same words'
        )
        return [Problem(here, words, "missing")] if shared else []
    if cut.end_time <= cut.start_time:
        return [Problem(f"{here}.endTime", f"must be after startTime ({cut.start_time:g} s)", "empty_range")]
    if sound_s is not None and cut.end_time > sound_s + SLACK_S:
        return [Problem(f"{here}.endTime", f"past the end of the audio ({sound_s:.2f} s)", "past_end")]
    return []


def _overlaps(segments: Sequence[Segment], place: str) -> list[Problem]:
    order = sorted(range(len(segments)), key=lambda at: (segments[at].start_time, at))
    found = []
    for before, after in itertools.pairwise(order):
        end, start = segments[before].end_time, segments[after].start_time
        if start < end:
            words = f"begins at {start:g} s, within {place}[{before}], which ends at {end:g} s"
            found.append(Problem(f"{place}[{after}].startTime", words, "overlap"))
    return found
