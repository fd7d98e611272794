"""The half-transparent box behind a caption: where it is, how dark, and in which colour.

Four straight edges of one sign stand around the text in the temporal mean, where the scene's own edges have moved
away. Across those edges, and across the box's coming and going, the same picture is seen with and without the box:
inside = k × outside + c. The slope is the reduced major axis (both sides carry the same error; least squares would
flatten it), trimmed, and pooled over all captions of the film that agree, since a film has one style.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import layers
from .arrays import Floats, Mask, Pixels, median, widen
from .events import Event, Veil
from .geometry import cover, meet, shift, text_height
from .ground import hugs
from .veil import packed_matte


class Pairs(NamedTuple):
    """The same picture under the box and beside it: N×3 each."""

    inside: Floats
    outside: Floats


class Fit(NamedTuple):
    """inside = k × outside + c."""

    k: float
    c: Floats
    rest: float
    """Median error, luma levels."""
    alike: float
    """Correlation of both sides."""
    contrast: float
    """Standard deviation outside: what the slope was measured by."""

    @property
    def likely(self) -> bool:
        """Whether a half-transparent layer of a possible colour explains it."""
        low, high = layers.BOX_CLEAR
        if not low <= self.k <= high or self.alike < layers.BOX_ALIKE or self.contrast < layers.BOX_CONTRAST:
            return False
        colour = self.c / (1 - self.k)
        return bool((colour > -20).all() and (colour < 275).all())


class Panel(NamedTuple):
    """A rectangle around one event's text, and what its edges tell."""

    box: Box
    pairs: Pairs
    strength: float


def panel(samples: Sequence[Pixels], inner: Box, edges: Sequence[tuple[Pixels, Pixels]]) -> Panel | None:
    """Look for a box around a text.

    Args:
        samples: crops over its life, wider than the text by `tuning.VIEW_PAD`.
        inner: the text within them.
        edges: the same crop just outside and just inside its time.

    Returns:
        None where there are no four edges. The box is that of the crops.
    """
    found = rectangle(_mean(samples), inner)
    if found is None:
        return None
    box, strength = found
    pairs = _across(samples, box)
    if len(pairs.inside) < 60:
        return None
    return Panel(box, _with_edges(pairs, edges, box, inner), strength)


def edged(samples: Sequence[Pixels], inner: Box) -> Box | None:
    """The rectangle around a text that crops of it show; None where there is none."""
    found = rectangle(_mean(samples), inner)
    return None if found is None else found[0]


def _mean(samples: Sequence[Pixels]) -> Floats:
    """Of their luma."""
    return np.asarray(np.stack([s[..., 0] for s in samples]).mean(0), np.float32)


def rectangle(mean: Floats, inner: Box) -> tuple[Box, float] | None:
    """The four edges around `inner` in a luma picture, all of one sign, and how strong the weakest is."""
    height = text_height(inner)
    for sign in (1.0, -1.0):  # darker than its surroundings, or lighter
        sides = [_sides(m, b, height, sign) for m, b in _turns(mean, inner)]
        if all(sides):
            box = _cornered(mean, sides, height, sign)
            weakest = _proven(mean, box, sign)
            if weakest is not None:
                return box, weakest
    return None


def _turns(picture: Floats, box: Box) -> list[tuple[Floats, Box]]:
    """The picture turned so that its left, top, right and bottom edge is the left one."""
    h, w = picture.shape
    x0, y0, x1, y1 = box
    return [
        (picture, box),
        (picture.T, (y0, x0, y1, x1)),
        (picture[:, ::-1], (w - x1, y0, w - x0, y1)),
        (picture[::-1].T, (h - y1, x0, h - y0, x1)),
    ]


def _steps(picture: Floats) -> Floats:
    """For every column p: how much brighter the two columns before it are than the two from it on."""
    two = picture[:, :-1] + picture[:, 1:]
    out = np.zeros_like(picture)
    out[:, 2:-1] = (two[:, :-2] - two[:, 2:]) / 2
    return out


def _sides(picture: Floats, inner: Box, height: int, sign: float) -> list[int]:
    """The columns left of the text where most rows step in this direction together, strongest first; one per edge."""
    x0, y0, _, y1 = inner
    last = min(picture.shape[1] - 1, x0 + max(2, round(layers.BOX_INSIDE * height)))
    step = sign * _steps(picture[y0:y1, : last + 2])[:, :last]
    if step.shape[1] < 3 or not step.shape[0]:
        return []
    level = np.median(step, 0)
    level[(step > 1).mean(0) < layers.BOX_STRAIGHT] = 0
    found: list[int] = []
    while level.max() > layers.BOX_STEP:
        found.append(int(level.argmax()))
        level[max(0, found[-1] - layers.BOX_APART) : found[-1] + layers.BOX_APART + 1] = 0
    return found


