"""Marks that are half-transparent themselves: measured, taken off, or left to be filled; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid_inpaint_local import mark
from vtid_inpaint_local.events import Event, Findings, Veil
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.lasting import Lasting, Witness, stretches
from vtid_inpaint_local.layers import BLACK, WHITE
from vtid_inpaint_local.mark import lettered, levelled, opaque, row_of, settle, veil_of
from vtid_inpaint_local.mask import stroke_mask
from vtid_inpaint_local.matte import Outline, only
from vtid_inpaint_local.overlay import evidence
from vtid_inpaint_local.plates import hole_at
from vtid_inpaint_local.policy import name_kinds
from vtid_inpaint_local.veil import lift, matte_of, packed_matte
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame, burn, letters, pan, text_box
from .test_veils import pan as soft_pan

WHOLE = (0, 0, 320, 160)


def marked(pixels, opacity, luma=235):
    a = (letters()[0] * opacity)[..., None]
    return np.clip(np.rint(pixels * (1 - a) + a * np.array([luma, 128, 128])), 0, 255).astype(np.uint8)


def inner():
    """The letters' box."""
    ys, xs = np.nonzero(letters()[0] > 0.02)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def bold(pixels, opacity, luma=235):
    """Letters as broad as a station's, half-transparent."""
    fill = cv2.putText(np.zeros(pixels.shape[:2], np.uint8), "LIVE", (70, 96), 0, 2.0, 255, 9, cv2.LINE_AA) / 255.0
    a = (fill * opacity)[..., None]
    return fill, np.clip(np.rint(pixels * (1 - a) + a * np.array([luma, 128, 128])), 0, 255).astype(np.uint8)


BOLD = (60, 44, 225, 104)


def off(film, veil, number=0):
    pixels = film[number].copy()
    veil.start, veil.end = 0, 1
    lift(pixels, 0, WHOLE, [Event(BOLD, 0, 1, 0, 1, WHOLE, b"", veil=veil)])
    return pixels


@pytest.mark.parametrize(("opacity", "luma"), [(0.2, 235), (0.35, 235), (0.55, 235), (0.5, 16)])
@pytest.mark.parametrize("speed", [4.0, 0.0])
def test_a_mark_is_measured_and_taken_off_whether_the_picture_moves_or_not(opacity, luma, speed):
    clean = soft_pan(72, speed=speed, seed=3)[::3]
    fill, _ = bold(clean[0], opacity, luma)
    film = [bold(p, opacity, luma)[1] for p in clean]
    veil = veil_of(film, BOLD, WHOLE)
    assert veil is not None
    where = fill > 0.5
    assert np.median(matte_of(veil)[where]) == pytest.approx(opacity, abs=0.03)
    before = np.abs(film[7].astype(int) - clean[7])[where].mean()
    assert np.abs(off(film, veil, 7).astype(int) - clean[7])[where].mean() < 0.2 * before
    assert not (matte_of(veil) > 0)[cv2.dilate(fill, np.ones((11, 11))) == 0].any()


@pytest.mark.parametrize("lacks", [(30, 0), (0, 30), (20, 20)])
def test_a_box_that_cuts_letters_off_still_gives_all_of_the_mark(lacks):
    clean = soft_pan(72, speed=4.0, seed=3)[::3]
    fill, _ = bold(clean[0], 0.45)
    x0, y0, x1, y1 = BOLD
    box = x0, y0 + lacks[0], x1, y1 - lacks[1]
    veil = veil_of([bold(p, 0.45)[1] for p in clean], box, WHOLE)
    assert veil is not None
    assert np.median(matte_of(veil)[fill > 0.5]) == pytest.approx(0.45, abs=0.03)
    assert (matte_of(veil)[fill > 0.9] > 0.3).mean() > 0.97


def test_thin_letters_over_a_moving_picture():
    clean = pan(120, speed=4.0)[::3]
    film = [marked(p, 0.45) for p in clean]
    veil = veil_of(film, inner(), WHOLE)
    assert veil is not None
    where = letters()[0] > 0.5
    before = np.abs(film[7].astype(int) - clean[7])[where].mean()
    assert np.abs(off(film, veil, 7).astype(int) - clean[7])[where].mean() < 0.3 * before


@pytest.mark.parametrize("speed", [4.0, 0.0])
def test_opaque_letters_have_no_veil(speed):
    clean = pan(72, speed=speed)[::3]
    assert veil_of([bold(p, 1.0)[1] for p in clean], BOLD, WHOLE) is None
    assert veil_of([bold(p, 1.0, 150)[1] for p in clean], BOLD, WHOLE) is None
    assert veil_of([burn(p) for p in clean], text_box(), WHOLE) is None


