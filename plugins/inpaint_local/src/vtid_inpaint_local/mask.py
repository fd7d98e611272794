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
from .arrays import Floats, Mask, Pixels, largest, median, widen
from .change import Pair, certain, change_of, grown, taken
from .geometry import text_height
from .presence import high
from .skirt import Around, changed, freed, held, outline, shadow
from .spatial import close_holes


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


class Strokes(NamedTuple):
    """A text's pixels, and what was measured on the way to them."""

    mask: Mask
    letters: Mask
    """Without outline and shadow."""
    colour: Floats
    """Y, U, V of the letters."""
    reach: Floats
    """How far outline and shadow go beyond the letters in each direction (`skirt.SECTORS`), in text heights."""
    sure: bool
    """Whether that was told by the text's coming and going, or by a scene that moves; else it was guessed."""


def stroke_mask(samples: Sequence[Pixels], inner: Box, edges: Sequence[Pair] = ()) -> Mask:
    """The pixels of a text, with its outline and shadow.

    Args:
        samples: crops (Y, U, V) over its life, wider than the text by `tuning.MASK_PAD`.
        inner: the text's box within the crops.
        edges: crops just outside and just inside its time, where there are any.

    Returns:
        A mask over the crops; the whole box where no strokes can be told.
    """
    return strokes_in(still(samples), inner, edges, text_height(inner))


def strokes_in(seen: Still, inner: Box, edges: Sequence[Pair], height: int) -> Mask:
    """The same, of the samples' median; `height` of the text is given, as a piece of a line may be short."""
    strokes = strokes_of(seen, inner, edges, height)
    return whole(seen, inner) if strokes is None else strokes.mask


def strokes_of(
    seen: Still,
    inner: Box,
    edges: Sequence[Pair],
    height: int,
    *,
    like: Floats | None = None,
    reach: Floats | None = None,
) -> Strokes | None:
    """The same, with what was measured; None where no strokes can be told.

    Args:
        seen: the samples as one picture.
        inner: the text's box within it.
        edges: as for `stroke_mask`.
        height: of the text, pixels.
        like: the letters' colour, where it is known from other texts of the same style.
        reach: the same of outline and shadow, as in `Strokes`.
    """
    inside = whole(seen, inner)
    seeds = _proven(seen, inside, edges, height, like) or _seeds(seen, inside, height, like)
    if seeds is None:
        return None
    letters = _letters(seen, seeds, inside, height)
    if seen.stirred is not None:
        letters &= seen.stirred
    change = change_of(
        [e for e in edges if not taken(e[0], seeds.colour, seeds.near, letters, inside)], letters, height
    )
    if change is not None and change.exact:
        letters &= change.levels > change.noise + tuning.CHANGED
        if not letters.any():
            return None
    around = Around.of(letters)
    margin = _margin(height)
    if reach is not None:
        return Strokes(reached(around, reach, height), letters, seeds.colour, reach, sure=True)
    rim = outline(seen.middle[..., 0], around, height)
    moving = float("inf") if seen.sway is None else held(seen.sway, around, height)
    rim = min(rim, moving)
    if change is not None:
        rim = min(rim, outline(change.levels, around, height))
    free = _free(seen, seeds, letters, rim)
    if change is not None and change.exact:
        found, lit = grown(change), change.lit
        far = changed(found, around, height, free, lit)
        # A pixel that did not change is as good without the text as with it, but where the scene has moved on since. An
        # outline of one pixel is in the margin anyway.
        ring = (around.distance > 0) & (around.distance <= rim)
        unseen = float((change.levels[ring] <= change.noise + tuning.CHANGED).mean()) > tuning.OUTLINE_UNSEEN
        least = margin + (rim if unseen and rim > 1 and moving < float("inf") else 0.5)
        near = far + tuning.SHADOW_SLACK * height + margin
        mask = (around.distance <= least) | ((found | ~lit) & (around.distance <= near[around.sector]))
        far = np.maximum(far - 1, 1)  # what changed was widened by a pixel
        shaded = far > far.min() + 1
        style = np.where(shaded, far, np.minimum(far, rim)) / height
        return Strokes(np.asarray(mask), letters, seeds.colour, np.asarray(style, np.float32), sure=True)
    levels, sign = (seen.middle[..., 0], -1) if change is None else (change.levels, 1)
    clear = False
    if seen.sway is not None and moving < float("inf"):
        clear = float(np.median(seen.sway[around.distance > height / 2])) > tuning.SWAY_CLEAR
        alone = _free(seen, seeds, letters, tuning.RIM_MAX * height)
        if clear and (open_at := freed(seen.sway, around, height, alone)) is not None:
            mask = around.distance <= open_at[around.sector] + margin
            return Strokes(np.asarray(mask), letters, seeds.colour, np.asarray(open_at / height, np.float32), sure=True)
        if clear and change is None:
            levels = seen.sway  # through a shadow the scene is seen to move less
    cast = shadow(levels, around, rim, height, free, sign)
    far = np.maximum(cast, rim)
    mask = around.distance <= far[around.sector] + margin
    sure = clear and (change is None or not cast.any())
    return Strokes(np.asarray(mask), letters, seeds.colour, np.asarray(far / height, np.float32), sure)


