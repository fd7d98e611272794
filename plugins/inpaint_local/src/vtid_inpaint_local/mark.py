"""A still, half-transparent mark: how opaque it is at every pixel, and its colour.

`matte` finds the shape from the steps along its outline, for white and for black; here that is tried, tested and made a
veil. A shape is a mark if what is inside follows what is beside it, at a slope of one and at one opacity everywhere:
letters that are opaque, outlined or shaded fail that and are filled. Whether the scene moves does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import glyphs, layers
from .arrays import Floats, Mask, Pixels, Plane
from .events import Event, Veil
from .geometry import cover, grow, text_height
from .matte import Opacity, Outline, Steps, only, opacity, outline, quantiles, soften, steps
from .merging import differs
from .spatial import close_holes
from .veil import matte_of, packed_matte, weight_of


class Seen(NamedTuple):
    """The crops as distances from one colour."""

    colour: tuple[float, float, float]
    distance: Floats
    """Of R, G and B, N×H×W×3."""
    steps: list[Steps]
    """In luma, which is sharp, and across soft edges in R, G and B, where the mark's step is the same in all three."""


def veil_of(samples: Sequence[Pixels], inner: Box, box: Box, alpha: float | None = None) -> Veil | None:
    """The veil that a mark is; None where it is none, or an opaque one.

    Args:
        samples: crops (Y, U, V) over its life.
        inner: the letters' box in them.
        box: of the crops.
        alpha: where it was found as a white layer of this opacity.
    """
    tries = [(layers.WHITE, alpha)] if alpha is not None else _first(samples, inner)
    return next(filter(None, (_tried(samples, inner, box, *one) for one in tries)), None)


def _tried(
    samples: Sequence[Pixels], inner: Box, box: Box, colour: tuple[float, float, float], begin: float
) -> Veil | None:
    """The veil, if it is a layer of this colour and about so opaque."""
    seen = _seen(_every(samples, layers.MARK_LOOKS), colour)
    settled = _settled(seen, inner, begin)
    if settled is None:
        return None
    cut, shape, measured, inner = settled
    if shape.weight < layers.MARK_WEIGHT or not _one_layer(measured, shape.weight):
        return None
    matte = soften(_luma(samples, seen.colour), row_of(cut, shape, inner), measured.alpha)
    core = np.asarray(matte > measured.alpha / 2)
    if lettered(samples, core, seen.colour, text_height(inner)) or opaque(samples, core, inner):
        return None
    grown = cv2.dilate(core.astype(np.uint8), _disc(layers.MARK_FRINGE)) > 0
    return _veil(np.where(grown, levelled(matte, measured.alpha), 0), seen.colour, box)


def _settled(seen: Seen, inner: Box, alpha: float) -> tuple[Outline, Outline, Opacity, Box] | None:
    """All of the shape, its sure pieces, their opacity and the letters' box, once each has followed from the others."""
    cut = outline(seen.steps, alpha)
    for last in (False, True):
        inner = _line(cut, inner)
        shape = _pieces(cut, inner)
        measured = opacity(seen.distance, shape.inside)
        if measured is None or not _thin(measured) or not _fills(shape, inner):
            return None
        if last:
            return cut, shape, measured, inner
        cut = outline(seen.steps, measured.alpha)
    return None


