"""What a text's coming and going does to each pixel.

Over a still picture that is exact where all else guesses: what changed is the text, with outline and shadow. Over one
that moves it is noise, and says so; but a pixel that did not change at all is no text there either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from . import glyphs
from .arrays import Floats, Mask, Pixels, Plane, largest, off_colour, widen

Pair = tuple[Pixels, Pixels]
"""A crop just outside a text's time, and one just inside."""


class Change(NamedTuple):
    """What the text's coming and going did to each pixel."""

    levels: Floats
    noise: float
    """What the picture itself did meanwhile, levels."""
    behind: Plane
    """Luma of the picture without the text; the lower, where it was seen before and after."""

    @property
    def seen(self) -> Mask:
        """Pixels that changed by more than the picture itself did."""
        return np.asarray(self.levels > self.noise + glyphs.CHANGED)

    @property
    def lit(self) -> Mask:
        """Pixels that are bright enough for a shadow over them to show as a change."""
        return np.asarray(self.behind * np.float32(glyphs.SHADE) > self.noise + glyphs.CHANGED)

    @property
    def dim(self) -> Mask:
        """Pixels that are too dark for a shadow's rim to show as one."""
        return np.asarray(self.behind * np.float32(glyphs.SHADE_RIM) <= self.noise + glyphs.CHANGED)

    @property
    def exact(self) -> bool:
        """Whether the picture held so still that each pixel tells by itself whether it is text."""
        return self.noise < glyphs.QUIET


def change_of(edges: Sequence[Pair], letters: Mask, height: int, colour: Floats, near: float) -> Change | None:
    """The smaller of both changes; None where there is none, or the picture changed about as much as the text.

    Where the next text takes the place at once, that edge shows two texts: only the quiet one counts then.

    Args:
        edges: crops just outside and just inside its time.
        letters: the text's.
        height: of the text, pixels.
        colour: of the letters; other lines that come or go at the same moment have it, and say nothing of the picture.
        near: levels (largest channel) within which a pixel has it.
    """
    reach = max(4, int(glyphs.SHADOW_MAX * height))
    away = ~widen(letters, reach)
    if away.sum() < 50:
        return None
    changes: list[tuple[Change, Mask]] = []
    for outside, inside in edges:
        apart = largest(np.abs(inside.astype(np.int16) - outside))
        step: Floats = np.asarray(cv2.blur(apart.astype(np.float32), (3, 3)), np.float32)
        lines = _thin(((off_colour(outside, colour) < near) != (off_colour(inside, colour) < near)) & away, height)
        plain = away & ~widen(lines, reach)
        if plain.sum() < glyphs.PLAIN * away.sum() or lines.sum() < glyphs.LINES * letters.sum():
            plain = away
        change = Change(step, float(np.percentile(step[plain], 80)), outside[..., 0])
        if change.noise < 0.3 * float(np.median(step[letters])):
            changes.append((change, plain))
    changes.sort(key=lambda c: c[0].noise)
    if not changes:
        return None
    (best, plain), *rest = changes
    if rest and rest[0][0].noise < 2 * best.noise + 1:
        least = np.minimum(best.levels, rest[0][0].levels)
        behind = np.minimum(best.behind, rest[0][0].behind)
        both = plain & rest[0][1]
        return Change(least, float(np.percentile(least[both if both.sum() >= 50 else plain], 80)), behind)
    return best


def certain(edges: Sequence[Pair], inside: Mask, height: int) -> Mask | None:
    """Pixels in a text's box that came or went with it; None where the picture did not hold still meanwhile.

    Args:
        edges: crops just outside and just inside its time.
        inside: its box.
        height: of the text, pixels.
    """
    away = ~widen(inside, max(4, int(glyphs.SHADOW_MAX * height)))
    if away.sum() < 50:
        return None
    found = None
    for outside, inner in edges:
        step = largest(cv2.absdiff(outside, inner)).astype(np.float32)
        noise = float(np.percentile(cv2.blur(step, (3, 3))[away], 80))
        if noise < glyphs.QUIET:
            moved = step > noise + glyphs.CERTAIN
            found = moved if found is None else found | moved
    return found


def grown(change: Change) -> Mask:
    """Pixels that changed with the letters: outline and shadow, whatever their shape."""
    found = change.seen.astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return widen(opened > 0, 1)


def stirred(edges: Sequence[Pair], height: int) -> Mask | None:
    """Pixels that may be of a text of that height: those at or near which anything changed as it came or went.

    None where there is nothing to tell by. The middle of a broad stroke may have had its colour before, its rim not.
    What another text just before it or after it has in common with it does not change.
    """
    if not edges:
        return None
    steps = [cv2.blur(largest(cv2.absdiff(outside, inside)), (3, 3)) > glyphs.STIRRED for outside, inside in edges]
    return widen(np.logical_or.reduce(steps), max(2, round(glyphs.STROKE * height)))


def taken(outside: Pixels, colour: Floats, near: float, letters: Mask, inside: Mask) -> bool:
    """Whether another text of the same look stood here just before or after: what both cover does not change."""
    alike = (off_colour(outside, colour) < near) & inside
    return bool(alike.sum() > glyphs.TAKEN * max(1, int((letters & inside).sum())))


def _thin(mask: Mask, height: int) -> Mask:
    """What of a mask is no broader than strokes of letters of that height."""
    side = max(3, round(2 * glyphs.STROKE * height)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    broad = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    return mask & ~widen(broad, 1)