def reached(around: Around, reach: Floats, height: int) -> Mask:
    """Letters with an outline and a shadow that go so far in each direction, in text heights, and a margin."""
    return np.asarray(around.distance <= (reach * height + _margin(height))[around.sector])


def _margin(height: int) -> float:
    """Pixels beyond the outline that coding has smeared it into."""
    return float(np.clip(round(height / tuning.MARGIN_TEXT_PX), 1, 2))


def whole(seen: Still, inner: Box) -> Mask:
    """The box itself, over the samples."""
    inside = np.zeros(seen.wander.shape, bool)
    inside[inner[1] : inner[3], inner[0] : inner[2]] = True
    return inside


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


def _proven(seen: Still, inside: Mask, edges: Sequence[Pair], height: int, like: Floats | None) -> Seeds | None:
    """Seeds among what certainly came or went with the text; None where that is not known.

    Nor where another text of its look stood here before it or after it: what both have in common did not change.
    """
    sure = certain(edges, inside, height)
    seeds = None if sure is None else _seeds(seen, inside, height, like, sure)
    if seeds is None or any(taken(e[0], seeds.colour, seeds.near, seeds.at, inside) for e in edges):
        return None
    return seeds


def _seeds(seen: Still, inside: Mask, height: int, like: Floats | None, sure: Mask | None = None) -> Seeds | None:
    """Bright or dark strokes, whichever are more, stronger and more of one colour; or of the colour that is known.

    Gaps between light letters are dark strokes too; but they look like what lies around the box, and letters do not.
    And gaps are not what is `sure` to have come or gone with the text.
    """
    found: list[Seeds] = []
    contrasts: list[float] = []
    merits: list[float] = []
    side = max(5, int(height * 0.5)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    luma = np.ascontiguousarray(seen.middle[..., 0])
    around = close_holes(seen.middle, inside)
    where = inside if seen.stirred is None else inside & seen.stirred
    where = where if sure is None else where & sure
    if where.sum() < 15:
        return None
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        hat = cv2.morphologyEx(luma, operation, kernel) * np.clip(1.5 - seen.wander / 16, 0, 1)
        values = np.clip(hat[where], 0, 255).astype(np.uint8).reshape(-1, 1)
        otsu, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
        threshold = max(float(otsu), tuning.SEED_MIN)
        at = (hat > threshold) & where
        if like is not None:
            at &= _off(seen, like) < tuning.COLOUR_NEAR[1]
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
        known = like is not None and float(np.abs(colour - like).max()) < tuning.COLOUR_NEAR[1]
        contrasts.append(contrast)
        merits.append(float(contrast * np.sqrt(at.sum()) / (8 + spread)) + (1e3 if known else 0))
    if not found:
        return None
    best = int(np.argmax(merits))
    if len(found) > 1 and like is None:
        plain = contrasts[1 - best] > tuning.FILLS_CONTRAST[0] * contrasts[best]
        faint = contrasts[1 - best] > tuning.FILLS_CONTRAST[1] * contrasts[best]
        dark = found[best].colour[0] < found[1 - best].colour[0]
        depth = _fills(found[1 - best].at, found[best].at, height) if plain or (faint and dark) else 0.0
        best = 1 - best if depth > tuning.FILLS_DEPTH[0 if plain else 1] else best
    return found[best]


def _fills(inner: Mask, outer: Mask, height: int) -> float:
    """How much deeper some strokes lie than others around them: letters within their outline do, gaps hardly; else 0.

    What stands out most may be the outline: the scene has the letters' colour often enough.
    """
    near = widen(outer, max(1, round(tuning.STROKE * height)))
    count = int(inner.sum())
    if count < tuning.FILLS_SHARE * outer.sum() or (inner & near).sum() < tuning.FILLS * count:
        return 0.0
    outer = outer & widen(inner, max(1, round(tuning.STROKE * height)))
    depth = cv2.distanceTransform(widen(inner | outer, 1).astype(np.uint8), cv2.DIST_L2, 3)
    return float(depth[inner].mean()) / float(depth[outer].mean()) if outer.any() else 0.0


def _enclosed(seeds: Mask, strokes: Mask, inside: Mask, height: int) -> Mask:
    """The seeds without what goes on far beyond the box: branches and poles do, letters end."""
    count, labels = cv2.connectedComponents(strokes.astype(np.uint8))
    total = np.bincount(labels.ravel(), minlength=count)
    beyond = np.bincount(labels[~widen(inside, max(2, round(tuning.LETTER_REACH * height / 2)))], minlength=count)
    kept = seeds & (beyond <= 0.4 * total)[labels]
    return kept if kept.sum() >= 15 else seeds


def _off(seen: Still, colour: Floats) -> Floats:
    """Levels of the largest channel between each pixel and a colour."""
    return np.asarray(largest(np.abs(seen.middle.astype(np.float32) - colour)), np.float32)


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
    count, labels, stats, centres = cv2.connectedComponentsWithStats(joined.astype(np.uint8))
    seeded = np.bincount(labels[seeds.at], minlength=count)
    total = np.bincount(labels.ravel(), minlength=count)
    standing = np.bincount(labels[(seeds.hat > seeds.threshold) & alike], minlength=count)
    w, h = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    small = np.maximum(w, h) <= 1.2 * height
    beside = (standing > 0.5 * total) & (np.maximum(w, h) >= 0.3 * height) & small
    # A full stop that ends the line is smaller, and nothing but what stands out.
    beside |= (standing > 0.8 * total) & (np.minimum(w, h) >= tuning.STOP * height) & small
    # Above and below the line there are accents; what is larger is scenery of the letters' colour.
    along = 0 if np.ptp(np.nonzero(inside.any(0))[0]) >= np.ptp(np.nonzero(inside.any(1))[0]) else 1
    reached = np.flatnonzero(inside.any(along))
    apart = (centres[:, along] < reached[0]) | (centres[:, along] > reached[-1])
    beside &= apart | (np.maximum(w, h) <= tuning.ACCENT * height)
    # What the crop cuts off at the line's end goes on beyond it, for all that is known.
    begin = stats[:, (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP)[along]]
    beside &= (begin > 0) & (begin + (w, h)[along] < joined.shape[1 - along])
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


def sung_mask(samples: Sequence[Pixels], inner: Box, edges: Sequence[Pair], *, certain: bool) -> Mask | None:
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


def bare(mask: Mask, inner: Box) -> bool:
    """Whether a long stretch of a line has no stroke: it was seen as one text, so some of it stood out otherwise."""
    x0, y0, x1, y1 = inner
    along = int(x1 - x0 < y1 - y0)
    marked = np.flatnonzero(mask[y0:y1, x0:x1].any(along))
    length = (y1 - y0) if along else (x1 - x0)
    ends = np.concatenate([[-1], marked, [length]])
    return bool(np.diff(ends).max() > tuning.BARE * text_height(inner))


def recoloured(samples: Sequence[Pixels]) -> bool:
    """Whether letters that stand still look different at the end: a karaoke line that was sung."""
    third = len(samples) // 3
    if third < 2:
        return False
    early, late = still(samples[:third]), still(samples[-third:])
    steady = (early.wander < tuning.STABLE) & (late.wander < tuning.STABLE)
    other = largest(np.abs(early.middle.astype(np.int16) - late.middle)) > tuning.RECOLOURED_BY
    size = min(early.middle.shape[:2])
    # A letter is lighter than its outline before and after; a girder that the camera moved takes a light place.
    waves = [high(s.middle[..., 0], size) for s in (early, late)]
    strokes = (np.minimum(*np.abs(waves)) > tuning.SEED_MIN) & (waves[0] * waves[1] > 0)
    changed_ones = steady & other & strokes
    share, low = float(changed_ones.mean()), tuning.RECOLOURED_STROKES * float(strokes.mean())
    return max(low, tuning.RECOLOURED_SHARE[0]) < share < tuning.RECOLOURED_SHARE[1]