def _first(samples: Sequence[Pixels], inner: Box) -> list[tuple[tuple[float, float, float], float]]:
    """Colours and opacities of which a mark is likely, by a look at few crops, made smaller; the likeliest first."""
    smaller = max(1, round(text_height(inner) / layers.MARK_TALL))
    small = [_shrunk(s, smaller) for s in _every(samples, layers.MARK_FIRST_LOOKS)]
    x0, y0, x1, y1 = (v // smaller for v in inner)
    likely = []
    for seen in (_seen(small, colour) for colour in (layers.WHITE, layers.BLACK)):
        cuts = [outline(seen.steps, alpha) for alpha in layers.MARK_FIRST]
        # Off the line, scenery that looks like a layer speaks for either colour and for any opacity.
        shape = max((_pieces(cut, _line(cut, (x0, y0, x1, y1))) for cut in cuts), key=lambda s: s.weight)
        measured = opacity(seen.distance, shape.inside)
        if shape.weight >= layers.MARK_CHANCE and measured is not None and _hopeful(measured, shape.weight):
            likely.append((shape.weight, seen.colour, measured.alpha))
    return [(colour, alpha) for _, colour, alpha in sorted(likely, key=lambda one: -one[0])]


def _veil(opacities: Floats, colour: tuple[float, float, float], box: Box) -> Veil:
    top = float(opacities.max())
    return Veil(box, 0, 0, top, colour, packed_matte(np.asarray(opacities / top, np.float32)), alone=True)


def lettered(samples: Sequence[Pixels], core: Mask, colour: tuple[float, float, float], height: int) -> bool:
    """Whether a shape is the outline of letters: what it encloses stands out the other way, which no layer makes it."""
    shape = core.astype(np.uint8)
    closed = cv2.morphologyEx(shape, cv2.MORPH_CLOSE, _disc(max(1, round(layers.MARK_STROKE * height))))
    between = (closed > 0) & (cv2.dilate(shape, _disc(1)) == 0)
    if between.sum() < layers.MARK_CORE:
        return False
    middle = np.median(np.stack(samples), 0).astype(np.uint8)
    around = close_holes(middle, cv2.dilate(closed, _disc(layers.MARK_FRINGE + 1)) > 0)
    off = middle[..., 0].astype(np.float32) - around[..., 0]
    away = off if colour == layers.BLACK else -off
    return float((away[between] > glyphs.SEED_MIN).mean()) > layers.MARK_LETTERED


def opaque(samples: Sequence[Pixels], core: Mask, inner: Box) -> bool:
    """Whether beside a shape letters hold still before a scene that moves: it is the shadow that they cast then."""
    height = text_height(inner)
    moves = np.stack([s[..., 0] for s in samples]).std(0, dtype=np.float32)
    near, far = (cv2.dilate(core.astype(np.uint8), _disc(r)) > 0 for r in (layers.MARK_FRINGE, height // 2))
    scene = float(np.median(moves[~far])) if not far.all() else 0.0
    x0, y0, x1, y1 = inner
    beside = moves[y0:y1, x0:x1][~near[y0:y1, x0:x1]]
    if scene < glyphs.SWAY_CLEAR or not beside.size:
        return False
    return float((beside < layers.MARK_OPAQUE * scene).mean()) > layers.MARK_OPAQUE_SHARE


def levelled(matte: Floats, alpha: float) -> Floats:
    """A mark is of one opacity: letters that came out fainter, before a bright scene, are brought up to it.

    Args:
        matte: the opacity at every pixel.
        alpha: of the plateau, measured across the whole outline.
    """
    most = cv2.dilate(matte, _disc(layers.MARK_LEVEL_PX))
    lacks = np.clip(alpha / np.maximum(most, 1e-3), 1, layers.MARK_LEVEL_MOST)
    there = (matte > alpha / 3).astype(np.float32)
    total, share = (cv2.GaussianBlur(v, (0, 0), layers.MARK_LEVEL_PX) for v in (lacks * there, there))
    more = (total / np.maximum(share, 1e-4) - 1) * np.clip(3 * matte / alpha, 0, 1)
    return np.asarray(np.minimum(matte + matte * more, np.maximum(matte, alpha)), np.float32)


def _every(samples: Sequence[Pixels], most: int) -> Sequence[Pixels]:
    return samples[:: -(-len(samples) // most)]


def _disc(radius: int) -> Plane:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))


def _shrunk(pixels: Pixels, times: int) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels if times == 1 else cv2.resize(pixels, (width // times, height // times), interpolation=cv2.INTER_AREA)


def _seen(samples: Sequence[Pixels], colour: tuple[float, float, float]) -> Seen:
    values = np.stack(samples).astype(np.float32)
    away = (values - np.asarray(colour, np.float32)) @ _TO_RGB
    distance = np.maximum(away if colour == layers.BLACK else -away, 0)
    return Seen(colour, distance, [steps(_luma(samples, colour)[..., None], 1), steps(distance, 3)])


_TO_RGB = np.array([[1.164, 1.164, 1.164], [0, -0.392, 2.017], [1.596, -0.813, 0]], np.float32)
"""Limited range, BT.601; any basis would do in which white and black are extremes."""


def _luma(samples: Sequence[Pixels], colour: tuple[float, float, float]) -> Floats:
    """Distances in luma, N×H×W."""
    away = np.stack([s[..., 0] for s in samples]).astype(np.float32) - np.float32(colour[0])
    return np.asarray(np.maximum(away if colour == layers.BLACK else -away, 0), np.float32)


def _fills(shape: Outline, inner: Box) -> bool:
    """Whether a shape has as many pixels as letters in such a box have: specks in a row are none."""
    x0, y0, x1, y1 = inner
    return float(shape.inside[y0:y1, x0:x1].mean()) >= layers.MARK_FILLS


def _thin(measured: Opacity) -> bool:
    low, high = layers.MARK_ALPHA
    return low <= measured.alpha <= high


def _hopeful(measured: Opacity, weight: float) -> bool:
    """Whether a second look, at full size, is worth its time."""
    if not _thin(measured) or weight > layers.MARK_HOPE_WEIGHT:
        return _thin(measured)
    follows = measured.alike > layers.MARK_HOPE_ALIKE or measured.contrast < layers.MARK_DULL
    return follows and measured.spread < layers.MARK_HOPE_SPREAD


def _one_layer(measured: Opacity, weight: float) -> bool:
    """Whether what is inside is what is beside it, seen through one layer of the colour that was taken."""
    low, high = layers.MARK_SLOPE
    if measured.contrast < layers.MARK_FLAT:
        return measured.spread < layers.MARK_FLAT_SPREAD
    if not low < measured.slope < high:
        return False
    if measured.contrast < layers.MARK_DULL and weight > layers.MARK_DULL_WEIGHT:
        return measured.spread < layers.MARK_DULL_SPREAD
    return measured.alike > layers.MARK_ALIKE and measured.spread < layers.MARK_SPREAD


def _line(shape: Outline, inner: Box) -> Box:
    """The letters' box, as high as most of the pieces of which it holds a good part: detectors cut letters off."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(shape.inside.astype(np.uint8), connectivity=8)
    x0, y0, x1, y1 = inner
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float32)
    held = np.bincount(labels[y0:y1, x0:x1].ravel(), minlength=len(stats)) >= layers.MARK_HELD * area
    held[0] = False
    if not held.any():
        return inner
    down = y1 - y0 > x1 - x0  # a line that runs down
    first = stats[held, cv2.CC_STAT_LEFT if down else cv2.CC_STAT_TOP]
    last = first + stats[held, cv2.CC_STAT_WIDTH if down else cv2.CC_STAT_HEIGHT]
    (begin,), (end,) = (quantiles(v.astype(np.float32), area[held], (0.5,)) for v in (first, last))
    room = max(2, round(layers.MARK_CUT_OFF * text_height(inner)))
    low, high = (x0, x1) if down else (y0, y1)
    low, high = max(min(low, int(begin)), low - room), min(max(high, int(end)), high + room)
    return (low, y0, high, y1) if down else (x0, low, x1, high)


def _pieces(shape: Outline, inner: Box) -> Outline:
    """Without what is too small, has too little evidence, or lies off the line."""
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(shape.inside.astype(np.uint8), connectivity=8)
    height = text_height(inner)
    evidence, gaps = (np.bincount(labels.ravel(), v.ravel(), count) for v in (shape.evidence, shape.gaps))
    off = (~np.zeros_like(shape.inside)).astype(np.float32)
    x0, y0, x1, y1 = grow(inner, height / 4, height / 4, labels.shape[1], labels.shape[0])
    if inner[3] - inner[1] > inner[2] - inner[0]:  # a line that runs down
        off[:, x0:x1] = 0
    else:
        off[y0:y1] = 0
    area = sizes[:, cv2.CC_STAT_AREA]
    keep = (area >= layers.MARK_SPECK * height**2) & (evidence >= layers.MARK_DOUBT * shape.weight * gaps)
    keep &= np.bincount(labels.ravel(), off.ravel(), count) <= layers.MARK_OFF * area
    keep[0] = False
    return only(shape, keep[labels])


def row_of(cut: Outline, sure: Outline, inner: Box) -> Mask:
    """The sure pieces of a shape, and those that begin and end where most of these do: letters of one alphabet do.

    Over a still scene some letters happen to have far less evidence than the others. And where scenery has grown to a
    letter, what reaches out of the row needs evidence of its own, and letters above or below, as accents have.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cut.inside.astype(np.uint8), connectivity=8)
    down = inner[3] - inner[1] > inner[2] - inner[0]
    first = stats[:, cv2.CC_STAT_LEFT if down else cv2.CC_STAT_TOP].astype(np.float32)
    last = first + stats[:, cv2.CC_STAT_WIDTH if down else cv2.CC_STAT_HEIGHT]
    known = np.unique(labels[sure.inside])
    area = stats[known, cv2.CC_STAT_AREA].astype(np.float32)
    (begin,), (end,) = (quantiles(v[known], area, (0.5,)) for v in (first, last))
    off = layers.MARK_ROW * (end - begin)
    alike = (np.abs(first - begin) <= off) & (np.abs(last - end) <= off)
    alike[0] = False
    out = np.asarray(sure.inside | alike[labels])
    within = np.zeros_like(out)
    (within.T if down else within)[max(0, round(begin - off)) : round(end + off)] = True
    count, labels = cv2.connectedComponents((out & ~within).astype(np.uint8), connectivity=8)
    lettered = np.broadcast_to((out & within).any(1 if down else 0, keepdims=True), out.shape)
    evidence, gaps, near, area = (
        np.bincount(labels.ravel(), v.ravel(), count)
        for v in (cut.evidence, cut.gaps, lettered, np.ones_like(cut.gaps))
    )
    doubtful = (evidence < layers.MARK_DOUBT * sure.weight * gaps) | (near < 0.5 * area)
    doubtful[0] = False
    return np.asarray(out & ~doubtful[labels])


def settle(events: Sequence[Event], veils: Sequence[tuple[Event, Veil]], bridge: int) -> list[Event]:
    """Give marks their veils. One that was followed in pieces, as the scene drowned it, becomes one event again.

    Args:
        events: all.
        veils: those of the events whose mark was measured.
        bridge: frames between two pieces over which the mark is taken to have been there.
    """
    out = list(events)
    for found, veil in sorted(veils, key=lambda v: -weight_of(v[1])):
        event = found
        if not any(e is found for e in out):  # it was one of two findings of one text
            event = next((e for e in out if _is_of(e, found, veil)), found)
        if event.veil is not None or not any(e is event for e in out):
            continue
        others = [e for e in out if e is not event and not e.erasure and not differs(e, event)]
        pieces = [e for e in others if cover(e.box, veil.box) > layers.MARK_SAME]
        grown = True
        while grown:
            near = [p for p in pieces if p.start <= event.end + bridge and p.end >= event.start - bridge]
            for piece in near:
                event.start, event.end = min(event.start, piece.start), max(event.end, piece.end)
                event.core_start = min(event.core_start, piece.core_start)
                event.core_end = max(event.core_end, piece.core_end)
            gone = {id(p) for p in near}
            pieces, out = [p for p in pieces if id(p) not in gone], [e for e in out if id(e) not in gone]
            grown = bool(near)
        event.veil = veil
        event.mask_box, event.mask = veil.box, matte_of(veil) > 0  # should it have to be filled after all
        veil.start, veil.end = event.start, event.end
    return out


def _is_of(event: Event, found: Event, veil: Veil) -> bool:
    """Whether an event is the same text as another one whose mark was measured."""
    if event.erasure or event.motion is not None or differs(event, found):
        return False
    both = min(event.end, found.end) - max(event.start, found.start)
    return both > 0 and cover(event.box, veil.box) > layers.MARK_SAME
