"""Text on pictures, as films carry it, and the truth about it: which pixels, how strongly, in which frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .films import Picture
from .scenes import Scene

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 lie outside."""

KINDS = ("outline", "shadow", "box", "fade", "mark", "ticker")
SUBTITLES = ("outline", "shadow", "box", "fade")

_SAID = (
    "I never thought we would come back here.",
    "Wait for me!\nThe train leaves at half past nine.",
    "What did she say to you?",
    "Nobody knows the way out,\nnot even the old captain.",
    "Look over there, quickly!",
    "It was raining the whole week\nand the roads were closed.",
    "You have 3 minutes left.",
    "Thank you for everything.",
)
_NEWS = (
    "BREAKING: the council approved the new bridge   +++   heavy snow expected in the north tonight   +++   "
    "markets closed higher on Friday"
)
_MARK = "SAMPLE TV"
_FAINT = 10 / 255
"""Opacity from which on a pixel counts as text."""
_WHITE, _YELLOW, _BLACK = (250, 250, 250), (255, 230, 40), (12, 12, 12)


class Layer(NamedTuple):
    """Something drawn, to be laid on a picture."""

    bgr: Floats
    """Height × width × 3."""
    alpha: Floats
    """Height × width, opacity from 0 to 1."""
    boxes: list[Box]
    """Of its lines; of a caption's box."""


class Event(NamedTuple):
    """A layer for a while."""

    layer: Layer
    first: int
    last: int
    """The frame after it."""
    x: float
    y: int
    speed: float = 0.0
    """Pixels a frame, to the right."""
    fade: int = 0
    """Frames until it is all there, and until it is gone again."""


class Truth:
    """What was burned into a clip.

    Args:
        scene: its size.
        events: all that is written over it.
    """

    def __init__(self, scene: Scene, events: list[Event]) -> None:
        self.events = events
        self._size = scene.width, scene.height

    def burn(self, picture: Picture, number: int) -> Picture:
        """The picture of a frame with its text."""
        out = picture.astype(np.float32)
        for layer, strength, here, cut in self._laid(number):
            alpha = (layer.alpha[cut] * strength)[..., None]
            out[here] = out[here] * (1 - alpha) + alpha * layer.bgr[cut]
        return out.round().clip(0, 255).astype(np.uint8)

    def boxes(self, number: int, pad: int = 4) -> list[Box]:
        """Of a frame's lines, widened by `pad` pixels, within the picture; slivers left out."""
        width, height = self._size
        found = []
        for event in self.events:
            if not event.first <= number < event.last:
                continue
            x, y = _place(event, number)
            for x0, y0, x1, y1 in event.layer.boxes:
                box = (
                    max(0, x + x0 - pad),
                    max(0, y + y0 - pad),
                    min(width, x + x1 + pad),
                    min(height, y + y1 + pad),
                )
                if box[2] > box[0] + 2 and box[3] > box[1] + 2:
                    found.append(box)
        return found

    def region(self, number: int, pad: int = 4) -> Bools:
        """The pixels in a frame's boxes."""
        mask = np.zeros(self._size[::-1], np.bool_)
        for x0, y0, x1, y1 in self.boxes(number, pad):
            mask[y0:y1, x0:x1] = True
        return mask

    def strokes(self, number: int, grow: int = 3) -> Bools:
        """The pixels that a frame's text touched, and those up to `grow` pixels around."""
        support = np.zeros(self._size[::-1], np.uint8)
        for layer, strength, here, cut in self._laid(number):
            support[here] |= layer.alpha[cut] * strength > _FAINT
        return cv2.dilate(support, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)).astype(np.bool_)

    def _laid(self, number: int) -> Iterator[tuple[Layer, float, tuple[slice, slice], tuple[slice, slice]]]:
        """Each layer in a frame with its strength, where it lies in the picture, and which part of it does."""
        width, height = self._size
        for event in self.events:
            if not event.first <= number < event.last:
                continue
            x, y = _place(event, number)
            rows, columns = event.layer.alpha.shape
            x0, x1, y0, y1 = max(0, x), min(width, x + columns), max(0, y), min(height, y + rows)
            if x0 < x1 and y0 < y1:
                yield (
                    event.layer,
                    _strength(event, number),
                    np.s_[y0:y1, x0:x1],
                    np.s_[y0 - y : y1 - y, x0 - x : x1 - x],
                )


def _place(event: Event, number: int) -> tuple[int, int]:
    return round(event.x + event.speed * (number - event.first)), event.y


def _strength(event: Event, number: int) -> float:
    if not event.fade:
        return 1.0
    return min(1.0, (number - event.first + 1) / event.fade, (event.last - number) / event.fade)


def write_over(scene: Scene, kind: str, rng: np.random.Generator, *, size: float | None = None) -> Truth:
    """Choose texts, places and times.

    Args:
        scene: what it is written over.
        kind: one of `KINDS`.
        rng: chooses.
        size: of the letters, as a part of the picture's height; None: chosen.
    """
    height = max(16, int(scene.height * (size or rng.uniform(0.05, 0.075))))
    if kind == "mark":
        layer = draw(_MARK, height, opacity=rng.uniform(0.3, 0.6), weight=height / 30, ring=True)
        x = scene.width - layer.alpha.shape[1] - int(scene.width * 0.03)
        return Truth(scene, [Event(layer, 0, scene.frames, x, int(scene.height * 0.04))])
    if kind == "ticker":
        layer = draw(_NEWS, height, outline=1, weight=height / 30)
        y = scene.height - layer.alpha.shape[0] - 4
        return Truth(scene, [Event(layer, 0, scene.frames, scene.width * 0.35, y, -scene.width / 6 / scene.fps)])
    return Truth(scene, list(_subtitles(scene, kind, height, rng)))


