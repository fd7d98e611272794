"""Filled frames that follow each other: noise is evened out along the motion, and what is new stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from vtid_inpaint_local.kernels import FLOW_UNIT
from vtid_inpaint_local.patch import Patch
from vtid_inpaint_local.steady import Steady

from .conftest import texture

HEIGHT, WIDTH, SPEED = 48, 96, 2
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[16:32, 20:76] = True
SCENE = texture(HEIGHT, WIDTH + 40, 3).astype(np.float32)


def patch(speed):
    """A frame whose hole is in place, and whose scene has moved to the left."""
    out = Patch(np.zeros((HEIGHT, WIDTH, 3), np.uint8), HOLE)
    out.flows[-1] = np.zeros((2, out.at.size), np.int16)
    out.flows[-1][0] = round(speed / FLOW_UNIT)
    return out


def shown(number, speed=SPEED):
    """The clean span of that frame."""
    x0, y0, x1, y1 = patch(speed).span
    return SCENE[y0:y1, x0 + speed * number : x1 + speed * number].copy()


def inside(values):
    x0, y0, x1, y1 = patch(0).span
    return values[HOLE[y0:y1, x0:x1]]


def test_noise_is_evened_out_along_the_motion():
    noise, steady = np.random.default_rng(1), Steady()
    off = []
    for number in range(8):
        filled = shown(number) + noise.normal(0, 4, shown(number).shape).astype(np.float32)
        raw = inside(filled - shown(number)).std()
        before = filled.copy()
        steady.settle(number, patch(SPEED), filled)
        off.append(inside(filled - shown(number)).std() / raw)
        x0, y0, x1, y1 = patch(0).span
        assert np.array_equal(filled[~HOLE[y0:y1, x0:x1]], before[~HOLE[y0:y1, x0:x1]])
    assert off[0] == pytest.approx(1)
    assert max(off[3:]) < 0.85


def test_what_comes_anew_leaves_no_trail():
    steady = Steady()
    steady.settle(0, patch(SPEED), shown(0))
    filled = shown(1)
    filled[8:20, 20:50] = 250
    expected = filled.copy()
    steady.settle(1, patch(SPEED), filled)
    assert np.abs(filled - expected)[10:18, 24:46].max() < 1


def test_a_flow_that_errs_by_less_than_a_pixel_does_not_move_what_stands_still():
    steady = Steady()
    for number, error in enumerate((0.2, -0.2, 0.25)):
        filled = shown(0, 0)
        steady.settle(number, patch(error), filled)
        assert filled == pytest.approx(shown(0, 0), abs=1e-3)


def test_nothing_is_taken_over_a_cut_or_a_gap():
    for number, one in ((2, patch(SPEED)), (1, Patch(np.zeros((HEIGHT, WIDTH, 3), np.uint8), HOLE))):
        steady = Steady()
        steady.settle(0, patch(SPEED), shown(0) + 5)
        filled = shown(1)
        steady.settle(number, one, filled)
        assert np.array_equal(filled, shown(1))
