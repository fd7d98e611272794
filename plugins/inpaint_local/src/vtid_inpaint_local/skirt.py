"""How far outline and shadow reach around letters, in each direction.

A cast shadow lies to one side. Measured as one radius it is either left behind or takes a rim all round; so pixels
around the letters are sorted by their distance and by the direction to their nearest letter, and in each of eight
directions the reach ends where the mean is as it is far away. A text has so many pixels at each distance that means
tell what no single pixel over a textured picture could.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import glyphs
from .arrays import Floats, Mask, Plane

SECTORS = 8


class Around(NamedTuple):
    """Each pixel's way to its nearest letter."""

    distance: Floats
    """Pixels; 0 in the letters."""
    sector: NDArray[np.int64]
    """Which of the eight directions it lies in, seen from that letter; 0 is to the right, 2 is below."""

    @classmethod
    def of(cls, letters: Mask) -> Around:
        """Of a mask that is not empty."""
        distance, labels = cv2.distanceTransformWithLabels(
            (~letters).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        ys, xs = np.nonzero(letters)
        nearest = np.zeros((int(labels.max()) + 1, 2), np.int64)
        nearest[labels[ys, xs]] = np.stack([ys, xs], 1)
        at = np.indices(letters.shape) - np.moveaxis(nearest[labels], 2, 0)
        turn = np.arctan2(at[0], at[1]) * (SECTORS / (2 * np.pi))
        return cls(np.asarray(distance, np.float32), np.rint(turn).astype(np.int64) % SECTORS)


def profile(
    levels: Plane | Floats, around: Around, reach: int, free: Mask | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Mean level at each whole distance from 1 to `reach`, per direction, and of how many pixels: SECTORS×reach."""
    ring = np.rint(around.distance).astype(np.int64)
    near = (ring >= 1) & (ring <= reach)
    if free is not None:
        near &= free
    key = around.sector[near] * reach + ring[near] - 1
    count = np.bincount(key, minlength=SECTORS * reach).reshape(SECTORS, reach)
    total = np.bincount(key, weights=levels[near].astype(np.float64), minlength=SECTORS * reach)
    return (total.reshape(SECTORS, reach) / np.maximum(count, 1)).astype(np.float32), count


def outline(luma: Plane, around: Around, height: int) -> float:
    """How far an outline reaches all round: where the mean at each distance is as it is far away.

    Args:
        luma: of the text's picture.
        around: of the letters.
        height: of the text, pixels.

    Returns:
        Pixels, 1 to about `glyphs.RIM_MAX` text heights.
    """
    means, count = profile(luma, around, _far(height))
    total = count.sum(0)
    return _end((means * count).sum(0) / np.maximum(total, 1), total, glyphs.RIM_SHOWS, height)


def outline_changed(levels: Floats, around: Around, height: int) -> float:
    """The same of how much each pixel changed as the text came or went.

    By the median at each distance: what passes behind changes some pixels more than a dark outline does a dark scene.
    """
    reach = _far(height)
    ring = np.rint(around.distance).astype(np.int64)
    near = (ring >= 1) & (ring <= reach)
    order = np.lexsort((levels[near], ring[near]))
    total = np.bincount(ring[near] - 1, minlength=reach)
    middle = np.minimum(np.cumsum(total) - total + total // 2, len(order) - 1)
    return _end(levels[near][order][middle], total, glyphs.RIM_CHANGED, height)


def _far(height: int) -> int:
    """Pixels from the letters at which neither outline nor shadow is expected."""
    return max(5, int(0.45 * height))


def _end(ring: Floats, count: NDArray[np.int64], least: float, height: int) -> float:
    """Where what was found at each whole distance is as it is far away, but for so many levels."""
    known = count > 20
    if not known.any():
        return 1.0
    tail = slice(int(len(ring) * 0.7), len(ring))
    far = float(np.median(ring[tail][known[tail]] if known[tail].any() else ring[known]))
    off = np.where(known, np.abs(ring - far), 0)
    flat = off <= max(least, 0.18 * float(off.max()))
    radius = int(flat.argmax()) if flat.any() else len(ring)
    return float(np.clip(radius, 1, broadest(height)))


def broadest(height: int) -> float:
    """The most that `outline` says, pixels; where it does, no end was found."""
    return max(3.0, glyphs.RIM_MAX * height + 2)


def held(sway: Floats, around: Around, height: int) -> float:
    """How far an outline reaches all round, where the scene moves: it stands as still as the letters do.

    Args:
        sway: how much each pixel changed while the text stood, levels.
        around: of the letters.
        height: of the text, pixels.

    Returns:
        Pixels; what little a shadow's rim lets through counts as text. Infinite where the scene does not tell.
    """
    reach = _far(height)
    means, count = profile(sway, around, reach)
    total = count.sum(0)
    letters = around.distance == 0
    if (total < 20).any() or not letters.any():
        return float("inf")
    ring = (means * count).sum(0) / total
    own, far = float(sway[letters].mean()), float(np.median(ring[int(reach * 0.7) :]))
    if far - own < glyphs.SWAY_SHOWS:
        return float("inf")
    return float((ring >= own + glyphs.SWAY_FREE * (far - own)).argmax())


def freed(sway: Floats, around: Around, height: int, free: Mask) -> Floats | None:
    """How far outline and shadow reach in each direction, where the scene moves: to where it does so unhindered.

    A shadow of three quarters leaves a quarter of what the scene's levels do in time, whatever they are. What they do
    differs from place to place, so each pixel is compared with the open scene around it.

    Args:
        sway: how much each pixel changed while the text stood, levels.
        around: of the letters.
        height: of the text, pixels.
        free: pixels that no other text covers.

    Returns:
        Pixels from the letters, one value per direction; None where the scene does not tell.
    """
    reach = max(6, int(glyphs.SHADOW_MAX * height))
    open_ = ((around.distance > reach) & free).astype(np.float32)
    letters = around.distance == 0
    blur = np.stack([cv2.GaussianBlur(v, (0, 0), glyphs.SWAY_NEAR * height) for v in (sway * open_, open_)])
    own = float(sway[letters].mean())
    lively = blur[0] / np.maximum(blur[1], 1e-6) - own
    known = free & (blur[1] > glyphs.SWAY_KNOWN) & (lively > glyphs.SWAY_SHOWS)
    # Where the scene does more, it tells more: the slope of a line through all pixels at one distance.
    weight = np.where(known, lively, 0).astype(np.float32)
    one, count = profile(weight * (sway - own), around, reach, known)
    two, _ = profile(weight * weight, around, reach, known)
    if (count[:, : reach // 2].sum(1) < glyphs.SWAY_PIXELS).any():
        return None
    share = one / np.maximum(two, 1e-6)
    plain = np.clip(np.median(share[:, reach // 2 :], axis=1), *glyphs.SWAY_PLAIN)
    strict = _first(share >= glyphs.SWAY_OPEN * plain[:, None], count)
    # Where a person walks behind one half of a line, the open scene itself falls short of what is expected.
    short = _shortfall(share[:, reach // 2 :], count[:, reach // 2 :])
    least = np.clip(1 - glyphs.SWAY_SHORT * short, glyphs.SWAY_LEAST, glyphs.SWAY_OPEN)
    lenient = _first(share >= least * plain[:, None], count)
    if lenient is None:
        return None
    return _cornered(lenient if strict is None else np.minimum(strict, lenient + 1))  # less sure, and so a pixel more


def shadow(levels: Plane, around: Around, rim: float, height: int, free: Mask, sign: int) -> Floats:
    """How far a shadow reaches beyond the outline in each direction; 0 where there is none.

    Args:
        levels: as for `outline`.
        around: of the letters.
        rim: what `outline` says.
        height: of the text, pixels.
        free: pixels that no other text covers: the line below lies where a shadow would.
        sign: -1 where a shadow lowers `levels`, 1 where it raises them, as it does a change.

    Returns:
        Pixels from the letters, one value per direction.
    """
    none = np.zeros(SECTORS, np.float32)
    most = max(4, int(glyphs.SHADOW_MAX * height))
    first, last = int(np.ceil(rim)), most + max(4, most // 2)
    means, count = profile(levels, around, last, free)
    known = count > 20
    if not known[:, first:].all(1).all():
        return none
    far = (means[:, most:] * count[:, most:]).sum(1) / count[:, most:].sum(1)
    off = means - far[:, None]
    if sign < 0:
        # It falls to one side, and the other side is bare: what both have in common is the scene.
        off = off - np.roll(off, SECTORS // 2, 0)
    noise = float(np.abs(off[:, most:]).mean())
    least = max(glyphs.SHADOW_SHOWS, 3 * noise)
    near = off[:, first : first + 2].mean(1)
    side = sign * near > least
    if sign < 0 and (not 2 <= side.sum() <= SECTORS // 2 or not _adjoin(side)):
        return none
    if not side.any() or (sign * (means - far[:, None]))[side, first : first + 2].mean() < least:
        return none  # it is the other side that differs
    ends = sign * off[:, first:most] <= max(0.5 * glyphs.SHADOW_SHOWS, 2 * noise)
    if not ends[side].any(1).all():
        return none  # a slope of the picture's own
    out: Floats = np.where(side, first + ends.argmax(1), 0).astype(np.float32)
    return out


def changed(found: Mask, around: Around, height: int, free: Mask, lit: Mask) -> Floats:
    """How far most of what lies around the letters changed with them, in each direction.

    Args:
        found: pixels that changed.
        around: of the letters.
        height: of the text, pixels.
        free: pixels that no other text covers.
        lit: pixels at which a shadow would have shown; in directions that have hardly any, all are asked.

    Returns:
        Pixels from the letters. What moved behind the text just then changed too, but not all along it.
    """
    reach = max(4, int(glyphs.SHADOW_MAX * height))
    levels = found.astype(np.float32)
    (means, count), (told, pixels) = (profile(levels, around, reach, asked) for asked in (free, free & lit))
    enough = (pixels >= np.minimum(count, glyphs.LIT_PIXELS)).all(1, keepdims=True)
    means, count = np.where(enough, told, means), np.where(enough, pixels, count)
    most = (means > 0.5) | (count < 6)
    return _cornered(np.where(most.all(1), most.shape[1], most.argmin(1)))


def darker(luma: Plane, around: Around, begin: Floats, end: Floats) -> NDArray[np.bool_]:
    """In which directions the picture is darker between two distances than in as broad a strip beyond.

    Clearly so beside what the scene does from pixel to pixel: in grass a shadow's rim is not seen, and what would be
    filled in for it might be.

    Args:
        luma: of the text's picture.
        around: of its letters.
        begin: pixels from the letters, one value per direction.
        end: the same.
    """
    first, last, far = (v[around.sector] for v in (begin, end, 2 * end - begin))
    within = (around.distance > first) & (around.distance <= last)
    beyond = (around.distance > last) & (around.distance <= far)
    levels = luma.astype(np.float32)
    rough = np.abs(levels - cv2.GaussianBlur(levels, (0, 0), glyphs.ROUGH_PX))
    less = _means(levels, around, beyond) - _means(levels, around, within)
    return np.asarray(less >= np.maximum(glyphs.SHADOW_SHOWS, glyphs.SHADOW_ROUGH * _means(rough, around, beyond)))


def _cornered(reach: NDArray[Any]) -> Floats:
    """The same, farther in slanting directions between two that are clearly farther.

    A shadow to the right and below has a corner. Of corners there are few pixels, which seldom tell, and a shadow's lie
    farther off than its sides.
    """
    sides, rim = np.minimum(np.roll(reach, 1), np.roll(reach, -1)), reach.min()
    short = (sides > reach + 1) & (np.arange(SECTORS) % 2 == 1)
    return np.asarray(np.where(short, rim + np.sqrt(2) * (sides - rim), reach), np.float32)


def _means(levels: Floats, around: Around, where: Mask) -> NDArray[Any]:
    """Per direction; that of nothing is 0."""
    key = around.sector[where]
    total = np.bincount(key, weights=levels[where], minlength=SECTORS)
    return np.asarray(total / np.maximum(np.bincount(key, minlength=SECTORS), 1))


def _first(there: Mask, count: NDArray[np.int64]) -> Floats | None:
    """The first distance at which it is there, per direction; too few pixels count as if. None if one has none."""
    there = there | (count < 6)
    return np.maximum(there.argmax(1), 1).astype(np.float32) if there.any(1).all() else None


def _shortfall(share: NDArray[np.floating], count: NDArray[np.int64]) -> float:
    """By how much shares of so many pixels each are below 1: root of the mean square."""
    return float(np.sqrt((np.minimum(share - 1, 0) ** 2 * count).sum() / max(1, int(count.sum()))))


def _adjoin(side: NDArray[np.bool_]) -> bool:
    """Whether these directions lie next to each other."""
    return int((side & ~np.roll(side, 1)).sum()) == 1