def test_a_picture_without_a_mark_has_no_veil():
    assert veil_of(pan(72, speed=4.0)[::3], BOLD, WHOLE) is None
    assert veil_of(pan(72, speed=0.0)[::3], BOLD, WHOLE) is None


def test_the_strength_of_a_mark_is_measured_in_single_frames():
    clean = pan(72, speed=4.0)
    veil = veil_of([bold(p, 0.4)[1] for p in clean[::3]], BOLD, WHOLE)
    assert veil is not None
    witness = Witness(veil)
    for number in range(0, 72, 9):
        for share in (0.0, 0.5, 1.0):
            luma = bold(clean[number], 0.4 * share)[1][..., 0]
            assert witness.strength(luma) == pytest.approx(share, abs=0.2)
    assert witness.strength(np.full((160, 320), 235, np.uint8)) is None


def test_a_mark_lasts_from_where_it_fades_in_to_where_it_goes():
    nan = np.nan
    there = [0.02, 0.0, 0.03, 0.25, 0.5, 0.75, 1.0, 1.0, nan, nan, 0.9, 0.3, 1.0, 1.0, 1.0, -0.1, 0.05, 0.0]
    ((start, end, faint),) = stretches(np.array(there, np.float32))
    assert (start, end) == (3, 15)
    assert faint == pytest.approx({3: 0.25, 4: 0.5, 5: 0.75}, abs=0.01)
    assert stretches(np.zeros(9, np.float32)) == []
    assert stretches(np.full(9, nan, np.float32)) == []
    assert stretches(np.ones(9, np.float32)) == [(0, 9, {})]


def test_a_mark_found_in_pieces_covers_all_its_time_once():
    clean = pan(90, speed=2.0)
    film = [bold(p, 0.4)[1] if 10 <= i < 80 else p for i, p in enumerate(clean)]
    veil = veil_of(film[30:60:2], BOLD, WHOLE) or veil_of(film[20:70:2], BOLD, WHOLE)
    assert veil is not None
    pieces = []
    for start, end in ((30, 40), (50, 60)):
        mine = Veil(WHOLE, start, end, veil.alpha, veil.colour, veil.matte, alone=True)
        pieces.append(Event(BOLD, start, end, start, end, WHOLE, b"", veil=mine))
    stray = Event(BOLD, 62, 70, 62, 70, WHOLE, b"")
    other = Event((0, 120, 40, 150), 0, 20, 0, 20, WHOLE, b"")
    lasting = Lasting([*pieces, stray, other])
    assert lasting.wanted
    for i, pixels in enumerate(film):
        lasting.feed(ArrayFrame(pixels, i))
    out = lasting.finish([*pieces, stray, other])
    assert [(e.start, e.end) for e in out] == [(0, 20), (10, 80)]
    assert not Lasting([other]).wanted


def test_chroma_that_pixels_share_is_unveiled_with_their_mean_opacity():
    clean = pan(1)[0]
    clean[..., 1:] = 90
    fill, _ = bold(clean, 0.5)
    a = (fill * 0.5).astype(np.float32)
    film = clean.astype(np.float32)
    film[..., 0] = film[..., 0] * (1 - a) + a * 235
    shared = a.reshape(80, 2, 160, 2).mean((1, 3)).repeat(2, 0).repeat(2, 1)
    film[..., 1:] = film[..., 1:] * (1 - shared[..., None]) + shared[..., None] * 128
    veil = Veil(WHOLE, 0, 1, 0.5, (235.0, 128.0, 128.0), packed_matte(fill.astype(np.float32)), alone=True)
    out = off([np.rint(film).astype(np.uint8)], veil)
    assert np.abs(out[..., 1].astype(int) - 90).max() <= 8
    assert np.abs(out[..., 0].astype(int) - clean[..., 0]).max() <= 3


def test_a_fading_veil_is_taken_off_by_its_share():
    clean = pan(1)[0]
    fill, film = bold(clean, 0.25)
    veil = Veil(WHOLE, 0, 1, 0.5, (235.0, 128.0, 128.0), packed_matte(fill.astype(np.float32)), alone=True)
    veil.faint[0] = 0.5
    assert np.abs(off([film], veil).astype(int) - clean).max() <= 4


