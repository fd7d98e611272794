"""Text becomes a picture: broken into lines, shaped, with outline, shadow and box."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vtid.sdk import Canvas, Overlay

from . import document as doc
from .fit import colour
from .times import exact, nearest

_MARGIN = 0.05
"""Of the canvas's height, between text and edge."""

_LEADING = 1.15
"""From line to line, of the font's own height."""

_OPENING = ("Ps", "Pi")
"""Unicode's categories of what ends no line."""
_CLOSING = ("Pe", "Pf", "Mn", "Mc", "Me")
"""Of what begins none: brackets, and marks that are part of the letter before."""
_BEHIND = frozenset("、。，．：；！？・ー々…‥～゛゜ゝゞヽヾ,.:;!?%％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ")
"""What else begins no line: stops, and in Japanese small letters and what repeats or lengthens the letter before."""

_PADDING = 0.35
"""Of a box around its text, of the font's size."""


Picture = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
"""RGBA."""


def overlay_of(
    text: doc.Text, font: Path, canvas: Canvas, full: Canvas, film_frames: int, *, later: bool = False
) -> Overlay | None:
    """A text as it lies over the film; None where its time is over before a frame comes.

    Args:
        text: what is written, where, when and how.
        font: file.
        canvas: on which.
        full: in the pixels of which it is measured; larger than the canvas in a preview.
        film_frames: of the film, at the end of which every text ends.
        later: draw it again when its time comes, rather than keep it until then.
    """
    first = nearest(exact(text.start_time) * canvas.rate)
    last = film_frames if text.end_time is None else min(film_frames, nearest(exact(text.end_time) * canvas.rate))
    if last <= first:
        return None
    rgba, x, y = _placed(text, font, canvas, full)
    frames = last - first
    return Overlay(
        rgba=(lambda: _placed(text, font, canvas, full)[0]) if later else rgba,
        x=x,
        y=y,
        first=first,
        frames=frames,
        fade_in=min(frames // 2, nearest(exact(text.fade_in) * canvas.rate)),
        fade_out=min(frames // 2, nearest(exact(text.fade_out) * canvas.rate)),
    )


def _placed(text: doc.Text, font: Path, canvas: Canvas, full: Canvas) -> tuple[Picture, int, int]:
    """The drawing and where it lies; smaller than it was asked for in a preview."""
    rgba = draw(text, font, full)
    x, y = _place(text, rgba.shape[1], rgba.shape[0], full)
    if canvas == full:
        return rgba, x, y
    by = canvas.width / full.width
    size = max(2, _even(rgba.shape[1] * by)), max(2, _even(rgba.shape[0] * by))
    return np.array(Image.fromarray(rgba).resize(size, Image.Resampling.BOX)), _even(x * by), _even(y * by)


def draw(text: doc.Text, font_file: Path, canvas: Canvas) -> Picture:
    """The text as RGBA, h×w×4, no larger than it needs to be; both sides even."""
    font = ImageFont.truetype(font_file, text.font_size)
    lines = wrapped(text.text, font, text.max_width * canvas.width)
    ascent, descent = font.getmetrics()
    step = round((ascent + descent) * _LEADING)
    padding = round(text.font_size * _PADDING) if text.box_color else 0
    around = int(np.ceil(max(text.outline, text.shadow))) + padding + 1
    widths = [font.getlength(line) for line in lines]
    inner = int(np.ceil(max(widths, default=0)))
    size = _even(inner + 2 * around), _even(step * (len(lines) - 1) + ascent + descent + 2 * around)
    slack = {"left": 0.0, "center": 0.5, "right": 1.0}[text.align]
    spots = [(around + (inner - width) * slack, around + ascent + step * row) for row, width in enumerate(widths)]

    def mask(stroke: float, shift: float = 0) -> Image.Image:
        out = Image.new("L", size)
        pen = ImageDraw.Draw(out)
        for line, (x, y) in zip(lines, spots, strict=True):
            pen.text((x + shift, y + shift), line, fill=255, font=font, anchor="ls", stroke_width=stroke)
        return out

    picture = Image.new("RGBA", size)
    if text.box_color:
        box = Image.new("L", size)
        radius = text.font_size * _PADDING / 2
        ImageDraw.Draw(box).rounded_rectangle(
            (0, 0, size[0] - 1, size[1] - 1), radius, fill=round(255 * text.box_opacity)
        )
        picture = _painted(picture, text.box_color, box)
    if text.shadow:
        picture = _painted(picture, text.shadow_color, mask(text.outline, text.shadow))
    if text.outline:
        picture = _painted(picture, text.outline_color, mask(text.outline))
    picture = _painted(picture, text.font_color, mask(0))
    rgba = np.array(picture)
    if text.opacity < 1:
        rgba[..., 3] = np.rint(rgba[..., 3] * text.opacity)
    return rgba


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Lines that fit a width: broken between words; a word that is too long, or a script without spaces, anywhere."""
    out: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                out.append(line)
            *full, line = _pieces(word, font, width)
            out += full
        out.append(line)
    return out


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    out, line = [], ""
    for character in word:
        while line and font.getlength(line + character) > width:
            end = _end(line, character)
            out.append(line[:end])
            line = line[end:]
        line += character
    return [*out, line]


def _end(line: str, after: str) -> int:
    """Where a full line ends: what cannot begin the next one takes what stands before it along (Japanese *kinsoku*)."""
    text = line + after
    for end in range(len(line), 0, -1):
        if not _belongs_behind(text[end]) and unicodedata.category(text[end - 1]) not in _OPENING:
            return end
    return len(line)


def _belongs_behind(character: str) -> bool:
    return character in _BEHIND or unicodedata.category(character) in _CLOSING


def _painted(below: Image.Image, paint: str, mask: Image.Image) -> Image.Image:
    """A colour laid on where the mask says. Drawing into RGBA itself would leave dark edges on transparent ground."""
    layer = Image.new("RGBA", below.size, (*colour(paint), 255))
    layer.putalpha(mask)
    return Image.alpha_composite(below, layer)


def _place(text: doc.Text, width: int, height: int, canvas: Canvas) -> tuple[int, int]:
    if isinstance(text.position, doc.Point):
        x, y = text.position.x * canvas.width - width / 2, text.position.y * canvas.height - height / 2
        return _even(x), _even(y)
    margin = _MARGIN * canvas.height
    words = text.position.split("-")
    x, y = (canvas.width - width) / 2, (canvas.height - height) / 2
    x = margin if "left" in words else canvas.width - width - margin if "right" in words else x
    y = margin if "top" in words else canvas.height - height - margin if "bottom" in words else y
    return _even(x), _even(y)


def _even(length: float) -> int:
    """Chroma is halved."""
    return int(np.ceil(length / 2)) * 2
