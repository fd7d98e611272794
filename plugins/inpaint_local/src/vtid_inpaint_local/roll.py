"""Text that moves over the picture: tickers, and credits that roll.

It is followed as one strip. From frame to frame the strip's strokes are matched with a view of it kept a little
earlier, which tells to a part of a pixel how far it has come. Views laid at their offsets on one canvas make a still
picture of the whole text, longer than the screen, in which the scene behind blurs away; there the strokes are masked
as those of any text are.

All is computed as if the text ran from side to side; what rolls up is turned by a quarter first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vtid.sdk import Box, Frame

from . import glyphs, tuning
from .arrays import Floats, Mask, Pixels
from .events import Event, Motion, packed
from .geometry import cover, grow, meet, shift, text_height, union, within
from .mask import strokes_in
from .motion import Course, relief
from .still import Still
from .track import Ring, crop8


class View(NamedTuple):
    """The strip in one frame."""

    offset: float
    """How far the text has come, pixels."""
    pixels: Pixels


class Roll:
    """One strip of moving text, while it lasts."""

    def __init__(self, box: Box, course: Course, *, number: int, newest: int, ring: Ring, lost: int) -> None:
        """Follows it back at once, and forward to the newest frame.

        Args:
            box: of the text, in the frame in which it was seen.
            course: how it moves.
            number: that frame.
            newest: the newest frame in the ring.
            ring: the last frames.
            lost: frames without it after which it has gone.
        """
        frame = ring.get(number)
        assert frame is not None
        self.course, self._lost = course, lost
        self._size = text_height(box)
        pad = self._size
        wide, high = frame.width, frame.height
        x0, y0, x1, y1 = grow(box, pad, pad, wide, high)
        self.window: Box = (0, 0, wide, high) if course.upright else (0, y0, wide, y1)
        self._length = high if course.upright else wide
        self.offsets: dict[int, float] = {number: 0.0}
        self._held = number
        self.first = number
        self._misses = 0
        self.lines: list[Box] = []
        self.texts = 0
        self._views: dict[int, View] = {}
        self._ends: dict[int, View] = {}
        room = tuning.ROLL_BYTES // (3 * (x1 - x0 if course.upright else wide) * (self.window[3] - self.window[1]))
        self._stride = max(1.0, self._length / min(tuning.ROLL_VIEWS, max(6, room / (2 * tuning.ROLL_SPAN))))
        # Credits are matched where text was seen; the whole picture would cost more and hold more of the scene.
        self._match: Box = (x0, 0, x1, high) if course.upright else self.window
        self._reference = self._relief(frame), 0.0
        self._keep(number, frame)
        self.sight(box, number)
        for back, earlier in enumerate(ring.before(number), 1):
            if not self._step(number - back, earlier, -1):
                break
        self._reference, self._misses = (self._relief(frame), 0.0), 0
        for later in range(number + 1, newest + 1):
            if (seen := ring.get(later)) is not None:
                self.feed(later, seen)

    # --- following --------------------------------------------------------------------------------------------------

    def feed(self, number: int, frame: Frame) -> None:
        """The next frame."""
        self._step(number, frame, 1)

    @property
    def ended(self) -> bool:
        """Whether it has been gone for long."""
        return self._misses > self._lost

    def _step(self, number: int, frame: Frame, way: int) -> bool:
        expected = self.offsets[number - way] + way * self.course.speed
        shape, since = self._reference
        now = self._relief(frame)
        gone, score = _slide(shape, now, expected - since)
        found = score > tuning.ROLL_HOLDS
        offset = since + gone if found else expected
        self.offsets[number] = offset
        self._misses = 0 if found else self._misses + 1
        if found:
            self._held, self.first = max(self._held, number), min(self.first, number)
            if abs(offset - since) >= self._length / 16:
                self._reference = now, offset
            if min((abs(offset - v.offset) for v in self._views.values()), default=self._stride) >= self._stride:
                self._keep(number, frame)
            self._ends[way] = self._view(number, frame)
        return found

    def _relief(self, frame: Frame) -> Floats:
        return self._level(relief(frame.luma(self._match), self._size))

    def _keep(self, number: int, frame: Frame) -> None:
        self._views[number] = self._view(number, frame)

    def _view(self, number: int, frame: Frame) -> View:
        return View(self.offsets[number], self._level(crop8(frame, self.window)))

    def _level(self, picture: Pixels) -> Pixels:
        """Turned so that the text runs from side to side."""
        return np.ascontiguousarray(picture.swapaxes(0, 1)) if self.course.upright else picture

    def _turned(self, box: Box) -> Box:
        return (box[1], box[0], box[3], box[2]) if self.course.upright else box

    # --- what it says -----------------------------------------------------------------------------------------------

    def claims(self, box: Box, number: int, ring: Ring) -> bool:
        """Whether text seen in the newest frame runs along; it is remembered then."""
        if cover(box, self.window) < 0.7 or number not in self.offsets:
            return False
        for back in (3, 2):
            earlier, now = ring.get(number - back), ring.get(number)
            if earlier is not None and now is not None and number - back in self.offsets:
                gone = round(self.offsets[number] - self.offsets[number - back])
                move = (0, -gone) if self.course.upright else (-gone, 0)
                both = meet(box, shift(meet(shift(box, *move), (0, 0, now.width, now.height)), -move[0], -move[1]))
                if both[2] - both[0] < 8 or both[3] - both[1] < 6:
                    return self.course.upright is False
                here = relief(now.luma(both), self._size)
                came, stayed = (relief(earlier.luma(b), self._size) for b in (shift(both, *move), both))
                if _alike(here, came) > max(tuning.ROLL_HOLDS, _alike(here, stayed) + 0.1):
                    self.sight(box, number)
                    return True
                return False
        return False

    def sight(self, box: Box, number: int) -> None:
        """Text was seen there: note its line on the canvas. What is cut by the picture's edge goes on beyond it."""
        x0, y0, x1, y1 = self._turned(box)
        beyond = round(abs(self.course.speed)) + self._size
        if not self.course.upright:
            x0 -= beyond if x0 < self._size else 0
            x1 += beyond if x1 > self._length - self._size else 0
        come = round(self.offsets[number])
        line = (x0 - come, y0, x1 - come, y1)
        self.texts += 1
        for other in [o for o in self.lines if _joins(o, line, self._size)]:
            self.lines.remove(other)
            line = union([line, other])
        self.lines.append(line)

    # --- the result -------------------------------------------------------------------------------------------------

    @property
    def is_text(self) -> bool:
        """Whether it ran so far, or is so long, that it lies over the picture."""
        shown = max((line[2] - line[0] for line in self.lines), default=0)
        travel = abs(self.offsets[self._held] - self.offsets[self.first])
        return self.texts >= 2 and max(shown, travel) >= tuning.ROLL_WIDE * self._length

    def full(self, number: int) -> bool:
        """Whether so much has gone by that an event should be made of it."""
        return abs(self.offsets[number] - self.offsets[self.first]) > (tuning.ROLL_SPAN + 0.5) * self._length

    def take(self, newest: int) -> Event | None:
        """The event up to the newest frame, or as far as its text has been seen long enough; the rest is kept.

        Args:
            newest: the last frame fed.
        """
        end = self._held + 1
        if not self.ended and self.full(newest):
            passed = [n for n in sorted(self.offsets) if n >= self.first]
            goal = tuning.ROLL_SPAN * self._length
            end = next(n for n in passed if abs(self.offsets[n] - self.offsets[self.first]) >= goal)
        event = self._event(self.first, end)
        self.first = end
        self._forget(end)
        return event

    def _forget(self, end: int) -> None:
        """Views and lines that what follows does not show."""
        if end not in self.offsets:
            return
        start = -self.offsets[end]
        low, high = (start, float("inf")) if self.course.speed < 0 else (-float("inf"), start + self._length)
        self._views = {n: v for n, v in self._views.items() if -v.offset + self._length > low and -v.offset < high}
        self.lines = [line for line in self.lines if line[2] > low and line[0] < high]
        self.offsets = {n: o for n, o in self.offsets.items() if n >= end - 8}

    def _event(self, start: int, end: int) -> Event | None:
        start, end = self._extended(start, end)
        come = [self.offsets[n] for n in range(start, end)]
        across = self.window[3] - self.window[1] if not self.course.upright else self.window[2] - self.window[0]
        top = 0 if self.course.upright else self.window[1]
        left, right = int(np.floor(-max(come))), int(np.ceil(self._length - min(come))) + 1
        canvas = (left, top, right, top + across)
        mask = np.zeros((across, right - left), bool)
        for line in self.lines:
            for piece in self._open_ended(_pieces(meet(line, canvas), self._size)):
                self._draw(mask, canvas, meet(piece, canvas))
        if not mask.any():
            return None
        moves = [(0, round(o)) if self.course.upright else (round(o), 0) for o in come]
        if self.course.upright:
            mask = np.ascontiguousarray(mask.T)
        return Event(
            self.window, start, end, start, end, self.window, packed(mask), motion=Motion(self._turned(canvas), moves)
        )

    def _extended(self, start: int, end: int) -> tuple[int, int]:
        """While it enters and leaves, too little of it shows to be matched: as long as its lines reach in."""
        while start - 1 in self.offsets and start > 0 and 0 < self._shows(start - 1) < 3 * self._size:
            start -= 1
        while end in self.offsets and 0 < self._shows(end) < 3 * self._size:
            end += 1
        return start, end

    def _shows(self, number: int) -> float:
        """Pixels along the way that lines take up in that frame."""
        come = self.offsets[number]
        return max((min(b + come, self._length) - max(a + come, 0) for a, _, b, _ in self.lines), default=0)

    def _open_ended(self, pieces: list[Box]) -> list[Box]:
        """The pieces of a ticker's line, drawn out to where it comes from: what entered last was not looked at yet."""
        if self.course.upright or not pieces:
            return pieces
        beyond = round(tuning.ROLL_BEYOND * self._size)
        at = -1 if self.course.speed < 0 else 0
        x0, y0, x1, y1 = pieces[at]
        pieces[at] = (x0, y0, x1 + beyond, y1) if at else (x0 - beyond, y0, x1, y1)
        return pieces

    def _draw(self, mask: Mask, canvas: Box, piece: Box) -> None:
        """Mask one piece of a line."""
        height = min(self._size, piece[3] - piece[1])
        pad = round(glyphs.MASK_PAD[0] * height) + 4
        wide = meet(
            grow(shift(piece, -canvas[0], -canvas[1]), pad, pad, canvas[2], canvas[3]), (0, 0, *mask.shape[::-1])
        )
        seen, known = self._mosaic(shift(wide, canvas[0], canvas[1]), canvas[1])
        if not known.any():
            return
        inner = shift(piece, -canvas[0] - wide[0], -canvas[1] - wide[1])
        mask[within(wide, (0, 0, *mask.shape[::-1]))] |= strokes_in(seen, inner, (), height) & known

    def _mosaic(self, box: Box, top: int) -> tuple[Still, Mask]:
        """Median and deviation of all views over a part of the canvas, and which of it any view shows."""
        x0, y0, x1, y1 = box
        stack = []
        # The first and the last show what no other does: text just leaving, and text just entering.
        for view in (*self._views.values(), *self._ends.values()):
            come = round(view.offset)
            a, b = max(x0, -come), min(x1, self._length - come)
            if b > a:
                one = np.full((y1 - y0, x1 - x0, 3), np.nan, np.float32)
                one[:, a - x0 : b - x0] = view.pixels[y0 - top : y1 - top, a + come : b + come]
                stack.append(one)
        if not stack:
            nothing = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
            return Still(nothing, nothing[..., 0].astype(np.float32)), np.zeros(nothing.shape[:2], bool)
        values = np.stack(stack)
        known = np.asarray(~np.isnan(values[..., 0]).all(0))
        values[:, ~known] = 0
        middle = np.nanmedian(values, 0)
        wander = np.nanmedian(np.abs(values - middle).max(3), 0)
        return Still(np.rint(middle).astype(np.uint8), wander.astype(np.float32)), known


