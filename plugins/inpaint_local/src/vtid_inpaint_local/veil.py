"""A half-transparent layer over the picture is taken off by algebra, not painted over.

Where picture = (1 - a) × behind + a × colour, what is behind can be computed, and every bit of its detail is real:
inpainting a caption box stays 7 dB below that. Levels go through straight: Y, U and V are linear in the layer's
opacity, whatever their range.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np

from vtid.sdk import Box

from . import layers
from .arrays import Floats, Mask, Pixels
from .events import Event, Veil
from .geometry import area, meet


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
