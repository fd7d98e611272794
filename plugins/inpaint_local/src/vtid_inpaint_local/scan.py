"""First pass: where is text, and exactly when. Streams; keeps about a second of frames and nothing else of the film."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vtid.sdk import Box, Frame

from . import glyphs, layers, tuning
from .arrays import Pixels
from .carved import Carved, Carver
from .decide import Decider
from .detect import Detector, Found, look_closely, plausible
from .events import Findings, erasure
from .geometry import Turn, area, clip, cover, grow, meet, shift, text_height, union, within
from .later import Later
from .linger import Linger, raised
from .looker import Looker
from .merging import merge, together
from .motion import course_of
from .roll import Roll
from .shots import Cuts
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
        self._restless: list[tuple[int, Box]] = []
        """Where, and in which frame, something like text was seen that neither held still nor ran."""
        self._lingering, self._carver = Linger(), Carver()
        self._faint = Later[tuple[list[Found], int]]("mean", tuning.LINGER_LATER)
        self.found = Findings([], set(), [])
        self._decider = Decider(self._looker, turn, self.found, rate)

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
        if self._looker is not None:
            if self._looker.due(number):
                self._look(self._looker, number, frame)
            self._meet(self._looker, number, frame)
        for track in [t for t in self._tracks if t.ended]:
            self._close(track)

    def finish(self) -> Findings:
        """After the last frame."""
        last = len(self.found.times) - 1
        frame = self._ring.get(last)
        if self._looker is not None and frame is not None:
            if self._looker.last < last:
                self._look(self._looker, last, frame, last=True)
            self._carve(last, frame, last=True)
            self._meet(self._looker, last, frame, last=True)
        for track in list(self._tracks):
            self._close(track)
        for roll in list(self._rolls):
            self._unroll(roll, last)
        self._decider.styled()
        self.found.cuts = self._cuts.found()
        if self._looker is not None:
            self.found.looks = self._looker.looks
            self._looker.close()
        self._carver.close()
        self._faint.close()
        self.found.events = together(merge(self.found.events))
        self._decider.settle()
        self.found.moving = sum(not self._gone(*seen) for seen in self._restless)
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
            box = clip(found.box, shown_w, shown_h)
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
        """Look for faint text in the mean of the last looks, and for its shape; follow what was found in those before.

        It is told of later, see `Later`.
        """
        self._lingering.add(number, picture)
        self._carve(number, frame)
        if (window := self._lingering.mean(last=last)) is not None:
            since, mean = 0 if window[0] <= self._rate.sample else window[0], window[1]
            self._carver.begin(looker, self._lingering.pictures, since)
            if mean is not None:
                self._faint.begin(lambda: (looker.find(mean), since))

    def _meet(self, looker: Looker, number: int, frame: Frame, *, last: bool = False) -> None:
        """Follow what a mean showed."""
        faint, since = self._faint.found(last=last) or ([], 0)
        for found in faint:
            box = clip(found.box, *self._turn.shown)
            coded = self._turn.coded_box(box, *self._turn.shown)
            likely = plausible(box, *self._turn.shown, tuning.MAX_FAINT_SHARE)
            if not likely or self._met(coded, since, tuning.LINGER_MET):
                continue
            if self._zones.wants(coded, frame.time_s):
                for close in self._refine(looker, self._blurred(), found, rough_too=False):
                    self._follow(close, number, frame, since)

    def _carve(self, number: int, frame: Frame, *, last: bool = False) -> None:
        """Follow what only its shape shows."""
        marks, since = self._carver.found(last=last)
        for carved in marks:
            scale = self._turn.shown[0] / self._lingering.pictures[0].shape[1]
            x0, y0, x1, y1 = (scale * v for v in carved.box)
            coded = self._turn.coded_box(clip((x0, y0, x1, y1), *self._turn.shown), *self._turn.shown)
            if not self._met(coded, since, layers.CARVED_MET) and self._zones.wants(coded, frame.time_s):
                self._follow(Found((x0, y0, x1, y1), carved.score), number, frame, since, carved)

    def _blurred(self) -> Pixels:
        """The mean of some frames in the ring, at full size and upright, its contrast raised."""
        newest = len(self.found.times) - 1
        picked = [f for f in (self._ring.get(newest - back) for back in range(0, len(self._ring), 4)) if f is not None]
        total = np.zeros((self._turn.height, self._turn.width, 3), np.float32)
        for frame in picked:
            total += frame.bgr()
        return self._turn.upright(raised(np.asarray(total / len(picked), np.float32)))

    def _met(self, box: Box, since: int, share: float) -> bool:
        """Whether text has been followed in such a share of it since then: what shows by itself needs no other search.

        What was seen for a moment and did not hold still was not followed.
        """
        if any(area(meet(box, r.window)) > 0.1 * min(area(box), area(r.window)) for r in self._rolls):
            return True
        followed = [t.box for t in self._tracks if t.there or t.static]
        if _covered(box, followed) > share:
            return True
        self._decider.wait()
        followed += [e.box for e in self.found.events if e.end > since]
        return _covered(box, followed) > share

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
        rough = clip(found.box, w, h)
        margin = tuning.CROP_MARGIN * text_height(rough)
        crop = grow(rough, margin, margin, w, h)
        out = []
        for close in look_closely(looker, full[crop[1] : crop[3], crop[0] : crop[2]]):
            box = shift(clip(close.box, crop[2] - crop[0], crop[3] - crop[1]), crop[0], crop[1])
            if cover(box, rough) > 0.3 and plausible(box, w, h):
                out.append(Found(box, max(close.score, found.score)))
        missed = cover(rough, union([_ints(f) for f in out])) < 0.6 if out else True
        return [*out, Found(rough, found.score)] if missed and rough_too else out

    def _follow(
        self, found: Found, number: int, frame: Frame, since: int | None = None, carved: Carved | None = None
    ) -> None:
        shown_w, shown_h = self._turn.shown
        coded = self._turn.coded_box(found.box, shown_w, shown_h)
        if self._known(coded, found.score):
            return
        size = text_height(coded)
        wide, view = (
            self._turn.around(coded, [p * size + 4 for p in pads]) for pads in (glyphs.MASK_PAD, tuning.VIEW_PAD)
        )
        track = Track(
            coded, wide, view, number=number, ring=self._ring, rate=self._rate, score=found.score, since=since
        )
        track.carved = carved
        if track.template.usable:
            self._tracks.append(track)

    def _close(self, track: Track) -> None:
        """A text that has ended: what it is gets decided beside the following frames."""
        self._tracks.remove(track)
        film = len(self.found.times)
        begun, ended = track.start == 0, track.end >= film
        throughout = film < self._rate.static and begun and ended
        # What the film cuts off, or is as short as the film, was given no time to hold still for long.
        if not (track.static or (track.steady and (begun or ended)) or throughout):
            self._consider(track)
            return
        self._decider.decide(track, self._ring, self._tracks)

    # --- text that moves --------------------------------------------------------------------------------------------

    def _consider(self, track: Track) -> None:
        """A text that did not hold still: if it runs steadily along an axis, it is followed as a strip."""
        newest = len(self.found.times) - 1
        for roll in self._rolls:
            if track.seen in roll.offsets and cover(track.box, roll.window) > 0.7:
                return
        course = course_of(track.box, track.seen, self._ring)
        if course is None:
            self._restless.append((track.seen, track.box))
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
                self._restless.append((number, roll.window))
                self._rolls.remove(roll)
            return
        event = roll.take(number)
        if roll.ended:
            self._rolls.remove(roll)
        if event is not None:
            self._decider.wait()
            self.found.events.append(event)

    def _gone(self, number: int, box: Box) -> bool:
        """Whether what was seen there is part of a text that was found after all: a ticker begins letter by letter."""
        return any(cover(box, e.reach) > 0.5 and e.start <= number < e.end for e in self.found.events)

    def _add_erasures(self) -> None:
        times = np.array(self.found.times)
        for zone in self._zones.erase:
            inside = np.flatnonzero([zone.region.covers(t) for t in times])
            box = zone.box
            if inside.size and box[2] > box[0] and box[3] > box[1]:
                self.found.events.append(erasure(box, int(inside[0]), int(inside[-1]) + 1))


def _covered(box: Box, others: Iterable[Box]) -> float:
    """Share of a box that others cover together."""
    out = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    for both in (meet(box, other) for other in others):
        if area(both):
            out[within(both, box)] = True
    return float(out.mean())


def _ints(found: Found) -> Box:
    x0, y0, x1, y1 = found.box
    return int(x0), int(y0), int(x1), int(y1)
