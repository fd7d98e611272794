"""Which pixels are text: once per text, from all that was seen of it.

Over its life a text stands still while the picture behind it moves, so the temporal median shows the letters and little
else. Seeds are strokes thinner than a letter that stand out of it and hold still; they grow over what has the letters'
colour; then outline and shadow are measured, twice over:

- as a reach, from the luma profile against the distance to the letters (`skirt`);
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
from .arrays import Floats, Mask, Pixels, median
from .geometry import text_height
from .presence import high
from .skirt import Around, changed, outline, shadow
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
    middle = median(stack)
    wander = median(np.stack([cv2.absdiff(one, middle).max(2) for one in stack]))
    return Still(middle, wander.astype(np.float32))


def averaged(samples: Sequence[Pixels]) -> Still:
    """The mean instead: a half-transparent mark stands out of it as the scene blurs, though none of it holds still."""
    mean = np.stack(samples).mean(0, dtype=np.float32)
    return Still(np.rint(mean).astype(np.uint8), np.zeros(mean.shape[:2], np.float32))


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
    return strokes_in(still(samples), inner, edges, text_height(inner), plain=plain)


def strokes_in(
    seen: Still, inner: Box, edges: Sequence[tuple[Pixels, Pixels]], height: int, *, plain: bool = False
) -> Mask:
    """The same, of the samples' median; `height` of the text is given, as a piece of a line may be short."""
    inside = np.zeros(seen.wander.shape, bool)
    inside[inner[1] : inner[3], inner[0] : inner[2]] = True
    seeds = _seeds(seen, inside, height)
    if seeds is None:
        return inside
    letters = _letters(seen, seeds, inside, height)
    change = _change([e for e in edges if not _taken(e[0], seeds, letters, inside)], letters, height)
    if change is not None and change.exact:
        letters &= change.levels > change.noise + tuning.CHANGED
        if not letters.any():
            return inside
    around = Around.of(letters)
    margin = float(np.clip(round(height / tuning.MARGIN_TEXT_PX), 1, 2))
    if plain:
        return np.asarray(around.distance <= margin + 1)
    rim = outline(seen.middle[..., 0], around, height)
    if change is not None:
        rim = min(rim, outline(change.levels, around, height))
    free = _free(seen, seeds, letters, rim)
    if change is not None and change.exact:
        found = _grown(change)
        reach = changed(found, around, height, free) + tuning.SHADOW_SLACK * height
        return np.asarray(around.distance <= margin + 0.5) | (
            found & (around.distance <= reach[around.sector] + margin)
        )
    levels, sign = (seen.middle[..., 0], -1) if change is None else (change.levels, 1)
    reach = np.maximum(shadow(levels, around, rim, height, free, sign), rim)
    return np.asarray(around.distance <= reach[around.sector] + margin)


def _taken(outside: Pixels, seeds: Seeds, letters: Mask, inside: Mask) -> bool:
    """Whether another text of the same look stood here just before or after: what both cover does not change."""
    alike = np.abs(outside.astype(np.float32) - seeds.colour).max(2) < seeds.near
    return bool((alike & inside).sum() > tuning.TAKEN * max(1, int((letters & inside).sum())))


def _free(seen: Still, seeds: Seeds, letters: Mask, rim: float) -> Mask:
    """Where no other text of the same look stands: lines of one subtitle come and go together."""
    others = (_off(seen, seeds.colour) < seeds.near) & ~widen(letters, 1)
    return ~widen(others, int(np.ceil(2 * rim)))


class Seeds(NamedTuple):
    """Pixels that surely are strokes, and their colour."""

    at: Mask
    colour: Floats
    near: float
    """Levels (largest channel) within which a pixel has their colour."""
    threshold: float
    hat: Floats


