"""Marks that are half-transparent themselves: measured, taken off, or left to be filled; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid_inpaint_local.events import Event, Veil
from vtid_inpaint_local.mark import settle, veil_of
from vtid_inpaint_local.mask import stroke_mask
from vtid_inpaint_local.plates import hole_at
from vtid_inpaint_local.veil import lift
from vtid_inpaint_local.zones import Zones

from .conftest import letters, pan, text_box

WHOLE = (0, 0, 320, 160)


def marked(pixels, opacity, luma=235):
    a = (letters()[0] * opacity)[..., None]
    return np.clip(np.rint(pixels * (1 - a) + a * np.array([luma, 128, 128])), 0, 255).astype(np.uint8)


def strokes():
    return cv2.dilate((letters()[0] > 0.02).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


@pytest.mark.parametrize(("opacity", "luma"), [(0.35, 235), (0.55, 235), (0.5, 16)])
def test_a_mark_over_a_moving_picture_is_measured_and_taken_off(opacity, luma):
    clean = pan(120, speed=4.0)[::3]
    film = [marked(p, opacity, luma) for p in clean]
    veil = veil_of(film, strokes(), WHOLE)
    assert veil is not None
    assert veil.alpha == pytest.approx(opacity, abs=0.08)
    veil.start, veil.end = 0, 1
    where = letters()[0] > 0.5
    before = np.abs(film[7].astype(int) - clean[7])[where].mean()
    pixels = film[7].copy()
    lift(pixels, 0, WHOLE, [Event(text_box(), 0, 1, 0, 1, WHOLE, b"", veil=veil)])
    assert np.abs(pixels.astype(int) - clean[7])[where].mean() < 0.3 * before


def test_opaque_letters_and_still_pictures_have_no_veil():
    moving = pan(120, speed=4.0)[::3]
    assert veil_of([marked(p, 1.0) for p in moving], strokes(), WHOLE) is None
    assert veil_of([marked(moving[0], 0.45)] * 40, strokes(), WHOLE) is None
    assert veil_of([marked(p, 0.45) for p in moving[:8]], strokes(), WHOLE) is None


def test_the_pieces_of_a_mark_become_one_event():
    def event(start, end, box=(60, 100, 200, 140)):
        return Event(box, start, end, start, end, WHOLE, b"")

    pieces = [event(0, 30), event(40, 120), event(150, 180), event(50, 80, (0, 0, 40, 20)), event(400, 420)]
    veil = Veil(WHOLE, 0, 0, 0.5, (235.0, 128.0, 128.0), alone=True)
    pieces[3].box = (0, 0, 20, 10)
    veil.box = (50, 90, 210, 150)
    out = settle(pieces, [(pieces[1], veil)], 75)
    assert [(e.start, e.end) for e in out] == [(0, 180), (50, 80), (400, 420)]
    assert (veil.start, veil.end) == (0, 180)


def test_a_mark_that_is_taken_off_leaves_no_hole():
    event = Event(text_box(), 0, 9, 0, 9, WHOLE, np.packbits(strokes()).tobytes())
    zones = Zones([], None)
    assert hole_at(5, 0.2, WHOLE, [event], zones).any()
    event.veil = Veil(WHOLE, 0, 9, 0.5, (235.0, 128.0, 128.0), alone=True)
    assert not hole_at(5, 0.2, WHOLE, [event], zones).any()


def test_scenery_of_the_letters_colour_is_not_masked_beyond_the_box():
    film = pan(30, speed=0.0)
    x0, y0 = text_box()[:2]
    fill, rim = letters()
    for pixels in film:
        pixels[y0 - 60 : y0 + 8, x0 - 30 : x0 + 30, 0] = 235  # a white wall that touches the first letter
        pixels[rim > 0.5, 0] = 16
        pixels[fill > 0.5, 0] = 235
    mask = stroke_mask(film[::2], text_box())
    assert not mask[: y0 - 30].any()
    assert (mask & (fill > 0.5)).sum() > 0.96 * (fill > 0.5).sum()
