"""Texts that overlap in space and time are filled together, in one crop: a plate, as film calls a clean background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import layers, tuning
from .arrays import Floats, Mask, Pixels, eight_bits
from .events import Event, Veil
from .fill import Filler, Mapper
from .geometry import aligned, area, grow, meet, shift, union, within
from .painter import Guide, classical
from .patch import Patch
from .spatial import SHRUNK
from .veil import rim
from .zones import Zones


class Filled(NamedTuple):
    """What is to be painted into one frame."""

    number: int
    box: Box
    pixels: Floats
    mask: Mask


class Plate:
    """One crop over a range of frames, with the crops of the frames around it."""

    def __init__(self, events: list[Event], width: int, height: int, cuts: set[int], guide: Guide) -> None:
        self.events = events
        self.first = min(e.start for e in events)
        self.last = max(e.end for e in events)
        self.box = _crop(union([e.reach for e in events]), width, height)
        self._filler = Filler(cuts, guide)
        self._patches: dict[int, Patch] = {}

    def needs(self, number: int) -> bool:
        """Whether that frame's crop can be a source or is to be filled."""
        return self.first - tuning.LOOK <= number < self.last + tuning.LOOK

    def add(
        self, number: int, pixels: Pixels, hole: Mask, changed: Mask | None = None, spared: Mask | None = None
    ) -> None:
        """That frame's crop, what is text in it (of this plate's events and of all others), and what was unveiled.

        `spared` is text that stays, as a region asks.
        """
        self._patches[number] = Patch(pixels, hole, changed, spared, like=self._patches.get(number - 1))

    def fill(self, first: int, last: int, run: Mapper) -> list[Filled]:
        """Fill these frames."""
        patches = self._patches
        lo, hi = max(first, self.first), min(last, self.last)
        filled = self._filler.fill(patches, lo, hi, run) if lo < hi else {}
        out = [self._part(n, patches[n], patches[n].paint, pixels) for n, pixels in filled.items()]
        unveiled = [(n, patches[n]) for n in range(lo, hi) if patches[n].changed is not None]
        out += [self._part(n, p, p.changed & ~p.hole) for n, p in unveiled if p.changed is not None]
        return [one for one in out if one.mask.any()]

    def _part(self, number: int, patch: Patch, mask: Mask, pixels: Floats | None = None) -> Filled:
        """What is painted of one patch: the filled pixels of its span, or the masked part of the crop as it is."""
        if pixels is None:
            x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
            at = aligned((x, y, x + w, y + h), 2, mask.shape[1], mask.shape[0])
            part = np.s_[at[1] : at[3], at[0] : at[2]]
            values = eight_bits(patch.pixels[part])
            return Filled(number, shift(at, self.box[0], self.box[1]), values, mask[part])
        x0, y0, x1, y1 = patch.span
        return Filled(number, shift(patch.span, self.box[0], self.box[1]), pixels, mask[y0:y1, x0:x1])

    def forget(self, last: int) -> None:
        """Everything before `last` has been filled: let go of what is too old to be a source for what follows."""
        if last >= self.last:
            self._patches.clear()
            return
        sources = self._filler.sources()
        for number in [n for n in self._patches if n < last - 1]:
            patch = self._patches[number]
            if number < last - tuning.LOOK and number not in sources:
                del self._patches[number]
                continue
            patch.retire()
            if number < last - tuning.LOOK and not patch.trimmed:
                patch.trim(self._filler.extent(number, self._patches[last - 1]))


def hole_at(number: int, time_s: float, box: Box, events: Sequence[Event], zones: Zones) -> Mask:
    """The union of the masks of all events that cover this frame, over `box`, less what must stay."""
    return holes_at(number, time_s, box, events, zones)[0]


