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

from . import glyphs, tuning
from .arrays import Floats, Mask, Pixels, largest, off_colour, widen
from .change import Change, Pair, change_of, grown, taken
from .geometry import text_height
from .presence import high
from .seeds import Seeds, proven, seeds_of
from .skirt import Around, broadest, changed, freed, held, outline, outline_changed, shadow
from .still import Still, calm, still, whole


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
        samples: crops (Y, U, V) over its life, wider than the text by `glyphs.MASK_PAD`.
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
    seeds = proven(seen, inside, edges, height, like) or seeds_of(seen, inside, height, like)
    if seeds is None:
        return None
    letters = _letters(seen, seeds, inside, height)
    if seen.stirred is not None:
        letters &= seen.stirred
    own = [e for e in edges if not taken(e[0], seeds.colour, seeds.near, letters, inside)]
    change = change_of(own, letters, height, seeds.colour, seeds.near)
    if change is not None and change.exact:
        letters &= change.seen
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
        rim = min(rim, outline_changed(change.levels, around, height))
    others = _others(seen, seeds, letters, inside)
    free = _clear_of(others, rim)
    clear, bare = False, None
    if moving < float("inf"):
        clear, bare = _told_by_scene(seen.sway, around, height, _clear_of(others, glyphs.RIM_MAX * height))
    if change is not None and change.exact:
        # An outline of one pixel is in the margin anyway.
        mask, far = _told_by_change(change, around, height, free, rim if rim > 1 and moving < float("inf") else 0, bare)
        shaded = far > far.min() + 1
        style = np.where(shaded, far, np.minimum(far, rim)) / height
        return Strokes(mask, letters, seeds.colour, np.asarray(style, np.float32), sure=True)
    if bare is not None:
        mask = np.asarray(around.distance <= bare[around.sector] + margin)
        return Strokes(mask, letters, seeds.colour, np.asarray(bare / height, np.float32), sure=True)
    levels, sign = (seen.middle[..., 0], -1) if change is None else (change.levels, 1)
    if clear and change is None and seen.sway is not None:
        levels = seen.sway  # through a shadow the scene is seen to move less
    cast = shadow(levels, around, rim, height, free, sign)
    far = np.maximum(cast, rim)
    mask = around.distance <= far[around.sector] + margin
    # Where the outline has no end, something else was taken for the letters: the film's other texts know better.
    sure = clear and rim < broadest(height) and (change is None or not cast.any())
    return Strokes(np.asarray(mask), letters, seeds.colour, np.asarray(far / height, np.float32), sure)


def _told_by_scene(sway: Floats | None, around: Around, height: int, free: Mask) -> tuple[bool, Floats | None]:
    """Whether the scene moves so much that it tells of shadows too, and from where on it is bare in each direction."""
    if sway is None or float(np.median(sway[around.distance > height / 2])) <= glyphs.SWAY_CLEAR:
        return False, None
    return True, freed(sway, around, height, free)


def _told_by_change(
    change: Change, around: Around, height: int, free: Mask, rim: float, bare: Floats | None
) -> tuple[Mask, Floats]:
    """The text's pixels by what changed as it came or went, and how far outline and shadow reach in each direction.

    A pixel that did not change is as good without the text as with it, but where the scene has moved on since: that is
    so of an outline over as dark a scene, and of a shadow's rim over one hardly brighter.

    Args:
        change: exact.
        around: of the letters.
        height: of the text, pixels.
        free: pixels that no other text covers.
        rim: of an outline whose scene has moved on, pixels; 0 of none.
        bare: from where on the scene was seen to move unhindered, if it was.
    """
    found, lit, margin = grown(change), change.lit, _margin(height)
    far = changed(found, around, height, free, lit)
    ring = (around.distance > 0) & (around.distance <= rim)
    unseen = rim > 0 and float((~change.seen[ring]).mean()) > glyphs.OUTLINE_UNSEEN
    least = margin + (rim if unseen else 0.5)
    near = far + glyphs.SHADOW_SLACK * height + margin
    mask = (around.distance <= least) | ((found | ~lit) & (around.distance <= near[around.sector]))
    far = np.maximum(far - 1, 1)  # what changed was widened by a pixel
    if bare is not None:
        mask |= change.dim & (around.distance <= bare[around.sector] + margin)
        far = np.where(bare > far + 1, bare, far)
    return np.asarray(mask), np.asarray(far, np.float32)


