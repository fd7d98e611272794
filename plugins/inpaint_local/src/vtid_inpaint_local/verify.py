"""Look at the result: does the detector still see text where text was removed?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vtid.sdk import Frame, Media

from . import tuning
from .arrays import Pixels
from .detect import Detector, boxes_of, look_closely
from .events import Event
from .geometry import Turn, area, cover, grow, meet, shift, text_height
from .presence import Template


def looks(events: Sequence[Event]) -> dict[int, list[int]]:
    """Frame to the indices of the events that are looked at in it."""
    out: dict[int, list[int]] = defaultdict(list)
    for i, event in enumerate(events):
        if not event.erasure:
            span = event.core_end - event.core_start
            for share in (np.arange(tuning.VERIFY_LOOKS) + 0.5) / tuning.VERIFY_LOOKS:
                number = event.core_start + int(share * span)
                if i not in out[number]:
                    out[number].append(i)
    return out


def glimpses(media: Media, path: Path, times: Sequence[float], wanted: Iterable[int]) -> Iterator[tuple[int, Frame]]:
    """Some frames of a film, with their numbers; of what lies far between them, nothing is decoded.

    Args:
        media: decodes.
        path: of the film.
        times: of all its frames, seconds.
        wanted: numbers of frames, in any order.
    """
    runs: list[list[int]] = []
    for number in sorted(wanted):
        if runs and times[number] - times[runs[-1][-1]] < tuning.SEEK_S:
            runs[-1].append(number)
        else:
            runs.append([number])
    for run in runs:
        left = iter(run)
        number = next(left)
        begin, end = times[run[0]] - tuning.SAME_TIME_S, times[run[-1]] + tuning.SAME_TIME_S
        for frame in media.frames(path, start_s=max(0.0, begin), end_s=end):
            if abs(frame.time_s - times[number]) < tuning.SAME_TIME_S:
                yield number, frame
                number = next(left, number)


def still_seen(
    frames: Iterable[tuple[int, Frame]], events: Sequence[Event], detector: Detector, turn: Turn
) -> dict[int, int]:
    """Index of event to the number of looks in which its text is still there.

    Args:
        frames: of the result, with their numbers: at least those of `looks`.
        events: what was removed.
        detector: looks.
        turn: how the picture is shown.
    """
    where = looks(events)
    seen: dict[int, int] = defaultdict(int)
    for number, frame in frames:
        if number in where:
            picture = frame.bgr()
            for i in where[number]:
                seen[i] += text_at(picture, events[i], detector, turn)
    return {i: n for i, n in seen.items() if n}


def text_at(picture: Pixels, event: Event, detector: Detector, turn: Turn) -> bool:
    """Whether text is seen in the event's box of a coded BGR picture."""
    h, w = picture.shape[:2]
    crop = grow(event.box, 24, 24, w, h)
    shown = turn.upright(picture[crop[1] : crop[3], crop[0] : crop[2]])
    inner = Turn(turn.rotation, crop[2] - crop[0], crop[3] - crop[1])
    for found in boxes_of(look_closely(detector, shown)):
        box = shift(inner.coded_box(found.box, shown.shape[1], shown.shape[0]), crop[0], crop[1])
        # Shown a picture without any text, these networks like to answer with one box around most of it.
        too_large = text_height(box) > tuning.VERIFY_TALLER * text_height(event.box)
        if not too_large and cover(box, event.box) > tuning.VERIFY_OVERLAP and area(meet(box, event.box)):
            return True
    return False


def neighbours(event: Event, others: Sequence[Event], frames: int, cuts: set[int]) -> list[tuple[int, int]]:
    """Frames of one shot with the text and without: the last with it and the first after, the first and the one before.

    None in which another text stands in the same place.
    """
    out = []
    for inside, outside in ((event.core_end - 1, event.end), (event.core_start, event.start - 1)):
        first, last = sorted((inside, outside))
        taken = any(
            e is not event and e.start <= outside < e.end and area(meet(e.reach, event.box)) > 0 for e in others
        )
        if 0 <= outside < frames and not taken and not any(first < cut <= last for cut in cuts):
            out.append((inside, outside))
    return out


def only_scenery(inside: Frame, outside: Frame, event: Event, detector: Detector, turn: Turn) -> bool:
    """Whether the detector takes the scene itself for text where the text was: grass, foliage and fences do that.

    Args:
        inside: a frame of the source with the text.
        outside: one without, next to its time.
        event: what was removed.
        detector: looks.
        turn: how the picture is shown.

    Returns:
        True only if the text is known to be gone from `outside`, and "text" is seen there all the same.
    """
    gone = Template(inside.luma(event.box)).amplitude(outside.luma(event.box)) < tuning.PRESENT_FLOOR
    return gone and text_at(outside.bgr(), event, detector, turn)
