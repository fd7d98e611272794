"""Names for the arrays that flow through this package, and crops of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""H×W×3; Y, U, V unless a name says BGR."""
Plane = NDArray[Any]
"""H×W numbers."""
Mask = NDArray[np.bool_]
"""H×W, true where something is to be done."""
Floats = NDArray[np.float32]


def eight_bits(pixels: Pixels) -> Floats:
    """Values on the 8-bit scale, of pixels that are kept in 8 bits, or in 16 of which 8 are fraction."""
    values = pixels.astype(np.float32)
    return values / np.float32(256) if pixels.dtype == np.uint16 else values


def widen(mask: Mask, pixels: int) -> Mask:
    """The mask grown by so many pixels all round."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def largest(pixels: Pixels) -> Plane:
    """The largest channel of each pixel: H×W. NumPy takes ten to thirty times as long over so short an axis."""
    first, *others = cv2.split(pixels)
    out: Plane = np.asarray(first)
    for other in others:
        out = np.asarray(cv2.max(out, other))
    return out


def off_colour(pixels: Pixels, colour: Floats) -> Floats:
    """Levels of the largest channel between each pixel and a colour."""
    return np.asarray(largest(np.abs(pixels.astype(np.float32) - colour)), np.float32)


def median(stack: NDArray[Any]) -> NDArray[Any]:
    """The median over the first axis, in the numbers' own type; of whole numbers, the lower of the two middle ones.

    Whole pictures are compared and exchanged along Batcher's network (Sorting networks and their applications, 1968),
    which a processor does for many pixels at a time: `numpy.median` takes a hundred times as long for 8-bit crops.
    """
    planes = list(stack)
    for low, high in _exchanges(len(planes)):
        a, b = planes[low], planes[high]
        planes[low], planes[high] = np.minimum(a, b), np.maximum(a, b)
    lower, upper = planes[(len(planes) - 1) // 2], planes[len(planes) // 2]
    return np.asarray(lower if lower is upper or stack.dtype.kind in "iu" else (lower + upper) / 2)


@lru_cache(maxsize=64)
def _exchanges(count: int) -> tuple[tuple[int, int], ...]:
    """Pairs to be put in order, one after the other, to sort so many."""
    out = []
    half = 1 << max(0, (count - 1).bit_length() - 1)
    width = half
    while width:
        reach, step, distance = half, 0, width
        while True:
            out += [(i, i + distance) for i in range(count - distance) if i & width == step]
            if reach == width:
                break
            distance, reach, step = reach - width, reach // 2, width
        width //= 2
    return tuple(out)
