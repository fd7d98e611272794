"""How text moves: the shift of its strokes from one frame to another, and whether the scene moves with it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import glyphs, tuning
from .arrays import Floats, Plane
from .geometry import text_height
from .presence import high
from .track import Ring


class Course(NamedTuple):
    """A movement along one axis of the picture."""

    upright: bool
    """Up or down, as credits go; else to the left or right."""
    speed: float
    """Pixels per frame; positive to the right and down."""


def relief(luma: Plane, size: int) -> Floats:
    """What stands out like strokes of text of this size; faint texture is left flat, so that it does not vote."""
    wave = high(luma, size)
    return np.asarray(np.sign(wave) * np.maximum(np.abs(wave) - glyphs.SEED_MIN, 0), np.float32)


def course_of(box: Box, number: int, ring: Ring) -> Course | None:
    """How a text that was seen in a frame moves in the frames after it.

    Args:
        box: of the text, in that frame.
        number: of the frame.
        ring: the last frames; those after it tell.

    Returns:
        None where it does not move steadily along an axis, or where the scene around it moves with it.
    """
    for upright in (False, True):
        shifts = _shifts(box, number, ring, upright=upright)
        if len(shifts) >= 2:
            speed = shifts[-1] / (len(shifts) * tuning.ROLL_GAP)
            return (
                Course(upright, speed)
                if _steady(shifts) and not _with_scene(box, number, shifts, ring, upright)
                else None
            )
    return None


def _shifts(box: Box, number: int, ring: Ring, *, upright: bool) -> list[float]:
    """How far the text has gone along one axis, step by step, for as long as it is found."""
    height = text_height(box)
    out: list[float] = []
    for step in range(1, tuning.ROLL_STEPS + 1):
        gone = _shift(box, number, number + step * tuning.ROLL_GAP, ring, height, upright=upright, strokes=True)
        if gone is None:
            break
        out.append(gone)
    return out


def _shift(box: Box, first: int, last: int, ring: Ring, height: int, *, upright: bool, strokes: bool) -> float | None:
    """How far what is in the box of one frame has gone in another; None where it is not found, or is flat."""
    before, after = ring.get(first), ring.get(last)
    if before is None or after is None:
        return None
    reach = max(8, round(tuning.ROLL_REACH * max(before.width, before.height)))
    dx, dy = (2, reach) if upright else (reach, 2)
    home = max(box[0], dx), max(box[1], dy), min(box[2], before.width - dx), min(box[3], before.height - dy)
    if home[2] - home[0] < 16 or home[3] - home[1] < 6:
        return None
    around = home[0] - dx, home[1] - dy, home[2] + dx, home[3] + dy
    seen = relief if strokes else high
    shape, wide = seen(before.luma(home), height), seen(after.luma(around), height)
    if float((np.abs(shape) > 2).mean()) < 0.02:
        return None
    _, best, _, at = cv2.minMaxLoc(cv2.matchTemplate(wide, shape, cv2.TM_CCOEFF_NORMED))
    return float(at[upright] - reach) if best > tuning.ROLL_ALIKE else None


def _steady(shifts: list[float]) -> bool:
    """Whether each step goes as far as the others."""
    along = np.array(shifts)
    even = along[-1] * np.arange(1, len(along) + 1) / len(along)
    return bool(abs(along[-1]) >= tuning.ROLL_LEAST and np.abs(along - even).max() <= max(1.5, 0.15 * abs(along[-1])))


def _with_scene(box: Box, number: int, shifts: list[float], ring: Ring, upright: bool) -> bool:
    """Whether the picture beside the text went as far: then it is a sign, and the camera moves."""
    near, far = text_height(box) // 2, 4 * text_height(box)
    x0, y0, x1, y1 = box
    # Across its way: before and after it run the other lines of the same text.
    sides = (
        ((x0 - far, y0, x0 - near, y1), (x1 + near, y0, x1 + far, y1))
        if upright
        else ((x0, y0 - far, x1, y0 - near), (x0, y1 + near, x1, y1 + far))
    )
    for beside in sides:
        last = number + len(shifts) * tuning.ROLL_GAP
        gone = _shift(beside, number, last, ring, text_height(box), upright=upright, strokes=False)
        if gone is not None:
            return abs(gone - shifts[-1]) < max(1.5, 0.3 * abs(shifts[-1]))
    return False
