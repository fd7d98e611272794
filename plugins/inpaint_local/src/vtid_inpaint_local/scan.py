"""First pass: where is text, and exactly when. Streams; keeps about a second of frames and nothing else of the film."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from vtid.sdk import Box, Frame

from . import layers, tuning
from .arrays import Mask, Pixels, median
from .caption import Panel, panel, settle, shade
from .change import Pair, stirred
from .detect import Detector, Found, look_closely, plausible
from .events import Event, Findings, Veil, erasure
from .geometry import Turn, area, cover, grow, meet, shift, text_height, union, within
from .linger import Linger, raised
from .looker import Looker
from .mark import settle as settle_marks
from .mark import veil_of
from .mask import averaged, bare, still, strokes_in, strokes_of, sung_mask, whole
from .merging import merge, together
from .motion import course_of
from .overlay import evidence
from .presence import gone
from .roll import Roll
from .shots import Cuts
from .style import Styles
from .track import Rate, Ring, Track
from .zones import Zones


class Scan:
    """Feed it every frame, then ask what it found."""

    def __init__(self, detector: Detector | None, turn: Turn, zones: Zones, rate: Rate) -> None:
        """Ready for the first frame.

        Args:
            detector: None looks for no text; erasure regions are all there is then.
            turn: how the picture is shown.
            zones: where text is to go.
            rate: lengths in frames.
        """
        self._looker = None if detector is None else Looker(detector, turn, rate.sample, sparing=rate.sparing)
        self._turn, self._zones, self._rate = turn, zones, rate
        self._ring = Ring(rate.ring)
        self._cuts = Cuts()
        self._tracks: list[Track] = []
        self._rolls: list[Roll] = []
        self._lingering = Linger()
        self._styles = Styles()
        self._marks: list[tuple[Event, Veil]] = []
        self._panels: list[tuple[Event, Panel]] = []
        self._shades: list[tuple[Event, bytes]] = []
        self.found = Findings([], set(), [])

    def ahead(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames that are to be fed; drawn by another thread, which is ahead, the detector is ahead too."""
        for number, frame in enumerate(frames):
            if self._looker is not None:
                self._looker.expect(number, frame)
            yield frame

    def feed(self, frame: Frame) -> None:
        """The next frame."""
        number = len(self.found.times)
        self.found.times.append(frame.time_s)
        self._cuts.feed(frame.luma())
        self._ring.push(number, frame)
        for track in self._tracks:
            was = track.there
            track.feed(number, frame, self._ring)
            if was and not track.there and self._looker is not None:  # texts follow each other: look soon
                self._looker.hurry(number + 2)
        self._roll(number, frame)
        if self._looker is not None and self._looker.due(number):
            self._look(self._looker, number, frame)
        for track in [t for t in self._tracks if t.ended]:
            self._close(track)

    def finish(self) -> Findings:
        """After the last frame."""
        last = len(self.found.times) - 1
        frame = self._ring.get(last)
        if self._looker is not None and frame is not None and self._looker.last < last:
            self._look(self._looker, last, frame, last=True)
        for track in list(self._tracks):
            self._close(track)
        for roll in list(self._rolls):
            self._unroll(roll, last)
        self._styles.settle()
        self.found.cuts = self._cuts.found()
        if self._looker is not None:
            self.found.looks = self._looker.looks
            self._looker.close()
        self.found.events = together(merge(self.found.events))
        kept = {id(e) for e in self.found.events}
        settle([(e, p) for e, p in self._panels if id(e) in kept], self._shades)
        self.found.events = settle_marks(self.found.events, self._marks, self._rate.mark)
        self._add_erasures()
        self.found.events.sort(key=lambda e: (e.start, e.box))
        return self.found

    # --- looking ----------------------------------------------------------------------------------------------------

    def _look(self, looker: Looker, number: int, frame: Frame, *, last: bool = False) -> None:
        """Detector on this frame; what is new is looked at again at full size and followed."""
        shown_w, shown_h = self._turn.shown
        picture, rough = looker.look(number, frame)
        fresh: list[Found] = []
        for track in self._tracks:
            track.looks += track.there and rough is not None
        for found in rough or ():
            box = _clip(found.box, shown_w, shown_h)
            if not plausible(box, shown_w, shown_h):
                continue
            coded = self._turn.coded_box(box, shown_w, shown_h)
            if any(roll.claims(coded, number, self._ring) for roll in self._rolls):
                continue
            if not self._known(coded, found.score) and self._zones.wants(coded, frame.time_s):
                fresh.append(found)
        if fresh:
            full = self._turn.upright(frame.bgr())
            for found in fresh:
                for close in self._refine(looker, full, found):
                    self._follow(close, number, frame)
        self._linger(looker, number, frame, picture, last=last)

    def _linger(self, looker: Looker, number: int, frame: Frame, picture: Pixels, *, last: bool) -> None:
        """Look for faint text in the mean of the last looks."""
        self._lingering.add(number, picture)
        if (mean := self._lingering.mean(last=last)) is None:
            return
        since = 0 if mean[0] <= self._rate.sample else mean[0]
        for found in looker.find(mean[1]):
            box = _clip(found.box, *self._turn.shown)
            coded = self._turn.coded_box(box, *self._turn.shown)
            if not plausible(box, *self._turn.shown) or self._met(coded, since):
                continue
            if self._zones.wants(coded, frame.time_s):
                for close in self._refine(looker, self._blurred(), found, rough_too=False):
                    self._follow(close, number, frame, since)

    def _blurred(self) -> Pixels:
        """The mean of some frames in the ring, at full size and upright, its contrast raised."""
        newest = len(self.found.times) - 1
        picked = [f for f in (self._ring.get(newest - back) for back in range(0, len(self._ring), 4)) if f is not None]
        total = np.zeros((self._turn.height, self._turn.width, 3), np.float32)
        for frame in picked:
            total += frame.bgr()
        return self._turn.upright(raised(np.asarray(total / len(picked), np.float32)))

    def _met(self, box: Box, since: int) -> bool:
        """Whether text there has been followed since then: what shows by itself needs no mean.

        What was seen for a moment and did not hold still was not followed.
        """
        boxes = [t.box for t in self._tracks if t.there or t.static]
        boxes += [e.box for e in self.found.events if e.end > since]
        boxes += [roll.window for roll in self._rolls]
        return any(area(meet(box, b)) > 0.1 * min(area(box), area(b)) for b in boxes)

    def _known(self, box: Box, score: float) -> bool:
        """Whether a text that is being followed is what was found here."""
        known = False
        for track in self._tracks:
            if track.there and cover(box, track.box) > 0.7 and box[2] - box[0] < 1.15 * (track.box[2] - track.box[0]):
                known = True
                track.hits += 1
                track.scores.append(score)
        return known

    def _refine(self, looker: Looker, full: Pixels, found: Found, *, rough_too: bool = True) -> list[Found]:
        """The same text in a crop at full size: boxes from a small picture cut letters off."""
        h, w = full.shape[:2]
        rough = _clip(found.box, w, h)
        margin = tuning.CROP_MARGIN * text_height(rough)
        crop = grow(rough, margin, margin, w, h)
        out = []
        for close in look_closely(looker, full[crop[1] : crop[3], crop[0] : crop[2]]):
            box = shift(_clip(close.box, crop[2] - crop[0], crop[3] - crop[1]), crop[0], crop[1])
            if cover(box, rough) > 0.3 and plausible(box, w, h):
                out.append(Found(box, max(close.score, found.score)))
        missed = cover(rough, union([_ints(f) for f in out])) < 0.6 if out else True
        return [*out, Found(rough, found.score)] if missed and rough_too else out

    def _follow(self, found: Found, number: int, frame: Frame, since: int | None = None) -> None:
        shown_w, shown_h = self._turn.shown
        coded = self._turn.coded_box(found.box, shown_w, shown_h)
        if self._known(coded, found.score):
            return
        size = text_height(coded)
        wide, view = (self._around(coded, [p * size + 4 for p in pads]) for pads in (tuning.MASK_PAD, tuning.VIEW_PAD))
        track = Track(
            coded, wide, view, number=number, ring=self._ring, rate=self._rate, score=found.score, since=since
        )
        if track.template.usable:
            self._tracks.append(track)

    def _around(self, box: Box, pads: Sequence[float]) -> Box:
        """A box with margins along and across the lines as shown."""
        along, across = pads[::-1] if self._turn.rotation % 180 else pads
        return grow(box, along, across, self._turn.width, self._turn.height)

    # --- deciding ---------------------------------------------------------------------------------------------------

    def _close(self, track: Track) -> None:
        self._tracks.remove(track)
        begin = list(track.edges)
        event = track.event(self._ring)
        film = len(self.found.times)
        throughout = film < self._rate.static and track.start == 0 and track.end >= film
        if not (track.static or throughout):  # so short a film gives it no time to hold still for long
            self._consider(track)
            return
        strong = track.strong
        every = -(-len(strong) // tuning.SAMPLES[0])
        samples = track.over(track.wide, strong[::every])
        middle = median(np.stack(samples))
        if not self._is_text(track, event, middle):
            self.found.doubtful += 1
            return
        inner = shift(event.box, -event.mask_box[0], -event.mask_box[1])
        line = np.s_[inner[1] : inner[3], inner[0] : inner[2], 0]
        pairs: dict[int, Pair] = {}
        for edge in track.edges:
            outside, just_inside = track.over(track.wide, (edge.outside, edge.inside))
            if gone(outside[line], just_inside[line]):
                pairs[edge.number] = outside, just_inside
        event.mask = self._mask(track, event, samples, inner, pairs)
        there = shift(event.box, -track.view[0], -track.view[1])
        event.evidence = evidence(samples, inner, begin, track.edges[len(begin) :], there)
        self.found.events.append(event)
        self._look_behind(track, event, samples)

    def _mask(self, track: Track, event: Event, samples: list[Pixels], inner: Box, edges: dict[int, Pair]) -> Mask:
        """Which pixels are its strokes; `edges` by the number of the frame outside."""
        pairs, height = list(edges.values()), text_height(inner)
        seen = still(samples)._replace(stirred=self._stirred(track, edges, height))
        strokes = strokes_of(seen, inner, pairs, height)
        mask = whole(seen, inner) if strokes is None else strokes.mask
        x0, y0, x1, y1 = inner
        if track.faint or (mask[y0:y1, x0:x1].all() and len(track.samples) >= layers.MARK_SAMPLES):
            # Over what shines through, no single picture is sure of a stroke.
            return strokes_in(averaged(track.over(track.wide, track.samples)), inner, pairs, height)
        sung = sung_mask(samples, inner, pairs, certain=track.recoloured or bare(mask, inner))
        if sung is not None:
            return mask | sung
        self._styles.add(event, seen, inner, strokes)
        return mask

    def _stirred(self, track: Track, edges: dict[int, Pair], height: int) -> Mask | None:
        """Pixels that may be its text by what changed, or because a text that follows or is followed shares them."""
        own: list[Pair] = []
        shared = np.zeros((track.wide[3] - track.wide[1], track.wide[2] - track.wide[0]), bool)
        for number, pair in edges.items():
            if any(t.start <= number < t.end and area(meet(t.wide, track.box)) for t in self._tracks):
                continue  # what that one's letters are is not known yet
            own.append(pair)
            for event in self.found.events:
                both = meet(event.mask_box, track.wide)
                if event.start <= number < event.end and event.motion is None and area(both):
                    shared[within(both, track.wide)] |= event.mask[within(both, event.mask_box)]
        moved = stirred(own, height)
        return None if moved is None else moved | shared

    # --- text that moves --------------------------------------------------------------------------------------------

    def _consider(self, track: Track) -> None:
        """A text that did not hold still: if it runs steadily along an axis, it is followed as a strip."""
        newest = len(self.found.times) - 1
        for roll in self._rolls:
            if track.seen in roll.offsets and cover(track.box, roll.window) > 0.7:
                return
        course = course_of(track.box, track.seen, self._ring)
        if course is None:
            self.found.moving += 1
            return
        self._rolls.append(
            Roll(track.box, course, number=track.seen, newest=newest, ring=self._ring, lost=self._rate.lost)
        )

    def _roll(self, number: int, frame: Frame) -> None:
        for roll in list(self._rolls):
            roll.feed(number, frame)
            if roll.ended or roll.full(number):
                self._unroll(roll, number)

    def _unroll(self, roll: Roll, number: int) -> None:
        """Make an event of what has gone by."""
        if not roll.is_text:
            if roll.ended:
                self.found.moving += 1
                self._rolls.remove(roll)
            return
        event = roll.take(number)
        if roll.ended:
            self._rolls.remove(roll)
        if event is not None:
            self.found.events.append(event)

    def _look_behind(self, track: Track, event: Event, samples: list[Pixels]) -> None:
        """Whether there is a caption box around it, or it is half-transparent itself."""
        self._shades.append((event, shade(samples)))
        corner = track.view[:2]
        found = panel(track.samples, shift(self._lines(track), -corner[0], -corner[1]), [e[:2] for e in track.edges])
        if found is not None:
            self._panels.append((event, found._replace(box=shift(found.box, *corner))))
        elif len(track.samples) >= layers.MARK_SAMPLES:
            size = text_height(event.box)
            around = meet(self._around(event.box, [p * size + 4 for p in layers.MARK_PAD]), track.view)
            inner = shift(event.box, -around[0], -around[1])
            veil = veil_of(track.over(around, track.samples), inner, around)
            if veil is not None:
                self._marks.append((event, veil))

    def _lines(self, track: Track) -> Box:
        """The text with the lines above and below it that came with it: a box around them has its edges outside."""
        size = text_height(track.box)
        near = grow(track.box, 0, size, self._turn.width, self._turn.height)
        if self._turn.rotation % 180:
            near = grow(track.box, size, 0, self._turn.width, self._turn.height)
        others = [(t.core_start, t.box) for t in self._tracks] + [(e.core_start, e.box) for e in self.found.events]
        lines = [box for start, box in others if abs(start - track.core_start) <= 2 and area(meet(box, near))]
        return meet(union([track.box, *lines]), track.view)

    def _is_text(self, track: Track, event: Event, middle: Pixels) -> bool:
        """Read it; in scripts that the reader does not know, go by how steadily it was seen."""
        assert self._looker is not None
        x0, y0, x1, y1 = grow(shift(event.box, -track.wide[0], -track.wide[1]), 4, 2, middle.shape[1], middle.shape[0])
        bgr = cv2.cvtColor(np.ascontiguousarray(middle[y0:y1, x0:x1]), cv2.COLOR_YUV2BGR)
        read = self._looker.read(self._turn.upright(bgr))
        if read is not None:
            event.text, event.sure = read
            if len(read[0]) >= tuning.READ_CHARS and read[1] >= tuning.READ_SCORE:
                return True
        sides = sorted((event.box[2] - event.box[0], event.box[3] - event.box[1]))
        if sides[1] < tuning.HIT_ASPECT * sides[0]:
            return False
        return track.hits >= tuning.HITS * track.looks and max(track.scores) >= tuning.HIT_SCORE

    def _add_erasures(self) -> None:
        times = np.array(self.found.times)
        for zone in self._zones.erase:
            inside = np.flatnonzero([zone.region.covers(t) for t in times])
            box = zone.box
            if inside.size and box[2] > box[0] and box[3] > box[1]:
                self.found.events.append(erasure(box, int(inside[0]), int(inside[-1]) + 1))


def _clip(box: Iterable[float], width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    return max(0, int(x0)), max(0, int(y0)), min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))


def _ints(found: Found) -> Box:
    x0, y0, x1, y1 = found.box
    return int(x0), int(y0), int(x1), int(y1)
