"""Half-transparent layers: caption boxes found, measured and taken off; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid.sdk import Coordinates, Region, RegionType
from vtid_inpaint_local.caption import fit, panel, rectangle, settle, shade
from vtid_inpaint_local.composite import Composite
from vtid_inpaint_local.events import Event, Veil, packed
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.scan import Scan
from vtid_inpaint_local.track import Rate
from vtid_inpaint_local.veil import calm, calm_edges, lift, matte_of, mend_chroma, packed_matte, rim
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame, burn, letters, text_box
from .conftest import pan as fine_pan
from .test_parts import Seer

BOX = (44, 96, 236, 148)
CLEAR = 0.45


def pan(count, **more):
    """Without the finest grain: a box's edges are judged by what is alike a few pixels apart."""
    return [cv2.GaussianBlur(p, (0, 0), 2.0) for p in fine_pan(count, **more)]


def behind_glass(pixels, colour=(16, 128, 128), box=BOX):
    """A caption box over a picture."""
    x0, y0, x1, y1 = box
    out = pixels.astype(np.float32)
    out[y0:y1, x0:x1] = CLEAR * out[y0:y1, x0:x1] + (1 - CLEAR) * np.array(colour)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def scanned(film, regions=()):
    turn = Turn(0, 320, 160)
    scan = Scan(Seer(), turn, Zones(list(regions), turn), Rate.of(25, 320 * 240, 0.4))
    for i, pixels in enumerate(film):
        scan.feed(ArrayFrame(pixels, i))
    return scan.finish()


def captioned(count, start, end, **more):
    clean = pan(count, speed=2.0)
    return clean, [burn(behind_glass(p, **more)) if start <= i < end else p for i, p in enumerate(clean)]


@pytest.mark.parametrize("colour", [(16, 128, 128), (60, 150, 110), (235, 128, 128)])
def test_a_caption_box_is_found_to_the_pixel_and_measured(colour):
    samples = [burn(behind_glass(p, colour)) for p in pan(60, speed=3.0)[::4]]
    found = panel(samples, text_box(), [])
    assert found is not None
    assert found.box == BOX
    seen = fit(found.pairs)
    assert seen.likely
    assert seen.k == pytest.approx(CLEAR, abs=0.04)
    assert seen.c / (1 - seen.k) == pytest.approx(colour, abs=12)


@pytest.mark.parametrize("reach", [0, 6])
def test_a_wall_beside_the_box_is_not_its_edge(reach):
    samples = pan(60, speed=3.0)[::4]
    for sample in samples:
        sample[..., 0] //= 2
        sample[:, 262:, 0] += 120
    x0, y0, x1, y1 = text_box()
    seen = x0, y0, BOX[2] + reach if reach else x1, y1
    found = panel([burn(behind_glass(p)) for p in samples], seen, [])
    assert found is not None
    assert found.box == BOX


@pytest.mark.parametrize("speed", [0.0, 2.0])
def test_text_without_a_box_has_none(speed):
    event = Event(text_box(), 0, 60, 0, 60, (0, 0, 320, 160), b"")
    found = panel([burn(p) for p in pan(60, speed=speed)[::4]], text_box(), [])
    settle([(event, found)] if found else [], [])
    assert event.veil is None


def test_an_opaque_sign_is_no_caption_box():
    x0, y0, x1, y1 = BOX
    samples = pan(60, speed=3.0)[::4]
    for sample in samples:
        sample[y0:y1, x0:x1] = (40, 128, 128)
    event = Event(text_box(), 0, 60, 0, 60, (0, 0, 320, 160), b"")
    found = panel([burn(s) for s in samples], text_box(), [])
    assert found is not None
    settle([(event, found)], [])
    assert event.veil is None


def test_edges_must_stand_on_all_four_sides():
    mean = np.full((160, 320), 120, np.float32)
    mean[96:148] = 60  # a band: no left, no right
    assert rectangle(mean, text_box()) is None
    mean[:, :44], mean[:, 236:] = 120, 120
    found = rectangle(mean, text_box())
    assert found is not None
    assert found[0] == BOX


