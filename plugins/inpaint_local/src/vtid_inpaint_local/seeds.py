"""Pixels that surely are strokes of a text: thinner than a letter, they stand out, hold still, have one colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from . import glyphs
from .arrays import Floats, Mask, Pixels, off_colour, widen
from .change import Pair, certain, taken
from .spatial import close_holes
from .still import Still, calm


class Seeds(NamedTuple):
    """Pixels that surely are strokes, and their colour."""

    at: Mask
    colour: Floats
    near: float
    """Levels (largest channel) within which a pixel has their colour."""
    threshold: float
    hat: Floats


def proven(seen: Still, inside: Mask, edges: Sequence[Pair], height: int, like: Floats | None) -> Seeds | None:
    """Seeds among what certainly came or went with the text; None where that is not known.

    Nor where another text of its look stood here before it or after it: what both have in common did not change.
    """
    sure = certain(edges, inside, height)
    seeds = None if sure is None else seeds_of(seen, inside, height, like, sure)
    if seeds is None or any(taken(e[0], seeds.colour, seeds.near, seeds.at, inside) for e in edges):
        return None
    return seeds


def seeds_of(seen: Still, inside: Mask, height: int, like: Floats | None, sure: Mask | None = None) -> Seeds | None:
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
    stands = calm(seen, inside)
    where = inside if seen.stirred is None else inside & seen.stirred
    where = where if sure is None else where & sure
    if where.sum() < 15:
        return None
    rest = np.asarray(np.clip(1.5 - seen.wander / 16, 0, 1), np.float32)
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        hat: Floats = cv2.morphologyEx(luma, operation, kernel) * rest
        out = _standing_out(hat, where, seen.middle, like)
        if out is not None and _saturation(out.colour[None, None]).max() > glyphs.VIVID:
            # Parts of coloured letters may be as bright as what is behind them. Beside the others chroma is smeared.
            far = ~widen(out.at, max(3, round(glyphs.STROKE * height)))
            vivid = cv2.morphologyEx(_saturation(seen.middle), cv2.MORPH_TOPHAT, kernel) * rest
            hat = np.where(far, np.maximum(hat, vivid), hat)
            out = _standing_out(hat, where, seen.middle, like)
        if out is None:
            continue
        at, core, colour, threshold = out
        spread = float(np.abs(seen.middle[core].astype(np.float32) - colour).mean())
        contrast = min(float(hat[at].mean()), float(np.abs(seen.middle[at] - around[at]).max(1).mean()))
        near = float(np.clip(glyphs.COLOUR_SPREAD * spread, *glyphs.COLOUR_NEAR))
        # Between two outlines the scene stands out like a stroke, but not in the letters' colour, or it moves.
        letters = off_colour(seen.middle, colour) < near
        if stands is not None:
            letters |= stands
        if (at & letters).sum() > 0.5 * at.sum():
            at = _enclosed(at & letters, (hat > threshold) & letters, inside, height)
        found.append(Seeds(at, colour, near, threshold, hat.astype(np.float32)))
        known = like is not None and float(np.abs(colour - like).max()) < glyphs.COLOUR_NEAR[1]
        contrasts.append(contrast)
        merits.append(float(contrast * np.sqrt(at.sum()) / (8 + spread)) + (1e3 if known else 0))
    if not found:
        return None
    best = int(np.argmax(merits))
    if len(found) > 1 and like is None:
        plain = contrasts[1 - best] > glyphs.FILLS_CONTRAST[0] * contrasts[best]
        faint = contrasts[1 - best] > glyphs.FILLS_CONTRAST[1] * contrasts[best]
        dark = found[best].colour[0] < found[1 - best].colour[0]
        depth = _fills(found[1 - best].at, found[best].at, height) if plain or (faint and dark) else 0.0
        best = 1 - best if depth > glyphs.FILLS_DEPTH[0 if plain else 1] else best
    return found[best]


class _Out(NamedTuple):
    """What stands out like strokes."""

    at: Mask
    core: Mask
    """The strongest of it."""
    colour: Floats
    threshold: float


def _standing_out(hat: Floats, where: Mask, middle: Pixels, like: Floats | None) -> _Out | None:
    """The pixels that stand out from what is around them, in the colour that is known; None where hardly any do."""
    values = np.clip(hat[where], 0, 255).astype(np.uint8).reshape(-1, 1)
    otsu, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
    threshold = max(float(otsu), glyphs.SEED_MIN)
    at = (hat > threshold) & where
    if like is not None:
        at &= off_colour(middle, like) < glyphs.COLOUR_NEAR[1]
    if at.sum() < 15:
        return None
    core = at & (hat >= np.percentile(hat[at], 40))
    return _Out(at, core, np.median(middle[core], 0).astype(np.float32), threshold)


def _saturation(pixels: Pixels) -> Floats:
    """How far each pixel's colour is from grey, levels."""
    return np.asarray(np.abs(pixels[..., 1:].astype(np.float32) - 128).max(-1), np.float32)


def _fills(inner: Mask, outer: Mask, height: int) -> float:
    """How much deeper some strokes lie than others around them: letters within their outline do, gaps hardly; else 0.

    What stands out most may be the outline: the scene has the letters' colour often enough.
    """
    near = widen(outer, max(1, round(glyphs.STROKE * height)))
    count = int(inner.sum())
    if count < glyphs.FILLS_SHARE * outer.sum() or (inner & near).sum() < glyphs.FILLS * count:
        return 0.0
    outer = outer & widen(inner, max(1, round(glyphs.STROKE * height)))
    depth = cv2.distanceTransform(widen(inner | outer, 1).astype(np.uint8), cv2.DIST_L2, 3)
    return float(depth[inner].mean()) / float(depth[outer].mean()) if outer.any() else 0.0


def _enclosed(seeds: Mask, strokes: Mask, inside: Mask, height: int) -> Mask:
    """The seeds without what goes on far beyond the box: branches and poles do, letters end."""
    count, labels = cv2.connectedComponents(strokes.astype(np.uint8))
    total = np.bincount(labels.ravel(), minlength=count)
    beyond = np.bincount(labels[~widen(inside, max(2, round(glyphs.LETTER_REACH * height / 2)))], minlength=count)
    kept = seeds & (beyond <= 0.4 * total)[labels]
    return kept if kept.sum() >= 15 else seeds
