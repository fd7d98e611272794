"""What a text's coming and going does to each pixel.

Over a still picture that is exact where all else guesses: what changed is the text, with outline and shadow. Over one
that moves it is noise, and says so; but a pixel that did not change at all is no text there either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from . import tuning
from .arrays import Floats, Mask, Pixels, Plane, largest, widen

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
    def lit(self) -> Mask:
        """Pixels that are bright enough for a shadow over them to show as a change."""
        return np.asarray(self.behind * np.float32(tuning.SHADE) > self.noise + tuning.CHANGED)

    @property
    def exact(self) -> bool:
        """Whether the picture held so still that each pixel tells by itself whether it is text."""
        return self.noise < tuning.QUIET


def change_of(edges: Sequence[Pair], letters: Mask, height: int) -> Change | None:
    """The smaller of both changes; None where there is none, or the picture changed about as much as the text.

    Where the next text takes the place at once, that edge shows two texts: only the quiet one counts then.
    """
    away = ~widen(letters, max(4, int(tuning.SHADOW_MAX * height)))
    if away.sum() < 50:
        return None
    changes = []
    for outside, inside in edges:
        apart = largest(np.abs(inside.astype(np.int16) - outside))
        step: Floats = np.asarray(cv2.blur(apart.astype(np.float32), (3, 3)), np.float32)
        change = Change(step, float(np.percentile(step[away], 80)), outside[..., 0])
        if change.noise < 0.3 * float(np.median(step[letters])):
            changes.append(change)
    changes.sort(key=lambda c: c.noise)
    if len(changes) > 1 and changes[1].noise < 2 * changes[0].noise + 1:
        least = np.minimum(changes[0].levels, changes[1].levels)
        behind = np.minimum(changes[0].behind, changes[1].behind)
        return Change(least, float(np.percentile(least[away], 80)), behind)
    return changes[0] if changes else None


def certain(edges: Sequence[Pair], inside: Mask, height: int) -> Mask | None:
    """Pixels in a text's box that came or went with it; None where the picture did not hold still meanwhile.

    Args:
        edges: crops just outside and just inside its time.
        inside: its box.
        height: of the text, pixels.
    """
    away = ~widen(inside, max(4, int(tuning.SHADOW_MAX * height)))
    if away.sum() < 50:
        return None
    found = None
    for outside, inner in edges:
        step = largest(cv2.absdiff(outside, inner)).astype(np.float32)
        noise = float(np.percentile(cv2.blur(step, (3, 3))[away], 80))
        if noise < tuning.QUIET:
            moved = step > noise + tuning.CERTAIN
            found = moved if found is None else found | moved
    return found


def grown(change: Change) -> Mask:
    """Pixels that changed with the letters: outline and shadow, whatever their shape."""
    found = (change.levels > change.noise + tuning.CHANGED).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return widen(opened > 0, 1)


def stirred(edges: Sequence[Pair], height: int) -> Mask | None:
    """Pixels that may be of a text of that height: those at or near which anything changed as it came or went.

    None where there is nothing to tell by. The middle of a broad stroke may have had its colour before, its rim not.
    What another text just before it or after it has in common with it does not change.
    """
    if not edges:
        return None
    steps = [cv2.blur(largest(cv2.absdiff(outside, inside)), (3, 3)) > tuning.STIRRED for outside, inside in edges]
    return widen(np.logical_or.reduce(steps), max(2, round(tuning.STROKE * height)))


def taken(outside: Pixels, colour: Floats, near: float, letters: Mask, inside: Mask) -> bool:
    """Whether another text of the same look stood here just before or after: what both cover does not change."""
    alike = largest(np.abs(outside.astype(np.float32) - colour)) < near
    return bool((alike & inside).sum() > tuning.TAKEN * max(1, int((letters & inside).sum())))
