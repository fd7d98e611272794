"""The loops in which most of the filling's time would go, compiled where a C compiler was at hand.

NumPy takes 15 to 25 passes over a picture for what one loop does (`kernels.c`). They are compiled as vtid is installed
(`hatch_build.py`); where they were not, the same is done in NumPy, which the tests hold against them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import compiled
from .arrays import Floats, Mask, Pixels

Ints = NDArray[np.int32]
Fixed = NDArray[np.int16]

FLOW_UNIT = np.float32(1 / 64)
"""Pixels, of which flows are kept as whole numbers: a hundredth is as much as they are worth, in half the memory."""

_WIDE = 32767
"""Most columns that OpenCV's remap takes."""


# --- diffuse ----------------------------------------------------------------------------------------------------------


def edges(xx: Floats, xy: Floats, yy: Floats, contrast: float) -> tuple[Floats, Floats, Floats]:
    """How freely values flow across, diagonally and down: 1 along edges, less and less across steeper ones.

    Args:
        xx: part of the structure tensor, h×w; it may be written over, as the others may be.
        xy: part of it.
        yy: part of it.
        contrast: slope from which on there is an edge, levels per pixel.
    """
    if compiled.library is not None:
        compiled.library.vtid_edges(xx, xy, yy, xx.size, contrast)
        return xx, xy, yy
    apart = np.sqrt((xx - yy) ** 2 + 4 * xy**2) + np.float32(1e-9)
    less = 1 / np.sqrt(1 + (xx + yy + apart) / np.float32(2 * contrast**2)) - 1
    turn = (xx - yy) / apart
    return 1 + less * (1 + turn) / 2, less * xy / apart, 1 + less * (1 - turn) / 2


def diffuse(plane: Floats, tensor: tuple[Floats, Floats, Floats], free: Floats, paces: Sequence[float]) -> None:
    """Explicit steps of anisotropic diffusion, in place: to each pixel is added the divergence of tensor × gradient.

    Args:
        plane: h×w.
        tensor: of `edges`.
        free: h×w, how much of it each pixel takes.
        paces: of the steps.
    """
    if compiled.library is not None and min(plane.shape) > 1:
        steps = np.array(paces, np.float32)
        spare = np.empty((3, *plane.shape), np.float32)
        compiled.library.vtid_diffuse(plane, *tensor, free, *plane.shape, steps, steps.size, spare)
        return
    across, both, down = tensor
    right, below = (across[:, 1:] + across[:, :-1]) / 2, (down[1:] + down[:-1]) / 2
    both = both * np.float32(1 / 16)  # both Sobels' scales
    for pace in paces:
        gx, gy = (cv2.Sobel(plane, cv2.CV_32F, *axis, ksize=3) * both for axis in ((1, 0), (0, 1)))
        out = cv2.Sobel(gy, cv2.CV_32F, 1, 0, ksize=1) + cv2.Sobel(gx, cv2.CV_32F, 0, 1, ksize=1)
        for first, second, freely in ((np.s_[:, :-1], np.s_[:, 1:], right), (np.s_[:-1], np.s_[1:], below)):
            moved = (plane[second] - plane[first]) * freely
            out[first] += moved
            out[second] -= moved
        plane += out * free * np.float32(pace)


# --- follow -----------------------------------------------------------------------------------------------------------


class Reached(NamedTuple):
    """For every pixel near the hole of a frame (in the order of `Patch.at`): where its source lies."""

    frame: Ints
    """-1 where there is none."""
    x: Floats
    y: Floats


class Pointers(NamedTuple):
    """Where the pixels of a frame have their sources, for the next frame, which looks it up by place."""

    row: Ints
    """Of each place of a flattened crop, where it is in the following; anything where it is not in them."""
    frame: Ints
    right: Floats
    """How far the source lies to the right of the pixel itself, …"""
    down: Floats
    """… and below it."""


