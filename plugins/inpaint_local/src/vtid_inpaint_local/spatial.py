"""A quick guess from the same frame alone: what the flow is guided by, and what remains where time shows nothing.

Push-pull (Gortler et al., The Lumigraph, 1996): known pixels are averaged down a pyramid until every hole is closed,
then the holes are filled from the coarser level on the way up. Linear in the pixels whatever the hole's size; Telea's
marching takes six times as long for a difference that the fusion with time makes disappear.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .arrays import Floats, Mask, Pixels

SHRUNK = 4
"""What is only wanted smooth is worked on at a quarter of the size, where it costs a sixteenth. Pictures whose sides
are multiples of this are made smaller five times as fast."""


def close_holes(pixels: Pixels, hole: Mask) -> Floats:
    """The crop (H×W×C) with its hole filled smoothly; everything else as it was."""
    out = pixels.astype(np.float32)
    known = (~hole).astype(np.float32)
    if not hole.any() or not known.any():
        return out
    shape = out.shape
    below = _below(out * known[..., None], known)
    up = cv2.pyrUp(below, dstsize=shape[1::-1]).reshape(shape)
    cv2.copyTo(np.asarray(up, np.float32), hole.view(np.uint8), out)
    return out


def _below(weighted: Floats, weight: Floats) -> Floats:
    """The next coarser level, closed; `weighted` is value × weight."""
    h, w = weight.shape
    half = (h + 1) // 2, (w + 1) // 2, -1  # OpenCV drops a channel axis of one
    small, share = cv2.pyrDown(weighted).reshape(half), cv2.pyrDown(weight)
    sure = np.minimum(1.0, share * 2)  # a coarse pixel counts in full once half of it is known
    lifted = small * (sure / np.maximum(share, 1e-6))[..., None]
    return _level(np.asarray(lifted, np.float32), np.asarray(sure, np.float32))


def _level(weighted: Floats, weight: Floats) -> Floats:
    """One level, closed."""
    h, w = weight.shape
    here = weighted / np.maximum(weight, 1e-6)[..., None]
    if min(h, w) < 3 or float(weight.min()) > 0.5:
        return np.asarray(here, np.float32)
    up = cv2.pyrUp(_below(weighted, weight), dstsize=(w, h)).reshape(h, w, -1)
    trust = np.clip(weight, 0, 1)[..., None]
    return np.asarray(here * trust + up * (1 - trust), np.float32)


def spread(weighted: Sequence[Floats], weight: Floats, sigma: float) -> tuple[list[Floats], Floats]:
    """Carry known values smoothly over the unknown: normalised convolution (Knutsson and Westin, 1993) with a Gaussian.

    Args:
        weighted: planes of value × weight.
        weight: how much each pixel is known.
        sigma: of the Gaussian, in pixels of these planes.

    Returns:
        The planes and their support, both smaller by `SHRUNK`; see `enlarge`.
    """
    support = smooth(weight, sigma)
    bottom = support + np.float32(1e-6)
    return [smooth(plane, sigma) / bottom for plane in weighted], support


def smooth(plane: Floats, sigma: float) -> Floats:
    """A plane smaller by `SHRUNK`, blurred by so many of its pixels."""
    h, w = plane.shape
    size = max(2, w // SHRUNK), max(2, h // SHRUNK)
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), sigma / SHRUNK), np.float32)


def enlarge(values: Floats, width: int, height: int) -> Floats:
    """What was made smaller, at full size."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