def _seeds(seen: Still, inside: Mask, height: int) -> Seeds | None:
    """Bright or dark strokes, whichever are more, stronger and more of one colour.

    Gaps between light letters are dark strokes too; but they look like what lies around the box, and letters do not.
    """
    found: list[Seeds] = []
    merits: list[float] = []
    side = max(5, int(height * 0.5)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    luma = np.ascontiguousarray(seen.middle[..., 0])
    around = close_holes(seen.middle, inside)
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        hat = cv2.morphologyEx(luma, operation, kernel) * np.clip(1.5 - seen.wander / 16, 0, 1)
        values = np.clip(hat[inside], 0, 255).astype(np.uint8).reshape(-1, 1)
        otsu, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
        threshold = max(float(otsu), tuning.SEED_MIN)
        at = (hat > threshold) & inside
        if at.sum() < 15:
            continue
        core = at & (hat >= np.percentile(hat[at], 40))
        colour = np.median(seen.middle[core], 0).astype(np.float32)
        spread = float(np.abs(seen.middle[core].astype(np.float32) - colour).mean())
        contrast = min(float(hat[at].mean()), float(np.abs(seen.middle[at] - around[at]).max(1).mean()))
        near = float(np.clip(tuning.COLOUR_SPREAD * spread, *tuning.COLOUR_NEAR))
        # Between two outlines the scene stands out like a stroke, but not in the letters' colour.
        alike = at & (_off(seen, colour) < near)
        if alike.sum() > 0.5 * at.sum():
            at = _enclosed(alike, (hat > threshold) & (_off(seen, colour) < near), inside, height)
        found.append(Seeds(at, colour, near, threshold, hat.astype(np.float32)))
        merits.append(float(contrast * np.sqrt(at.sum()) / (8 + spread)))
    return found[int(np.argmax(merits))] if found else None


def _enclosed(seeds: Mask, strokes: Mask, inside: Mask, height: int) -> Mask:
    """The seeds without what goes on far beyond the box: branches and poles do, letters end."""
    count, labels = cv2.connectedComponents(strokes.astype(np.uint8))
    total = np.bincount(labels.ravel(), minlength=count)
    beyond = np.bincount(labels[~widen(inside, max(2, round(tuning.LETTER_REACH * height / 2)))], minlength=count)
    kept = seeds & (beyond <= 0.4 * total)[labels]
    return kept if kept.sum() >= 15 else seeds


def _off(seen: Still, colour: Floats) -> Floats:
    """Levels of the largest channel between each pixel and a colour."""
    return np.asarray(np.abs(seen.middle.astype(np.float32) - colour).max(2), np.float32)


def _letters(seen: Still, seeds: Seeds, inside: Mask, height: int) -> Mask:
    """Seeds, what is joined to them in their colour, and single letters beside the box, which detectors leave out."""
    stable = seen.wander < tuning.STABLE
    alike = (_off(seen, seeds.colour) < seeds.near) & stable
    # Thin strokes never reach the letters' full colour: hysteresis follows them down to half the seeds' contrast.
    reach = max(2, round(tuning.WEAK_REACH * height))
    thin = seeds.hat > tuning.WEAK * seeds.threshold
    weak = thin & stable & widen(inside, reach)
    stroke = widen(seeds.at, max(2, round(tuning.STROKE * height)))
    joined = ((alike | weak) & stroke) | (alike & thin & ~inside) | seeds.at
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


def sung_mask(
    samples: Sequence[Pixels], inner: Box, edges: Sequence[tuple[Pixels, Pixels]], *, certain: bool
) -> Mask | None:
    """The strokes of a line that changes its colour part by part, over all its time.

    Args:
        samples: crops over its life, in order.
        inner: the text's box within the crops.
        edges: crops just outside and just inside its time.
        certain: it was seen to change; else that is found out.

    Returns:
        None where it keeps its colour.
    """
    line = np.s_[inner[1] : inner[3], inner[0] : inner[2]]
    if not certain and not recoloured([s[line] for s in samples]):
        return None
    near = np.zeros(samples[0].shape[:2], bool)
    near[line] = True
    near = widen(near, max(2, round(tuning.WEAK_REACH * text_height(inner))))
    out = np.zeros_like(near)
    for first in range(0, len(samples), tuning.RECOLOURED):
        one = stroke_mask(samples[first : first + tuning.RECOLOURED], inner, edges)
        if not one[line].all():  # else no strokes stood out
            out |= one & near
    return out


def recoloured(samples: Sequence[Pixels]) -> bool:
    """Whether letters that stand still look different at the end: a karaoke line that was sung."""
    third = len(samples) // 3
    if third < 2:
        return False
    early, late = still(samples[:third]), still(samples[-third:])
    steady = (early.wander < tuning.STABLE) & (late.wander < tuning.STABLE)
    other = np.abs(early.middle.astype(np.int16) - late.middle).max(2) > tuning.RECOLOURED_BY
    size = min(early.middle.shape[:2])
    strokes = np.minimum(*(np.abs(high(s.middle[..., 0], size)) for s in (early, late))) > tuning.SEED_MIN
    share = float((steady & other & strokes).mean())
    return tuning.RECOLOURED_SHARE[0] < share < tuning.RECOLOURED_SHARE[1]


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
    """The smaller of both changes; None where there is none, or the picture changed about as much as the text.

    Where the next text takes the place at once, that edge shows two texts: only the quiet one counts then.
    """
    away = ~widen(letters, max(4, int(tuning.SHADOW_MAX * height)))
    if away.sum() < 50:
        return None
    changes = []
    for outside, inside in edges:
        step = cv2.blur(np.abs(inside.astype(np.int16) - outside).max(2).astype(np.float32), (3, 3))
        change = Change(step, float(np.percentile(step[away], 80)))
        if change.noise < 0.3 * float(np.median(step[letters])):
            changes.append(change)
    changes.sort(key=lambda c: c.noise)
    if len(changes) > 1 and changes[1].noise < 2 * changes[0].noise + 1:
        least = np.minimum(changes[0].levels, changes[1].levels)
        return Change(least, float(np.percentile(least[away], 80)))
    return changes[0] if changes else None


def _grown(change: Change) -> Mask:
    """Pixels that changed with the letters: outline and shadow, whatever their shape."""
    found = (change.levels > change.noise + tuning.CHANGED).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return widen(opened > 0, 1)


def widen(mask: Mask, pixels: int) -> Mask:
    """The mask grown by so many pixels all round."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