def reached(around: Around, reach: Floats, height: int) -> Mask:
    """Letters with an outline and a shadow that go so far in each direction, in text heights, and a margin."""
    return np.asarray(around.distance <= (reach * height + _margin(height))[around.sector])


def _margin(height: int) -> float:
    """Pixels beyond the outline that coding has smeared it into."""
    return float(np.clip(round(height / glyphs.MARGIN_TEXT_PX), 1, 2))


def _others(seen: Still, seeds: Seeds, letters: Mask, inside: Mask) -> Mask:
    """Letters of other texts of the same look: lines of one subtitle come and go together."""
    others = (off_colour(seen.middle, seeds.colour) < seeds.near) & ~widen(letters, 1)
    stands = calm(seen, inside)
    if stands is not None:  # a bright scene has the letters' colour too
        others &= stands
    return others


def _clear_of(others: Mask, rim: float) -> Mask:
    """Where neither they stand nor their outlines, of so many pixels."""
    return ~widen(others, int(np.ceil(2 * rim)))


def _letters(seen: Still, seeds: Seeds, inside: Mask, height: int) -> Mask:
    """Seeds, what is joined to them in their colour, and single letters beside the box, which detectors leave out."""
    stable = seen.wander < glyphs.STABLE
    alike = (off_colour(seen.middle, seeds.colour) < seeds.near) & stable
    # Thin strokes never reach the letters' full colour: hysteresis follows them down to half the seeds' contrast.
    reach = max(2, round(glyphs.WEAK_REACH * height))
    thin = seeds.hat > glyphs.WEAK * seeds.threshold
    weak = thin & stable & widen(inside, reach)
    stroke = widen(seeds.at, max(2, round(glyphs.STROKE * height)))
    joined = ((alike | weak) & stroke) | (alike & thin & ~inside) | seeds.at
    count, labels, stats, centres = cv2.connectedComponentsWithStats(joined.astype(np.uint8))
    seeded = np.bincount(labels[seeds.at], minlength=count)
    total = np.bincount(labels.ravel(), minlength=count)
    standing = np.bincount(labels[(seeds.hat > seeds.threshold) & alike], minlength=count)
    w, h = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    small = np.maximum(w, h) <= 1.2 * height
    beside = (standing > 0.5 * total) & (np.maximum(w, h) >= 0.3 * height) & small
    # A full stop that ends the line is smaller, and nothing but what stands out.
    beside |= (standing > 0.8 * total) & (np.minimum(w, h) >= glyphs.STOP * height) & small
    # Above and below the line there are accents; what is larger is scenery of the letters' colour.
    along = 0 if np.ptp(np.nonzero(inside.any(0))[0]) >= np.ptp(np.nonzero(inside.any(1))[0]) else 1
    reached = np.flatnonzero(inside.any(along))
    apart = (centres[:, along] < reached[0]) | (centres[:, along] > reached[-1])
    beside &= apart | (np.maximum(w, h) <= glyphs.ACCENT * height)
    # What the crop cuts off at the line's end goes on beyond it, for all that is known.
    begin = stats[:, (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP)[along]]
    beside &= (begin > 0) & (begin + (w, h)[along] < joined.shape[1 - along])
    keep = seeded > glyphs.SEEDED * total
    keep[0] = beside[0] = False
    # A letter is kept whole. What is larger is several, or joined to scenery of their colour, and ends with the box.
    ends = small[labels] | widen(inside, round(glyphs.LETTER_REACH * height))
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
    near = widen(near, max(2, round(glyphs.WEAK_REACH * text_height(inner))))
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
    steady = (early.wander < glyphs.STABLE) & (late.wander < glyphs.STABLE)
    other = largest(np.abs(early.middle.astype(np.int16) - late.middle)) > tuning.RECOLOURED_BY
    size = min(early.middle.shape[:2])
    # A letter is lighter than its outline before and after; a girder that the camera moved takes a light place.
    waves = [high(s.middle[..., 0], size) for s in (early, late)]
    strokes = (np.minimum(*np.abs(waves)) > glyphs.SEED_MIN) & (waves[0] * waves[1] > 0)
    changed_ones = steady & other & strokes
    share, low = float(changed_ones.mean()), tuning.RECOLOURED_STROKES * float(strokes.mean())
    return max(low, tuning.RECOLOURED_SHARE[0]) < share < tuning.RECOLOURED_SHARE[1]
