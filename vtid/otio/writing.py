"""A composition document as a timeline of OpenTimelineIO.

What its schema has words for stands in them: clips, gaps, speed, transitions around the cut, sounds with their times.
The rest goes along as our own metadata, from which reading brings it back, and is listed: other programs pass over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from msgspec import Struct

from vtid.domain.composition import WEB, Placed
from vtid.otio.reading import LOOKS, NAMESPACE, SOUND
from vtid.otio.times import exact_rate

_DISSOLVES = ("crossfade", "dissolve")


class _Piece(Struct):
    """What lies on a track between two cuts, in frames."""

    clip: Mapping[str, Any]
    placed: Placed
    first: int
    last: int
    source: Fraction
    """Frames of the film's rate into the source."""
    entry: tuple[int, int] = (0, 0)
    """Frames of its transition before and behind the cut."""


def timeline_of(otio: Any, document: Mapping[str, Any], fps: float, placed: Sequence[Placed]) -> tuple[Any, list[str]]:
    """The timeline, and what of the document only we read. Arguments as for `export_to`."""
    writer = _Writer(otio, document, exact_rate(fps))
    return writer.timeline({one.place: one for one in placed}), writer.unmapped


class _Writer:
    def __init__(self, otio: Any, document: Mapping[str, Any], rate: Fraction) -> None:
        self._otio = otio
        self._document = document
        self._rate = rate
        self.unmapped: list[str] = []

    def timeline(self, placed: Mapping[str, Placed]) -> Any:
        """All of it."""
        schema = self._otio.schema
        document = self._document
        timeline = schema.Timeline(name=document.get("title") or "")
        by_track: dict[int, list[_Piece]] = {}
        for at, clip in enumerate(document["clips"]):
            if (here := placed.get(f"clips[{at}]")) is not None:  # what is never seen is nowhere
                by_track.setdefault(clip.get("track", 0), []).append(self._piece(clip, here))
        for track in by_track.values():
            _cut_transitions(track)
        for level in sorted(by_track):
            timeline.tracks.append(self._video(level, by_track[level]))
        for level in sorted(by_track):
            if any(piece.placed.heard for piece in by_track[level]):
                timeline.tracks.append(self._own_sound(level, by_track[level]))
        for one in placed.values():
            if one.place.startswith("audio."):
                timeline.tracks.append(self._sound(one))
        self._keep(timeline)
        return timeline

    def _exact(self, seconds: float) -> Fraction:
        return Fraction(repr(round(seconds, 6))) * self._rate

    def _frame(self, seconds: float) -> int:
        return round(self._exact(seconds))

    def _piece(self, clip: Mapping[str, Any], placed: Placed) -> _Piece:
        whole = self._frame(placed.entry_s)
        before = whole // 2
        return _Piece(
            clip,
            placed,
            self._frame(placed.start_s),
            self._frame(placed.end_s),
            self._exact(placed.source_start_s),
            (before, whole - before),
        )

    def _time(self, frames: Fraction | int) -> Any:
        return self._otio.opentime.RationalTime(float(frames), float(self._rate))

    def _range(self, start: Fraction | int, frames: Fraction | int) -> Any:
        return self._otio.opentime.TimeRange(self._time(start), self._time(frames))

    # --- pictures

    def _video(self, level: int, pieces: Sequence[_Piece]) -> Any:
        track = self._otio.schema.Track(name=f"V{level + 1}", kind=self._otio.schema.TrackKind.Video)
        end = 0
        for piece in sorted(pieces, key=lambda one: one.first):
            self._gap(track, piece.first - end)
            if sum(piece.entry):
                track.append(self._transition(piece))
            track.append(self._clip(piece, ours=True))
            end = piece.last
        return track

    def _gap(self, track: Any, frames: Fraction | int) -> None:
        if frames > 0:
            track.append(self._otio.schema.Gap(source_range=self._range(0, frames)))

    def _transition(self, piece: _Piece) -> Any:
        kind = piece.clip.get("transition", {}).get("type", "crossfade")
        dissolve = kind in _DISSOLVES
        if not dissolve:
            self.unmapped.append(f'{piece.placed.place}.transition: other programs know no "{kind}"')
        return self._otio.schema.Transition(
            transition_type="SMPTE_Dissolve" if dissolve else "Custom_Transition",
            in_offset=self._time(piece.entry[0]),
            out_offset=self._time(piece.entry[1]),
            metadata={NAMESPACE: {"type": kind}},
        )

    def _clip(self, piece: _Piece, *, ours: bool) -> Any:
        schema, clip = self._otio.schema, piece.clip
        file = clip.get("video_url") or clip.get("image_url")
        made = schema.Clip(
            name=(file or clip["color"]).rpartition("/")[2],
            media_reference=self._reference(clip, piece.placed),
            source_range=self._range(piece.source, piece.last - piece.first),
        )
        if clip.get("speed", 1) != 1:
            made.effects.append(schema.LinearTimeWarp(time_scalar=float(clip["speed"])))
        if ours:
            kept = {name: clip[name] for name in (*LOOKS, *SOUND, "color") if name in clip}
            made.metadata[NAMESPACE] = {"clip": _metadata(kept)}
            self.unmapped += [f"{piece.placed.place}.{name}: only vtid reads it" for name in kept if name != "color"]
        return made

    def _reference(self, clip: Mapping[str, Any], placed: Placed) -> Any:
        schema = self._otio.schema
        file = clip.get("video_url") or clip.get("image_url")
        if file is None:
            return schema.GeneratorReference(generator_kind="SolidColor", parameters={"color": clip["color"]})
        return schema.ExternalReference(target_url=self._url(file), available_range=self._available(placed))

    def _available(self, placed: Placed) -> Any:
        if placed.source_s is None:
            return None
        return self._range(0, self._exact(placed.source_s))

    def _url(self, file: str) -> str:
        return file if file.startswith(WEB) else str(self._otio.url_utils.url_from_filepath(file))

    # --- sounds

    def _own_sound(self, level: int, pieces: Sequence[_Piece]) -> Any:
        """The clips' own sound, under their pictures."""
        track = self._otio.schema.Track(name=f"A{level + 1}", kind=self._otio.schema.TrackKind.Audio)
        end = 0
        for piece in sorted(pieces, key=lambda one: one.first):
            if piece.placed.heard:
                self._gap(track, piece.first - end)
                track.append(self._clip(piece, ours=False))
                end = piece.last
        return track

    def _sound(self, placed: Placed) -> Any:
        """A sound of its own, on a track of its own."""
        schema = self._otio.schema
        url, role, fields = self._said(placed.place)
        track = schema.Track(name=placed.place, kind=schema.TrackKind.Audio)
        first, last, begin = (self._exact(at) for at in (placed.start_s, placed.end_s, placed.source_start_s))
        if placed.source_s is not None and last - first > (once := self._exact(placed.source_s) - begin):
            last = first + once
            self.unmapped.append(f"{placed.place}: other programs know no loops; they play it once")
        self._gap(track, first)
        clip = schema.Clip(
            name=url.rpartition("/")[2],
            media_reference=schema.ExternalReference(
                target_url=self._url(url), available_range=self._available(placed)
            ),
            source_range=self._range(begin, last - first),
            metadata={NAMESPACE: {"role": role, "fields": _metadata(fields)}},
        )
        track.append(clip)
        self.unmapped += [f"{_field(placed.place, name)}: only vtid reads it" for name in fields]
        return track

    def _said(self, place: str) -> tuple[str, str, dict[str, Any]]:
        """Of a sound: its file, what it is, and what the document says of it besides times."""
        audio = self._document["audio"]
        if place.startswith("audio.tracks"):
            track = audio["tracks"][int(place[len("audio.tracks[") : -1])]
            times = ("url", "start_time", "trim_start", "trim_end")
            return track["url"], "track", {name: each for name, each in track.items() if name not in times}
        role = place.removeprefix("audio.")
        known = (f"{role}_url", "voiceover_start")
        fields = {name: each for name, each in audio.items() if name.startswith(role) and name not in known}
        return audio[f"{role}_url"], role, fields

    # --- the rest

    def _keep(self, timeline: Any) -> None:
        """What has no place in a timeline goes along as metadata."""
        kept = {
            name: self._document[name]
            for name in ("description", "overlays", "captions", "output")
            if self._document.get(name)
        }
        audio = {
            name: each
            for name, each in self._document.get("audio", {}).items()
            if name != "tracks" and not name.startswith(("music", "voiceover"))
        }
        kept |= {"audio": audio} if audio else {}
        timeline.metadata[NAMESPACE] = _metadata(kept)
        self.unmapped += [f"{name}: only vtid reads it" for name in _leaves(kept)]


def _cut_transitions(pieces: Sequence[_Piece]) -> None:
    """Where two clips overlap, OpenTimelineIO has a cut in the middle, and says how far each reaches over it."""
    ordered = sorted(pieces, key=lambda one: one.first)
    for before, after in pairwise(ordered):
        if sum(after.entry):
            before.last -= after.entry[1]
            after.first += after.entry[0]
            after.source += after.entry[0] * Fraction(repr(float(after.clip.get("speed", 1))))


def _field(place: str, name: str) -> str:
    return f"{place}.{name}" if place.startswith("audio.tracks") else f"audio.{name}"


def _leaves(kept: Mapping[str, Any]) -> Iterator[str]:
    for name, each in kept.items():
        if name == "audio":
            yield from (f"audio.{more}" for more in each)
        else:
            yield name


def _metadata(value: Any) -> Any:
    """JSON as the library takes it."""
    if isinstance(value, Mapping):
        return {str(name): _metadata(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_metadata(each) for each in value]
    return value
