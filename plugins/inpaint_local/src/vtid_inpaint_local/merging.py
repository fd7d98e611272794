"""One text, one event: what was found twice is dropped, and lines that belong together get the same time."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np
from msgspec.structs import replace

from . import tuning
from .events import Event
from .geometry import area, cover, union, within


def merge(events: list[Event]) -> list[Event]:
    """Drop a text found twice: one that lies in another, in space and in time, or reads like it and lasts with it.

    The longer one stays, for the time of both: what was found again at its end knows nothing of its beginning, and
    what was lost as the picture behind it changed knows nothing of its end. One that goes on where another ends, and
    says the same in the same place, is that one, lost for a moment as it changed its colour over a cut; letters that
    hardly stood out in one of the pieces did in the other, so that it gets the strokes of both.
    """
    out: list[Event] = []
    for event in sorted(events, key=lambda e: (e.start - e.end, -area(e.box))):
        same = (
            None if event.motion is not None else next((o for o in out if o.motion is None and _again(event, o)), None)
        )
        if same is None and event.motion is None:
            same = next((o for o in out if o.motion is None and _goes_on(event, o)), None)
            if same is not None:
                _join(same, event)
        if same is None:
            out.append(event)
            continue
        same.start, same.core_start = min(same.start, event.start), min(same.core_start, event.core_start)
        same.end, same.core_end = max(same.end, event.end), max(same.core_end, event.core_end)
    return out


def _again(event: Event, other: Event) -> bool:
    """Whether an event is another one, found twice."""
    if other.start <= event.start and event.end <= other.end:
        inside = cover(event.box, other.box)
        if inside > 0.95 or (inside > 0.8 and event.text and other.text and _shared(event, other) > tuning.PIECE_TEXT):
            return True
    both = min(event.end, other.end) - max(event.start, other.start)
    if both < 0.5 * (event.end - event.start) or cover(event.box, other.box) < 0.8 or cover(other.box, event.box) < 0.5:
        return False
    return bool(event.text) and SequenceMatcher(None, event.text, other.text).ratio() > tuning.SAME_TEXT


def _goes_on(event: Event, other: Event) -> bool:
    """Whether one begins as the other ends, both in one place, and both were read as the same."""
    if max(event.start, other.start) - min(event.end, other.end) > tuning.GOES_ON_FRAMES:
        return False
    if not event.text or min(cover(event.box, other.box), cover(other.box, event.box)) < tuning.GOES_ON_COVER:
        return False
    return SequenceMatcher(None, event.text, other.text).ratio() > tuning.GOES_ON_TEXT


def _join(event: Event, other: Event) -> None:
    """Give a text the strokes of another piece of it, and what is known of its beginning or its end."""
    box = union([event.mask_box, other.mask_box])
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    for one in (event, other):
        mask[within(one.mask_box, box)] |= one.mask
    event.mask_box, event.mask = box, mask
    if event.evidence is not None and other.evidence is not None:
        if other.start < event.start:
            event.evidence = replace(event.evidence, began=other.evidence.began)
        if other.end > event.end:
            event.evidence = replace(event.evidence, ended=other.evidence.ended)


def differs(a: Event, b: Event) -> bool:
    """Whether two events surely are of two texts: both were read, and hardly a letter is the same."""
    if min(a.sure, b.sure) < tuning.OTHER_SURE or min(len(a.text), len(b.text)) < tuning.OTHER_CHARS:
        return False
    return _shared(a, b) < tuning.SAME_TEXT


def _shared(a: Event, b: Event) -> float:
    """Share of the shorter one's letters that the other has too, in their order; both were read."""
    matcher = SequenceMatcher(None, a.text.lower(), b.text.lower())
    return sum(block.size for block in matcher.get_matching_blocks()) / min(len(a.text), len(b.text))


def together(events: list[Event]) -> list[Event]:
    """Lines of one subtitle come and go together: where two differ by a frame or two, both get the longer range."""
    for a in events:
        for b in events:
            if a is not b and a.motion is None and b.motion is None and a.apart(b) <= 2:
                a.start = b.start = min(a.start, b.start)
                a.end = b.end = max(a.end, b.end)
    return events
