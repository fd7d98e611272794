"""Edges carried on through what is only guessed; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid_inpaint_local import tuning
from vtid_inpaint_local.diffuse import paces, sharpen
from vtid_inpaint_local.spatial import close_holes

ROWS, COLUMNS = np.mgrid[0:96, 0:160]
BRANCH = np.dstack(
    [np.where(np.abs(ROWS - 30 - COLUMNS / 4) < 9, a, b) for a, b in ((60, 190), (118, 128), (140, 126))]
)


def hole():
    """Strokes across the branch, as of letters."""
    out = np.zeros(ROWS.shape, np.uint8)
    for x in range(20, 140, 22):
        cv2.line(out, (x, 12), (x + 6, 84), 1, 7)
    return out > 0


def guess():
    """The branch with its hole closed smoothly, as planes."""
    return [np.ascontiguousarray(p) for p in cv2.split(close_holes(BRANCH.astype(np.uint8), hole()))]


def test_a_branch_goes_on_behind_the_letters():
    planes = guess()
    before = [np.square(p - BRANCH[..., i])[hole()].mean() for i, p in enumerate(planes)]
    sharpen(planes, hole().astype(np.float32))
    after = [np.square(p - BRANCH[..., i])[hole()].mean() for i, p in enumerate(planes)]
    assert after[0] < 0.5 * before[0]
    assert max(a / b for a, b in zip(after[1:], before[1:], strict=True)) < 1


def test_what_is_known_or_seen_in_time_stays():
    planes, share = guess(), hole().astype(np.float32)
    share[:, :60] = 0
    before = [p.copy() for p in planes]
    sharpen(planes, share)
    for plane, was in zip(planes, before, strict=True):
        assert np.array_equal(plane[share == 0], was[share == 0])
    assert not np.array_equal(planes[0], before[0])


def test_a_small_corner_and_no_guess_at_all_are_no_trouble():
    planes, share = guess(), np.zeros(ROWS.shape, np.float32)
    before = [p.copy() for p in planes]
    sharpen(planes, share)
    assert all(np.array_equal(p, was) for p, was in zip(planes, before, strict=True))
    share[:2, :2] = 1
    sharpen(planes, share)
    assert all(np.isfinite(p).all() for p in planes)


@pytest.mark.parametrize("steps", [1, 5, 8])
def test_a_cycle_gets_farther_than_as_many_steps_that_are_alike(steps):
    assert sum(paces(steps)) == pytest.approx(tuning.DIFFUSE_PACE * (steps + 1) * steps / 3)
