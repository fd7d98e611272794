"""Boxes, and the way between the picture as coded and the picture as shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from vtid.sdk import Box, Coordinates, VideoStream

from .arrays import Pixels


def area(box: Box) -> int:
    """Pixels in the box; 0 for an empty one."""
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def meet(a: Box, b: Box) -> Box:
    """The part that both have; may be empty."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def cover(a: Box, b: Box) -> float:
    """The share of `a` that lies in `b`."""
    return area(meet(a, b)) / max(1, area(a))


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box around all."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def grow(box: Box, dx: float, dy: float, width: int, height: int) -> Box:
    """The box with margins, cut at the picture's edges."""
    return (
        max(0, int(box[0] - dx)),
        max(0, int(box[1] - dy)),
        min(width, int(np.ceil(box[2] + dx))),
        min(height, int(np.ceil(box[3] + dy))),
    )


def shift(box: Box, dx: int, dy: int) -> Box:
    """The box moved."""
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def within(part: Box, whole: Box) -> tuple[slice, slice]:
    """Where a box lies in an array over another that holds it."""
    return slice(part[1] - whole[1], part[3] - whole[1]), slice(part[0] - whole[0], part[2] - whole[0])


def aligned(box: Box, step: int, width: int, height: int) -> Box:
    """The box grown to multiples of so many pixels, cut at the picture's edges."""
    x1, y1 = -(-box[2] // step) * step, -(-box[3] // step) * step
    return box[0] // step * step, box[1] // step * step, min(x1, width), min(y1, height)


def text_height(box: Box) -> int:
    """The height of a line of text, whichever way it runs."""
    return min(box[2] - box[0], box[3] - box[1])


class Turn(Struct, frozen=True):
    """How a player turns the coded picture before it shows it: detectors want it shown, pixels lie as coded.

    What it mirrors, it first puts upside down and then turns.
    """

    rotation: int
    """Degrees counter-clockwise: 0, 90, 180 or 270."""
    width: int
    """Of the coded picture."""
    height: int
    mirrored: bool = False

    @classmethod
    def of(cls, stream: VideoStream) -> Turn:
        """That of a film."""
        return cls(stream.rotation, stream.width, stream.height, stream.mirrored)

    def cropped(self, width: int, height: int) -> Turn:
        """The same of a part of the coded picture."""
        return Turn(self.rotation, width, height, self.mirrored)

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as shown."""
        return (self.height, self.width) if self.rotation % 180 else (self.width, self.height)

    def upright(self, picture: Pixels) -> Pixels:
        """A coded picture (or a crop) as shown."""
        flipped = picture[::-1] if self.mirrored else picture
        return np.ascontiguousarray(np.rot90(flipped, self.rotation // 90))

    def coded(self, picture: Pixels) -> Pixels:
        """A picture as shown (or a crop) as it is coded."""
        turned = np.rot90(picture, -(self.rotation // 90))
        return np.ascontiguousarray(turned[::-1] if self.mirrored else turned)

    def around(self, box: Box, pads: Sequence[float]) -> Box:
        """A box of the coded picture with margins along and across the lines as shown."""
        along, across = pads[::-1] if self.rotation % 180 else pads
        return grow(box, along, across, self.width, self.height)

    def coded_box(self, box: tuple[float, float, float, float], width: int, height: int) -> Box:
        """A box found in an upright picture of this width and height, in the coded picture that it came from."""
        x0, y0, x1, y1 = box
        if self.rotation == 90:
            x0, y0, x1, y1 = height - y1, x0, height - y0, x1
        elif self.rotation == 180:
            x0, y0, x1, y1 = width - x1, height - y1, width - x0, height - y0
        elif self.rotation == 270:
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        if self.mirrored:
            coded_height = width if self.rotation % 180 else height
            y0, y1 = coded_height - y1, coded_height - y0
        return round(x0), round(y0), round(x1), round(y1)

    def coded_region(self, at: Coordinates) -> Box:
        """A region in fractions of the picture as shown, in pixels of the coded picture."""
        w, h = self.shown
        box = (at.x * w, at.y * h, (at.x + at.width) * w, (at.y + at.height) * h)
        return self.coded_box((round(box[0]), round(box[1]), round(box[2]), round(box[3])), w, h)

    def shown_region(self, box: Box) -> Coordinates:
        """A box of the coded picture, in fractions of the picture as shown."""
        if self.mirrored:
            box = box[0], self.height - box[3], box[2], self.height - box[1]
        back = Turn(-self.rotation % 360, *self.shown)
        x0, y0, x1, y1 = back.coded_box(box, self.width, self.height)
        w, h = self.shown
        return Coordinates(x=max(0, x0) / w, y=max(0, y0) / h, width=(x1 - x0) / w, height=(y1 - y0) / h)


def clip(box: Iterable[float], width: int, height: int) -> Box:
    """The whole pixels of a picture that a box touches."""
    x0, y0, x1, y1 = box
    return max(0, int(x0)), max(0, int(y0)), min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))
