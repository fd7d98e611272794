"""A half-transparent layer over the picture is taken off by algebra, not painted over.

Where picture = (1 - a) × behind + a × colour, what is behind can be computed, and every bit of its detail is real:
inpainting a caption box stays 7 dB below that. Levels go through straight: Y, U and V are linear in the layer's
opacity, whatever their range.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import cv2
import numpy as np

from vtid.sdk import Box

from . import layers
from .arrays import Floats, Mask, Pixels, Plane, eight_bits, widen
from .events import Event, Veil
from .geometry import area, meet, shift
from .spatial import close_holes


def matte_of(veil: Veil) -> Floats:
    """The opacity at every pixel of the veil's box."""
    return _opacity(veil.matte, veil.alpha, veil.box)


def _opacity(matte: bytes, alpha: float, box: Box) -> Floats:
    x0, y0, x1, y1 = box
    if not matte:
        return np.full((y1 - y0, x1 - x0), alpha, np.float32)
    shares = np.frombuffer(zlib.decompress(matte), np.uint8).reshape(y1 - y0, x1 - x0)
    return shares.astype(np.float32) * np.float32(alpha / 255)


def weight_of(veil: Veil) -> float:
    """How much it covers: of two measurements of one mark, the one that saw more of it weighs more."""
    return float(matte_of(veil).sum())


def packed_matte(shares: Floats) -> bytes:
    """Shares of a veil's alpha, 0 to 1, as `Veil.matte` keeps them."""
    return zlib.compress(np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8).tobytes(), 1)


def unblend(values: Floats, opacity: Floats, colour: Iterable[float]) -> Floats:
    """What is behind a layer of this opacity (H×W, or H×W×3) and colour; values on the 8-bit scale."""
    a = opacity if opacity.ndim == 3 else opacity[..., None]
    behind = (values - a * np.asarray(tuple(colour), np.float32)) / (1 - a)
    return np.asarray(np.clip(behind, 0, 255), np.float32)


def lift(pixels: Pixels, number: int, box: Box, events: Iterable[Event]) -> Mask:
    """Take every veil off a crop, in place.

    Args:
        pixels: the crop, as the filler keeps it.
        number: of the frame.
        box: of the crop.
        events: whose veils count.

    Returns:
        The pixels that were changed; each only once, where veils overlap.
    """
    changed = np.zeros(pixels.shape[:2], bool)
    scale = 256.0 if pixels.dtype == np.uint16 else 1.0
    for veil in (e.veil for e in events):
        if veil is None or not veil.start <= number < veil.end:
            continue
        both = meet(veil.box, box)
        if not area(both):
            continue
        here, there = _cut(both, box), _cut(both, veil.box)
        share = np.float32(veil.faint.get(number, 1.0))
        opacity = _channels(veil.matte, veil.alpha, veil.box, _cell(pixels))[there] * share
        todo = (opacity.max(2) > 0) & ~changed[here]
        behind = unblend(pixels[here].astype(np.float32) / np.float32(scale), opacity, veil.colour)
        pixels[here][todo] = np.rint(behind[todo] * scale).astype(pixels.dtype)
        changed[here] |= todo
    return changed


def calm(pixels: Pixels, number: int, box: Box, events: Iterable[Event], lifted: Mask) -> None:
    """Take off a plain picture what coding has left of a mark's outline, in place.

    What algebra gives back is wrong by coding noise, which taking off the mark has made stronger; a smooth guess from
    around is wrong by the picture's own texture, which is measured there. Each weighs as the other's squared error, so
    that a wall gets smooth again and leaves keep every edge.

    Args:
        pixels: the crop, its veils taken off.
        number: of the frame.
        box: of the crop.
        events: whose marks were taken off.
        lifted: what was under any veil: that says nothing about the texture.
    """
    for veil in (e.veil for e in events):
        if veil is None or not veil.alone or not veil.start <= number < veil.end or not area(meet(veil.box, box)):
            continue
        x0, y0, x1, y1 = shift(meet(veil.box, box), -box[0], -box[1])
        reach = 2 * layers.MIXED_NEAR
        at = np.s_[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach]
        values, under = eight_bits(pixels[at]), lifted[at]
        alpha = veil.alpha * veil.faint.get(number, 1.0)
        error = np.float32(layers.CALM_ERROR * (alpha / (1 - alpha)) ** 2)
        known = (~under).astype(np.float32)
        weight = error / (error + _varies(values[..., 0], known) + np.float32(1e-6))
        calmed = values + weight[..., None] * (close_holes(values, under) - values)
        scale = 256 if pixels.dtype == np.uint16 else 1
        mine = np.zeros_like(lifted)
        mine[y0:y1, x0:x1] = lifted[y0:y1, x0:x1]
        pixels[mine] = np.rint(calmed[mine[at]] * scale).astype(pixels.dtype)