def _alike(a: Floats, b: Floats) -> float:
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def _slide(shape: Floats, now: Floats, expected: float, reach: int = 2) -> tuple[float, float]:
    """How far a strip has slid, near an expected distance, to a part of a pixel; and the correlation there."""
    middle = round(expected)
    scores = []
    for by in range(middle - reach, middle + reach + 1):
        if abs(by) > shape.shape[1] - 16:
            return expected, 0.0
        a, b = (shape[:, -by:], now[:, :by]) if by < 0 else (shape[:, : shape.shape[1] - by], now[:, by:])
        scores.append(_alike(a, b))
    at = int(np.argmax(scores))
    gone, score = float(middle - reach + at), scores[at]
    if 0 < at < 2 * reach:
        before, after = scores[at - 1], scores[at + 1]
        gone += 0.5 * (before - after) / min(-1e-6, before - 2 * score + after)
    return gone, score


def _joins(a: Box, b: Box, size: int) -> bool:
    """Whether two boxes on the canvas are of one line."""
    overlap = min(a[3], b[3]) - max(a[1], b[1])
    return overlap > 0.5 * min(a[3] - a[1], b[3] - b[1]) and max(a[0], b[0]) - min(a[2], b[2]) < 1.5 * size


def _pieces(line: Box, size: int) -> list[Box]:
    """A long line in pieces that overlap: how letters stand out changes along it."""
    x0, y0, x1, y1 = line
    step = 12 * size
    return [(x, y0, min(x1, x + step + size), y1) for x in range(x0, x1, step)] if y1 > y0 else []
