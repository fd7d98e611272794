"""What a text that has ended turns out to be: whether it is text, which pixels are its strokes, what lies behind it.

That takes as long as following it for a second, and is decided on a thread of its own while the scan goes on: one text
after the other, and each by what was known when it ended, so that the answer does not depend on how the threads run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box, Frame

from . import layers, tuning
from .arrays import Mask, Pixels, median, widen
from .caption import Panel, edged, panel, shade
from .caption import settle as settle_panels
from .carved import Carved
from .change import Pair, stirred
from .events import Event, Findings, Veil
from .geometry import Turn, area, cover, grow, meet, shift, text_height, union, within
from .ground import Ground, Label, ends_at, ground_of, hugs, shape_of
from .looker import Looker
from .mark import settle as settle_marks
from .mark import veil_of
from .mask import bare, strokes_in, strokes_of, sung_mask
from .overlay import evidence
from .patch import around
from .policy import in_a_corner
from .presence import gone
from .still import averaged, still, whole
from .style import Styles
from .track import Edge, Rate, Ring, Track, crop8
from .veil import matte_of

_WAITING = 2
"""Texts that may wait to be decided, with their samples: lines of one caption end together."""


class Beside(NamedTuple):
    """Another text that was being followed, as it stood then."""

    start: int
    core_start: int
    end: int
    box: Box
    wide: Box


class Late(NamedTuple):
    """The last frames of a text, whole, as long as the ring has them."""

    frames: list[Frame]
    after: Frame | None
    """The one in which it has gone."""

    @classmethod
    def of(cls, event: Event, ring: Ring) -> Late:
        """Some, evenly picked."""
        numbers = range(event.core_end - 1, event.core_start - 1, -1)
        there = [f for f in map(ring.get, numbers) if f is not None]
        every = max(1, -(-len(there) // layers.LATE_FRAMES))
        return cls(there[::every], ring.get(event.end))


class Wider(NamedTuple):
    """Crops in which a caption box is looked for."""

    box: Box
    crops: Sequence[Pixels]
    edges: Sequence[tuple[Pixels, Pixels]]
    """The same crop just outside and just inside the text's time."""


