"""A quick guess from the same frame alone: what the flow is guided by, and what remains where time shows nothing.

Push-pull (Gortler et al., The Lumigraph, 1996): known pixels are averaged down a pyramid until every hole is closed,
then the holes are filled from the coarser level on the way up. Linear in the pixels whatever the hole's size; Telea's
marching takes six times as long for a difference that the fusion with time makes disappear.
"""

from __future__ import annotations

import cv2
import numpy as np

from .arrays import Floats, Mask, Pixels


def close_holes(pixels: Pixels, hole: Mask) -> Floats:
    """The crop (H×W×C) with its hole filled smoothly; everything else as it was."""
    known = (~hole).astype(np.float32)
    if not hole.any() or not known.any():
        return pixels.astype(np.float32)
    filled = _level(pixels.astype(np.float32) * known[..., None], known)
    out = pixels.astype(np.float32)
    out[hole] = filled[hole]
    return out


def _level(weighted: Floats, weight: Floats) -> Floats:
    """One level: `weighted` is value × weight."""
    h, w = weight.shape
    here = weighted / np.maximum(weight, 1e-6)[..., None]
    if min(h, w) < 3 or float(weight.min()) > 0.5:
        return np.asarray(here, np.float32)
    half = (h + 1) // 2, (w + 1) // 2, -1  # OpenCV drops a channel axis of one
    small, share = cv2.pyrDown(weighted).reshape(half), cv2.pyrDown(weight)
    sure = np.minimum(1.0, share * 2)  # a coarse pixel counts in full once half of it is known
    lifted = small * (sure / np.maximum(share, 1e-6))[..., None]
    below = _level(np.asarray(lifted, np.float32), np.asarray(sure, np.float32))
    up = cv2.pyrUp(below, dstsize=(w, h)).reshape(h, w, -1)
    trust = np.clip(weight, 0, 1)[..., None]
    return np.asarray(here * trust + up * (1 - trust), np.float32)


def spread(values: Floats, weight: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Carry known values smoothly over the unknown.

    Normalised convolution (Knutsson and Westin, 1993) with a Gaussian, at a quarter of the size, where it costs a
    sixteenth.

    Returns:
        The result and its support, both at a quarter of the size; see `enlarge`.
    """
    h, w = weight.shape
    size = (max(2, w // 4), max(2, h // 4))

    def smooth(picture: Floats) -> Floats:
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (0, 0), sigma / 4), np.float32)

    support = smooth(weight)
    bottom = support + 1e-6
    if values.ndim == 2:
        return smooth(values * weight) / bottom, support
    weighted = values * weight[..., None]
    fours = range(0, values.shape[2], 4)  # OpenCV takes four channels at most
    top = np.dstack([smooth(np.ascontiguousarray(weighted[..., i : i + 4])) for i in fours])
    return np.asarray(top / bottom[..., None], np.float32), support


def enlarge(values: Floats, width: int, height: int) -> Floats:
    """What `spread` gave, at full size."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