def test_the_pieces_of_a_mark_become_one_event():
    def event(start, end, box=(60, 100, 200, 140)):
        return Event(box, start, end, start, end, WHOLE, b"")

    pieces = [event(0, 30), event(40, 120), event(150, 180), event(50, 80, (0, 0, 40, 20)), event(400, 420)]
    pieces[3].box = (0, 0, 20, 10)
    veil = Veil((50, 90, 210, 150), 0, 0, 0.5, (235.0, 128.0, 128.0), alone=True)
    out = settle(pieces, [(pieces[1], veil)], 75)
    assert [(e.start, e.end) for e in out] == [(0, 180), (50, 80), (400, 420)]
    assert (veil.start, veil.end) == (0, 180)


def test_a_mark_that_is_taken_off_leaves_no_hole():
    event = Event(text_box(), 0, 9, 0, 9, WHOLE, np.packbits(letters()[0] > 0.02).tobytes())
    zones = Zones([], None)
    assert hole_at(5, 0.2, WHOLE, [event], zones).any()
    event.veil = Veil(WHOLE, 0, 9, 0.5, (235.0, 128.0, 128.0), alone=True)
    assert not hole_at(5, 0.2, WHOLE, [event], zones).any()


def test_half_transparent_text_is_no_sign_in_the_scene():
    crops = pan(12, speed=0.0)
    event = Event((100, 60, 220, 100), 0, 12, 0, 12, WHOLE, b"", evidence=evidence(crops, (100, 60, 220, 100)))
    found = Findings([event], set(), [i / 25 for i in range(12)])
    turn = Turn(0, 320, 160)
    name_kinds(found, turn)
    assert event.kind == "scene"
    event.veil = Veil(WHOLE, 0, 12, 0.5, (235.0, 128.0, 128.0), alone=True)
    name_kinds(found, turn)
    assert event.kind == "mark"


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


def test_the_outline_of_letters_is_no_dark_mark():
    """Small and compressed, it shines through, follows what is beside it, and is all of one opacity, as a mark is."""
    clean = soft_pan(72, speed=4.0, seed=3)[::3]
    fill = bold(clean[0], 1.0)[0]
    around = cv2.dilate(fill, np.ones((9, 9))) > 0.5
    glow = [
        np.rint(p * (1 - 0.6 * around[..., None]) + 0.6 * around[..., None] * np.array([16, 128, 128])) for p in clean
    ]
    film = [bold(p.astype(np.uint8), 1.0)[1] for p in glow]
    assert lettered(film, around & (fill < 0.05), BLACK, 60)
    assert not lettered([p.astype(np.uint8) for p in glow], around & (fill < 0.05), BLACK, 60)
    mark = [bold(p, 0.4)[1] for p in clean]
    assert not lettered(mark, fill > 0.5, WHITE, 60)


@pytest.mark.parametrize(("letters_opacity", "is_mark"), [(1.0, False), (0.0, True)])
def test_the_shadow_of_opaque_letters_is_no_mark(letters_opacity, is_mark):
    """Before a sky of the letters' own luma they do not stand out the other way; but they hold still."""
    clean = [cv2.convertScaleAbs(p, alpha=2, beta=-128) for p in soft_pan(72, speed=8.0, seed=3)[::3]]
    fill = bold(clean[0], 1.0)[0]
    cast = np.roll(fill, (4, 4), (0, 1)) * (fill < 0.05)
    glow = [p * (1 - 0.5 * cast[..., None]) + 0.5 * cast[..., None] * np.array([16, 128, 128]) for p in clean]
    film = [bold(np.rint(p).astype(np.uint8), letters_opacity, 160)[1] for p in glow]
    assert opaque(film, cast > 0.5, BOLD) != is_mark
    assert (veil_of(film, BOLD, WHOLE) is None) >= (not is_mark)


def test_a_wire_of_the_mark_s_colour_is_no_part_of_it():
    clean = soft_pan(72, speed=0.0, seed=3)[::3]
    wire = cv2.line(np.zeros((160, 320), np.uint8), (236, 70), (256, 152), 255, 4)[..., None] / 255.0 * 0.4
    film = [bold(np.rint(p * (1 - wire) + wire * np.array([235, 128, 128])).astype(np.uint8), 0.4)[1] for p in clean]
    veil = veil_of(film, BOLD, WHOLE)
    assert veil is not None
    assert not (matte_of(veil)[BOLD[3] + 20 :] > 0).any()


def test_a_caption_within_a_mark_s_reach_that_reads_otherwise_is_another_text():
    def event(start, end, text):
        return Event((60, 100, 200, 140), start, end, start, end, WHOLE, b"", text=text, sure=0.98)

    mark, caption = event(0, 60, "SAMPLE TV"), event(62, 90, "What did she say?")
    piece = event(62, 90, "SAMPLE")
    veil = Veil((50, 90, 210, 150), 0, 0, 0.5, (235.0, 128.0, 128.0), alone=True)
    out = settle([mark, caption, piece], [(mark, veil)], 75)
    assert [(e.start, e.end, e.text) for e in out] == [(0, 90, "SAMPLE TV"), (62, 90, "What did she say?")]