def calm_edges(pixels: Pixels, number: int, box: Box, events: Iterable[Event]) -> None:
    """Take off what coding has left of a caption box's edge: a thin line around nothing. In place.

    Coding softens the edge, which the algebra takes for sharp; the outermost line inside is wrong by that. How far it
    stands off the lines on both sides of it says so: the same of the open picture beside the box is what the scene
    does, and the rest is taken back (Wiener's filter). In a scene as busy as that nothing is.

    Args:
        pixels: the crop, its veils taken off.
        number: of the frame.
        box: of the crop.
        events: whose boxes were taken off.
    """
    scale = np.float32(256.0 if pixels.dtype == np.uint16 else 1.0)
    luma = pixels[..., 0]
    for veil in (e.veil for e in events):
        if veil is None or veil.alone or not veil.start <= number < veil.end:
            continue
        x0, y0, x1, y1 = shift(_sheet(veil.matte, veil.alpha, veil.box), -box[0], -box[1])
        for plane, (first, last), (begin, end) in ((luma, (y0, y1), (x0, x1)), (luma.T, (x0, x1), (y0, y1))):
            for inside, outward in ((first, -1), (last - 1, 1)):
                lines = [inside + outward * away for away in (-1, 0, 1, 2, 3)]
                if min(lines) >= 0 and max(lines) < plane.shape[0]:
                    _calm_line(plane, lines, np.s_[max(0, begin) : max(0, end)], scale)


@lru_cache(maxsize=16)
def _sheet(matte: bytes, alpha: float, box: Box) -> Box:
    """The caption box itself: a veil has a margin in which its chroma is looked after."""
    x, y, w, h = cv2.boundingRect((_opacity(matte, alpha, box) > alpha / 2).view(np.uint8))
    return shift((x, y, x + w, y + h), box[0], box[1])


def _calm_line(plane: Plane, lines: Sequence[int], along: slice, scale: np.float32) -> None:
    """Calm the second of five lines, of which the first lies under the veil too, and the others beside it."""
    under, edge, beside, farther, farthest = (plane[line, along].astype(np.float32) / scale for line in lines)
    between = (under + beside) / 2
    off, scene = edge - between, farther - (beside + farthest) / 2
    seen, usual = (
        cv2.GaussianBlur((v**2)[None], (0, 0), layers.EDGE_ALONG, borderType=cv2.BORDER_REPLICATE)[0]
        for v in (off, scene)
    )
    keep = np.minimum(1, (usual + np.float32(layers.EDGE_NOISE)) / (seen + np.float32(layers.EDGE_NOISE)))
    plane[lines[1], along] = np.rint((between + keep * off) * scale).astype(plane.dtype)


