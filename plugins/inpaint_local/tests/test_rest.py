"""Sources at a pixel's own place, where the scene stands still; and those that came to lie under a text."""

from __future__ import annotations

import cv2
import numpy as np

from vtid_inpaint_local import fill, tuning
from vtid_inpaint_local.fill import Filler
from vtid_inpaint_local.kernels import Crops, Sources
from vtid_inpaint_local.patch import Patch
from vtid_inpaint_local.rest import Resting

from .conftest import burn, letters, pan, texture

CHUNK, FRAMES = 12, 48
HOLE = letters()[1] > 0.05
AWAY = np.zeros_like(HOLE)


def leaves(frames=FRAMES, seed=3):
    """A locked camera before fine detail, with the noise of a sensor; close above the text something drives past."""
    draw = np.random.default_rng(seed)
    scene = texture(*HOLE.shape, seed).astype(np.float32)
    top = np.flatnonzero(HOLE.any(1))[0] - 2
    out = []
    for passing in pan(frames, speed=3.0, seed=seed + 20):
        scene[:top] = passing[:top]
        out.append(np.clip(scene + draw.normal(0, 2, scene.shape), 0, 255).astype(np.uint8))
    return out


def filled(clean, holes):
    """Chunk after chunk, with the forgetting between that bounds memory."""
    patches = {n: Patch(burn(p) if h.any() else p, h) for n, (p, h) in enumerate(zip(clean, holes, strict=True))}
    filler, out = Filler(set()), {}
    for first in range(0, len(clean), CHUNK):
        last = min(first + CHUNK, len(clean))
        seen = {n: p for n, p in patches.items() if n < last + tuning.LOOK}
        for n, pixels in filler.fill(seen, first, last).items():
            x0, y0, x1, y1 = patches[n].span
            out[n] = (pixels - clean[n][y0:y1, x0:x1])[HOLE[y0:y1, x0:x1]][:, 0]
        for n in [n for n in patches if n < last - tuning.LOOK and n not in filler.sources()]:
            del patches[n]
    return out


def decibels(errors):
    return 10 * np.log10(255**2 / np.mean([np.mean(e**2) for e in errors.values()]))


def test_what_stood_there_before_a_long_text_is_found_beside_what_moves():
    clean = leaves()
    holes = [AWAY, *[HOLE] * (FRAMES - 1)]
    assert decibels(filled(clean, holes)) > 32  # the flow alone, dragged along by what drives past, leaves 27


def test_a_scene_that_pans_is_filled_as_if_nobody_had_asked_whether_it_rests(monkeypatch):
    clean = pan(30, speed=2.0)
    holes = [AWAY] * 3 + [HOLE] * 24 + [AWAY] * 3
    with_it = filled(clean, holes)
    monkeypatch.setattr(fill, "reach", lambda *_: {})
    without = filled(clean, holes)
    assert abs(decibels(with_it) - decibels(without)) < 0.1


def test_nothing_rests_across_a_cut():
    before, after = leaves(2)
    resting = Resting(-1)
    assert resting.reach(Patch(before, AWAY), 11, {12}) is None
    assert resting.reach(Patch(after, HOLE), 12, {12}) is None


def test_sources_ahead_lie_within_the_window():
    resting = Resting(+1)
    patch = Patch(texture(*HOLE.shape, 1), HOLE)
    resting.reach(Patch(texture(*HOLE.shape, 1), AWAY), 40, set())
    for number in range(39, 40 - tuning.LOOK - 1, -1):
        found = resting.reach(patch, number, set())
        assert found is not None
        assert 40 in found
    beyond = resting.reach(patch, 40 - tuning.LOOK - 1, set())
    assert beyond is None or 40 not in beyond


def test_a_slow_pan_brings_no_letters_back_as_background():
    """Sources that stood beside a letter come to lie under it, a fraction of a pixel at a time."""
    wide, (height, width) = cv2.resize(texture(*HOLE.shape, 3), None, fx=1.3, fy=1.3), HOLE.shape
    clean = [
        cv2.warpAffine(wide, np.float32([[1, 0, -20 - 0.4 * n], [0, 1, -20 + 0.05 * n]]), (width, height))
        for n in range(FRAMES)
    ]
    other = "mMWm wWmv"
    early = {n: Patch(burn(clean[n]), HOLE) for n in range(24)}
    late = {n: Patch(burn(clean[n], text=other), letters(text=other)[1] > 0.05) for n in range(24, FRAMES)}
    patches = early | late
    filler, worst = Filler(set()), 0.0
    for first in range(0, FRAMES, CHUNK):
        seen = {n: p for n, p in patches.items() if n < first + CHUNK + tuning.LOOK}
        for n, pixels in filler.fill(seen, first, first + CHUNK).items():
            x0, y0, x1, y1 = patches[n].span
            off = (pixels - clean[n][y0:y1, x0:x1])[patches[n].hole[y0:y1, x0:x1]][:, 0]
            worst = max(worst, float(off.max()))
    assert worst < 90  # letters are 120 lighter than most of the scene


def test_a_source_under_a_text_is_seen_to_be():
    patches = {4: Patch(texture(*HOLE.shape, 1), HOLE), 5: Patch(texture(*HOLE.shape, 1), AWAY)}
    y, x = (int(v[0]) for v in np.nonzero(HOLE))
    xs, ys = np.float32([x + 0.4, x + 0.4, 1]), np.float32([y - 0.3, y - 0.3, 1])
    for patch in patches.values():
        patch.retire()
    sources = Sources(Crops({n: patch.crop() for n, patch in patches.items()}), np.int32([4, 5, 4]), xs, ys)
    assert sources.covered().tolist() == [True, False, False]