class Decider:
    """Makes events of tracks that have ended."""

    def __init__(self, looker: Looker | None, turn: Turn, found: Findings, rate: Rate) -> None:
        """Ready for the first.

        Args:
            looker: reads them.
            turn: how the picture is shown.
            found: what is decided goes there; see `wait`.
            rate: lengths in frames.
        """
        self._looker, self._turn, self._found, self._rate = looker, turn, found, rate
        self._pool = ThreadPoolExecutor(1, "decide")
        self._waiting: deque[Future[None]] = deque()
        self._styles = Styles()
        self._marks: list[tuple[Event, Veil]] = []
        self._panels: list[tuple[Event, Panel]] = []
        self._shades: list[tuple[Event, bytes]] = []
        self._labels: list[Label] = []

    def decide(self, track: Track, ring: Ring, others: Iterable[Track]) -> None:
        """Begin with a text that has ended.

        Args:
            track: of the text; nobody else feeds it any more.
            ring: the last frames, for the edge of its time.
            others: that are being followed.
        """
        begin = list(track.edges)
        event = track.event(ring)
        beside = [Beside(t.start, t.core_start, t.end, t.box, t.wide) for t in others]
        late = Late.of(event, ring)
        self._waiting.append(self._pool.submit(self._decide, track, event, begin, beside, late))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def wait(self) -> None:
        """Until all are decided: nobody else may touch or read what was found before."""
        while self._waiting:
            self._waiting.popleft().result()

    def settle(self) -> None:
        """All texts are known, and merged: what only all of them together tell."""
        self.wait()
        self._pool.shutdown()
        found = self._found
        kept = {id(e) for e in found.events}
        settle_panels([(e, p) for e, p in self._panels if id(e) in kept], self._shades)
        found.events = settle_marks(found.events, self._marks, self._rate.mark)

    def styled(self) -> None:
        """All texts have ended: what they show of the film's style holds for each other's masks."""
        self.wait()
        self._styles.settle()

    # --- one text ---------------------------------------------------------------------------------------------------

    def _decide(self, track: Track, event: Event, begin: list[Edge], beside: Sequence[Beside], late: Late) -> None:
        if track.carved is not None:
            self._decide_carved(track, event, track.carved)
            return
        strong = track.strong
        every = -(-len(strong) // tuning.SAMPLES[0])
        samples = track.over(track.wide, strong[::every])
        middle = median(np.stack(samples))
        if not self._is_text(track, event, middle):
            self._found.doubtful += 1
            return
        inner = shift(event.box, -event.mask_box[0], -event.mask_box[1])
        line = np.s_[inner[1] : inner[3], inner[0] : inner[2], 0]
        pairs: dict[int, Pair] = {}
        for edge in track.edges:
            outside, just_inside = track.over(track.wide, (edge.outside, edge.inside))
            if gone(outside[line], just_inside[line]):
                pairs[edge.number] = outside, just_inside
        there = shift(event.box, -track.view[0], -track.view[1])
        event.evidence = evidence(samples, inner, begin, track.edges[len(begin) :], there)
        lines, wider = self._lines(track, beside), self._wider(track, late)
        if not self._on_ground(track, event, strong[::every], wider, lines, beside):
            event.mask = self._mask(track, event, samples, inner, pairs, beside)
            self._look_behind(track, event, samples, wider, lines)
        self._found.events.append(event)

    def _decide_carved(self, track: Track, event: Event, carved: Carved) -> None:
        """Of what only its shape shows, no stroke could be told: it is a mark that can be taken off, or nothing."""
        veil = self._veil(track, event, carved.alpha)
        if veil is None:
            self._found.doubtful += 1
            return
        event.text, event.sure = carved.text, carved.sure
        event.mask_box, event.mask = veil.box, matte_of(veil) > 0
        self._found.events.append(event)
        self._marks.append((event, veil))

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

    def _mask(
        self,
        track: Track,
        event: Event,
        samples: list[Pixels],
        inner: Box,
        edges: dict[int, Pair],
        beside: Sequence[Beside],
    ) -> Mask:
        """Which pixels are its strokes; `edges` by the number of the frame outside."""
        pairs, height = list(edges.values()), text_height(inner)
        seen = still(samples)._replace(stirred=self._stirred(track, edges, height, beside))
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

    def _stirred(self, track: Track, edges: dict[int, Pair], height: int, beside: Sequence[Beside]) -> Mask | None:
        """Pixels that may be its text by what changed, or because a text that follows or is followed shares them."""
        own: list[Pair] = []
        shared = np.zeros((track.wide[3] - track.wide[1], track.wide[2] - track.wide[0]), bool)
        for number, pair in edges.items():
            if any(t.start <= number < t.end and area(meet(t.wide, track.box)) for t in beside):
                continue  # what that one's letters are is not known yet
            own.append(pair)
            for event in self._found.events:
                both = meet(event.mask_box, track.wide)
                if event.start <= number < event.end and event.motion is None and area(both):
                    shared[within(both, track.wide)] |= event.mask[within(both, event.mask_box)]
        moved = stirred(own, height)
        return None if moved is None else moved | shared

    def _on_ground(
        self, track: Track, event: Event, views: Sequence[Pixels], wider: Wider, lines: Box, beside: Sequence[Beside]
    ) -> bool:
        """Whether it stands on an opaque ground of its own; then its mask is all that is on it, or all of a label.

        Args:
            track: of the text.
            event: to which it is added.
            views: the track's crops in which it stands at full strength.
            wider: crops of whole rows of the picture.
            lines: of its caption.
            beside: other texts, which may have stood there before or after it.
        """
        corner = track.view[:2]
        inner = shift(meet(event.box, track.view), -corner[0], -corner[1])
        if track.faint or inner[3] - inner[1] > inner[2] - inner[0]:
            return False
        edges = [e[:2] for e in track.edges if not self._shared(track, e.number, beside)]
        ground = ground_of(views, inner, edges if edges or not track.edges else None, self._labels)
        if ground is None:
            return False
        if not self._on_label(track, event, views, wider, lines, ground):
            event.ground, event.mask_box, event.mask = True, track.view, ground.letters
        return True

    def _on_label(
        self, track: Track, event: Event, views: Sequence[Pixels], wider: Wider, lines: Box, ground: Ground
    ) -> bool:
        """Whether the ground hugs its caption; then all of it is the event's mask."""
        margin = layers.BOX_MARGIN
        for crops, box in ((views, track.view), (wider.crops, wider.box)):
            if not crops:
                continue
            corner = -box[0], -box[1]
            shape = shape_of(crops, ground.colour, shift(lines, *corner), shift(event.box, *corner))
            if shape is not None and (bound := around(shape)) is not None:
                crop = 0, 0, shape.shape[1], shape.shape[0]
                if shape[within(bound, crop)].mean() >= layers.LABEL_HOLDS:
                    self._remember(lines, shift(bound, *box[:2]), ground)
                bound = grow(bound, margin, margin, *crop[2:])
                event.cover(shift(bound, *box[:2]), widen(shape[within(bound, crop)], margin))
                return True
            found = edged(crops, shift(lines, *corner))
            label = shift(found, *box[:2]) if found is not None else None
            if (
                label is not None
                and hugs(label, lines, text_height(event.box))
                and cover(event.box, label) > layers.BOX_HOLDS
            ):
                event.cover(grow(label, margin, margin, self._turn.width, self._turn.height))
                self._remember(lines, label, ground)
                return True
        known = next((one.box(lines) for one in self._labels if one.like(ground.colour)), None)
        if known is None or not wider.crops:
            return False
        if not ends_at(wider.crops, ground.colour, shift(known, -wider.box[0], -wider.box[1])):
            return False
        event.cover(grow(known, margin, margin, self._turn.width, self._turn.height))
        return True

    def _remember(self, lines: Box, box: Box, ground: Ground) -> None:
        """A film's captions look alike: one label of each colour is enough, if all of its caption stands on it."""
        if cover(lines, box) >= layers.LABEL_HOLDS and not any(known.like(ground.colour) for known in self._labels):
            self._labels.append(Label.of(lines, box, ground.colour))

    def _shared(self, track: Track, number: int, beside: Sequence[Beside]) -> bool:
        """Whether another text stood there in a frame outside this one's time."""
        texts: list[Beside | Event] = [*beside, *self._found.events]
        return any(t.start <= number < t.end and area(meet(t.box, track.box)) for t in texts)

    def _look_behind(self, track: Track, event: Event, samples: list[Pixels], wider: Wider, lines: Box) -> None:
        """Whether there is a caption box around it, or it is half-transparent itself."""
        self._shades.append((event, shade(samples)))
        near = Wider(track.view, track.samples, [e[:2] for e in track.edges])
        for crops in (near, wider):
            corner = crops.box[:2]
            found = panel(crops.crops, shift(lines, -corner[0], -corner[1]), crops.edges) if crops.crops else None
            if found is not None:
                self._panels.append((event, found._replace(box=shift(found.box, *corner))))
                return
        if self._may_be_mark(track, event) and (veil := self._veil(track, event)) is not None:
            self._marks.append((event, veil))

    def _may_be_mark(self, track: Track, event: Event) -> bool:
        """Whether it was there for long; of large texts fewer crops are kept, and those stand in a corner."""
        if len(track.samples) >= layers.MARK_SAMPLES:
            return True
        long = event.core_end - event.core_start >= layers.MARK_SAMPLES * track.spacing
        return long and len(track.samples) >= layers.MARK_FIRST_LOOKS and in_a_corner(event, self._turn)

    def _veil(self, track: Track, event: Event, alpha: float | None = None) -> Veil | None:
        """Of a text that is half-transparent itself; `alpha` where it was found by that."""
        size = text_height(event.box)
        wide = meet(self._turn.around(event.box, [p * size + 4 for p in layers.MARK_PAD]), track.view)
        inner = shift(event.box, -wide[0], -wide[1])
        return veil_of(track.over(wide, track.samples), inner, wide, alpha)

    def _wider(self, track: Track, late: Late) -> Wider:
        """Crops of whole rows of the picture: boxes and banners may reach from side to side."""
        across = self._turn.around(track.box, (self._turn.width + self._turn.height, 0))
        box = union([track.view, meet(across, (0, 0, self._turn.width, self._turn.height))])
        crops = [crop8(frame, box) for frame in late.frames]
        edges = [(crop8(late.after, box), crops[0])] if late.after is not None and crops else []
        return Wider(box, crops, edges)

    def _lines(self, track: Track, beside: Sequence[Beside]) -> Box:
        """The text with the lines above and below it that came with it: a box around them has its edges outside."""
        near = self._turn.around(track.box, (0, text_height(track.box)))
        others = [(t.core_start, t.box) for t in beside] + [(e.core_start, e.box) for e in self._found.events]
        lines = [box for start, box in others if abs(start - track.core_start) <= 2 and area(meet(box, near))]
        return meet(union([track.box, *lines]), track.view)