def test_letters_that_came_out_fainter_are_brought_up_to_the_mark():
    shape = letters()[1] > 0.5
    faint = np.where(np.arange(shape.shape[1]) < 120, 0.36, 0.45).astype(np.float32) * shape
    mended = levelled(faint, 0.45)
    assert np.median(mended[:, :110][shape[:, :110]]) > 0.43
    assert np.abs(mended - faint)[:, 140:].max() < 0.01
    assert mended.max() <= 0.45 + 1e-6


def test_letters_with_little_evidence_stay_in_their_row_and_scenery_that_grew_to_one_does_not():
    inside, evidence, gaps = np.zeros((60, 200), bool), np.zeros((60, 200), np.float32), np.zeros((60, 200), np.float32)
    for x, each in ((10, 2.0), (40, 2.0), (70, 2.0), (100, 0.5), (150, 0.5)):
        top, foot = (20, 40) if x < 150 else (5, 12)
        inside[top:foot, x : x + 12] = True
        rim = inside & (cv2.erode(inside.astype(np.uint8), np.ones((3, 3))) == 0)
        rim[:, :x] = False
        gaps[rim], evidence[rim] = 1, each
    inside[40:55, 72:80], gaps[40:55, 72:80], evidence[40:55, 72:80] = True, 1, 0.3
    cut, sure = Outline(inside, evidence, gaps), inside & (np.arange(200) < 95)
    kept = row_of(cut, only(cut, sure), (5, 20, 160, 40))
    assert kept[20:40, 100:112].all()
    assert not kept[:, 150:].any()
    assert not kept[44:].any()
    assert kept[20:40, 10:22].all()


def test_what_lies_below_the_row_beside_all_letters_is_no_letter_however_sure_and_accents_are():
    inside, evidence, gaps = np.zeros((60, 200), bool), np.zeros((60, 200), np.float32), np.zeros((60, 200), np.float32)
    for left, top, right, foot in (
        (10, 20, 22, 40),
        (40, 20, 52, 40),
        (70, 20, 82, 40),
        (41, 10, 51, 15),
        (86, 43, 96, 48),
    ):
        inside[top:foot, left:right] = gaps[top:foot, left:right] = True
        evidence[top:foot, left:right] = 2.0
    cut = Outline(inside, evidence, gaps)
    kept = row_of(cut, cut, (5, 20, 90, 40))
    assert kept[20:40, 40:52].all()
    assert kept[10:15, 41:51].all()
    assert not kept[43:].any()


def test_where_the_scene_first_looks_like_a_layer_of_the_other_colour_the_mark_is_found_all_the_same():
    film = [bold(p, 0.35)[1] for p in soft_pan(72, speed=4.0, seed=3)[::3]]
    box = (BOLD[0] - 4, BOLD[1] - 4, BOLD[2] + 4, BOLD[3] + 4)
    likely = mark._first(film, box)
    veil = veil_of(film, box, WHOLE)
    assert veil is not None

    def first(samples, inner):
        return [(BLACK, 0.2), *likely]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mark, "_first", first)
        again = veil_of(film, box, WHOLE)
    assert again is not None
    assert again.colour == veil.colour == WHITE


def test_a_mark_found_twice_keeps_the_measure_of_the_finding_that_was_dropped():
    def event(start, end, text="LIVE HD"):
        return Event((60, 100, 200, 140), start, end, start, end, WHOLE, b"", text=text, sure=0.98)

    dropped, kept, other = event(20, 80), event(0, 100), event(0, 100, "What did she say?")
    veil = Veil((50, 90, 210, 150), 0, 0, 0.5, (235.0, 128.0, 128.0), alone=True)
    out = settle([other, kept], [(dropped, veil)], 75)
    assert out == [other, kept]
    assert kept.veil is veil
    assert other.veil is None
    assert (veil.start, veil.end) == (0, 100)


def test_a_busy_still_scene_around_a_box_that_is_too_high_does_not_hide_a_mark():
    clean = np.repeat(pan(1, seed=8), 24, 0)
    film = [bold(p, 0.45)[1] for p in clean]
    x0, y0, x1, y1 = BOLD
    veil = veil_of(film, (x0 - 10, y0 - 20, x1 + 40, y1 + 12), WHOLE)
    assert veil is not None
    assert np.median(matte_of(veil)[bold(clean[0], 1.0)[0] > 0.5]) == pytest.approx(0.45, abs=0.05)