def mend_chroma(pixels: Pixels, hole: Mask, lifted: Mask) -> None:
    """Beside letters on a veil, take chroma back from what the letters have mixed into it, in place.

    Letters share chroma samples with the picture beside them, encoders smear what is left, and taking the veil off
    makes that stronger still: a grey ghost of every letter. There are two estimates of what belongs there: what is
    there, and what is farther off. The first is wrong by what was mixed in, the second by how much colours vary nearby;
    each weighs as the other's squared error. Luma is as sharp as ever, and stays.

    Args:
        pixels: the crop, its veils taken off.
        hole: the letters.
        lifted: what was under a veil.
    """
    letters = hole & lifted
    mixed = widen(letters, layers.MIXED_PX) & lifted & ~hole
    if not mixed.any():
        return
    x, y, w, h = cv2.boundingRect(mixed.view(np.uint8))
    reach = 2 * layers.MIXED_NEAR
    at = np.s_[max(0, y - reach) : y + h + reach, max(0, x - reach) : x + w + reach]
    letters, hole, mixed = letters[at], hole[at], mixed[at]
    chroma = eight_bits(pixels[at])[..., 1:]
    farther = close_holes(chroma, mixed | hole)
    known = (~(mixed | hole)).astype(np.float32)
    vary = _varies(chroma[..., 0], known) + _varies(chroma[..., 1], known)
    away = cv2.distanceTransform((~letters).view(np.uint8), cv2.DIST_L2, 5)
    most, fall = layers.MIXED
    strength = np.float32(most) * np.exp(np.minimum(0, 1 - away) / np.float32(fall))
    wrong = strength**2 * np.square(farther - np.float32(layers.WHITE[1])).sum(2)
    weight = (wrong / (wrong + vary + np.float32(layers.MIXED_NOISE)))[..., None]
    mended = (weight * farther + (1 - weight) * chroma)[mixed]
    scale = 256 if pixels.dtype == np.uint16 else 1
    pixels[at][..., 1:][mixed] = np.rint(mended * scale).astype(pixels.dtype)


def _varies(plane: Floats, known: Floats) -> Floats:
    """The variance of what is known of a plane, around every pixel."""
    share, seen = _near(known) + np.float32(1e-4), plane * known
    return np.asarray(np.maximum(_near(seen * plane) / share - (_near(seen) / share) ** 2, 0), np.float32)


def _near(plane: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), layers.MIXED_NEAR))


def _cell(pixels: Pixels) -> tuple[int, int]:
    """Pixels across and down that share one chroma sample in a crop that begins on even pixels."""
    chroma = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2, 1]
    across = 2 if np.array_equal(chroma[:, ::2], chroma[:, 1::2]) else 1
    down = 2 if np.array_equal(chroma[::2], chroma[1::2]) else 1
    return across, down


@lru_cache(maxsize=16)
def _channels(matte: bytes, alpha: float, box: Box, cell: tuple[int, int]) -> Floats:
    """Opacity for Y, U and V, H×W×3: where pixels share chroma, chroma was mixed with the mean opacity of them all.

    Encoders take a little more than the cell itself into that mean; the soft mean gains 1 dB in colour over the exact.
    """
    luma = _opacity(matte, alpha, box)
    if not matte or cell == (1, 1):
        return np.repeat(luma[..., None], 3, 2)
    across, down = cell
    left, top = box[0] % across, box[1] % down
    height, width = luma.shape
    rows, columns = -(-(top + height) // down), -(-(left + width) // across)
    padded = np.pad(luma, ((top, rows * down - top - height), (left, columns * across - left - width)))
    mean = padded.reshape(rows, down, columns, across).mean((1, 3))
    soft = cv2.GaussianBlur(mean, (3, 3), layers.VEIL_CHROMA)
    chroma = soft.repeat(down, 0).repeat(across, 1)[top : top + height, left : left + width]
    return np.dstack([luma, chroma, chroma])


def rim(veil: Veil, box: Box, pixels: int, *, filled: bool) -> Mask:
    """The edge of a veil's box, so many pixels to both sides, over a crop: compression has mixed it; or all of it."""
    out = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
    x0, y0, x1, y1 = (v - box[i % 2] for i, v in enumerate(veil.box))
    cv2.rectangle(out, (x0 - pixels, y0 - pixels), (x1 + pixels - 1, y1 + pixels - 1), 1, -1)
    if not filled and x1 - x0 > 2 * pixels and y1 - y0 > 2 * pixels:
        cv2.rectangle(out, (x0 + pixels, y0 + pixels), (x1 - pixels - 1, y1 - pixels - 1), 0, -1)
    return out > 0


def _cut(part: Box, whole: Box) -> tuple[slice, slice]:
    """Where `part` lies in an array over `whole`."""
    return slice(part[1] - whole[1], part[3] - whole[1]), slice(part[0] - whole[0], part[2] - whole[0])
