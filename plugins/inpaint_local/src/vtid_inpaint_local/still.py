"""The crops of a text as one picture: what of it holds still, and what moves behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import glyphs
from .arrays import Floats, Mask, Pixels, largest, median


class Still(NamedTuple):
    """The samples as one picture."""

    middle: Pixels
    """Their median."""
    wander: Floats
    """Median deviation from it, in levels of the largest channel."""
    sway: Floats | None = None
    """Standard deviation of the luma; None where it is not known."""
    stirred: Mask | None = None
    """Pixels that may be text, by what its coming and going changed; None where that is not known."""


def still(samples: Sequence[Pixels]) -> Still:
    """Median and deviation over time."""
    stack = np.stack(samples)
    middle = median(stack)
    wander = median(np.stack([largest(cv2.absdiff(one, middle)) for one in stack]))
    return Still(middle, wander.astype(np.float32), stack[..., 0].std(0, dtype=np.float32))


def averaged(samples: Sequence[Pixels]) -> Still:
    """The mean instead: a half-transparent mark stands out of it as the scene blurs, though none of it holds still."""
    mean = np.stack(samples).mean(0, dtype=np.float32)
    return Still(np.rint(mean).astype(np.uint8), np.zeros(mean.shape[:2], np.float32))


def whole(seen: Still, inner: Box) -> Mask:
    """The box itself, over the samples."""
    inside = np.zeros(seen.wander.shape, bool)
    inside[inner[1] : inner[3], inner[0] : inner[2]] = True
    return inside


def calm(seen: Still, inside: Mask) -> Mask | None:
    """Pixels that hold still before a scene that moves: letters do, in whatever colour; None where it hardly moves.

    Args:
        seen: the samples as one picture.
        inside: the text's box in it.
    """
    moves = 0.0 if seen.sway is None else float(np.median(seen.sway[~inside]))
    if seen.sway is None or moves < glyphs.SWAY_CLEAR:
        return None
    return np.asarray(seen.sway < glyphs.SWAY_CALM * moves)
