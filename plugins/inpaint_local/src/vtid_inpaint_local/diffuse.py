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
    picture = np.stack(planes, axis=2)  # all planes at once: on so small pictures calls take as long as numbers
    flow = _Flow(picture, free)
    for _ in range(int(rounds)):
        flow.along(*_tensor([np.ascontiguousarray(plane) for plane in cv2.split(picture)], sigma, contrast))
        for pace in paces(int(steps)):
            flow.step(pace)
    return [np.asarray(plane) for plane in cv2.split(picture)]


def paces(steps: int) -> list[float]:
    """Of the steps of a cycle of fast explicit diffusion (Weickert, Grewenig, Schroers and Bruhn, 2016).

    Some are far too large to be stable, and those that follow make up for it: `steps` of them get as far as
    (steps + 1) · steps / 3 of the largest that is stable by itself.
    """
    at = (2 * np.arange(steps) + 1) * np.pi / (4 * steps + 2)
    return [float(pace) for pace in tuning.DIFFUSE_PACE / (2 * np.cos(at) ** 2)]


class _Flow:
    """Steps of the equation on a picture (h×w×c), in place.

    Its rows are strung together, and its arrays made once: NumPy takes twice as long for parts of rows. What would flow
    from the end of a row into the next is nothing.
    """

    def __init__(self, picture: Floats, free: Floats) -> None:
        self._picture, self._channels = picture, picture.shape[2]
        self._gx, self._gy, self._out, self._turned = (np.zeros_like(picture) for _ in range(4))
        self._free = self._strung(free)
        self._move = np.zeros_like(self._free)

    def along(self, across: Floats, both: Floats, down: Floats) -> None:
        """Along these edges from now on: see `_tensor`."""
        right, below = np.zeros_like(across), np.zeros_like(down)
        right[:, :-1] = (across[:, 1:] + across[:, :-1]) / 2
        below[:-1] = (down[1:] + down[:-1]) / 2
        self._right, self._below = self._strung(right), self._strung(below)
        self._both = self._strung(both * np.float32(1 / 16)).reshape(self._picture.shape)  # both Sobels' scales

    def step(self, pace: float) -> None:
        """One step: add to each pixel what flows into it, the divergence of tensor × gradient."""
        gx, gy, out, turned = self._gx, self._gy, self._out, self._turned
        cv2.Sobel(self._picture, cv2.CV_32F, 1, 0, gx, ksize=3)
        cv2.Sobel(self._picture, cv2.CV_32F, 0, 1, gy, ksize=3)
        gx *= self._both
        gy *= self._both
        cv2.Sobel(gy, cv2.CV_32F, 1, 0, out, ksize=1)
        cv2.Sobel(gx, cv2.CV_32F, 0, 1, turned, ksize=1)
        out += turned
        values, sums = self._picture.reshape(-1), out.reshape(-1)
        channels, row = self._channels, self._picture.shape[1] * self._channels
        for apart, freely in ((channels, self._right), (row, self._below)):
            move = np.subtract(values[apart:], values[:-apart], out=self._move[:-apart])
            move *= freely[:-apart]
            sums[:-apart] += move
            sums[apart:] -= move
        sums *= self._free
        sums *= np.float32(pace)
        values += sums

    def _strung(self, plane: Floats) -> Floats:
        """One number for each channel of each pixel, row after row."""
        return np.repeat(plane.reshape(-1), self._channels)


def _tensor(planes: Sequence[Floats], sigma: float, contrast: float) -> tuple[Floats, Floats, Floats]:
    """How freely values flow across, diagonally and down: 1 along edges, less and less across steeper ones."""
    xx, xy, yy = (np.zeros_like(planes[0]) for _ in range(3))
    for plane in planes:
        gx, gy = _gradient(np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma)))
        xx, xy, yy = xx + gx * gx, xy + gx * gy, yy + gy * gy
    xx, xy, yy = (np.asarray(cv2.GaussianBlur(one, (0, 0), sigma), np.float32) for one in (xx, xy, yy))
    apart = np.sqrt((xx - yy) ** 2 + 4 * xy**2) + np.float32(1e-9)
    less = 1 / np.sqrt(1 + (xx + yy + apart) / np.float32(2 * contrast**2)) - 1
    turn = (xx - yy) / apart
    return 1 + less * (1 + turn) / 2, less * xy / apart, 1 + less * (1 - turn) / 2


def _gradient(plane: Floats) -> tuple[Floats, Floats]:
    """Levels per pixel, to the right and down."""
    gx, gy = (cv2.Sobel(plane, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    return np.asarray(gx), np.asarray(gy)
