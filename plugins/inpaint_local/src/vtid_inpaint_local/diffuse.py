"""Edges carried on through what is only guessed: where time shows nothing, a smooth guess would be a blurred box.

Edge-enhancing diffusion (Weickert, Theoretical foundations of anisotropic diffusion in image processing, 1996), the
partial differential equation that fills gaps best in Galić et al., Image compression with anisotropic diffusion (2008):
values flow along edges and hardly across them, so that a branch goes on behind a letter. It starts from the smooth
guess, at half the size first, and takes steps of unequal length, which get as far with half as many of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from . import tuning
from .arrays import Floats
from .kernels import diffuse, edges


def sharpen(planes: Sequence[Floats], share: Floats) -> None:
    """Let the guess diffuse along the edges around it, in place.

    Args:
        planes: Y, U and V, h×w each, on the 8-bit scale.
        share: h×w, how much each pixel is a guess: 0 stays, 1 flows freely.
    """
    margin = tuning.DIFFUSE_AROUND_PX
    x, y, w, h = cv2.boundingRect((share > tuning.DIFFUSE_LEAST).view(np.uint8))
    if w < 1 or h < 1:
        return
    at = np.s_[max(0, y - margin) : y + h + margin, max(0, x - margin) : x + w + margin]
    free = share[at]
    luma, *chroma = (plane[at] for plane in planes)
    for stage in tuning.DIFFUSE_LUMA:
        _stage([luma], free, *stage)
    for stage in tuning.DIFFUSE_CHROMA:
        _stage(chroma, free, *stage)


def _stage(planes: Sequence[Floats], free: Floats, shrunk: int, *how: float) -> None:
    """Diffuse planes that are so many times smaller, and add to them what that changes, in place."""
    height, width = free.shape
    size = max(1, width // shrunk), max(1, height // shrunk)
    small = [_resized(plane, size) for plane in planes]
    moved = _diffused(small, _resized(free, size), *how)
    for plane, before, after in zip(planes, small, moved, strict=True):
        change = cv2.resize(after - before, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.copyTo(plane + change, (free > 0).view(np.uint8), plane)


def _resized(plane: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _diffused(
    planes: Sequence[Floats], free: Floats, rounds: float, steps: float, sigma: float, contrast: float
) -> list[Floats]:
    """Explicit steps of the equation; the edges are looked for anew in each round."""
    out, cycle = [plane.copy() for plane in planes], paces(int(steps))
    for _ in range(int(rounds)):
        tensor = _tensor(out, sigma, contrast)
        for plane in out:
            diffuse(plane, tensor, free, cycle)
    return out


def paces(steps: int) -> list[float]:
    """Of the steps of a cycle of fast explicit diffusion (Weickert, Grewenig, Schroers and Bruhn, 2016).

    Some are far too large to be stable, and those that follow make up for it: `steps` of them get as far as
    (steps + 1) · steps / 3 of the largest that is stable by itself.
    """
    at = (2 * np.arange(steps) + 1) * np.pi / (4 * steps + 2)
    return [float(pace) for pace in tuning.DIFFUSE_PACE / (2 * np.cos(at) ** 2)]


def _tensor(planes: Sequence[Floats], sigma: float, contrast: float) -> tuple[Floats, Floats, Floats]:
    """How freely values flow across, diagonally and down: 1 along edges, less and less across steeper ones."""
    xx, xy, yy = (np.zeros_like(planes[0]) for _ in range(3))
    for plane in planes:
        gx, gy = _gradient(np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma)))
        xx, xy, yy = xx + gx * gx, xy + gx * gy, yy + gy * gy
    xx, xy, yy = (np.asarray(cv2.GaussianBlur(one, (0, 0), sigma), np.float32) for one in (xx, xy, yy))
    return edges(xx, xy, yy, contrast)


def _gradient(plane: Floats) -> tuple[Floats, Floats]:
    """Levels per pixel, to the right and down."""
    gx, gy = (cv2.Sobel(plane, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    return np.asarray(gx), np.asarray(gy)
