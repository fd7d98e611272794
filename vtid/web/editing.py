"""Reading what the pro editor sends: segments and effects, every complaint at once, each by its field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from vtid.complaints import complaints, worded
from vtid.db import Editing
from vtid.domain.artifact import Asset
from vtid.domain.media import MediaInfo
from vtid.domain.region import Region, normalise
from vtid.domain.segment import Segment, segment_problems
from vtid.errors import InvalidInput, Problem

T = TypeVar("T", bound=Struct)
SEGMENTS, EFFECTS = "segments_data", "effects"
FIELDS = {"dub.segments": SEGMENTS, "dub.video": "file", "clean.regions": EFFECTS}
"""What the steps of the pipeline complain about, and what the client knows it by."""


class Asked(Struct, frozen=True):
    """What a request asks for, well-formed."""

    segments: Sequence[Segment]
    effects: Sequence[Region]


def parse(fields: Mapping[str, str], problems: list[Problem]) -> Asked:
    """Segments and effects of a form; what is wrong with their form is added to the problems."""
    segments = _each(fields.get(SEGMENTS) or "", SEGMENTS, Segment, problems) if SEGMENTS in fields else []
    if SEGMENTS in fields and not segments and not any(p.field.startswith(SEGMENTS) for p in problems):
        problems.append(Problem(SEGMENTS, "is empty; give at least one segment", "missing"))
    effects = _each(fields[EFFECTS], EFFECTS, Region, problems) if fields.get(EFFECTS) else []
    return Asked(segments, effects)


def _each(text: str, place: str, type_: type[T], problems: list[Problem]) -> list[T]:
    """A JSON list, item by item, so that each says what is wrong with it."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(Problem(place, f"is not valid JSON: {error}", "not_json"))
        return []
    if not isinstance(raw, list):
        problems.append(Problem(place, "must be a JSON list", "invalid"))
        return []
    found = []
    for at, item in enumerate(raw):
        here = f"{place}[{at}]"
        wrong = [*complaints(item, type_, here)]
        try:
            if b"\\u0000" in msgspec.json.encode(item):
                raise msgspec.ValidationError("must not contain the character U+0000")
            if not wrong:
                found.append(msgspec.convert(item, type_))
        except msgspec.ValidationError as error:
            wrong.append(worded(error, type_, here))
        problems += wrong
    return found


def judge(asked: Asked, assets: Mapping[str, Asset]) -> tuple[Editing, dict[str, Any]]:
    """What was asked for, against the files that came.

    Args:
        asked: well-formed.
        assets: by the name of the source: `video`, `audio_1` …

    Returns:
        What the job keeps of it, and the params of its pipeline.

    Raises:
        InvalidInput: with every complaint.
    """
    video = assets["video"].info
    assert video is not None
    sounds = Sounds(assets)
    named = [sounds.named(one) for one in asked.segments]
    problems = segment_problems(
        named, video_s=video.duration_s, audio_s=sounds.lengths, place=SEGMENTS, unknown=sounds.unknown
    )
    regions: Sequence[Region] = ()
    try:
        width, height = _shown(video)
        regions = normalise(list(asked.effects), width=width, height=height, duration_s=video.duration_s, field=EFFECTS)
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(f"{len(problems)} problem(s): {problems[0]}", problems=problems)
    ids = {ref: sounds.found(ref).id for ref in dict.fromkeys(one.audio_input.ref_id for one in asked.segments)}
    return Editing(asked.segments, regions, ids), {
        "segments": msgspec.to_builtins(named),
        "effects": msgspec.to_builtins(regions),
    }


class Sounds:
    """The sounds of a request, by all that a refId may call them.

    That is `audio-N` by their place, or their file's name without its ending, whichever way its umlauts are composed:
    file systems and browsers differ in it.

    Args:
        assets: by the name of the source: `video`, `audio_1` …
    """

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._by_place = {source_reference(name): asset for name, asset in assets.items() if name != "video"}
        self._stems = {place: _composed(PurePath(asset.filename).stem) for place, asset in self._by_place.items()}
        self.lengths = {place: a.info.duration_s if a.info else None for place, a in self._by_place.items()}
        """Seconds by place; None where it is not known."""

    def _places(self, ref_id: str) -> list[str]:
        """Every place that a refId may mean."""
        ref_id = _composed(ref_id)
        return [ref_id] if ref_id in self._by_place else [at for at, stem in self._stems.items() if stem == ref_id]

    def found(self, ref_id: str) -> Asset:
        """The one that a refId means. Raises `ValueError` where it means none, or several."""
        (place,) = self._places(ref_id)
        return self._by_place[place]

    def named(self, one: Segment) -> Segment:
        """The same segment with the place as its refId, where it names one sound."""
        places, change = self._places(one.audio_input.ref_id), msgspec.structs.replace
        return change(one, audio_input=change(one.audio_input, ref_id=places[0])) if len(places) == 1 else one

    def unknown(self, ref_id: str) -> str:
        """What to say of a refId that names none, or several."""
        if places := self._places(ref_id):
            return f'{len(places)} audios are called "{ref_id}"; name one by its place: {" or ".join(places)}'
        there = ", ".join(f'{place} ("{stem}")' for place, stem in self._stems.items())
        return f'there is no audio "{ref_id}"; there are: {there or "none"}'


def source_reference(source: str) -> str:
    """The refId of a source: `audio-1` of `audio_1`."""
    return source.replace("_", "-")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _shown(video: MediaInfo) -> tuple[int, int]:
    """Width and height as a player shows the picture."""
    turned = bool(video.video) and video.video[0].rotation % 180 == 90
    return (video.height, video.width) if turned else (video.width, video.height)


def in_the_clients_words(error: InvalidInput) -> InvalidInput:
    """A complaint of the pipeline's steps, with the fields that the client sent."""

    def renamed(field: str) -> str:
        ours = next((name for name in FIELDS if field == name or re.match(rf"{re.escape(name)}[.\[]", field)), None)
        return field if ours is None else FIELDS[ours] + field[len(ours) :]

    problems = [Problem(renamed(p.field), p.message, p.code) for p in error.problems]
    return type(error)(str(problems[0]) if problems else error.message, problems=problems, suggestion=error.suggestion)
