"""What the first pass leaves for the second: small facts and packed masks, never frames."""

from __future__ import annotations

import zlib

import numpy as np
from msgspec import Struct, field

from vtid.sdk import Box

from .arrays import Mask
from .geometry import area, meet, shift, union, within
from .report import Kind


class Veil(Struct):
    """A half-transparent layer: picture = (1 - opacity) × behind + opacity × colour."""

    box: Box
    """Where it lies, in the coded picture."""
    start: int
    """First frame that it covers at full strength."""
    end: int
    """One past the last."""
    alpha: float
    """Its greatest opacity."""
    colour: tuple[float, float, float]
    """Y, U, V on the 8-bit scale."""
    matte: bytes = b""
    """Shares of `alpha`, a byte per pixel of the box, deflated; empty: the same everywhere."""
    alone: bool = False
    """The text itself is the layer: taken off, it leaves nothing to fill."""
    faint: dict[int, float] = {}
    """Frames in which only such a share of the opacity is there: while it fades."""


class Motion(Struct):
    """How a text moves over the picture: its mask, made once on a canvas of its own, is laid on each frame anew."""

    canvas: Box
    """Where the event's mask would lie in the picture if it had not moved; may reach beyond the picture."""
    moves: list[tuple[int, int]]
    """Pixels right and down from there, in each frame from the event's start."""


class Trace(Struct, frozen=True):
    """What there is of a text just outside its time."""

    likeness: float
    """Correlation of the likest place near it with the text."""
    off: int
    """How many pixels from the text's place that is."""
    around: float
    """How much the picture around the letters changes at that moment, as a share of how much the letters do."""


class Evidence(Struct, frozen=True):
    """What a text's crops say about where it belongs; see `overlay`."""

    moves_behind: float
    """Share of the pixels between its letters that move while they stand."""
    displaced: float
    """Share of its samples in which it lies beside its place."""
    began: Trace | None
    """Just before it came."""
    ended: Trace | None
    """Just after it went."""
    slant: float
    """Degrees between its line and the picture's edge."""


class Event(Struct):
    """One text (or one erasure region) over a range of frames."""

    box: Box
    """The text itself, in the coded picture."""
    start: int
    """First frame that is masked; with fades, earlier than the core."""
    end: int
    """One past the last."""
    core_start: int
    core_end: int
    """The range in which the text stands at full strength."""
    mask_box: Box
    packed: bytes
    """The mask over `mask_box`, or over the canvas of what moves, one bit per pixel: an evening's subtitles stay under
    50 MB."""
    text: str = ""
    score: float = 0.0
    erasure: bool = False
    """A region that the user drew: all of it goes, and text regions do not limit it."""

    veil: Veil | None = None
    """What lies half-transparent under the text, or is the text."""
    ground: bool = False
    """It stands on an opaque ground: the mask is closed from that, and never shows what is behind it."""
    frames: list[bytes] = field(default_factory=list)
    """For a mask that changes: one for each frame from `start`, over `mask_box`, one bit per pixel, deflated."""
    sure: float = 0.0
    """How sure the reader is of `text`."""
    kind: Kind = "subtitle"
    """See `policy`."""
    evidence: Evidence | None = None
    motion: Motion | None = None
    """Of a ticker or of credits; `mask_box` is then the part of the picture that they run through."""

    @property
    def reach(self) -> Box:
        """All that may be painted for it."""
        return self.mask_box if self.veil is None else union([self.mask_box, self.veil.box])

    @property
    def mask(self) -> Mask:
        """The pixels that go, over `mask_box`; of what moves, over its canvas."""
        return _unpacked(self.packed, self.mask_box if self.motion is None else self.motion.canvas)

    @mask.setter
    def mask(self, value: Mask) -> None:
        self.packed = packed(value)

    def cover(self, box: Box, mask: Mask | None = None) -> None:
        """All of a box goes, instead of strokes; or all of a shape in it."""
        self.mask_box = box
        self.mask = np.ones((box[3] - box[1], box[2] - box[0]), bool) if mask is None else mask

    def apart(self, other: Event) -> int:
        """Frames between their coming or their going, whichever are more: lines of one caption come and go together."""
        return max(abs(self.start - other.start), abs(self.end - other.end))

    def mask_at(self, number: int) -> Mask:
        """The pixels that go in a frame from `start` and before `end`, over `mask_box`."""
        if self.frames:
            return _unpacked(zlib.decompress(self.frames[number - self.start]), self.mask_box)
        if self.motion is None:
            return self.mask
        dx, dy = self.motion.moves[number - self.start]
        lies = shift(self.motion.canvas, dx, dy)
        out = np.zeros((self.mask_box[3] - self.mask_box[1], self.mask_box[2] - self.mask_box[0]), bool)
        both = meet(lies, self.mask_box)
        if area(both):
            out[within(both, self.mask_box)] = self.mask[within(both, lies)]
        return out


def _unpacked(bits: bytes, box: Box) -> Mask:
    x0, y0, x1, y1 = box
    count = (y1 - y0) * (x1 - x0)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).reshape(y1 - y0, x1 - x0).astype(bool)


def packed(mask: Mask) -> bytes:
    """One bit per pixel."""
    return np.packbits(mask).tobytes()


def erasure(box: Box, start: int, end: int, mask: Mask | None = None) -> Event:
    """An event that takes all of a box away, or what a mask over it says."""
    if mask is None:
        mask = np.ones((box[3] - box[1], box[2] - box[0]), bool)
    return Event(box, start, end, start, end, box, packed(mask), erasure=True, kind="erasure")


class Findings(Struct):
    """All that the first pass found."""

    events: list[Event]
    cuts: set[int]
    """Frames that begin a new shot."""
    times: list[float]
    """Presentation time of every frame, seconds."""
    looks: int = 0
    """Frames in which the detector looked for text."""
    moving: int = 0
    """Texts that were seen but did not hold still, and stay."""
    doubtful: int = 0
    """Still boxes that turned out not to be text, and stay."""
