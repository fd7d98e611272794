"""Where a picture comes to lie on the canvas, and by which filters. Arithmetic only."""

from __future__ import annotations

from fractions import Fraction

from av import VideoFrame
from msgspec import Struct
from msgspec.structs import replace

from vtid.domain.timeline import Canvas, Placing
from vtid.media.compose.graphs import Filter

_TURNS: dict[int, list[Filter]] = {
    0: [],
    90: [("transpose", "clock")],
    180: [("hflip", ""), ("vflip", "")],
    270: [("transpose", "cclock")],
}
"""Degrees clockwise -> filters."""

_MIRRORED: dict[int, list[Filter]] = {
    0: [("vflip", "")],
    90: [("transpose", "cclock_flip")],
    180: [("hflip", "")],
    270: [("transpose", "clock_flip")],
}
"""The same where the container's matrix mirrors too, as FFmpeg's command line has it."""

_BLUR_SHRINK = 8
"""What lies behind a picture is blurred at a fraction of its size: the same look for a sixty-fourth of the work."""


class Shape(Struct, frozen=True):
    """A decoded picture, as far as placing it depends on it."""

    width: int
    """Coded, pixels."""
    height: int
    aspect: Fraction = Fraction(1)
    """Width of a pixel by its height."""
    turn: int = 0
    """Degrees clockwise by which a player turns it."""
    mirrored: bool = False
    """Whether a player also mirrors it, as front cameras want."""


def shape_of(frame: VideoFrame, aspect: Fraction, *, mirrored: bool) -> Shape:
    """That of a frame; `aspect` and `mirrored` are its film's, which are not asked of each frame."""
    return Shape(frame.width, frame.height, aspect, -round(frame.rotation / 90) * 90 % 360, mirrored)


class Placed(Struct, frozen=True):
    """A picture ready to be laid on the canvas."""

    filters: tuple[Filter, ...]
    """They leave a picture of `width` × `height`."""
    x: int
    y: int
    width: int
    height: int

    def fills(self, canvas: Canvas) -> bool:
        """Whether nothing of the canvas shows beside it."""
        return (self.x, self.y, self.width, self.height) == (0, 0, canvas.width, canvas.height)


def place(shape: Shape, placing: Placing, canvas: Canvas, *, pad: bool) -> Placed:
    """How a picture gets onto the canvas.

    Args:
        shape: of the picture.
        placing: as wished.
        canvas: on which.
        pad: fill what is left free of its box with the background colour; else the canvas shows there.
    """
    matrix = canvas.matrix
    filters = list((_MIRRORED if shape.mirrored else _TURNS)[shape.turn % 360])
    width, height, aspect = shape.width, shape.height, shape.aspect
    if shape.turn % 180:
        width, height, aspect = height, width, 1 / aspect
    if placing.crop != (0.0, 0.0, 1.0, 1.0):
        x, y, width, height = _cut(placing.crop, width, height)
        filters.append(("crop", f"{width}:{height}:{x}:{y}"))
    filters += _TURNS[placing.turn % 360]
    if placing.turn % 180:
        width, height, aspect = height, width, 1 / aspect
    filters += [("hflip", "")] * placing.mirror + [("vflip", "")] * placing.flip
    left, top, box_width, box_height = placing.box or (0, 0, canvas.width, canvas.height)
    shown = Fraction(width) * aspect / height
    if placing.fit == "stretch":
        return Placed((*filters, _scale(box_width, box_height, matrix)), left, top, box_width, box_height)
    if placing.fit == "cover":
        wide, high = _around(shown, box_width, box_height)
        filters += [
            _scale(wide, high, matrix),
            ("crop", f"{box_width}:{box_height}:{even((wide - box_width) // 2)}:{even((high - box_height) // 2)}"),
        ]
        return Placed(tuple(filters), left, top, box_width, box_height)
    wide, high = _within(shown, box_width, box_height)
    x, y = even((box_width - wide) // 2), even((box_height - high) // 2)
    filters.append(_scale(wide, high, matrix))
    if pad and (wide, high) != (box_width, box_height) and placing.fit == "contain":
        colour = "0x{:02x}{:02x}{:02x}".format(*placing.background)
        filters.append(("pad", f"{box_width}:{box_height}:{x}:{y}:color={colour}"))
        return Placed(tuple(filters), left, top, box_width, box_height)
    return Placed(tuple(filters), left + x, top + y, wide, high)


def reduced(shape: Shape, placing: Placing, canvas: Canvas) -> tuple[int, int]:
    """A size from which a picture still gets onto the canvas without being made larger; its own where that is less."""
    _, _, width, height = placing.box or (0, 0, canvas.width, canvas.height)
    if (shape.turn + placing.turn) % 180:
        width, height = height, width
    wide, high = shape.width * shape.aspect, Fraction(shape.height)
    if shape.turn % 180:  # the crop is of the picture as it is shown
        of_height, of_width = placing.crop[2:]
    else:
        of_width, of_height = placing.crop[2:]
    by = max(width / (wide * Fraction(of_width)), height / (high * Fraction(of_height)))
    if by >= 1:
        return shape.width, shape.height
    return max(2, _nearest_even(shape.width * by)), max(2, _nearest_even(shape.height * by))


def blurred(shape: Shape, placing: Placing, canvas: Canvas) -> Placed:
    """The same picture, covering its box and out of focus: what lies behind one that does not fill it."""
    box = placing.box or (0, 0, canvas.width, canvas.height)
    small = (0, 0, even(max(16, box[2] // _BLUR_SHRINK)), even(max(16, box[3] // _BLUR_SHRINK)))
    covering = place(shape, replace(placing, fit="cover", box=small), canvas, pad=False)
    filters = (*covering.filters, ("gblur", "sigma=4"), _scale(box[2], box[3], canvas.matrix))
    return Placed(filters, *box)


def even(number: int) -> int:
    """Chroma is halved: places and sizes are even."""
    return number & ~1


def _cut(crop: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    x, y = even(round(crop[0] * width)), even(round(crop[1] * height))
    wide = min(width - x, max(2, even(round(crop[2] * width))))
    high = min(height - y, max(2, even(round(crop[3] * height))))
    return x, y, wide, high


def _within(shown: Fraction, width: int, height: int) -> tuple[int, int]:
    """The largest size of a shape inside a box."""
    if shown > Fraction(width, height):
        return width, max(2, _nearest_even(width / shown))
    return max(2, min(width, _nearest_even(height * shown))), height


def _around(shown: Fraction, width: int, height: int) -> tuple[int, int]:
    """The smallest size of a shape around a box."""
    if shown > Fraction(width, height):
        return max(width, _nearest_even(height * shown)), height
    return width, max(height, _nearest_even(width / shown))


def _nearest_even(length: Fraction) -> int:
    return 2 * round(length / 2)


def _scale(width: int, height: int, matrix: str) -> Filter:
    """To this size, and to what the canvas is in, whatever the picture was."""
    return "scale", f"{width}:{height}:flags=bicubic:out_color_matrix={matrix}:out_range=tv"
