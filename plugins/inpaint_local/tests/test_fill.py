"""What was behind: the filler, the smooth guess, and the window of frames in which they paint; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np

from vtid_inpaint_local import tuning
from vtid_inpaint_local.composite import Composite
from vtid_inpaint_local.events import Event, Findings
from vtid_inpaint_local.fill import Filler
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.patch import Patch
from vtid_inpaint_local.spatial import close_holes
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame, burn, letters, pan, text_box, texture


def psnr(a, b, where):
    return 10 * np.log10(255**2 / ((a.astype(float) - b) ** 2)[where].mean())


def test_fill_beats_telea_by_far_on_a_moving_texture():
    clean = pan(30, speed=3.0)
    hole = letters()[1] > 0.05
    patches = {i: Patch(burn(p), hole) for i, p in enumerate(clean)}
    filled = Filler(set()).fill(patches, 10, 20)
    for i, pixels in filled.items():
        x0, y0, x1, y1 = patches[i].span
        part = hole[y0:y1, x0:x1]
        ours = psnr(pixels, clean[i][y0:y1, x0:x1], part)
        telea = cv2.inpaint(burn(clean[i]), hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        assert ours > psnr(telea, clean[i], hole) + 5


def test_nothing_is_fetched_across_a_cut():
    dark, light = (
        pan(20, speed=2.0),
        [np.minimum(p.astype(int) + 90, 255).astype(np.uint8) for p in pan(20, speed=2.0, seed=5)],
    )
    hole = letters()[1] > 0.05
    patches = {i: Patch(p, hole if i != 0 else np.zeros_like(hole)) for i, p in enumerate(dark + light)}
    with_cut = Filler({20}).fill(patches, 18, 22)
    x0, y0, x1, y1 = patches[20].span
    part = hole[y0:y1, x0:x1]
    assert abs(with_cut[20][part].mean() - light[0][y0:y1, x0:x1][part].mean()) < 15


def test_a_cut_at_the_end_of_a_chunk_does_not_reach_back_into_what_was_let_go():
    clean = pan(24, speed=2.0)
    hole = letters()[1] > 0.05
    patches = {i: Patch(burn(p), hole) for i, p in enumerate(clean)}
    filler = Filler({11})
    filler.fill(patches, 0, 12)
    for i in range(11):
        patches[i].retire()
    filled = filler.fill(patches, 12, 24)
    assert sorted(filled) == list(range(12, 24))


def test_chunks_give_what_one_go_gives_but_for_the_window():
    clean = pan(24, speed=2.0)
    hole = letters()[1] > 0.05
    patches = {i: Patch(p, hole) for i, p in enumerate(clean)}
    whole = Filler(set()).fill(patches, 0, 24)
    filler = Filler(set())
    parts = filler.fill(patches, 0, 12) | filler.fill(patches, 12, 24)
    assert max(float(np.abs(whole[i] - parts[i]).max()) for i in whole) < 1e-3


def test_frames_of_one_hole_share_it_and_fill_the_same():
    clean = pan(24, speed=2.0)
    hole, spared = letters()[1] > 0.05, np.zeros((2, *letters()[1].shape), bool)
    spared[1, :9, :9] = True
    alone = {i: Patch(burn(p), hole, spared=spared[int(i > 12)]) for i, p in enumerate(clean)}
    shared: dict[int, Patch] = {}
    for i, p in enumerate(clean):
        shared[i] = Patch(burn(p), hole.copy(), spared=spared[int(i > 12)].copy(), like=shared.get(i - 1))
    assert shared[0].where is shared[12].where is not shared[13].where is shared[23].where
    one, other = (Filler(set()).fill(patches, 6, 18) for patches in (alone, shared))
    assert all(np.array_equal(one[i], other[i]) for i in one)
    assert len(one) == 12


def test_close_holes_leaves_known_pixels():
    pixels = texture(60, 80)
    hole = np.zeros((60, 80), bool)
    hole[20:30, 20:60] = True
    out = close_holes(pixels, hole)
    assert np.array_equal(out[~hole], pixels[~hole])
    assert np.abs(out[hole] - pixels[hole]).mean() < 40


# --- window -----------------------------------------------------------------------------------------------------------


def test_paints_inside_the_mask_only_and_holds_few_frames():
    """A film far longer than the window, made and dropped frame by frame."""
    alive: set[int] = set()
    most = 0

    class Counted(ArrayFrame):
        def __init__(self, index):
            super().__init__(burn(base[index % 40]), index)
            alive.add(index)

        def __del__(self):
            alive.discard(self.index)

    base = pan(40)
    box = text_box()
    hole = letters()[1] > 0.05
    whole = (0, 0, 320, 160)
    events = [Event(box, 50, 250, 50, 250, whole, np.packbits(hole).tobytes())]
    edit = Composite(Findings(events, set(), []), Zones([], Turn(0, 320, 160)), 320, 160)
    for number, frame in enumerate(edit(Counted(i) for i in range(300))):
        assert frame.index == number
        most = max(most, len(alive))
        same = frame.pixels == burn(base[number % 40])
        assert same[~hole].all()
        assert same.all() == (not 50 <= number < 250)
        del frame
    assert number == 299
    assert edit.touched == 200
    assert most <= 2 * tuning.CHUNK + tuning.LOOK + 3