def step(
    at: tuple[Fixed, Fixed],
    flow: Fixed,
    avoid: Mask,
    behind: Pointers | None,
    *,
    number: int,
    oldest: int,
    newest: int,
) -> Reached:
    """One frame on: each pixel's source is where it comes to lie in the other frame, or what that pixel points to.

    Args:
        at: columns and rows of N pixels.
        flow: 2×N to the other frame, in units of `FLOW_UNIT`.
        avoid: h×w, what is no source in the other frame.
        behind: its pointers.
        number: of the other frame.
        oldest: frame that may be a source.
        newest: frame that may be one.
    """
    h, w = avoid.shape
    if compiled.library is not None:
        out = Reached(np.empty(at[0].size, np.int32), *np.empty((2, at[0].size), np.float32))
        pointers = (None,) * 4 if behind is None else tuple(v.ctypes.data for v in behind)
        compiled.library.vtid_step(
            *(at[0].size, *at, *flow, FLOW_UNIT, avoid, h, w, number, *pointers, oldest, newest, *out)
        )
        return out
    x, y = at[0] + flow[0] * FLOW_UNIT, at[1] + flow[1] * FLOW_UNIT
    good = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    nearest = np.clip(np.rint(y), 0, h - 1).astype(np.int32) * np.int32(w)
    nearest += np.clip(np.rint(x), 0, w - 1).astype(np.int32)
    taken = avoid.reshape(-1).take(nearest)
    frame = np.full(x.size, number, np.int32)
    if behind is None:
        frame[taken] = -1
    else:
        held = np.flatnonzero(taken)
        from_there = behind.row.take(nearest.take(held))
        frame[held] = behind.frame.take(from_there)
        x[held] += behind.right.take(from_there)
        y[held] += behind.down.take(from_there)
    good &= (frame >= oldest) & (frame <= newest) & (x >= 0) & (x <= w - 1.01) & (y >= 0) & (y <= h - 1.01)
    frame[~good] = -1
    return Reached(frame, np.asarray(x, np.float32), np.asarray(y, np.float32))


# --- sources ----------------------------------------------------------------------------------------------------------


class Crop(NamedTuple):
    """What is left of a frame's crop."""

    pixels: Pixels
    """H×W×3 Y, U, V, uint8 or uint16 with 8 bits of fraction."""
    under: Mask
    """H×W, what lies under a text there."""
    left: int
    """Where its corner lies in the whole crop, from which sources are counted."""
    top: int


class Crops:
    """What is left of the crops of some frames, by number, for all that is asked of them."""

    def __init__(self, crops: Mapping[int, Crop]) -> None:
        self.all = crops
        self.first = min(crops, default=0)
        self.table: ctypes.Array[compiled.Crop] | None = None
        if compiled.library is not None:
            self.table = (compiled.Crop * (max(crops, default=0) + 1 - self.first))()
            for number, crop in crops.items():
                self.table[number - self.first] = _laid_out(crop)


def _laid_out(crop: Crop) -> compiled.Crop:
    """Of arrays that live as long; they have no gaps."""
    assert crop.pixels.flags.c_contiguous
    assert crop.under.flags.c_contiguous
    height, width = crop.under.shape
    place = width, height, crop.left, crop.top
    return compiled.Crop(crop.pixels.ctypes.data, crop.under.ctypes.data, *place, crop.pixels.dtype == np.uint16)


