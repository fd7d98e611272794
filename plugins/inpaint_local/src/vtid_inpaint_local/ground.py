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
from .geometry import area, grow, meet, text_height, within
from .patch import around
from .spatial import enlarge, spread


class Ground(NamedTuple):
    """One colour around and between letters."""

    colour: Floats
    letters: Mask
    """All that is not of it on it, a little wider."""


class _Plain(NamedTuple):
    """A colour that may be a ground's."""

    colour: Floats
    rows: tuple[int, int]
    """The first through which it goes, and one past the last."""
    columns: tuple[int, int]
    """The same, as far as the line and a little room beside it go."""
    where: Mask
    """Where it shows in these, between the letters and beside them."""


class Label(NamedTuple):
    """A ground that hugs a caption's lines; in one film they look alike."""

    colour: Floats
    pads: Box
    """Pixels from the lines to its sides, left, above, right and below."""

    @classmethod
    def of(cls, lines: Box, box: Box, colour: Floats) -> Label:
        """As this box is around these lines; detectors' boxes may reach a little beyond it."""
        left, above, right, below = lines[0] - box[0], lines[1] - box[1], box[2] - lines[2], box[3] - lines[3]
        return cls(colour, (max(0, left), max(0, above), max(0, right), max(0, below)))

    def like(self, colour: Floats) -> bool:
        """Whether another ground has its colour."""
        return bool((np.abs(self.colour - colour) <= layers.GROUND_SAME).all())

    def box(self, lines: Box) -> Box:
        """Where one is around other lines."""
        left, above, right, below = self.pads
        return lines[0] - left, lines[1] - above, lines[2] + right, lines[3] + below


def ground_of(
    samples: Sequence[Pixels], inner: Box, edges: Sequence[tuple[Pixels, Pixels]] | None, known: Sequence[Label] = ()
) -> Ground | None:
    """The opaque ground of one colour on which a text stands.

    Args:
        samples: crops over the text's life, wider than the text by `tuning.VIEW_PAD`.
        inner: the text within them, a line from left to right.
        edges: the same crop just outside and just inside its time; None where only other texts stood there.
        known: labels of other captions: what looks like one of them need not prove that nothing shines through.

    Returns:
        None where what is around the letters is not of one colour, or may be the scene.
    """
    middle = median(np.stack(samples))
    for plain in _plains(middle, inner):
        proven = any(label.like(plain.colour) for label in known)
        proven = proven or (edges is not None and _opaque(samples, plain.where, edges))
        if proven and all(_still(sample, plain) for sample in samples):
            on = np.zeros(middle.shape[:2], bool)
            on[slice(*plain.rows), slice(*plain.columns)] = True
            letters = on & (off_colour(middle, plain.colour) > layers.GROUND_OFF)
            if letters.any():
                return Ground(plain.colour, widen(letters, layers.GROUND_WIDEN) & on)
    return None