def holes_at(number: int, time_s: float, box: Box, events: Sequence[Event], zones: Zones) -> tuple[Mask, Mask]:
    """The same, and beside it the text that stays: no part of the hole, and nothing to fill it from."""
    hole = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    spared = np.zeros_like(hole)
    for text in (True, False):
        part = np.zeros_like(hole)
        for event in events:
            if event.erasure is text or event.ground or not event.start <= number < event.end:
                continue
            if event.veil is not None:
                part |= _veil_hole(event.veil, number, box)
                if event.veil.alone and event.veil.start <= number < event.veil.end:
                    continue
            _add_mask(part, event, number, box)
        if part.any():
            spared |= part & text
            zones.limit(part, box, time_s, text=text)
            hole |= part
    return hole, spared & ~hole


def letters_at(number: int, time_s: float, box: Box, events: Sequence[Event], zones: Zones) -> Iterator[Mask]:
    """Of each text that stands on a ground in this frame what is on it, over `box`, less what must stay."""
    for event in events:
        if event.ground and event.start <= number < event.end:
            out = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
            _add_mask(out, event, number, box)
            zones.limit(out, box, time_s, text=True)
            yield out


def _add_mask(part: Mask, event: Event, number: int, box: Box) -> None:
    """Add to a mask over `box`, in place, what goes of an event in a frame."""
    both = meet(event.mask_box, box)
    if area(both):
        part[within(both, box)] |= event.mask_at(number)[within(both, event.mask_box)]


def _veil_hole(veil: Veil, number: int, box: Box) -> Mask:
    """What of a caption box algebra does not bring back: its edge, and all of it while it comes and goes."""
    if veil.alone:
        return np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    return rim(veil, box, layers.BOX_RIM, filled=not veil.start <= number < veil.end)


def plates_of(
    events: Sequence[Event], width: int, height: int, cuts: set[int], guide: Guide = classical
) -> list[Plate]:
    """Group events whose masks touch and whose times overlap or follow each other.

    On a still background, all that is known of what lies behind the last of several captions is what stood before the
    first one: pointers must be handed on.
    """
    groups: list[list[Event]] = []
    for event in sorted(events, key=lambda e: e.start):
        mine = [g for g in groups if any(_touch(event, e) for e in g)]
        merged = [event, *(e for g in mine for e in g)]
        groups = [g for g in groups if g not in mine]
        groups.append(merged)
    return [Plate(g, width, height, cuts, guide) for g in _shared(groups, width, height)]


def _crop(hole: Box, width: int, height: int) -> Box:
    """What is worked on for a hole: the flow needs surroundings."""
    share = max(tuning.CROP_PAD[0], tuning.CROP_PAD[1] * height)
    return aligned(grow(hole, share, share, width, height), 2 * SHRUNK, width, height)


class _Group(NamedTuple):
    """Events that may share a crop."""

    events: list[Event]
    hole: Box
    first: int
    last: int

    def cost(self, width: int, height: int) -> int:
        """Pixels of its crops over all the time for which they are kept."""
        return area(_crop(self.hole, width, height)) * (self.last - self.first + 2 * tuning.LOOK)

    def with_(self, other: _Group) -> _Group:
        """Both."""
        events = [*self.events, *other.events]
        hole = union([self.hole, other.hole])
        return _Group(events, hole, min(self.first, other.first), max(self.last, other.last))


def _shared(groups: Sequence[list[Event]], width: int, height: int) -> list[list[Event]]:
    """Put erasures together wherever one crop for two is no more work than two that overlap.

    Hundreds of regions cost no more than the whole picture then. Texts keep their own crops, which fit them.
    """
    out: list[_Group] = []
    texts = [g for g in groups if not all(e.erasure for e in g)]
    for events in (g for g in groups if all(e.erasure for e in g)):
        start, end = min(e.start for e in events), max(e.end for e in events)
        group = _Group(events, union([e.reach for e in events]), start, end)
        while True:
            cost = group.cost(width, height)
            both = ((one, group.with_(one)) for one in out)
            found = next(((o, b) for o, b in both if b.cost(width, height) <= cost + o.cost(width, height)), None)
            if found is None:
                break
            out = [one for one in out if one is not found[0]]
            group = found[1]
        out.append(group)
    return [*texts, *(g.events for g in out)]


def _touch(a: Event, b: Event) -> bool:
    return max(a.start, b.start) <= min(a.end, b.end) and area(meet(a.reach, b.reach)) > 0
