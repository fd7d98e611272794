"""What the first pass leaves for the second: small facts and packed masks, never frames."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from vtid.sdk import Box

from .arrays import Mask
from .geometry import union


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
    """The mask over `mask_box`, one bit per pixel: an evening's subtitles stay under 50 MB."""
    text: str = ""
    score: float = 0.0
    erasure: bool = False
    """A region that the user drew: all of it goes, and text regions do not limit it."""

    veil: Veil | None = None
    """What lies half-transparent under the text, or is the text."""

    @property
    def reach(self) -> Box:
        """All that may be painted for it."""
        return self.mask_box if self.veil is None else union([self.mask_box, self.veil.box])

    @property
    def mask(self) -> Mask:
        """The pixels that go, over `mask_box`."""
        x0, y0, x1, y1 = self.mask_box
        count = (y1 - y0) * (x1 - x0)
        return np.unpackbits(np.frombuffer(self.packed, np.uint8), count=count).reshape(y1 - y0, x1 - x0).astype(bool)

    @mask.setter
    def mask(self, value: Mask) -> None:
        self.packed = packed(value)


def packed(mask: Mask) -> bytes:
    """One bit per pixel."""
    return np.packbits(mask).tobytes()


def erasure(box: Box, start: int, end: int) -> Event:
    """An event that takes all of a box away."""
    full = np.ones((box[3] - box[1], box[2] - box[0]), bool)
    return Event(box, start, end, start, end, box, packed(full), erasure=True)


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