class Sources(NamedTuple):
    """Places in the crops of other frames: M of them."""

    crops: Crops
    frame: Ints
    """The number of each one's frame; -1 is none, of which there is nothing but zeros to see."""
    x: Floats
    y: Floats

    def covered(self) -> Mask:
        """Which of them lie under a text of their own frame, or no longer in what is left of its crop, or nowhere."""
        out = self.frame < 0
        if compiled.library is not None:
            return self._compiled(compiled.library.vtid_covered, out)
        for part, crop, x, y in self._by_crop():
            column, row = (np.rint(v).astype(np.int32) for v in (x, y))
            height, width = crop.under.shape
            out[part] = crop.under[row.clip(0, height - 1), column.clip(0, width - 1)]
            out[part] |= (column < 0) | (row < 0) | (column >= width) | (row >= height)
        return out

    def luma(self, which: Mask) -> Floats:
        """The luma of some of them on the 8-bit scale, bilinear: M, with zeros for the others."""
        out = np.zeros(self.frame.size, np.float32)
        asked = self._replace(frame=np.where(which, self.frame, np.int32(-1)))
        if compiled.library is not None:
            return asked._compiled(compiled.library.vtid_luma, out)
        for part, crop, x, y in asked._by_crop():
            out[part] = sampled(crop.pixels[..., 0], x, y, cv2.INTER_LINEAR)
        return out

    def values(self) -> Floats:
        """Y, U and V on the 8-bit scale, bicubic: 3×M."""
        out = np.zeros((3, self.frame.size), np.float32)
        if compiled.library is not None:
            return self._compiled(compiled.library.vtid_values, out)
        for part, crop, x, y in self._by_crop():
            out[:, part] = sampled(crop.pixels, x, y, cv2.INTER_CUBIC).T
        return out.clip(0, 255, out=out)

    def _compiled(self, function: Any, out: NDArray[Any]) -> NDArray[Any]:
        function(self.frame.size, self.frame, self.crops.first, self.x, self.y, self.crops.table, out)
        return out

    def _by_crop(self) -> Iterator[tuple[NDArray[np.intp], Crop, Floats, Floats]]:
        """Which of them lie in each crop, and where in what is left of it."""
        for number, crop in self.crops.all.items():
            part = np.flatnonzero(self.frame == number)
            yield part, crop, self.x.take(part) - np.float32(crop.left), self.y.take(part) - np.float32(crop.top)


def sampled(pixels: Pixels, x: Floats, y: Floats, method: int) -> Floats:
    """Samples at M points, M×C, on the 8-bit scale."""
    count, rows = x.size, -(-x.size // _WIDE)
    x, y = (np.pad(v, (0, -v.size % max(1, rows))).reshape(max(1, rows), -1) for v in (x, y))
    values = pixels.astype(np.float32) / np.float32(256 if pixels.dtype == np.uint16 else 1)
    got = cv2.remap(values, x, y, method, borderMode=cv2.BORDER_REPLICATE) if count else np.zeros((0, 1), np.float32)
    return np.asarray(got.reshape(-1, *pixels.shape[2:])[:count], np.float32)


# --- fuse -------------------------------------------------------------------------------------------------------------


def normal_equations(picture: Floats, off: Floats, ring: Floats, typical: float, shrunk: int) -> NDArray[np.float32]:
    """What one step of Lucas and Kanade's method sums up, weighted against outliers.

    Args:
        picture: h×w.
        off: h×w, by how much it differs from what it should be.
        ring: h×w, 1 where that is known and 0 elsewhere.
        typical: difference from which on a pixel counts less.
        shrunk: how many times smaller the sums are.

    Returns:
        Six planes, means of weight, xx, xy, yy, x·off and y·off, where x and y are the slopes.
    """
    h, w = picture.shape
    size = max(2, h // shrunk), max(2, w // shrunk)
    if compiled.library is not None:
        sums, spare = np.empty((6, *size), np.float32), np.empty((3, w), np.float32)
        compiled.library.vtid_normal_equations(picture, off, ring, h, w, 1 / typical, shrunk, *size, sums, spare)
        return sums
    weight = ring / (1 + (off * np.float32(1 / typical)) ** 2)
    slopes: list[Any] = [cv2.Sobel(picture, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1))]
    x, y = slopes
    wx, wy = weight * x, weight * y
    planes = weight, wx * x, wx * y, wy * y, wx * off, wy * off
    return np.stack([cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA) for plane in planes])
