"""Look at the result: does the detector still see text where text was removed?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vtid.sdk import Frame, Media

from . import tuning
from .arrays import Mask, Pixels
from .detect import Detector, boxes_of, look_closely
from .events import Event, Findings
from .geometry import Turn, area, grow, meet, shift, text_height, within
from .presence import Template
from .zones import Zones


class Look(NamedTuple):
    """One event, looked at in one frame."""

    event: int
    """Its index."""
    gone: Mask
    """Which pixels of its box are without text: not all, where a region has a part of it stay."""


def looks(found: Findings, zones: Zones) -> dict[int, list[Look]]:
    """What is looked at, by frame. What stays because a region says so is not."""
    out: dict[int, list[Look]] = defaultdict(list)
    for i, event in enumerate(found.events):
        if event.erasure:
            continue
        there: Sequence[int] = range(event.core_start, event.core_end)
        if zones.spare:
            few = there[:: max(1, -(-len(there) // tuning.VERIFY_TIMES))]
            there = [n for n in few if zones.gone(event.box, found.times[n]).mean() > tuning.VERIFY_PART]
        shares = (np.arange(tuning.VERIFY_LOOKS) + 0.5) / tuning.VERIFY_LOOKS
        picked = {there[int(share * len(there))] for share in shares} if there else set()
        for number in sorted(picked):
            out[number].append(Look(i, zones.gone(event.box, found.times[number])))
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
    frames: Iterable[tuple[int, Frame]], found: Findings, zones: Zones, detector: Detector, turn: Turn
) -> dict[int, int]:
    """Index of event to the number of looks in which its text is still there.

    Args:
        frames: of the result, with their numbers: at least those of `looks`.
        found: what was removed.
        zones: where what was to stay.
        detector: looks.
        turn: how the picture is shown.
    """
    where = looks(found, zones)
    seen: dict[int, int] = defaultdict(int)
    for number, frame in frames:
        if number in where:
            picture = frame.bgr()
            for i, gone in where[number]:
                seen[i] += text_at(picture, found.events[i], gone, detector, turn)
    return {i: n for i, n in seen.items() if n}


def text_at(picture: Pixels, event: Event, gone: Mask, detector: Detector, turn: Turn) -> bool:
    """Whether text is seen where it is `gone` from the event's box of a coded BGR picture."""
    h, w = picture.shape[:2]
    crop = grow(event.box, 24, 24, w, h)
    shown = turn.upright(picture[crop[1] : crop[3], crop[0] : crop[2]])
    inner = turn.cropped(crop[2] - crop[0], crop[3] - crop[1])
    for found in boxes_of(look_closely(detector, shown)):
        box = shift(inner.coded_box(found.box, shown.shape[1], shown.shape[0]), crop[0], crop[1])
        # Shown a picture without any text, these networks like to answer with one box around most of it.
        too_large = text_height(box) > tuning.VERIFY_TALLER * text_height(event.box)
        both = meet(box, event.box)
        if not too_large and area(both) and gone[within(both, event.box)].sum() > tuning.VERIFY_OVERLAP * area(box):
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
    x0, y0, x1, y1 = event.box
    gone = Template(inside.luma(event.box)).amplitude(outside.luma(event.box)) < tuning.PRESENT_FLOOR
    return gone and text_at(outside.bgr(), event, np.ones((y1 - y0, x1 - x0), bool), detector, turn)
