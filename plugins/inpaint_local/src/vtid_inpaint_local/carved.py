"""Marks that neither a picture nor the mean of many shows: over a scene that holds still, by their shape.

Letters at an opacity of a third over leaves are too faint for any detector, however long they stand, and where nothing
moves the mean shows no more than each picture. But the cut that tells a mark's outline (`matte`) needs no movement, and
the shape that it finds is black on white. So the detector is shown that, of the corners in which marks stand.

Scenery has shapes too. What is found must read as a word, and be a layer of one opacity when it is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import layers, tuning
from .arrays import Floats, Mask, Pixels
from .detect import boxes_of, look_closely
from .geometry import clip, grow, shift
from .later import Later
from .looker import Looker
from .matte import Outline, only, opacity, outline, quantiles, steps


class Carved(NamedTuple):
    """A mark that was found by its shape."""

    box: Box
    """In the pictures that it was found in."""
    score: float
    """The detector's."""
    text: str
    sure: float
    """The reader's confidence in it."""
    alpha: float
    """The opacity of all of the shape."""


class Carver:
    """Looks at the corners now and then: how often does not grow with the film, but with its logarithm.

    A shape takes as long as following a second of film.
    """

    def __init__(self) -> None:
        self._times, self._due = 0, 1
        self._search = Later[tuple[list[Carved], int]]("carve", layers.CARVED_LATER)

    def begin(self, looker: Looker, pictures: Sequence[Pixels], since: int) -> None:
        """Begin to look for marks in corners that hold still, if it is time to.

        Args:
            looker: sees and reads.
            pictures: BGR, upright, H×W×3 each, of one size, over some seconds.
            since: the frame that they go back to.
        """
        self._times += 1
        if self._times < self._due:
            return
        height, width = pictures[0].shape[:2]
        still = [box for box in _corners(width, height) if _holds([_cut(p, box) for p in pictures])]
        if still:
            self._due = layers.CARVED_AGAIN * self._times
            self._search.begin(lambda: (_marks(looker, pictures, still), since))

    def found(self, *, last: bool = False) -> tuple[list[Carved], int]:
        """Once for each look after it began: the marks that were found, and since when they may have been there.

        Args:
            last: there is no look after this one.
        """
        return self._search.found(last=last) or ([], 0)

    def close(self) -> None:
        """The film has ended."""
        self._search.close()


def _marks(looker: Looker, pictures: Sequence[Pixels], corners: Sequence[Box]) -> list[Carved]:
    out: list[Carved] = []
    for box in corners:
        shaped = shape_in([_cut(p, box) for p in pictures])
        if shaped is not None:
            out += [c._replace(box=shift(c.box, *box[:2])) for c in _lines(looker, *shaped)]
    return out


def shape_in(crops: Sequence[Pixels]) -> tuple[Mask, float] | None:
    """The likeliest shape of a white layer that is as faint as one must be not to be seen, and how opaque it is.

    Args:
        crops: BGR, H×W×3 each.

    Returns:
        None where no shape is likely.
    """
    distance = np.asarray(255 - np.stack(crops).astype(np.float32), np.float32)
    luma = np.asarray(distance @ _LUMA, np.float32)[..., None]
    shape = _sure(outline([steps(luma, 1), steps(distance, 3)], layers.CARVED_ALPHA, layers.CARVED_ROUNDS))
    if not shape.inside.any() or shape.weight < layers.MARK_CHANCE:
        return None
    measured = opacity(distance, shape.inside)
    low, high = layers.MARK_ALPHA
    if measured is None or not low <= measured.alpha <= high or measured.spread > layers.MARK_SPREAD:
        return None
    return shape.inside, measured.alpha


_LUMA = np.array([0.114, 0.587, 0.299], np.float32)
"""Of B, G and R; BT.601."""


def _sure(shape: Outline) -> Outline:
    """Without specks, and pieces that have little evidence."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(shape.inside.astype(np.uint8), connectivity=8)
    evidence, gaps = (np.bincount(labels.ravel(), v.ravel(), count) for v in (shape.evidence, shape.gaps))
    keep = stats[:, cv2.CC_STAT_AREA] >= layers.CARVED_SPECK
    keep &= evidence >= layers.MARK_DOUBT * shape.weight * gaps
    keep[0] = False
    return only(shape, keep[labels])


def _lines(looker: Looker, shape: Mask, alpha: float) -> Iterator[Carved]:
    """The words that a shape is of, black on white."""
    drawn = np.repeat(np.where(shape, 0, 255).astype(np.uint8)[..., None], 3, 2)
    height, width = shape.shape
    for found in boxes_of(look_closely(looker, drawn), tuning.HIT_SCORE):
        box = _row(shape, clip(found.box, width, height))
        if box[2] - box[0] < layers.CARVED_ASPECT * (box[3] - box[1]):
            continue
        read = looker.read(np.ascontiguousarray(_cut(drawn, grow(box, 4, 2, width, height))))
        text, sure = read if read is not None else ("", 0.0)
        if read is None or (len(text) >= layers.CARVED_READ[0] and sure >= layers.CARVED_READ[1]):
            yield Carved(box, found.score, text, sure, alpha)


def _row(shape: Mask, box: Box) -> Box:
    """The box as high as most of the shape in it: beside scenery of the mark's look detectors draw too high a box."""
    x0, y0, x1, y1 = box
    _, _, stats, _ = cv2.connectedComponentsWithStats(shape[y0:y1, x0:x1].astype(np.uint8), connectivity=8)
    top, area = stats[1:, cv2.CC_STAT_TOP], stats[1:, cv2.CC_STAT_AREA].astype(np.float32)
    if not area.size:
        return box
    (begin,), (end,) = (
        quantiles(v.astype(np.float32), area, (0.5,)) for v in (top, top + stats[1:, cv2.CC_STAT_HEIGHT])
    )
    return x0, y0 + int(begin), x1, y0 + int(end)


def _corners(width: int, height: int) -> list[Box]:
    """Where stations put their marks."""
    w, h = (round(share * side) for share, side in zip(layers.CARVED_CORNER, (width, height), strict=True))
    return [(x, y, x + w, y + h) for y in (0, height - h) for x in (0, width - w)]


def _holds(crops: Sequence[Pixels]) -> bool:
    """Whether the picture holds still: else its mean shows a mark."""
    stack = np.stack(crops).astype(np.float32)
    moved: Floats = np.abs(stack - stack.mean(0))
    return float(moved.mean()) <= tuning.LINGER_MOVES


def _cut(picture: Pixels, box: Box) -> Pixels:
    return picture[box[1] : box[3], box[0] : box[2]]
