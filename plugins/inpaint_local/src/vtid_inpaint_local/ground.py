"""Text on an opaque ground of its own: a label, a banner, a lower third.

What is behind such letters is the ground, not the scene: what the scene shows beside it at other times would tear holes
into it. So the letters are closed from the ground around them, frame by frame. Where the ground hugs its text as the
box behind a caption does, it is part of the caption, and goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import layers
from .arrays import Floats, Mask, Pixels, eight_bits, median, off_colour, widen
from .geometry import grow, text_height
from .patch import around
from .spatial import enlarge, spread


class _Plain(NamedTuple):
    """One colour around and between letters."""

    colour: Floats
    rows: tuple[int, int]
    """The first through which it goes, and one past the last."""
    where: Mask
    """Where it shows in these, between the letters and beside them."""


def letters_of(samples: Sequence[Pixels], inner: Box, edges: Sequence[tuple[Pixels, Pixels]]) -> Mask | None:
    """What stands on an opaque ground of one colour.

    Args:
        samples: crops over the text's life, wider than the text by `tuning.VIEW_PAD`.
        inner: the text within them, a line from left to right.
        edges: the same crop just outside and just inside its time.

    Returns:
        All that is not the ground's own colour on it, a little wider; None where what is around the letters is not of
        one colour, or may be the scene.
    """
    middle = median(np.stack(samples))
    plain = next(_plains(middle, inner), None)
    if plain is None or not all(_still(sample, plain) for sample in samples):
        return None
    if not _opaque(samples, plain.where, edges):
        return None
    on = np.zeros(middle.shape[:2], bool)
    on[slice(*plain.rows), slice(*_beside(inner, middle.shape[1]))] = True
    letters = on & (off_colour(middle, plain.colour) > layers.GROUND_OFF)
    return widen(letters, layers.GROUND_WIDEN) & on if letters.any() else None


def lay(pixels: Pixels, letters: Mask) -> None:
    """Close letters from the ground around them, in place.

    Args:
        pixels: the crop, as the filler keeps it.
        letters: what stands on the ground.
    """
    box = around(letters)
    if box is None:
        return
    x0, y0, x1, y1 = box
    at = np.s_[y0:y1, max(0, x0 - layers.GROUND_SMOOTH) : x1 + layers.GROUND_SMOOTH]
    mine = letters[at]
    known = (~widen(mine, 1)).astype(np.float32)
    scale = 256 if pixels.dtype == np.uint16 else 1
    planes = cv2.split(eight_bits(pixels[at]))
    smoothed, _ = spread([np.asarray(plane) * known for plane in planes], known, layers.GROUND_SMOOTH)
    full = [enlarge(plane, mine.shape[1], mine.shape[0]) for plane in smoothed]
    pixels[at][mine] = np.rint(cv2.merge(full)[mine] * scale).astype(pixels.dtype)


def _beside(inner: Box, width: int) -> tuple[int, int]:
    """The columns of a line, and those beside it in which its ground may go on."""
    x0, _, x1, _ = grow(inner, max(3, layers.GROUND_BESIDE * text_height(inner)), 0, width, inner[3])
    return x0, x1


def _plains(middle: Pixels, inner: Box) -> Iterator[_Plain]:
    """The colours in a line's box that may be its ground, the most frequent first."""
    x0, y0, x1, y1 = inner
    tall, (left, right) = text_height(inner), _beside(inner, middle.shape[1])
    line = middle[y0:y1, x0:x1].reshape(-1, 3)
    counts = np.bincount(line[:, 0] >> 3, minlength=32)
    for level in np.argsort(counts)[:-3:-1]:
        colour = np.asarray(np.median(line[line[:, 0] >> 3 == level], 0), np.float32)
        where = off_colour(middle, colour) <= layers.GROUND_NOISE
        rows = _run(where[:, x0:x1].mean(1) >= layers.GROUND_ROW, y0, y1)
        rows = rows[0] + layers.GROUND_EDGE, rows[1] - layers.GROUND_EDGE
        rows = max(rows[0], int(y0 - layers.GROUND_TALL * tall)), min(rows[1], int(y1 + layers.GROUND_TALL * tall))
        if rows[1] - rows[0] < layers.GROUND_ROWS * (y1 - y0):
            continue
        shows = where[slice(*rows)].mean(0) >= layers.GROUND_SHARE
        deep = max(3, right - x1)  # detectors leave a little room at both ends
        if shows[left : x0 + deep].sum() >= deep and shows[x1 - deep : right].sum() >= deep:
            on = np.zeros_like(where)
            on[slice(*rows), left:right] = where[slice(*rows), left:right]
            yield _Plain(colour, rows, on)


def _run(good: Mask, first: int, last: int) -> tuple[int, int]:
    """The run of true values around a line's rows, and over those that bold letters fill; empty where there is none."""
    rows = np.flatnonzero(good[first:last])
    if not rows.size:
        return first, first
    bad = np.flatnonzero(~good)
    above, below = bad[bad < first + rows[0]], bad[bad > first + rows[-1]]
    return int(above[-1]) + 1 if above.size else 0, int(below[0]) if below.size else good.size


def _still(picture: Pixels, plain: _Plain) -> bool:
    """Whether the ground has its colour in this crop too."""
    off = off_colour(picture[plain.where][None], plain.colour)
    return float((off <= layers.GROUND_NOISE).mean()) >= layers.GROUND_SHARE


def _opaque(samples: Sequence[Pixels], where: Mask, edges: Sequence[tuple[Pixels, Pixels]]) -> bool:
    """Whether nothing shines through: it was a picture before, or is one farther out all the time."""
    for outside, inside in edges:
        before, under = (float(crop[..., 0][where].std()) for crop in (outside, inside))
        if before >= layers.GROUND_PICTURE and under <= max(layers.GROUND_STILL, layers.GROUND_CLEAR * before):
            return True
    if edges:
        return False
    moved = np.stack([s[..., 0] for s in samples]).astype(np.float32).std(0)
    far = moved[~widen(where, max(2, where.shape[0] // 8))]
    return bool(
        far.size
        and float(np.median(moved[where])) <= layers.GROUND_STILL
        and float(np.percentile(far, 75)) >= layers.GROUND_PICTURE
    )
