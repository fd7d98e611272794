"""A timeline of OpenTimelineIO as a composition document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from vtid.domain.composition import WEB
from vtid.otio.times import exact_rate, number, seconds

NAMESPACE = "vtid"
"""Under which metadata is ours."""

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_MOST_TRACKS = 10
_SPEEDS = 0.25, 4.0
_SLIP = Fraction(1, 100)
"""Seconds by which a clip's own sound may miss its picture and still be its own."""

LOOKS = ("fit", "crop", "rotate", "flip", "position", "opacity", "background", "zoom")
SOUND = ("volume", "fade_in", "fade_out", "mute")
"""Fields of clips for which OpenTimelineIO has no words; they come back from our own metadata."""


class Placing(Struct):
    """A clip with its place in time."""

    item: Any
    place: str
    at: Fraction
    lasts: Fraction
    entry: Any = None
    """The transition that leads into it."""
    exit: Any = None

    @property
    def end(self) -> Fraction:
        """Second of the film."""
        return self.at + self.lasts


class Reader:
    """Reads one timeline, and notes what of it goes nowhere.

    Args:
        otio: the library.
    """

    def __init__(self, otio: Any) -> None:
        self._otio = otio
        self.unmapped: list[str] = []
        self._spares: dict[int, Fraction] = {}
        """What is left of a transition behind its cut, where the file before it is too short."""

    def document(self, timeline: Any) -> dict[str, Any]:
        """The document; what is wrong with it, the composer says."""
        kept = dict(timeline.metadata.get(NAMESPACE, {}))
        video = self._tracks(timeline, self._otio.schema.TrackKind.Video, _MOST_TRACKS)
        audio = self._tracks(timeline, self._otio.schema.TrackKind.Audio, 50)
        own, others = self._own_sounds(video, audio)
        if not audio and video:
            self._note("tracks", "there are no audio tracks; clips keep their own sound")
        clips = [
            self._clip(one, track, mute=bool(audio) and id(one.item) not in own)
            for track, placings in enumerate(video)
            for one in self._joined(placings, track)
        ]
        document: dict[str, Any] = {"clips": [one for one in clips if one is not None]}
        document["clips"] += self._rest(video)
        if timeline.name:
            document["title"] = timeline.name
        sound = self._audio(others, dict(kept.get("audio", {})))
        document |= {"audio": sound} if sound else {}
        document |= {name: _plain(kept[name]) for name in ("description", "overlays", "captions") if name in kept}
        document["output"] = _plain(kept["output"]) if "output" in kept else self._output(video, document)
        self._note_rest(timeline)
        return document

    def _note(self, place: str, words: str) -> None:
        line = f"{place}: {words}"
        if line not in self.unmapped:
            self.unmapped.append(line)

    def _tracks(self, timeline: Any, kind: str, most: int) -> list[list[Placing]]:
        found: list[list[Placing]] = []
        for number_, track in enumerate(timeline.tracks):
            place = f"tracks[{number_}]"
            if not isinstance(track, self._otio.schema.Track):
                self._note(place, f"is a {type(track).__name__}, and only tracks are read")
            elif track.kind == kind and not track.enabled:
                self._note(place, "is disabled, and left out")
            elif track.kind == kind and len(found) < most:
                if track.source_range is not None:
                    self._note(f"{place}.source_range", "is not heeded: the whole track is read")
                found.append(list(self._placings(track, place)))
            elif track.kind == kind:
                self._note(place, f"there may be {most} tracks of its kind")
        return found

    def _placings(self, track: Any, place: str) -> Iterator[Placing]:
        """The clips of a track; what is no clip leaves a gap."""
        at = Fraction(0)
        before: Placing | None = None
        entry = None
        for number_, item in enumerate(track):
            here = f"{place}[{number_}]"
            if isinstance(item, self._otio.schema.Transition):
                if before is None:
                    self._note(here, "leads out of nothing, and is left out")
                else:
                    before.exit = entry = item
                continue
            lasts = self._length(item, here)
            if isinstance(item, self._otio.schema.Clip) and item.enabled and lasts > 0:
                before = Placing(item, here, at, lasts, entry)
                yield before
            else:
                if isinstance(item, self._otio.schema.Clip):
                    self._note(here, "is disabled, and left out" if lasts else "has no length, and is left out")
                elif not isinstance(item, self._otio.schema.Gap):
                    self._note(here, f"is a {type(item).__name__}, and only clips are read; it leaves a gap")
                if before is not None and before.exit is not None and entry is not None:
                    self._note(here, "the transition before it leads into nothing, and is left out")
                    before.exit = None
                before = None
            entry = None
            at += lasts

    def _length(self, item: Any, here: str) -> Fraction:
        try:
            return seconds(item.trimmed_range().duration)
        except self._otio.exceptions.OTIOError:
            self._note(here, "says neither source_range nor available_range, so that its length is unknown")
            return Fraction(0)

    def _own_sounds(self, video: Sequence[Sequence[Placing]], audio: Sequence[Sequence[Placing]]) -> Any:
        """Clips whose sound lies under their picture, and the sounds that are left."""
        own: set[int] = set()
        others: list[Placing] = []
        for sound in (one for track in audio for one in track):
            same = next(
                (
                    picture
                    for track in video
                    for picture in track
                    if id(picture.item) not in own and self._is_own(picture, sound)
                ),
                None,
            )
            if same is None or sound.item.metadata.get(NAMESPACE, {}).get("role"):
                others.append(sound)
            else:
                own.add(id(same.item))
        return own, others

    def _is_own(self, picture: Placing, sound: Placing) -> bool:
        url = self._url(picture.item)
        return (
            url is not None
            and url == self._url(sound.item)
            and abs(picture.at - sound.at) < _SLIP
            and abs(picture.end - sound.end) < _SLIP
            and abs(self._begin(picture.item) - self._begin(sound.item)) < _SLIP
        )

    def _url(self, clip: Any) -> str | None:
        """The file as a document names it; None where there is none."""
        reference = clip.media_reference
        if not isinstance(reference, self._otio.schema.ExternalReference) or not reference.target_url:
            return None
        url: str = reference.target_url
        return url if url.startswith(WEB) else str(self._otio.url_utils.filepath_from_url(url))

    def _begin(self, clip: Any) -> Fraction:
        """Second of the source: timecodes of cameras begin where they like."""
        begin = seconds(clip.trimmed_range().start_time)
        known = clip.media_reference.available_range if clip.media_reference else None
        return begin - seconds(known.start_time) if known is not None else begin

    # --- pictures

    def _joined(self, placings: Sequence[Placing], track: int) -> Iterator[Placing]:
        for one in placings:
            if track and one.entry is not None:
                self._note(one.place, "a transition on a higher track is left out")
                one.entry = None
            if track:
                one.exit = None
            yield one

    def _clip(self, one: Placing, track: int, *, mute: bool) -> dict[str, Any] | None:
        kept = one.item.metadata.get(NAMESPACE, {}).get("clip", {})
        out: dict[str, Any] = self._source(one, kept)
        if not out:
            return (
                {"color": "#000000", "start_time": number(one.at), "duration": number(one.lasts)} if not track else None
            )
        before, behind = self._overlap(one.entry), self._overlap_out(one.exit)
        if "video_url" in out:
            speed = self._speed(one)
            behind = self._spare(one, behind, speed)
        lasts = one.lasts + before + behind
        if "video_url" in out:
            begin = self._begin(one.item) - before * speed
            if begin < 0:
                self._note(one.place, f"has {number(-begin)} s too little before it for its transition")
                lasts, before, begin = lasts + begin / speed, before + begin / speed, Fraction(0)
            out |= {"trim_start": number(begin)} if begin else {}
            out |= {"speed": float(speed)} if speed != 1 else {}
            out |= {"mute": True} if mute and not kept else {}
        out["duration"] = number(lasts)
        if track:
            out |= {"track": track}
        if one.entry is not None and before + self._overlap_out(one.entry) > 0:
            out["transition"] = self._transition(one, before)
        else:
            out["start_time"] = number(one.at)
        out |= {name: _plain(kept[name]) for name in (*LOOKS, *SOUND) if name in kept}
        return out

    def _source(self, one: Placing, kept: Any) -> dict[str, Any]:
        """What the clip shows; nothing where there is none, which is noted."""
        otio, reference = self._otio, one.item.media_reference
        if isinstance(reference, otio.schema.GeneratorReference) and kept.get("color"):
            return {"color": kept["color"]}
        url = self._url(one.item)
        if url is not None:
            still = PurePosixPath(url).suffix.lower() in IMAGES
            return {"image_url" if still else "video_url": url}
        kind = type(reference).__name__ if reference is not None else "MissingReference"
        self._note(one.place, f'"{one.item.name}" names no file that can be read ({kind}); it is left black')
        return {}

    def _speed(self, one: Placing) -> Fraction:
        speed = Fraction(1)
        for effect in one.item.effects:
            scalar = getattr(effect, "time_scalar", None)
            if scalar is not None and _SPEEDS[0] <= scalar <= _SPEEDS[1]:
                speed *= Fraction(scalar).limit_denominator(10_000)
            elif isinstance(effect, self._otio.schema.LinearTimeWarp):
                self._note(one.place, f"the speed {scalar:g} is not among those that there are, 0.25 to 4")
        return speed

    def _spare(self, one: Placing, wanted: Fraction, speed: Fraction) -> Fraction:
        """Seconds by which a clip can go on behind its cut, where its file says how long it is."""
        known = one.item.media_reference.available_range
        if known is None or not wanted:
            return wanted
        spare = (seconds(known.duration) - self._begin(one.item)) / speed - one.lasts
        if spare >= wanted - _SLIP:
            return wanted
        spare = max(Fraction(0), spare)
        self._note(one.place, f"has {number(wanted - spare)} s too little behind it for its transition")
        self._spares[id(one.exit)] = spare
        return spare

    def _overlap(self, transition: Any) -> Fraction:
        """Seconds by which the clip behind a transition begins earlier."""
        return seconds(transition.in_offset) if transition is not None and transition.in_offset else Fraction(0)

    def _overlap_out(self, transition: Any) -> Fraction:
        """Seconds by which the clip before it goes on, as far as its file lasts."""
        if id(transition) in self._spares:
            return self._spares[id(transition)]
        return seconds(transition.out_offset) if transition is not None and transition.out_offset else Fraction(0)

    def _transition(self, one: Placing, before: Fraction) -> dict[str, Any]:
        kind = one.entry.metadata.get(NAMESPACE, {}).get("type", "crossfade")
        if one.entry.transition_type != "SMPTE_Dissolve" and NAMESPACE not in one.entry.metadata:
            self._note(one.place, f'the transition "{one.entry.transition_type}" becomes a crossfade')
        return {"type": kind, "duration": number(before + self._overlap_out(one.entry))}

    def _rest(self, video: Sequence[Sequence[Placing]]) -> list[dict[str, Any]]:
        """Black for as long as higher tracks last longer than the first: a film is as long as that one."""
        ends = [max((one.end for one in track), default=Fraction(0)) for track in video]
        last = ends[0] if ends else Fraction(0)
        longest = max(ends, default=Fraction(0))
        if longest <= last + _SLIP:
            return []
        return [{"color": "#000000", "start_time": number(last), "duration": number(longest - last)}]

    # --- sounds

    def _audio(self, sounds: Sequence[Placing], kept: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = _plain(kept)
        tracks = []
        for one in sounds:
            url = self._url(one.item)
            if url is None:
                self._note(one.place, f'"{one.item.name}" names no file that can be read; it is not heard')
                continue
            if one.entry is not None:
                self._note(one.place, "a transition between sounds is left out")
            if one.item.effects:
                self._speed(one)
            ours = one.item.metadata.get(NAMESPACE, {})
            role, fields = ours.get("role"), _plain(ours.get("fields", {}))
            if role in ("music", "voiceover"):
                out |= fields | {f"{role}_url": url}
                out |= {"voiceover_start": number(one.at)} if role == "voiceover" and one.at else {}
                continue
            begin = self._begin(one.item)
            track = {"url": url} | ({"start_time": number(one.at)} if one.at else {})
            track |= {"trim_start": number(begin)} if begin else {}
            if not fields.get("loop"):
                track["trim_end"] = number(begin + one.lasts)
            tracks.append(track | fields)
        return out | ({"tracks": tracks} if tracks else {})

    # --- all of it

    def _output(self, video: Sequence[Sequence[Placing]], document: dict[str, Any]) -> dict[str, Any]:
        first = video[0][0] if video and video[0] else None
        rate = exact_rate(first.item.trimmed_range().duration.rate) if first else Fraction(30)
        shown = any(name in document["clips"][0] for name in ("video_url", "image_url")) if document["clips"] else False
        self._note("output", "OpenTimelineIO says nothing of size, quality and format; change what stands there")
        return {"resolution": "source" if shown else "1080p", "fps": round(float(rate), 3)}

    def _note_rest(self, timeline: Any) -> None:
        """Whatever is in the file and was not looked at."""
        if timeline.global_start_time is not None:
            self._note("global_start_time", "the film begins at 0")
        for place, thing in self._all(timeline):
            markers = len(getattr(thing, "markers", ()))
            if markers:
                self._note(place, f"{markers} markers are left out" if markers > 1 else "a marker is left out")
            for effect in getattr(thing, "effects", ()):
                if not isinstance(effect, self._otio.schema.LinearTimeWarp) or isinstance(
                    effect, self._otio.schema.FreezeFrame
                ):
                    name = effect.effect_name or effect.name or type(effect).__name__
                    self._note(place, f'the effect "{name}" is left out')
            other = sorted(name for name in thing.metadata if name != NAMESPACE)
            if other:
                self._note(place, f"metadata of {', '.join(other)} is left out")

    def _all(self, timeline: Any) -> Iterator[tuple[str, Any]]:
        yield "timeline", timeline
        yield "tracks", timeline.tracks
        for number_, track in enumerate(timeline.tracks):
            yield f"tracks[{number_}]", track
            for at, item in enumerate(track if isinstance(track, self._otio.schema.Track) else ()):
                yield f"tracks[{number_}][{at}]", item
                reference = getattr(item, "media_reference", None)
                if reference is not None:
                    yield f"tracks[{number_}][{at}].media_reference", reference


def _plain(value: Any) -> Any:
    """Metadata as Python's own lists and dicts."""
    if hasattr(value, "items"):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return value
    return [_plain(each) for each in value]
