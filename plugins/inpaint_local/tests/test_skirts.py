"""How far outline and shadow reach where little tells: dark scenes, things that pass, corners; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid_inpaint_local.change import change_of
from vtid_inpaint_local.events import Event
from vtid_inpaint_local.mask import Strokes, stroke_mask, strokes_of
from vtid_inpaint_local.skirt import Around, changed, outline_changed
from vtid_inpaint_local.still import still
from vtid_inpaint_local.style import Styles

from .conftest import letters, pan, text_box

WHOLE = (0, 0, 320, 160)
DOWN_RIGHT = 1
"""The direction, of `skirt.SECTORS`."""


def test_a_dark_outline_over_a_dark_scene_is_told_though_a_car_passes():
    around = Around.of(letters()[0] > 0.5)
    levels = np.where(around.distance <= 4, 15.0, 3.0).astype(np.float32)
    levels[:, 180:240] = 120  # the car
    assert outline_changed(levels, around, 40) == 4


def test_a_shadow_to_the_right_and_below_has_a_corner():
    """Of corners there are so few pixels that nothing is said of them; on the other side there is none."""
    core = np.zeros((80, 200), bool)
    core[20:50, 20:180:40] = True
    core = cv2.dilate(core.astype(np.uint8), np.ones((1, 15))) > 0
    cast = core | np.roll(core, 6, 1) | np.roll(core, 6, 0)  # the corner itself did not change
    everywhere = np.ones_like(core)
    reach = changed(cast, Around.of(core), 30, everywhere, everywhere)
    assert reach[0] == reach[2] == 6
    assert reach[DOWN_RIGHT] == pytest.approx(6 * np.sqrt(2))
    assert reach[4:7].max() <= 1


@pytest.mark.parametrize("turn", range(4))
def test_a_bare_side_between_corners_that_nothing_is_known_of_stays_bare(turn):
    core = np.zeros((60, 120), bool)
    core[20:40, 20:100] = True
    cast = core | np.roll(core, 6, 1)
    found, around = np.rot90(cast, turn), Around.of(np.ascontiguousarray(np.rot90(core, turn)))
    reach = changed(np.ascontiguousarray(found), around, 20, np.ones_like(found), np.ones_like(found))
    assert reach.max() > 0
    assert (reach[::2] > 0).sum() == 1


def test_a_shadow_that_a_dark_moment_hid_is_found_by_the_scene_that_moved_behind_it():
    """The text came while its place was nearly black; a moment later there is light, and the shadow would stay."""
    fill = letters()[0]
    cast = np.zeros_like(fill)
    for by in range(2, 7):
        cast = np.maximum(cast, np.roll(fill, (by, by), (0, 1)))

    def shaded(pixels):
        lit = pixels.astype(np.float32)
        lit[..., 0] = 16 + (lit[..., 0] - 16) * (1 - 0.7 * cast)
        return np.rint(lit * (1 - fill[..., None]) + fill[..., None] * np.array([235, 128, 128])).astype(np.uint8)

    clean = pan(45, speed=4.0)[::3]
    dark = clean[0].copy()
    dark[..., 0] = 16 + (dark[..., 0].astype(int) - 16) // 12
    mask = stroke_mask([shaded(p) for p in clean], text_box(), [(dark, shaded(dark))])
    assert mask[(cast > 0.9) & (fill < 0.05)].mean() > 0.95


def test_thin_stems_that_never_reach_the_letters_colour_are_strokes_before_a_scene_that_moves():
    """A stem between two columns of pixels has half of its light in each; what stands still there is no scenery."""
    fill = np.zeros((160, 320), np.float32)
    for x in range(60, 250, 16):
        cv2.circle(fill, (x, 124), 5, 1.0, 2)
    stems = np.zeros_like(fill)
    for x in (116, 196):
        fill[112:132, x - 8 : x + 9] = 0
        stems[112:132, x : x + 2] = 0.55
    alpha = np.maximum(fill, stems)[..., None]
    rim = cv2.dilate(np.ascontiguousarray(alpha[..., 0] > 0).astype(np.uint8), np.ones((3, 3)))[..., None]
    film = []
    for pixels in pan(60, speed=4.0)[::4]:
        dark = pixels * (1 - rim) + rim * np.array([50, 128, 128])
        film.append(np.rint(dark * (1 - alpha) + alpha * np.array([235, 128, 128])).astype(np.uint8))
    mask = stroke_mask(film, (54, 111, 250, 133))
    assert mask[fill > 0.5].all()
    assert mask[stems > 0].all()


@pytest.mark.parametrize("other", [True, False])
def test_another_line_that_comes_at_the_same_moment_is_nothing_that_the_picture_did(other):
    """With it counted, a picture that holds still seemed to change by half as much as the letters did."""
    before = np.full((160, 320, 3), (110, 128, 128), np.uint8)
    inside = before.astype(np.float32)
    for y in (130, 96) if other else (130,):
        for alpha, luma in zip(letters(at=(60, y))[::-1], (16, 235), strict=True):
            inside = inside * (1 - alpha[..., None]) + alpha[..., None] * np.array([luma, 128, 128])
    crop = np.s_[72:140, 56:250]  # as a mask's crops are: the line above is a good part of it
    pair, fill = (before[crop], np.rint(inside).astype(np.uint8)[crop]), letters()[0][crop]
    change = change_of([pair], fill > 0.5, 26, np.array([235, 128, 128], np.float32), 25.0)
    assert change is not None
    assert change.exact


@pytest.mark.parametrize(("apart", "mended"), [(0, True), (30, False)])
def test_of_two_lines_of_one_caption_the_darker_took_its_outline_for_letters(apart, mended):
    """Elsewhere in the film most texts are dark, and a guess of that colour agrees with them."""
    clean, box, styles = np.full((160, 320, 3), (150, 128, 128), np.uint8), text_box(), Styles()
    fill, rim = letters()
    picture = clean * (1 - rim[..., None]) + rim[..., None] * np.array([30, 128, 128])
    picture = picture * (1 - fill[..., None]) + fill[..., None] * np.array([200, 90, 137])
    seen, height = still([np.rint(picture).astype(np.uint8)] * 5), box[3] - box[1]
    reach = np.full(8, 2 / height, np.float32)

    def told(luma, *, sure):
        colour = np.array([luma, 90 if luma > 100 else 128, 137 if luma > 100 else 128], np.float32)
        return Strokes(fill > 0.5, fill > 0.5, colour, reach, sure=sure)

    guess, line, *rest = (Event(box, at, at + 50, at, at + 50, WHOLE, b"") for at in (0, apart, 100, 200))
    guess.mask = before = np.zeros((160, 320), bool)
    for event, luma in ((line, 200), *((one, 30) for one in rest)):
        event.mask = fill > 0.5
        styles.add(event, seen, box, told(luma, sure=True))
    styles.add(guess, seen, box, told(30, sure=False))
    styles.settle()
    assert np.array_equal(guess.mask, before) != mended
    if mended:
        assert strokes_of(seen, box, [], height) is not None
        assert guess.mask[fill > 0.5].all()
