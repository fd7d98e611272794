"""Which pixels are text: once per text, from all that was seen of it.

Over its life a text stands still while the picture behind it moves, so the temporal median shows the letters and little
else. Seeds are strokes thinner than a letter that stand out of it and hold still; they grow over what has the letters'
colour; then outline and shadow are measured, twice over:

- as a radius, from the luma profile against the distance to the letters;
- per pixel, from the change that the text's own coming and going makes from one frame to the next. On a static
  background this is exact where everything else guesses; over motion it is noise, measures itself as such, and adds
  nothing.

The mask is not the box: a box loses 4 dB to strokes before the filling even begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import tuning
from .arrays import Floats, Mask, Pixels, Plane
from .geometry import text_height
from .spatial import close_holes


class Still(NamedTuple):
    """The samples as one picture."""

    middle: Pixels
    """Their median."""
    wander: Floats
    """Median deviation from it, in levels of the largest channel."""


def still(samples: Sequence[Pixels]) -> Still:
    """Median and deviation over time."""
    stack = np.stack(samples)
    middle = np.median(stack, 0).astype(np.uint8)
    wander = np.median(np.abs(stack.astype(np.int16) - middle).max(3), 0)
    return Still(middle, wander.astype(np.float32))


def stroke_mask(
    samples: Sequence[Pixels], inner: Box, edges: Sequence[tuple[Pixels, Pixels]] = (), *, plain: bool = False
) -> Mask:
    """The pixels of a text, with its outline and shadow.

    Args:
        samples: crops (Y, U, V) over its life, wider than the text by `tuning.MASK_PAD`.
        inner: the text's box within the crops.
        edges: crops just outside and just inside its time, where there are any.
        plain: on a caption box, letters have neither outline nor shadow, and what lies around them is worth more.

    Returns:
        A mask over the crops; the whole box where no strokes can be told.
    """
    height = text_height(inner)
    seen = still(samples)
    inside = np.zeros(seen.wander.shape, bool)
    inside[inner[1] : inner[3], inner[0] : inner[2]] = True
    seeds = _seeds(seen, inside, height)
    if seeds is None:
        return inside
    letters = _letters(seen, seeds, inside, height)
    change = _change(edges, letters, height)
    if change is not None and change.exact:
        letters &= change.levels > change.noise + tuning.CHANGED
        if not letters.any():
            return inside
    distance = np.asarray(cv2.distanceTransform((~letters).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    margin = float(np.clip(round(height / tuning.MARGIN_TEXT_PX), 1, 2))
    if plain:
        return np.asarray(distance <= margin + 1)
    if change is not None and change.exact:
        return np.asarray(distance <= margin + 0.5) | _grown(change, distance, height)
    rim = _rim(seen.middle[..., 0], distance, height, tuning.RIM_MAX)
    if change is not None:
        rim = min(rim, _rim(change.levels, distance, height, tuning.RIM_MAX))
    return np.asarray(distance <= rim + margin)


class Seeds(NamedTuple):
    """Pixels that surely are strokes, and their colour."""

    at: Mask
    colour: Floats
    threshold: float
    hat: Floats


def _seeds(seen: Still, inside: Mask, height: int) -> Seeds | None:
    """Bright or dark strokes, whichever are more, stronger and more of one colour.

    Gaps between light letters are dark strokes too; but they look like what lies around the box, and letters do not.
    """
    best: tuple[float, Seeds] | None = None
    side = max(5, int(height * 0.5)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    luma = np.ascontiguousarray(seen.middle[..., 0])
    around = close_holes(luma[..., None], inside)[..., 0]
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        hat = cv2.morphologyEx(luma, operation, kernel) * np.clip(1.5 - seen.wander / 16, 0, 1)
        values = np.clip(hat[inside], 0, 255).astype(np.uint8).reshape(-1, 1)
        otsu, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
        threshold = max(float(otsu), tuning.SEED_MIN)
        at = (hat > threshold) & inside
        if at.sum() < 15:
            continue
        core = at & (hat > np.percentile(hat[at], 40))
        colour = np.median(seen.middle[core], 0).astype(np.float32)
        spread = float(np.abs(seen.middle[core].astype(np.float32) - colour).mean())
        contrast = min(float(hat[at].mean()), float(np.abs(luma[at] - around[at]).mean()))
        merit = contrast * np.sqrt(at.sum()) / (8 + spread)
        if best is None or merit > best[0]:
            best = merit, Seeds(at, colour, threshold, hat.astype(np.float32))
    return best[1] if best else None


def _letters(seen: Still, seeds: Seeds, inside: Mask, height: int) -> Mask:
    """Seeds, what is joined to them in their colour, and single letters beside the box, which detectors leave out."""
    off = np.abs(seen.middle.astype(np.float32) - seeds.colour).max(2)
    stable = seen.wander < tuning.STABLE
    alike = (off < tuning.COLOUR_NEAR) & stable
    # Thin strokes never reach the letters' full colour: hysteresis follows them down to half the seeds' contrast.
    reach = max(2, round(tuning.WEAK_REACH * height))
    weak = (seeds.hat > tuning.WEAK * seeds.threshold) & stable & widen(inside, reach)
    joined = alike | weak | seeds.at
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined.astype(np.uint8))
    seeded = np.bincount(labels[seeds.at], minlength=count)
    total = np.bincount(labels.ravel(), minlength=count)
    standing = np.bincount(labels[(seeds.hat > seeds.threshold) & alike], minlength=count)
    w, h = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    small = np.maximum(w, h) <= 1.2 * height
    beside = (standing > 0.5 * total) & (np.maximum(w, h) >= 0.3 * height) & small
    keep = seeded > tuning.SEEDED * total
    keep[0] = beside[0] = False
    # A letter is kept whole. What is larger is several, or joined to scenery of their colour, and ends with the box.
    ends = small[labels] | widen(inside, round(tuning.LETTER_REACH * height))
    return np.asarray((keep[labels] & ends) | (beside[labels] & _line(inside, reach)) | seeds.at)


def _line(inside: Mask, reach: int) -> Mask:
    """The box drawn out along its line: letters that were left out lie before and after it, not above."""
    ys, xs = np.nonzero(inside)
    x0, y0, x1, y1 = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    out = np.zeros_like(inside)
    if x1 - x0 >= y1 - y0:
        out[max(0, y0 - reach) : y1 + reach] = True
    else:
        out[:, max(0, x0 - reach) : x1 + reach] = True
    return out


def _rim(levels: Plane, distance: Floats, height: int, most: float) -> float:
    """How far outline and shadow reach: where the mean at each distance to the letters is as it is far away."""
    reach = max(5, int(0.45 * height))
    ring = np.rint(distance).astype(np.int32)
    near = (ring >= 1) & (ring <= reach)
    count = np.bincount(ring[near], minlength=reach + 1)[1:]
    total = np.bincount(ring[near], weights=levels[near].astype(np.float64), minlength=reach + 1)[1:]
    known = count > 20
    if not known.any():
        return 1.0
    profile = np.where(known, total / np.maximum(count, 1), np.nan)
    tail = profile[int(reach * 0.7) :]
    far = float(np.nanmedian(tail)) if known[int(reach * 0.7) :].any() else float(np.nanmedian(profile))
    off = np.nan_to_num(np.abs(profile - far))
    flat = off <= max(9.0, 0.18 * float(off.max()))
    radius = int(flat.argmax()) if flat.any() else reach
    return float(np.clip(radius, 1, max(3.0, most * height + 2)))


class Change(NamedTuple):
    """What the text's coming and going did to each pixel."""

    levels: Floats
    noise: float
    """What the picture itself did meanwhile, levels."""

    @property
    def exact(self) -> bool:
        """Whether the picture held so still that each pixel tells by itself whether it is text."""
        return self.noise < tuning.QUIET


def _change(edges: Sequence[tuple[Pixels, Pixels]], letters: Mask, height: int) -> Change | None:
    """The smaller of both changes; None where there is none, or the picture changed about as much as the text."""
    if not edges:
        return None
    levels = np.full(letters.shape, np.inf, np.float32)
    for outside, inside in edges:
        step = np.abs(inside.astype(np.int16) - outside).max(2).astype(np.float32)
        levels = np.minimum(levels, cv2.blur(step, (3, 3)))
    away = levels[~widen(letters, max(4, int(tuning.SHADOW_MAX * height)))]
    if away.size < 50 or not letters.any():
        return None
    noise = float(np.percentile(away, 80))
    return Change(levels, noise) if noise < 0.3 * float(np.median(levels[letters])) else None


def _grown(change: Change, distance: Floats, height: int) -> Mask:
    """Pixels around the letters that changed with them: outline and shadow, whatever their shape."""
    near = distance <= max(4.0, tuning.SHADOW_MAX * height)
    found = (near & (change.levels > change.noise + tuning.CHANGED)).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return widen(opened > 0, 1)


def widen(mask: Mask, pixels: int) -> Mask:
    """The mask grown by so many pixels all round."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
