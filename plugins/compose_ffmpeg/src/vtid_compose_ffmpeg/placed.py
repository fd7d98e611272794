"""What is seen and heard when, in the seconds of the film: for editors, and for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vtid.sdk import SAMPLE_RATE, Canvas, Mix, Placed

from . import document as doc
from .given import Given, Seen
from .sounds import is_heard


def placed_of(
    film: doc.Composition, seen: Sequence[Seen], mix: Mix | None, canvas: Canvas, files: Mapping[str, Given]
) -> Iterator[Placed]:
    """Of all clips, in the order of the document, and of all sounds besides theirs."""
    for one in sorted(seen, key=lambda each: each.number):
        yield Placed(
            place=f"clips[{one.number}]",
            start_s=_seconds(one.first, canvas),
            end_s=_seconds(one.last, canvas),
            source_start_s=float(one.trim),
            source_s=one.info.duration_s if one.clip.video_url and one.info else None,
            heard=is_heard(one, film.audio),
            entry_s=_seconds(one.entry, canvas),
        )
    others = mix.sounds[sum(is_heard(one, film.audio) for one in seen) :] if mix else ()
    for (place, url), sound in zip(_named(film.audio), others, strict=True):
        info = files[url].info
        yield Placed(
            place=place,
            start_s=round(sound.at / SAMPLE_RATE, 6),
            end_s=round((sound.at + sound.samples) / SAMPLE_RATE, 6),
            source_start_s=float(sound.start_s),
            source_s=info.duration_s if info else None,
            heard=True,
        )


def _named(audio: doc.Audio) -> Iterator[tuple[str, str]]:
    """In the order of the mix."""
    if audio.music_url:
        yield "audio.music", audio.music_url
    if audio.voiceover_url:
        yield "audio.voiceover", audio.voiceover_url
    for number, track in enumerate(audio.tracks):
        yield f"audio.tracks[{number}]", track.url


def _seconds(frames: int, canvas: Canvas) -> float:
    return round(float(frames / canvas.rate), 6)