def test_styles_are_pooled_and_a_flat_caption_borrows_the_film_s():
    rich = panel([burn(behind_glass(p)) for p in pan(60, speed=3.0)[::4]], text_box(), [])
    flat = panel([burn(behind_glass(np.full_like(p, 120))) for p in pan(8)], text_box(), [])
    assert rich is not None
    assert flat is not None
    assert not fit(flat.pairs).likely
    events = [Event(text_box(), i, i + 60, i, i + 60, (0, 0, 320, 160), b"") for i in (0, 100)]
    settle(list(zip(events, (rich, flat), strict=True)), [])
    assert [e.veil and (e.veil.start, e.veil.end) for e in events] == [(0, 60), (100, 160)]


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 256)])
def test_letters_on_a_veil_leave_no_grey_ghost_beside_them(dtype, scale):
    pixels = np.full((40, 80, 3), (120, 160, 90), np.uint8)
    letter, lifted = np.zeros((2, 40, 80), bool)
    letter[10:30, 36:40] = lifted[4:36, 8:72] = True
    beside = cv2.dilate(letter.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    pixels[beside, 1:] = 144, 109  # half of it is the white letters'
    mended = (pixels.astype(np.uint16) * scale).astype(dtype)
    before = mended.copy()
    mend_chroma(mended, letter, lifted)
    off = np.abs(mended.astype(np.float32) / scale - (120, 160, 90)).max(2)
    assert off[beside & ~letter].max() <= 2
    assert np.array_equal(mended[..., 0], before[..., 0])
    assert np.array_equal(mended[letter | ~lifted], before[letter | ~lifted])


@pytest.mark.parametrize("texture", [0, 40])
def test_a_mark_leaves_nothing_of_its_outline_on_a_wall_and_leaves_are_kept(texture):
    rng = np.random.default_rng(3)
    clean = np.full((48, 96, 3), 120, np.uint8)
    clean[..., 0] = np.clip(120 + texture * rng.standard_normal((48, 96)), 16, 200)
    shares = np.zeros((24, 48), np.float32)
    shares[6:18, 6:42:6] = shares[6:18, 7:42:6] = 1
    box = (24, 12, 72, 36)
    veil = Veil(box, 0, 10, 0.45, (235.0, 128.0, 128.0), packed_matte(shares), alone=True)
    event = Event(box, 0, 10, 0, 10, box, b"", veil=veil)
    opacity = matte_of(veil)[..., None]
    coded = clean.astype(np.float32)
    coded[12:36, 24:72] = (1 - opacity) * coded[12:36, 24:72] + opacity * np.array(veil.colour)
    coded[..., 0] += 4 * rng.standard_normal((48, 96)) * (np.pad(shares, ((12, 12), (24, 24))) > 0)
    pixels = np.clip(np.rint(coded), 0, 255).astype(np.uint8)
    changed = lift(pixels, 5, (0, 0, 96, 48), [event])
    calm(pixels, 5, (0, 0, 96, 48), [event], changed)
    off = (pixels.astype(np.float32) - clean)[..., 0][changed].std()
    assert off < 2.5 if texture == 0 else off < 9
    assert np.array_equal(pixels[~changed], np.clip(np.rint(coded), 0, 255).astype(np.uint8)[~changed])


def test_colours_that_vary_beside_letters_are_kept():
    rng = np.random.default_rng(1)
    coarse = rng.integers(60, 200, (10, 20, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (80, 40), interpolation=cv2.INTER_NEAREST)
    letter, lifted = np.zeros((40, 80), bool), np.ones((40, 80), bool)
    letter[10:30, 36:40] = True
    before = pixels.astype(np.float32)
    mend_chroma(pixels, letter, lifted)
    changed = np.abs(pixels - before)[..., 1:].max(2)
    assert changed[~letter].any()
    farther = cv2.inpaint(before.astype(np.uint8), cv2.dilate(letter.view(np.uint8), np.ones((7, 7))), 3, 0)
    taken = np.abs(farther - before)[..., 1:].max(2)
    assert changed[~letter].sum() < 0.3 * taken[~letter].sum()


def test_behind_a_caption_box_the_picture_itself_comes_back():
    clean, film = captioned(60, 12, 50)
    found = scanned(film)
    (event,) = found.events
    assert event.veil is not None
    x0, y0, x1, y1 = BOX
    assert event.veil.box == (x0 - 2, y0 - 2, x1 + 2, y1 + 2)
    assert (matte_of(event.veil)[2:-2, 2:-2] > 0).all()
    assert not matte_of(event.veil)[:2].any()
    edit = Composite(found, Zones([], Turn(0, 320, 160)), 320, 160)
    out = [f.pixels for f in edit(ArrayFrame(p.copy(), i) for i, p in enumerate(film))]
    letter = letters()[1][y0:y1, x0:x1] > 0
    for i in range(15, 47):
        off = np.abs(out[i].astype(int) - clean[i])[y0:y1, x0:x1]
        assert off[~letter].mean() < 4
        assert np.array_equal(
            np.delete(out[i], np.s_[y0 - 3 : y1 + 3], 0), np.delete(clean[i], np.s_[y0 - 3 : y1 + 3], 0)
        )
    assert all(np.array_equal(out[i], film[i]) for i in (*range(12), *range(50, 60)))


def test_protection_keeps_its_part_of_the_box():
    _, film = captioned(60, 12, 50)
    keep = Region(RegionType("protection"), Coordinates(0, 0, 0.3, 1), 0.0, None)
    found = scanned(film, [keep])
    edit = Composite(found, Zones([keep], Turn(0, 320, 160)), 320, 160)
    out = [f.pixels for f in edit(ArrayFrame(p.copy(), i) for i, p in enumerate(film))]
    assert np.array_equal(out[30][:, :96], film[30][:, :96])
    assert not np.array_equal(out[30], film[30])


def test_overlapping_veils_are_taken_off_once_and_only_in_their_time():
    veil = Veil(BOX, 5, 9, 1 - CLEAR, (16, 128, 128))
    two = [Event(text_box(), 0, 10, 5, 9, (0, 0, 320, 160), b"", veil=veil) for _ in range(2)]
    clean = pan(1)[0]
    for dtype, scale in ((np.uint8, 1), (np.uint16, 256)):
        pixels = (behind_glass(clean).astype(np.float32) * scale).astype(dtype)
        before = pixels.copy()
        assert not lift(pixels, 4, (0, 0, 320, 160), two).any()
        assert np.array_equal(pixels, before)
        changed = lift(pixels, 5, (0, 0, 320, 160), two)
        assert changed.sum() == (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
        assert np.abs(pixels.astype(int) // scale - clean).max() <= 3


def test_letters_on_a_box_are_what_cannot_shine_through_it():
    film = [burn(behind_glass(p)) for p in pan(60, speed=3.0)[::4]]
    found = panel(film, text_box(), [])
    assert found is not None
    words, twin = (Event(text_box(), 0, 60, 0, 60, (0, 0, 320, 160), packed(np.ones((160, 320), bool))) for _ in "12")
    later = Event(text_box(), 60, 90, 60, 90, (0, 0, 320, 160), packed(np.ones((160, 320), bool)))
    settle([(words, found)], [(e, shade(film)) for e in (words, twin, later)])
    fill, _ = letters()
    near = cv2.dilate((fill > 0.05).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    for event in (words, twin):  # another line of the same caption, around which no box was found
        assert event.mask[fill > 0.4].all()
        assert not event.mask[~near].any()
    assert later.mask.all()


def test_rim_and_matte():
    veil = Veil(BOX, 0, 1, 0.5, (16, 128, 128))
    edge = rim(veil, (20, 80, 300, 160), 2, filled=False)
    assert edge[96 - 80, 100]
    assert edge[96 - 80 - 2, 100]
    assert not edge[96 - 80 - 3, 100]
    assert not edge[96 - 80 + 2, 100]
    assert rim(veil, (20, 80, 300, 160), 2, filled=True)[120 - 80, 100]
    shares = np.linspace(0, 1, 12 * 5, dtype=np.float32).reshape(5, 12)
    back = matte_of(Veil((0, 0, 12, 5), 0, 1, 0.6, (235, 128, 128), packed_matte(shares)))
    assert back == pytest.approx(0.6 * shares, abs=0.002)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_line_that_coding_leaves_along_a_box_is_taken_off_and_a_busy_scene_kept(depth):
    x0, y0, x1, y1 = BOX
    calmed = []
    for clean in (pan(1)[0], fine_pan(1)[0]):
        scale = 256 if depth == np.uint16 else 1
        pixels = clean.astype(depth) * depth(scale)
        for line in (np.s_[y0, x0:x1, 0], np.s_[y1 - 1, x0:x1, 0], np.s_[y0:y1, x0, 0], np.s_[y0:y1, x1 - 1, 0]):
            pixels[line] += depth(8 * scale)
        shares = np.zeros((y1 - y0 + 4, x1 - x0 + 4), np.float32)
        shares[2:-2, 2:-2] = 1
        grown = (x0 - 2, y0 - 2, x1 + 2, y1 + 2)
        veil = Veil(grown, 0, 9, 0.5, (16.0, 128.0, 128.0), packed_matte(shares))
        calm_edges(pixels, 4, (0, 0, 320, 160), [Event(BOX, 0, 9, 0, 9, BOX, b"", veil=veil)])
        off = np.abs(pixels[..., 0] / scale - clean[..., 0].astype(float))
        assert off[(off > 0)].size < 2 * (x1 - x0 + y1 - y0)  # nothing but the edge
        calmed.append(float(off[y0, x0 + 2 : x1 - 2].mean()))
    assert calmed[0] < 1.5
    assert calmed[1] < 12  # of a scene whose lines differ by 20


def test_the_edge_of_a_box_at_the_border_of_the_picture_is_left():
    pixels = pan(1)[0]
    before = pixels.copy()
    veil = Veil((0, 0, 320, 160), 0, 9, 0.5, (16.0, 128.0, 128.0))
    calm_edges(pixels, 4, (0, 0, 320, 160), [Event(BOX, 0, 9, 0, 9, BOX, b"", veil=veil)])
    assert np.array_equal(pixels, before)
