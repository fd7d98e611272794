"""One text followed through time: from the look that found it back through the ring, and forward as frames come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vtid.sdk import Box, Frame

from . import layers, tuning
from .arrays import Floats, Pixels, Plane
from .carved import Carved
from .events import Event
from .geometry import area, shift
from .presence import Follower, Template, fade_length, walk


class Rate(NamedTuple):
    """Lengths in frames, from the video's rate."""

    sample: int
    bridge: int
    fade: int
    static: int
    ring: int
    mark: int = 75
    """The longest gap in which a mark is taken to have been there."""
    lost: int = 20
    """Without it for longer, moving text has gone."""
    refresh: int = 5
    """From one look at how a text changed to the next."""
    sparing: bool = False
    """Whether the ring goes back far enough to leave out looks between."""

    @classmethod
    def of(cls, per_second: float, frame_bytes: int, sample_s: float) -> Rate:
        """For a video of so many frames a second and so many bytes a frame."""
        bridge = max(3, round(tuning.BRIDGE_S * per_second))
        fade = max(3, round(tuning.FADE_S * per_second))
        wanted = round((sample_s + tuning.FADE_S + tuning.RING_SLACK_S) * per_second)
        ring = max(8, min(wanted, tuning.RING_BYTES // max(1, frame_bytes)))
        sample = max(1, min(round(sample_s * per_second), ring // 2))
        static = max(3, round(tuning.MIN_STATIC_S * per_second))
        mark, lost = (round(s * per_second) for s in (layers.MARK_BRIDGE_S, tuning.ROLL_LOST_S))
        refresh = max(2, round(tuning.REFRESH_S * per_second))
        sparing = ring > tuning.DETECT_EVERY * sample
        return cls(sample, min(bridge, ring // 2), min(fade, ring // 2), static, ring, mark, lost, refresh, sparing)


class Ring:
    """The last frames, by their number."""

    def __init__(self, size: int) -> None:
        self._frames: deque[tuple[int, Frame]] = deque(maxlen=size)

    def push(self, number: int, frame: Frame) -> None:
        """The next frame; the oldest goes."""
        self._frames.append((number, frame))

    def get(self, number: int) -> Frame | None:
        """That frame, if it is still here."""
        if not self._frames:
            return None
        at = number - self._frames[0][0]
        return self._frames[at][1] if 0 <= at < len(self._frames) else None

    def before(self, number: int) -> Iterator[Frame]:
        """The frames before that one, nearest first."""
        while (frame := self.get(number := number - 1)) is not None:
            yield frame

    def __len__(self) -> int:
        return len(self._frames)


class Edge(NamedTuple):
    """Crops just outside and just inside the text's time: their difference is the text, with outline and shadow."""

    outside: Pixels
    inside: Pixels
    number: int
    """Of the frame outside."""


class Track:
    """A box in which text was seen, while it lasts."""

    def __init__(
        self,
        box: Box,
        wide: Box,
        view: Box,
        *,
        number: int,
        ring: Ring,
        rate: Rate,
        score: float,
        since: int | None = None,
    ) -> None:
        """Looks back at once.

        Args:
            box: of the text.
            wide: the box in which its strokes, outline and shadow are looked for.
            view: the box in which a caption box around it is looked for.
            number: the frame in which it was seen; the newest in the ring.
            ring: the last frames.
            rate: lengths in frames.
            score: the detector's.
            since: for a text that shows in the mean of many frames only: where they begin. A single frame says little
                about it then, so it is followed in a running mean.
        """
        frame = ring.get(number)
        assert frame is not None
        self.box, self.wide, self.view, self.seen = box, wide, view, number
        self._rate = rate
        self._channel = 0 if since is not None else _telling(frame, box)
        self._mean: Floats | None = None
        if since is not None:
            self._mean = np.mean([f.luma(box) for f in (frame, *ring.before(number))], 0, dtype=np.float32)
        self.template = Template(self._compared(frame))
        self.hits, self.looks, self.scores = 1, 1, [score]
        self.samples: list[Pixels] = []
        self._strengths: list[float] = []
        few, many = tuning.SAMPLES
        self._most = int(np.clip(tuning.SAMPLE_BYTES // max(1, 3 * area(view)), few, many))
        self._stride = self.spacing = max(1, rate.sample // 4)
        self.carved: Carved | None = None
        self._misses: list[float] = []
        self._amplitude = 1.0
        self.edges: list[Edge] = []
        self.core_end = number + 1
        self.recoloured = False
        self._follower = Follower(self.template, self._compared(frame), rate.refresh)
        self.core_start, self.start = self._look_back(ring)
        if since is None and (full := self._fullest(ring)) is not None:
            self._begin_again(*full, ring)
            for later in range(self.seen + 1, number + 1):
                if (after := ring.get(later)) is not None:
                    self.feed(later, after, ring)
            return
        # What only the mean showed may be too faint to be seen in single frames; then the mean says since when.
        if since is not None and self.start >= since:
            self.core_start = self.start = since
            self.recoloured = False
            self.edges.clear()
            self.samples.clear()
            self._strengths.clear()
            self._sample_back(ring, [1.0] * min(len(ring) - 1, number - since))
        self._sample(frame, number, 1.0)

    def _look_back(self, ring: Ring) -> tuple[int, int]:
        """First frame of the core, and first frame that shows any of it."""
        begin = ring.get(self.seen)
        assert begin is not None
        back = Follower(self.template, self._plane(begin), self._rate.refresh)
        states = [back.present(self._plane(f)) for f in ring.before(self.seen)]
        self.recoloured = self.recoloured or back.recoloured
        core = walk([there for there, _ in states], self._rate.bridge)
        faint = [a for _, a in states[core : core + self._rate.fade]]
        start = self.seen - core - fade_length(faint, states[core - 1][1] if core else 1.0)
        self._edge(ring, start - 1, self.seen - core, back.template)
        self._sample_back(ring, [amplitude for _, amplitude in states[:core]])
        return self.seen - core, start

    def _fullest(self, ring: Ring) -> tuple[int, Frame] | None:
        """The frame before in which it stood at full strength, where it was found while fading out; else None."""
        best, most = None, tuning.GROWN
        for ago, frame in enumerate(ring.before(self.seen), 1):
            plane = self._plane(frame)
            amplitude = self.template.amplitude(plane)
            if amplitude > most and self.template.likeness(plane) > tuning.GROWN_LIKE:
                best, most = (self.seen - ago, frame), amplitude
        return best

    def _sample_back(self, ring: Ring, strengths: Sequence[float]) -> None:
        for ago in range(self._stride, len(strengths), self._stride):
            if (frame := ring.get(self.seen - ago)) is not None:
                self._sample(frame, self.seen - ago, strengths[ago - 1], spaced=False)

    def _plane(self, frame: Frame) -> Plane:
        """The box in a frame: its luma, or the chroma that tells its letters."""
        if self._channel == 0:
            return frame.luma(self.box)
        return np.ascontiguousarray(crop8(frame, self.box)[..., self._channel])

    def _compared(self, frame: Frame) -> Plane:
        """What is compared with the template: the box in this frame, or in the running mean."""
        if self._mean is None:
            return self._plane(frame)
        return np.rint(self._mean).astype(np.uint8)

    def _edge(self, ring: Ring, outside: int, inside: int, template: Template) -> None:
        """Keep a frame just outside its time, and the nearest one inside in which it stands at full strength."""
        inward = 1 if inside > outside else -1
        out, within = ring.get(outside), ring.get(inside)
        if out is None or within is None:
            return
        for number in range(inside, inside + inward * self._rate.fade, inward):
            frame = ring.get(number)
            if frame is None or self.faint:
                break
            if template.amplitude(self._plane(frame)) > tuning.STRONG:
                within = frame
                break
        self.edges.append(Edge(crop8(out, self.view), crop8(within, self.view), outside))

    def _sample(self, frame: Frame, number: int, strength: float, *, spaced: bool = True) -> None:
        """Keep a crop for the mask; when there are too many, every other goes and the next come half as often."""
        if spaced and (number - self.seen) % self._stride:
            return
        self.samples.append(crop8(frame, self.view))
        self._strengths.append(strength)
        if len(self.samples) > self._most:
            self.samples, self._strengths = self.samples[::2], self._strengths[::2]
            self._stride *= 2

    @property
    def faint(self) -> bool:
        """Whether it shows in the mean of many frames only."""
        return self._mean is not None

    @property
    def there(self) -> bool:
        """Whether it was there in the newest frame, or is just fading out."""
        return not self._misses or self._misses[-1] > tuning.PRESENT_FLOOR

    @property
    def ended(self) -> bool:
        """Whether it has been gone for so long that it will not come back."""
        return len(self._misses) > self._rate.bridge

    def feed(self, number: int, frame: Frame, ring: Ring) -> None:
        """The next frame, which is also the newest in the ring."""
        if self._mean is not None:
            self._mean += (frame.luma(self.box) - self._mean) / self._rate.sample
        there, amplitude = self._follower.present(self._compared(frame))
        self.recoloured = self.recoloured or self._follower.recoloured
        if self.faint:
            there = amplitude > tuning.PRESENT_FLOOR
        if not there:
            self._misses.append(amplitude)
            return
        self._misses.clear()
        self.core_end, self._amplitude = number + 1, amplitude
        if self._mean is None and amplitude > tuning.GROWN and number - self.seen < self._rate.fade:
            self._begin_again(number, frame, ring)
            return
        self._sample(frame, number, amplitude)

    def _begin_again(self, number: int, frame: Frame, ring: Ring) -> None:
        """It was found while faint: against so weak a template, another text before it looks like itself."""
        self.template = Template(self._plane(frame))
        self._follower = Follower(self.template, self._plane(frame), self._rate.refresh)
        self.seen, self._amplitude = number, 1.0
        self.samples.clear()
        self._strengths.clear()
        self.edges.clear()
        self.core_start, self.start = self._look_back(ring)
        self._sample(frame, number, 1.0)

    @property
    def strong(self) -> list[Pixels]:
        """The samples in which the text stands at (nearly) full strength: faded letters are half background."""
        full = tuning.STRONG * float(np.median(np.sort(self._strengths)[-5:]))
        strong = [s for s, a in zip(self.samples, self._strengths, strict=True) if a >= full]
        return strong if len(strong) >= 3 and not self.recoloured else self.samples

    def over(self, box: Box, crops: Sequence[Pixels]) -> list[Pixels]:
        """Of crops over `view`, the part over a box within it."""
        x0, y0, x1, y1 = shift(box, -self.view[0], -self.view[1])
        return [crop[y0:y1, x0:x1] for crop in crops]

    @property
    def end(self) -> int:
        """One past the last frame that shows any of it, as far as is known."""
        return self.core_end + fade_length(self._misses[: self._rate.fade], self._amplitude)

    @property
    def static(self) -> bool:
        """Whether it held still for long enough to lie over the picture; half of that may be fades."""
        return self.end - self.start >= self._rate.static and self.steady

    @property
    def steady(self) -> bool:
        """Whether it held still for half as long at full strength: all that can be asked where the film cuts it off."""
        return self.core_end - self.core_start >= max(tuning.STATIC_FRAMES, self._rate.static / 2)

    def event(self, ring: Ring) -> Event:
        """What is remembered; the mask is yet to be made."""
        end = self.end
        self._edge(ring, end, self.core_end - 1, self._follower.template)
        return Event(self.box, self.start, end, self.core_start, self.core_end, self.wide, b"", score=max(self.scores))


def _telling(frame: Frame, box: Box) -> int:
    """Whether letters are told by their luma, or far better by U (1) or V (2): red ones may be as bright as a road."""
    crop = crop8(frame, box)
    told = [Template(np.ascontiguousarray(crop[..., channel])).contrast for channel in range(3)]
    best = int(np.argmax(told))
    return best if told[best] > tuning.TELLING * told[0] else 0


def crop8(frame: Frame, box: Box) -> Pixels:
    """A crop in 8 bits: enough to find strokes."""
    return frame.yuv8(box)
