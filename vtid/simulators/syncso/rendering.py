"""The work that the simulated Sync.so does: a tint where a mouth would be, and the new sound where it belongs.

How the service treats a crop that is longer or shorter than its segment is not documented; here the film keeps its
times, and the sound is cut, repeated or followed by silence. Without segments, the film becomes as long as the
service's table of `sync_mode` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtid.domain.media import MediaInfo
from vtid.media.dub import RATE, Moment, Sound, dub, sound_of

MOUTH = 0.4, 0.55, 0.6, 0.7
"""Where a mouth would be: left, top, right, bottom as parts of the picture."""
TINT = np.array([40, 220, 40], np.float32)
"""Green, in BGR."""


def render(
    video: Path,
    info: MediaInfo,
    sounds: Mapping[str, Path],
    segments: Sequence[Mapping[str, Any]] | None,
    mode: str,
    target: Path,
    *,
    seconds: float | None = None,
    mute: bool = False,
) -> None:
    """Make the result of a generation.

    Args:
        video: that came in.
        info: of it.
        sounds: by refId; one of any name where there are no segments.
        segments: as in the request.
        mode: `sync_mode`.
        target: where the result goes.
        seconds: to cut it to.
        mute: leave the sound out.
    """
    if segments:
        sound = sound_of(video)
        spans = [(float(one["startTime"]), float(one["endTime"])) for one in segments]
        for one, (start, end) in zip(segments, spans, strict=True):
            _place(sound, start, end, _crop(sounds, one["audioInput"]), mode)
        count, length = None, info.duration_s
    else:
        sound = sound_of(next(iter(sounds.values())))
        length = _length(mode, info.duration_s, len(sound) / RATE)
        sound = np.concatenate([sound, np.zeros(max(0, round(length * RATE) - len(sound)), np.float32)])
        spans, count = [(0.0, length)], math.inf

    def touch(picture: NDArray[np.uint8], at: float) -> None:
        if any(start <= at < end for start, end in spans):
            tint(picture)

    length = min(length, seconds) if seconds else length
    moments = None if count is None and not seconds else _moments(info, length, mode if count else "cut_off")
    dub(video, target, moments, sound[: 0 if mute else round(length * RATE)], touch)


def tint(picture: NDArray[np.uint8]) -> None:
    """Colour the place of the mouth, so that anybody sees that it was worked at."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (round(p * n) for p, n in zip(MOUTH, (width, height) * 2, strict=True))
    part = picture[top:bottom, left:right]
    part[:] = np.rint(0.4 * part + 0.6 * TINT).astype(np.uint8)


def _crop(sounds: Mapping[str, Path], wanted: Mapping[str, Any]) -> Sound:
    sound = sound_of(sounds[wanted["refId"]])
    if "startTime" in wanted:
        sound = sound[round(wanted["startTime"] * RATE) : round(wanted["endTime"] * RATE)]
    return sound


def _place(sound: Sound, start: float, end: float, new: Sound, mode: str) -> None:
    """Put a sound into a segment, whatever was there."""
    part = sound[round(start * RATE) : round(end * RATE)]
    if mode in ("loop", "bounce") and len(new):
        new = np.tile(new, math.ceil(len(part) / len(new)))
    part[:] = 0
    part[: min(len(part), len(new))] = new[: len(part)]


def _length(mode: str, video_s: float, sound_s: float) -> float:
    """How long a film without segments becomes."""
    if mode == "cut_off":
        return min(video_s, sound_s)
    return max(video_s, sound_s) if mode == "silence" else sound_s


def _moments(info: MediaInfo, length: float, mode: str) -> list[Moment]:
    """Which picture is shown when, at the film's own rate."""
    stream = info.video[0]
    rate = float(stream.rate or 25)
    there = stream.frames or max(1, round(info.duration_s * rate))
    count = max(1, round(length * rate))

    def index(at: int) -> int:
        if mode == "loop":
            return at % there
        if mode == "bounce":
            turn = at % max(1, 2 * there - 2)
            return turn if turn < there else 2 * there - 2 - turn
        if mode == "remap":
            return at * there // count
        return min(at, there - 1)

    return [Moment(index(at), at / rate) for at in range(count)]