def shape_of(samples: Sequence[Pixels], colour: Floats, lines: Box, own: Box) -> Mask | None:
    """The label, or those of each line, that hug a caption: where a ground's colour stays, and the letters on it.

    Args:
        samples: crops over the text's life, wider than the ground.
        colour: the ground's.
        lines: all of the caption, within them.
        own: one of its lines.

    Returns:
        None where it goes on beyond the caption or the crops, as a banner does, or the line does not stand on it.
    """
    stays = np.stack([off_colour(sample, colour) <= layers.GROUND_NOISE for sample in samples]).mean(0)
    h, w = stays.shape
    whole = 0, 0, w, h
    steady = (stays >= layers.GROUND_SHARE).view(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(steady, connectivity=4)
    tall = text_height(own)
    touched = grow(lines, 2, 2, w, h)
    near = grow(lines, layers.LABEL_ROOM * tall, layers.LABEL_PAD * tall, w, h)
    held, beside = (np.bincount(pieces[within(box, whole)].ravel(), minlength=len(stats)) for box in (touched, near))
    hugging = (held > 0) & (beside >= layers.LABEL_INSIDE * stats[:, cv2.CC_STAT_AREA])
    out = np.zeros((h, w), bool)
    for piece in np.flatnonzero(hugging[1:]) + 1:
        # All of a row from end to end: where letters reach the label's edge, they are no hole in it but a bay.
        shows = pieces == piece
        out |= np.logical_or.accumulate(shows, 1) & np.logical_or.accumulate(shows[:, ::-1], 1)[:, ::-1]
    # Letters that reach both of its edges cut a label into pieces.
    gap = np.ones((1, max(1, round(layers.LABEL_GAP * tall))), np.uint8)
    out = np.asarray(cv2.morphologyEx(out.view(np.uint8), cv2.MORPH_CLOSE, gap) > 0)
    box = around(out)
    if box is None or min(box) == 0 or box[2] == w or box[3] == h or not hugs(box, lines, tall, int(out.sum())):
        return None
    return out if float(out[within(meet(own, whole), whole)].mean()) >= layers.LABEL_HOLDS else None


def ends_at(samples: Sequence[Pixels], colour: Floats, box: Box) -> bool:
    """Whether a ground of this colour goes on beyond none of the sides of a box in these crops."""
    x0, y0, x1, y1 = box
    room = layers.LABEL_BESIDE
    height, width = samples[0].shape[:2]
    if x0 < room or y0 < room or x1 + room > width or y1 + room > height:
        return False
    strips = (
        np.s_[y0 - room : y0, x0:x1],
        np.s_[y1 : y1 + room, x0:x1],
        np.s_[y0:y1, x0 - room : x0],
        np.s_[y0:y1, x1 : x1 + room],
    )
    return all(
        np.mean([(off_colour(sample[strip], colour) <= layers.GROUND_NOISE).mean() for sample in samples]) < 0.5
        for strip in strips
    )


def hugs(box: Box, lines: Box, tall: int, pixels: int | None = None) -> bool:
    """Whether a ground on which a caption's lines stand, of letters so tall, is its label and no banner.

    Args:
        box: around it.
        lines: of the caption.
        tall: its letters.
        pixels: of the ground, if fewer than of its box.
    """
    above, below = lines[1] - box[1], box[3] - lines[3]
    held = area(box) if pixels is None else pixels
    return held <= layers.LABEL_AREA * area(lines) and max(above, below) <= layers.LABEL_PAD * tall


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
    for level in np.argsort(counts, kind="stable")[: -1 - layers.GROUND_COLOURS : -1]:
        if not counts[level]:
            break
        colour = np.asarray(np.median(line[line[:, 0] >> 3 == level], 0), np.float32)
        where = off_colour(middle, colour) <= layers.GROUND_NOISE
        rows = _run(where[:, x0:x1].mean(1) >= layers.GROUND_ROW, y0, y1)
        rows = rows[0] + layers.GROUND_EDGE, rows[1] - layers.GROUND_EDGE
        rows = max(rows[0], int(y0 - layers.GROUND_TALL * tall)), min(rows[1], int(y1 + layers.GROUND_TALL * tall))
        if rows[1] - rows[0] < layers.GROUND_ROWS * (y1 - y0):
            continue
        part = where[slice(*rows), left:right]
        shows = np.flatnonzero(part.mean(0) >= layers.GROUND_SHARE) + left
        # Detectors leave a little room at both ends, or frame all of a label; there the ground ends within the box.
        deep, room = max(3, right - x1), max(3, round(layers.GROUND_ENDS * tall))
        at_ends = (shows < x0 + room).sum() >= deep and (shows >= x1 - room).sum() >= deep
        # Stems of capitals stand at both ends too; but nothing of theirs runs over or under all of a line.
        over, under = _over_and_under(part[:, x0 - left : x1 - left])
        if (over and under) or (at_ends and (over or under)):
            columns = (int(shows[0]), int(shows[-1]) + 1) if at_ends else (x0, x1)
            on = np.zeros_like(where)
            on[slice(*rows), slice(*columns)] = where[slice(*rows), slice(*columns)]
            yield _Plain(colour, rows, columns, on)


def _over_and_under(part: Mask) -> tuple[bool, bool]:
    """Whether the ground runs over all of a line, and whether it does under it."""
    whole = part.mean(1) >= layers.GROUND_SHARE
    third = len(whole) // 3
    return bool(whole[:third].sum() >= layers.GROUND_LINES), bool(whole[-third:].sum() >= layers.GROUND_LINES)


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
        was, now = (crop[..., 0][where].astype(np.float32) for crop in (outside, inside))
        before, under = _spread(was), _spread(now)
        if _least_cover(float(np.median(was)), float(np.median(now))) >= layers.GROUND_COVERS:
            return True
        if before < layers.GROUND_PICTURE:
            continue
        if under <= max(layers.GROUND_STILL, layers.GROUND_CLEAR * before):
            return True
        # What coding leaves of a plain ground in a small film is more, but nothing of what was there before.
        on = np.abs(now - np.median(now)) <= layers.GROUND_NOISE
        apart = was[on] - was[on].mean()
        slope = float((apart * now[on]).mean() / max(1.0, float(np.square(apart).mean())))
        if abs(slope) <= layers.GROUND_CLEAR / 4 and under <= 2 * layers.GROUND_CLEAR * before:
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


def _spread(levels: Floats) -> float:
    """The standard deviation by the quartiles: some pixels of the scene have the ground's colour by chance."""
    low, high = np.percentile(levels, (25, 75))
    return float(high - low) / 1.35


def _least_cover(was: float, now: float) -> float:
    """How opaque a layer must be at least that makes one luma of the other: white and black are all that there is.

    Nothing is told by a small change, which is noise where a scene is nearly white or black itself.
    """
    if abs(was - now) < layers.GROUND_CHANGE:
        return 0.0
    return (was - now) / max(1.0, was - layers.BLACK[0]) if now < was else (now - was) / max(1.0, layers.WHITE[0] - was)
