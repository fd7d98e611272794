"""Pixels of a plane that are kept as rows of numbers, and smooth planes a quarter of its size that are made of them.

What is smooth is worked out small: numbers are averaged over blocks, the small planes blurred, and looked up at the
pixels again, without a plane of full size in between (`kernels.c`, and the same in NumPy).
"""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.sdk import Box

from . import compiled, tuning
from .arrays import Floats, Mask
from .kernels import FLOW_UNIT, Fixed, Ints, sampled

THIRD = np.float32(1 / 3)
"""For means over Y, U and V."""


class Off(NamedTuple):
    """By how much pixels of one picture differ from another."""

    which: Mask
    """N: those that the other shows."""
    values: Floats
    """N×3, for these."""
    squares: Floats
    """h×w: the mean square of that, 0 elsewhere."""
    ones: Floats
    """h×w: 1 where that is known, 0 elsewhere."""


class Places:
    """N pixels of an h×w plane, which is part of a crop; smaller planes (sh×sw) have a block of its pixels in each.

    Args:
        columns: N, in the crop.
        lines: the same.
        span: where the plane lies in the crop.
        shrunk: how many times smaller planes are.
    """

    def __init__(self, columns: Fixed, lines: Fixed, span: Box, shrunk: int) -> None:
        x0, y0, x1, y1 = span
        self.height, self.width = y1 - y0, x1 - x0
        self.size = max(2, self.height // shrunk), max(2, self.width // shrunk)
        self._span = span
        tables = [_table(*sides, shrunk) for sides in ((self.width, self.size[1]), (self.height, self.size[0]))]
        self._arrays = [np.ascontiguousarray(columns), np.ascontiguousarray(lines)]
        self._arrays += [one for pair in zip(*tables, strict=True) for one in pair]
        self._struct = compiled.Places(
            *(array.ctypes.data for array in self._arrays),
            *(columns.size, x0, y0, self.width, self.height, *self.size[::-1], 1 / shrunk**2),
        )

    @cached_property
    def at(self) -> NDArray[np.intp]:
        """Where they lie in a flattened plane."""
        right, down = (v - np.int32(corner) for v, corner in zip(self._arrays[:2], self._span[:2], strict=True))
        return (down * np.int32(self.width) + right).astype(np.intp)

    def means(self, which: Mask, rows: Floats) -> Floats:
        """Of numbers at some pixels, taken over blocks: sums by the size of a block.

        Args:
            which: N, which pixels.
            rows: K×N.

        Returns:
            K planes, and one of ones instead of numbers.
        """
        out = np.empty((len(rows) + 1, *self.size), np.float32)
        if compiled.library is not None:
            compiled.library.vtid_means(self._here, which, len(rows), rows, out)
            return out
        return np.stack([self._shrunk(which, row) for row in (*rows, np.ones_like(rows[0]))])

    def enlarged(self, small: Floats) -> Floats:
        """K small planes at the pixels, bilinear: K×N."""
        out = np.empty((len(small), self._struct.count), np.float32)
        if compiled.library is not None:
            compiled.library.vtid_enlarged(self._here, len(small), small, self._spare(len(small)), out)
            return out
        for row, plane in zip(out, small, strict=True):
            row[:] = cv2.resize(plane, (self.width, self.height)).reshape(-1).take(self.at)
        return out

    def differences(self, which: Mask, planes: Floats, values: Floats) -> Floats:
        """By how much planes (3×h×w) differ from values (3×N) at some pixels, as `means`."""
        if compiled.library is not None:
            out = np.empty((4, *self.size), np.float32)
            compiled.library.vtid_differences(self._here, which, planes, values, out)
            return out
        return self.means(which, planes.reshape(3, -1).take(self.at, axis=1) - values)

    def corrected(self, which: Mask, planes: Floats, small: Floats, values: Floats) -> Floats:
        """Add three small planes to values (3×N), in place.

        Returns:
            The mean over blocks of the squared difference that is left between planes and values at some pixels, the
            mean of the three.
        """
        if compiled.library is not None:
            out = np.empty(self.size, np.float32)
            compiled.library.vtid_corrected(self._here, which, planes, small, self._spare(3), values, out)
            return out
        values += self.enlarged(small)
        off = planes.reshape(3, -1).take(self.at, axis=1) - values
        return self._shrunk(which, (off * off).sum(0) * THIRD)

    def weigh(self, which: Mask, small: Floats, ages: Ints, aged: Floats, values: Floats, totals: Floats) -> None:
        """Add values to totals, in place, at some pixels.

        Args:
            which: N, which pixels.
            small: a plane of weights.
            ages: N.
            aged: what each age makes of a weight.
            values: 3×N, each to be added times its weight.
            totals: 4×N, of them and of their weights.
        """
        if compiled.library is not None:
            compiled.library.vtid_weigh(self._here, which, small, ages, aged, values, self._spare(1), totals)
            return
        there = np.flatnonzero(which)
        weight = self.enlarged(small[None])[0].take(there) * aged.take(ages.take(there))
        totals[:3, there] += values.take(there, axis=1) * weight
        totals[3, there] += weight

    def moved(self, which: Mask, flow: Fixed, other: Floats, where: Box, picture: Floats) -> Off:
        """By how much another picture differs where a flow leads to.

        Args:
            which: N, pixels that are asked.
            flow: 2×N, in units of `FLOW_UNIT`; what is almost nothing (`tuning.STEADY_STILL`) is nothing.
            other: H×W×3.
            where: it lies in the crop.
            picture: h×w×3.
        """
        squares, ones = np.zeros((2, self.height, self.width), np.float32)
        if compiled.library is not None:
            assert other.flags.c_contiguous
            which, off = which.copy(), np.empty((which.size, 3), np.float32)
            size = where[2] - where[0], where[3] - where[1]
            crop = compiled.Crop(other.ctypes.data, None, *size, *where[:2], 0)
            how = FLOW_UNIT, tuning.STEADY_STILL, ctypes.byref(crop), picture
            compiled.library.vtid_moved(self._here, which, *flow, *how, off, squares, ones)
            return Off(which, off, squares, ones)
        moves = flow * FLOW_UNIT
        moves[np.abs(moves) < tuning.STEADY_STILL] = 0
        x, y = (v + move - corner for v, move, corner in zip(self._arrays[:2], moves, where[:2], strict=True))
        which = which & (x >= 0) & (x <= where[2] - where[0] - 1) & (y >= 0) & (y <= where[3] - where[1] - 1)
        off = np.zeros((which.size, 3), np.float32)
        there, at = np.flatnonzero(which), self.at[which]
        off[there] = sampled(other, x[there], y[there], cv2.INTER_CUBIC) - picture.reshape(-1, 3).take(at, axis=0)
        squares.reshape(-1)[at] = np.square(off[there]).sum(1) * THIRD
        ones.reshape(-1)[at] = 1
        return Off(which, off, squares, ones)

    def drawn(self, off: Off, picture: Floats) -> None:
        """Draw a picture (h×w×3) towards what it differs from, in place: less, the more both differ (`squares`)."""
        if compiled.library is not None:
            how = tuning.STEADY, tuning.STEADY_NOISE
            compiled.library.vtid_drawn(self._here, off.which, off.values, off.squares, off.ones, *how, picture)
            return
        at = self.at[off.which]
        differ = off.squares.reshape(-1).take(at) / off.ones.reshape(-1).take(at)
        share = tuning.STEADY * np.exp(differ * np.float32(-1 / tuning.STEADY_NOISE))
        picture.reshape(-1, 3)[at] += off.values[off.which] * share[:, None]

    @property
    def _here(self) -> object:
        return ctypes.byref(self._struct)

    def _spare(self, planes: int) -> Floats:
        """Room for a row of each."""
        return np.empty((planes, self.size[1]), np.float32)

    def _shrunk(self, which: Mask, row: Floats) -> Floats:
        plane = np.zeros((self.height, self.width), np.float32)
        plane.reshape(-1)[self.at] = row * which
        return np.asarray(cv2.resize(plane, self.size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _table(side: int, small: int, shrunk: int) -> tuple[Ints, Ints, Floats]:
    """Of a side's pixels: the block each lies in, the small pixel that it lies after, and how far, as a share."""
    pixels = np.arange(side, dtype=np.int32)
    at = np.clip((pixels + 0.5) * (small / side) - 0.5, 0, small - 1)  # as OpenCV's resize has it
    before = np.minimum(at.astype(np.int32), small - 2)
    return np.minimum(pixels // shrunk, small - 1), before, np.asarray(at - before, np.float32)