def _cornered(mean: Floats, sides: Sequence[Sequence[int]], height: int, sign: float) -> Box:
    """Of the columns and rows that each side may be, the outermost up to which the edges across run.

    Beside the box the scene may step more than the box does, and the same way; but there the box's other edges have
    ended; and farther in letters have edges of their own. Where none passes, the strongest stays.
    """
    h, w = mean.shape

    def box_of(left: int, top: int, right: int, bottom: int) -> Box:
        return left, top, w - right, h - bottom

    best = [found[0] for found in sides]
    for side, found in enumerate(sides):
        for at, farther_in in pairwise([*sorted(found), max(found) + height]):
            tried = [*best[:side], at, *best[side + 1 :]]
            turned, (x0, y0, x1, y1) = _turns(mean, box_of(*tried))[side]
            step = sign * _steps(np.ascontiguousarray(turned.T))[x0 + 2 : x1]
            if len(step) < 4 or y1 >= step.shape[1]:
                continue
            across = np.column_stack([step[:, y0], -step[:, y1]])
            end = across[: max(4, min(farther_in - at, height, (x1 - x0) // 4) - 2)]
            if (end > np.maximum(1, layers.BOX_CORNER[1] * np.median(across, 0))).mean() >= layers.BOX_CORNER[0]:
                best = tried
                break
    return box_of(*best)


def _proven(picture: Floats, box: Box, sign: float) -> float | None:
    """How strong the weakest edge is over its whole length; None if one is not there."""
    strengths = []
    for turned, (x0, y0, _, y1) in _turns(picture, box):
        if y1 - y0 < 6:
            return None
        step = sign * _steps(turned[y0 + 2 : y1 - 2])[:, x0]
        if (step > 1).mean() < layers.BOX_STRAIGHT - 0.15:
            return None
        strengths.append(float(np.median(step)))
    return min(strengths)


def _across(samples: Sequence[Pixels], box: Box) -> Pairs:
    """Pairs across the box's edges, a few pixels apart."""
    d, inside, outside = layers.BOX_APART, [], []
    for sample in samples:
        h, w = sample.shape[:2]
        x0, y0, x1, y1 = box
        # Averaged along the edge: what is alike a few pixels away is the picture's coarse part.
        level, upright = (cv2.blur(sample, size) for size in ((layers.BOX_ALONG, 3), (3, layers.BOX_ALONG)))
        xs, ys = slice(x0 + 4, x1 - 4, 3), slice(y0 + 4, y1 - 4, 3)
        if y0 >= d:
            inside.append(level[y0 + d - 1, xs])
            outside.append(level[y0 - d, xs])
        if y1 + d <= h:
            inside.append(level[y1 - d, xs])
            outside.append(level[y1 + d - 1, xs])
        if x0 >= d:
            inside.append(upright[ys, x0 + d - 1])
            outside.append(upright[ys, x0 - d])
        if x1 + d <= w:
            inside.append(upright[ys, x1 - d])
            outside.append(upright[ys, x1 + d - 1])
    if not inside:
        return Pairs(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    return _few(np.concatenate(inside), np.concatenate(outside))


def _few(inside: Pixels, outside: Pixels) -> Pairs:
    """Evenly picked, so that an evening of captions stays small."""
    every = max(1, len(inside) // layers.BOX_PAIRS)
    return Pairs(inside[::every].astype(np.float32), outside[::every].astype(np.float32))


def _with_edges(pairs: Pairs, edges: Sequence[tuple[Pixels, Pixels]], box: Box, inner: Box) -> Pairs:
    """More pairs from the box's coming and going, where that agrees with what its edges say."""
    first = fit(pairs)
    x0, y0, x1, y1 = box
    free = np.ones((y1 - y0, x1 - x0), bool)
    ix0, iy0, ix1, iy1 = meet(inner, box)
    free[max(0, iy0 - y0 - 3) : iy1 - y0 + 3, max(0, ix0 - x0 - 3) : ix1 - x0 + 3] = False
    free[:4], free[-4:], free[:, :4], free[:, -4:] = False, False, False, False
    if not first.likely or not free.any():
        return pairs
    for before, under in edges:
        more = _few(
            cv2.blur(under[y0:y1, x0:x1], (5, 5))[free],
            cv2.blur(before[y0:y1, x0:x1], (5, 5))[free],
        )
        off = np.abs(more.inside[:, 0] - first.k * more.outside[:, 0] - first.c[0])
        good = off < max(4.0, 2.2 * first.rest)
        if good.mean() > 0.5:  # else another text, or another shot
            pairs = Pairs(
                np.concatenate([pairs.inside, more.inside[good]]), np.concatenate([pairs.outside, more.outside[good]])
            )
    return pairs


def fit(pairs: Pairs) -> Fit:
    """The reduced major axis, trimmed."""
    x, y = pairs.outside[:, 0], pairs.inside[:, 0]
    keep = np.ones(len(x), bool)
    k, c, rest = 1.0, 0.0, 0.0
    for _ in range(8):
        k = float(y[keep].std() / max(1e-3, float(x[keep].std())))
        c = float(y[keep].mean() - k * x[keep].mean())
        off = np.abs(y - k * x - c)
        rest = float(np.median(off))
        keep = off < max(4.0, 2.2 * rest)
    contrast = float(x[keep].std())
    alike = float(np.corrcoef(x[keep], y[keep])[0, 1]) if contrast > 1 and y[keep].std() > 0.5 else 0.0
    rests = np.array([(pairs.inside[keep, i] - k * pairs.outside[keep, i]).mean() for i in range(3)], np.float32)
    return _black(Fit(k, rests, rest, alike, contrast), x[keep], y[keep])


def _black(one: Fit, x: Floats, y: Floats) -> Fit:
    """Nearly black is black: then the slope is the ratio of the means, which noise does not bend."""
    off = np.abs(one.c / max(1e-3, 1 - one.k) - layers.BLACK)
    if not 0 < one.k < 1 or (off > layers.BLACK_NEAR).any() or x.mean() - layers.BLACK[0] < one.contrast:
        return one
    k = float((y.mean() - layers.BLACK[0]) / (x.mean() - layers.BLACK[0]))
    return one._replace(k=k, c=np.asarray((1 - k) * np.array(layers.BLACK), np.float32))


def settle(found: Sequence[tuple[Event, Panel]], shades: Sequence[tuple[Event, bytes]]) -> None:
    """Give each event whose panel holds its veil: styles are pooled over the film, strangers dropped.

    Args:
        found: events with the panels around them.
        shades: all events, each with its `shade`: on a box, letters are told by what cannot shine through it.
    """
    left = list(found)
    veils: list[Veil] = []
    while left:
        best = max(left, key=lambda f: _evidence(fit(f[1].pairs)))
        style = fit(best[1].pairs)
        if not style.likely:
            break
        mine = [f for f in left if _agrees(f[1].pairs, style)]
        inside, outside = (
            np.concatenate([getattr(p.pairs, side) for _, p in mine or [best]]) for side in Pairs._fields
        )
        pooled = fit(Pairs(inside, outside))
        for event, one in mine:
            if not pooled.likely or not _agrees(one.pairs, pooled):
                continue
            if pooled.k < layers.BOX_DENSE and hugs(one.box, event.box, text_height(event.box)):
                event.cover(one.box)
                event.evidence = None  # none is needed: no sign in a scene is half-transparent
                continue
            event.veil = _veil(one.box, event, pooled)
            veils.append(event.veil)
        taken = [id(f) for f in [*mine, best]]
        left = [f for f in left if id(f) not in taken]
    for event, packed in shades:
        for veil in veils:
            together = min(veil.end, event.core_end) - max(veil.start, event.core_start)
            if 2 * together > event.core_end - event.core_start and cover(event.box, veil.box) > layers.BOX_HOLDS:
                event.mask = _letters(packed, event, veil)
                break


def _veil(box: Box, event: Event, style: Fit) -> Veil:
    """The box with a margin, for the chroma that its edges share with the picture around."""
    margin = layers.BOX_MARGIN
    x0, y0, x1, y1 = box
    shares = np.pad(np.ones((y1 - y0, x1 - x0), np.float32), margin)
    luma, u, v = (float(c) for c in style.c / (1 - style.k))
    wide = x0 - margin, y0 - margin, x1 + margin, y1 + margin
    return Veil(wide, event.core_start, event.core_end, 1 - style.k, (luma, u, v), packed_matte(shares))


def shade(samples: Sequence[Pixels]) -> bytes:
    """The median luma of an event's crops in 32 levels, deflated: what its letters can be told by later."""
    middle = median(np.stack([s[..., 0] for s in samples]))
    return zlib.compress((middle >> 3).tobytes(), 1)


def _letters(packed: bytes, event: Event, veil: Veil) -> Mask:
    """What is brighter than white, or darker than black, would be behind the box; where nothing is, the mask so far.

    The strokes of letters alone, without the gaps in between: those are seen through the box.
    """
    x0, y0, x1, y1 = event.mask_box
    luma = (np.frombuffer(zlib.decompress(packed), np.uint8).reshape(y1 - y0, x1 - x0) << 3).astype(np.float32) + 4
    least, most = ((1 - veil.alpha) * v + veil.alpha * veil.colour[0] for v in (layers.BLACK[0], layers.WHITE[0]))
    inside = np.zeros(luma.shape, bool)
    edge = layers.BOX_MARGIN
    bx0, by0, bx1, by1 = shift(meet(event.mask_box, veil.box), -x0, -y0)
    inside[by0 + edge : by1 - edge, bx0 + edge : bx1 - edge] = True
    core = inside & ((luma > most + layers.BOX_OVER) | (luma < least - layers.BOX_OVER))
    tall = text_height(event.box)
    if core.sum() < layers.BOX_WRITTEN * tall * max(event.box[2] - event.box[0], event.box[3] - event.box[1]):
        return event.mask
    return widen(core, max(1, round(tall / layers.BOX_STROKE_PX)))


def _evidence(one: Fit) -> float:
    return one.alike * min(one.contrast, 40.0) if one.likely else 0.0


def _agrees(pairs: Pairs, style: Fit) -> bool:
    """Whether this style explains the pairs, and better than no box at all."""
    x, y = pairs.outside[:, 0], pairs.inside[:, 0]
    off = float(np.median(np.abs(y - style.k * x - style.c[0])))
    return off < layers.BOX_OFF and off < 0.6 * float(np.median(np.abs(y - x)))
