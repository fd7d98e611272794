"""What is heard when: the clips' own sound, music, voices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from vtid.sdk import SAMPLE_RATE, Canvas, Mix, Sound, Struct

from . import document as doc
from .complaints import Complaints
from .given import Given, Seen, file_named
from .times import exact, nearest, samples


class Heard(Struct, frozen=True):
    """The film as far as its sound depends on it."""

    canvas: Canvas
    frames: int
    seen: Sequence[Seen]

    @property
    def total(self) -> int:
        """Samples of the film."""
        return samples(self.frames, self.canvas.rate)


def sounds_of(audio: doc.Audio, film: Heard, files: Mapping[str, Given], complaints: Complaints) -> Mix | None:
    """The mix; None where nothing is heard at all."""
    sounds = _originals(audio, film, files)
    if audio.music_url:
        music = doc.AudioTrack(
            url=audio.music_url,
            trim_start=audio.music_start,
            volume=audio.music_volume,
            fade_in=audio.music_fade_in,
            fade_out=audio.music_fade_out,
            loop=audio.music_loop,
        )
        sounds += _sound(music, "audio.music", "_url", film, files, complaints)
    if audio.voiceover_url:
        voice = doc.AudioTrack(
            url=audio.voiceover_url, start_time=audio.voiceover_start, volume=audio.voiceover_volume, voice=True
        )
        sounds += _sound(voice, "audio.voiceover", "_url", film, files, complaints)
    for number, track in enumerate(audio.tracks):
        sounds += _sound(track, f"audio.tracks[{number}]", ".url", film, files, complaints)
    if audio.duck and not any(one.bus == "voice" for one in sounds):
        complaints.warn("audio.duck", "no sound gives way: there is no voiceover_url, and no track is a voice")
    if not sounds:
        return None
    return Mix(tuple(sounds), audio.duck, audio.loudness if audio.normalize else None)


def lasting(audio: doc.Audio, files: Mapping[str, Given]) -> Fraction | None:
    """Seconds of the film until voices and tracks have ended; without these, the music once. None: nothing is heard."""

    def whole(name: str | None) -> Fraction | None:
        given = files.get(name) if name else None
        return exact(given.info.duration_s) if given and given.info and given.info.audio else None

    ends = []
    if (voice := whole(audio.voiceover_url)) is not None:
        ends.append(exact(audio.voiceover_start) + voice)
    for track in audio.tracks:
        if not track.loop and (length := whole(track.url)) is not None:
            end = min(length, exact(track.trim_end)) if track.trim_end is not None else length
            ends.append(exact(track.start_time) + end - exact(track.trim_start))
    if not ends and (music := whole(audio.music_url)) is not None:
        ends.append(music - exact(audio.music_start))
    return max(ends, default=None)


def is_heard(one: Seen, audio: doc.Audio) -> bool:
    """Whether a clip's own sound is."""
    clip = one.clip
    silent = clip.mute or not clip.volume * audio.original_audio_volume
    return bool(not silent and clip.video_url and one.info and one.info.audio)


def _originals(audio: doc.Audio, film: Heard, files: Mapping[str, Given]) -> list[Sound]:
    """The clips' own sound; where one clip leads into the next, so does its sound."""
    rate = film.canvas.rate
    entries = {one.number: one.entry for one in film.seen}
    main = [one.number for one in film.seen if one.clip.track == 0]
    leads = {number: entries[after] for number, after in pairwise(main)}
    out = []
    for one in film.seen:
        clip, gain = one.clip, one.clip.volume * audio.original_audio_volume
        if not is_heard(one, audio) or clip.video_url is None:
            continue
        at = samples(one.first, rate)
        out.append(
            Sound(
                path=files[clip.video_url].path,
                at=at,
                samples=samples(one.last, rate) - at,
                start_s=one.trim,
                speed=exact(clip.speed),
                gain=gain,
                fade_in=max(_length(clip.fade_in), samples(one.entry, rate)),
                fade_out=max(_length(clip.fade_out), samples(leads.get(one.number, 0), rate)),
            )
        )
    return out


def _sound(
    track: doc.AudioTrack,
    place: str,
    url: str,
    film: Heard,
    files: Mapping[str, Given],
    complaints: Complaints,
) -> list[Sound]:
    """One sound, or none where it is not heard or there is a complaint."""
    given = file_named(track.url, place + url, files, complaints)
    if given is None:
        return []
    if given.info is None or not given.info.audio:
        complaints.add(place + url, f"{given.name} has no sound" if given.info else given.refusal)
        return []
    whole, begin = exact(given.info.duration_s), exact(track.trim_start)
    if whole <= 0:
        complaints.add(place + url, "holds nothing: it lasts 0 s")
        return []
    end = exact(track.trim_end) if track.trim_end is not None else whole
    if begin >= whole:
        name = "audio.music_start" if place == "audio.music" else f"{place}.trim_start"
        complaints.add(name, f"past the end of the source ({float(whole):g} s)", "past_end")
        return []
    if end <= begin or end > whole + Fraction(1, 20):
        past = f"past the end of the source ({float(whole):g} s)"
        wrong = past if end > whole else f"is not after trim_start ({float(begin):g} s)"
        complaints.add(f"{place}.trim_end", wrong, "past_end" if end > whole else "invalid")
        return []
    if track.loop and track.trim_end is not None:
        complaints.add(f"{place}.trim_end", "leave it out: what loops goes to the end of its source")
    at = nearest(exact(track.start_time) * SAMPLE_RATE)
    if at >= film.total > 0:
        name = "audio.voiceover_start" if place == "audio.voiceover" else f"{place}.start_time"
        complaints.add(name, f"past the end of the film ({film.total / SAMPLE_RATE:g} s)", "past_end")
        return []
    count = film.total - at if track.loop else min(film.total - at, nearest((end - begin) * SAMPLE_RATE))
    bus: Literal["voice", "music"] = "voice" if track.voice else "music"
    return [
        Sound(
            path=given.path,
            at=at,
            samples=count,
            start_s=begin,
            gain=track.volume,
            fade_in=min(count, _length(track.fade_in)),
            fade_out=min(count, _length(track.fade_out)),
            loop=track.loop,
            bus=bus,
        )
    ]


def _length(seconds: float) -> int:
    return nearest(exact(seconds) * SAMPLE_RATE)