def _subtitles(scene: Scene, kind: str, size: int, rng: np.random.Generator) -> Iterator[Event]:
    """One after another, half of them without a gap."""
    first, said = int(rng.integers(3, 12)), int(rng.integers(len(_SAID)))
    weight = size * rng.uniform(0, 0.04)
    while first < scene.frames - 6:
        last = min(scene.frames, first + int(rng.uniform(1.0, 3.0) * scene.fps))
        layer = _subtitle(_SAID[said % len(_SAID)], kind, size, weight)
        while layer.alpha.shape[1] > scene.width - 4:
            said += 1
            layer = _subtitle(_SAID[said % len(_SAID)], kind, size, weight)
        rows, columns = layer.alpha.shape
        x, y = (scene.width - columns) // 2, scene.height - rows - int(scene.height * 0.03)
        yield Event(layer, first, last, x, y, fade=int(rng.integers(4, 10)) if kind == "fade" else 0)
        said += 1
        first = last + (0 if rng.random() < 0.5 else int(rng.uniform(0.2, 0.6) * scene.fps))


def _subtitle(text: str, kind: str, size: int, weight: float) -> Layer:
    if kind == "shadow":
        return draw(text, size, fill=_YELLOW, outline=1, weight=weight, shadow=max(1, round(size / 11)))
    if kind == "box":
        return draw(text, size, weight=weight, box=0.55)
    return draw(text, size, weight=weight, outline=max(1, round(size / 13)))


def draw(
    text: str,
    size: int,
    *,
    fill: tuple[int, int, int] = _WHITE,
    weight: float = 0.0,
    outline: int = 0,
    shadow: int = 0,
    box: float = 0.0,
    opacity: float = 1.0,
    ring: bool = False,
) -> Layer:
    """Draw lines of text, centred.

    Args:
        text: its lines.
        size: of the font, pixels.
        fill: the letters' colour, RGB.
        weight: by how many pixels strokes are thickened on each side.
        outline: its width, pixels.
        shadow: how far it falls to the right and down, pixels; blurred by as much.
        box: opacity of a dark box behind it all; 0: none.
        opacity: of everything.
        ring: with a ring before it, as a station's mark.
    """
    font = ImageFont.load_default(size=size)
    margin = size // 4 if box else 0
    inner = max(6, math.ceil(outline + weight) + 2 * shadow + 4)
    pad = inner + margin
    lines = text.split("\n")
    probe = ImageDraw.Draw(Image.new("RGBA", (1, 1)))
    widths = [math.ceil(probe.textlength(line, font=font)) + (size * 5 // 4 if ring else 0) for line in lines]
    step = int(size * 1.2)
    canvas = Image.new("RGBA", (max(widths) + 2 * pad, step * len(lines) + 2 * pad), (0, 0, 0, 0))
    whole = inner, inner, canvas.width - inner, canvas.height - inner
    if box:
        ImageDraw.Draw(canvas).rectangle((whole[0], whole[1], whole[2] - 1, whole[3] - 1), (0, 0, 0, round(255 * box)))
    boxes = []
    for at, (line, width) in enumerate(zip(lines, widths, strict=True)):
        x, y = (canvas.width - width) // 2, pad + at * step
        if ring:
            mark = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
            around = (x, y + size // 6, x + size, y + size // 6 + size)
            ImageDraw.Draw(mark).ellipse(around, outline=(*fill, 255), width=max(2, size // 8))
            canvas = Image.alpha_composite(canvas, mark)
            x += size * 5 // 4
        if shadow:
            canvas = Image.alpha_composite(canvas, _shadow(canvas.size, (x, y), line, font, shadow, weight))
        for colour, wide in ((_BLACK, weight + outline), (fill, weight)) if outline else ((fill, weight),):
            top = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
            ink = (*colour, 255)
            ImageDraw.Draw(top).text((x, y), line, font=font, fill=ink, stroke_width=wide, stroke_fill=ink)
            canvas = Image.alpha_composite(canvas, top)
        left, upper, right, lower = probe.textbbox((x, y), line, font=font, stroke_width=weight + outline)
        if ring:
            left, lower = left - size * 5 / 4, max(lower, y + size // 6 + size)
        boxes.append((math.floor(left), math.floor(upper), math.ceil(right) + shadow, math.ceil(lower) + shadow))
    pixels = np.asarray(canvas).astype(np.float32)
    alpha = pixels[..., 3] / np.float32(255) * np.float32(opacity)
    return Layer(pixels[..., 2::-1].copy(), alpha, [whole] if box else boxes)


def _shadow(size: tuple[int, int], at: tuple[int, int], line: str, font: Font, fall: int, weight: float) -> Image.Image:
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ink = (0, 0, 0, 190)
    ImageDraw.Draw(image).text(
        (at[0] + fall, at[1] + fall), line, font=font, fill=ink, stroke_width=weight, stroke_fill=ink
    )
    return image.filter(ImageFilter.GaussianBlur(fall * 0.6))
