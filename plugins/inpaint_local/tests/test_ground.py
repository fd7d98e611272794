"""Text on an opaque ground of its own: a banner stays whole, a label goes with its text; on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest

from vtid_inpaint_local.caption import panel, settle
from vtid_inpaint_local.composite import Composite
from vtid_inpaint_local.events import Event, Evidence
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.ground import Label, ground_of, shape_of
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame, burn, letters, text_box
from .test_parts import scan
from .test_veils import behind_glass, pan

RED, CREAM = (60, 110, 190), (200, 120, 132)


def on(pixels, box, colour, clear=0.0):
    """A rectangle over a picture."""
    x0, y0, x1, y1 = box
    out = pixels.astype(np.float32)
    out[y0:y1, x0:x1] = clear * out[y0:y1, x0:x1] + (1 - clear) * np.array(colour)
    return np.rint(out).astype(np.uint8)


def cleaned(film):
    """Scanned and filled, without a policy."""
    found = scan(film)
    frames = [ArrayFrame(p.copy(), i) for i, p in enumerate(film)]
    edit = Composite(found, Zones([], Turn(0, 320, 160)), 320, 160)
    return [frame.pixels for frame in edit(frames)], found


def test_letters_on_a_banner_are_closed_from_it_and_never_from_the_scene():
    """Two bands, one over the other, as news have them."""
    clean = pan(60, speed=3.0)
    _, y0, _, y1 = text_box()
    bands = [on(on(p, (0, y0 - 12, 320, y1 + 12), RED), (0, y1 + 12, 320, y1 + 24), CREAM) for p in clean]
    film = [burn(b) if 10 <= i < 50 else p for i, (b, p) in enumerate(zip(bands, clean, strict=True))]
    result, found = cleaned(film)
    assert len(found.events) == 1
    for i in range(10, 50):
        assert np.abs(result[i].astype(int) - bands[i]).max() < 12, i
    assert all(np.array_equal(result[i], film[i]) for i in (0, 9, 50, 59))


def test_a_label_that_hugs_its_text_goes_with_it():
    clean = pan(60, speed=3.0)
    x0, y0, x1, y1 = text_box()
    label = x0 - 8, y0 - 5, x1 + 8, y1 + 5
    film = [burn(on(p, label, RED)) if 10 <= i < 50 else p for i, p in enumerate(clean)]
    result, _ = cleaned(film)
    part = np.s_[label[1] : label[3], label[0] : label[2]]
    for i in range(12, 48):
        assert np.abs(result[i][part][..., 1:].astype(int) - clean[i][part][..., 1:]).max() < 30, i  # RED is 60 away
    off = [float(np.abs(result[i][part][..., 0].astype(int) - clean[i][part][..., 0]).mean()) for i in range(10, 50)]
    assert np.median(off) < 12


@pytest.mark.parametrize("speed", [0.0, 3.0])
@pytest.mark.parametrize("shown", [lambda p: p, behind_glass], ids=["scene", "glass"])
def test_what_shows_the_scene_is_no_ground(speed, shown):
    clean = pan(40, speed=speed)
    samples = [burn(shown(p)) for p in clean[::4]]
    assert ground_of(samples, text_box(), [(clean[0], samples[0])]) is None


def test_a_plain_sky_is_no_ground_of_a_caption_s_own():
    sky = [np.full_like(p, 120) for p in pan(40)]
    samples = [burn(p) for p in sky[::4]]
    assert ground_of(samples, text_box(), [(sky[0], samples[0])]) is None


def test_a_plain_wall_on_which_one_caption_follows_another_is_no_ground():
    wall = [np.full_like(p, 120) for p in pan(60)]
    texts = "Hello there", "Well, hello!"
    film = [burn(p, text=texts[i >= 30]) if 10 <= i < 50 else p for i, p in enumerate(wall)]
    found = scan(film).events
    assert found
    assert not any(e.ground for e in found)


def test_a_ground_of_the_whole_film_is_told_by_what_moves_around_it():
    x0, y0, x1, y1 = text_box()
    clean = pan(40, speed=3.0)
    samples = [burn(on(p, (x0 - 20, y0 - 8, x1 + 20, y1 + 8), RED)) for p in clean[::4]]
    found = ground_of(samples, text_box(), [])
    assert found is not None
    strokes = letters()[0] > 0.2
    assert (found.letters & strokes).sum() == strokes.sum()
    assert not found.letters[: y0 - 8].any()
    assert not found.letters[y1 + 8 :].any()


def test_a_box_that_is_much_wider_than_its_text_is_found():
    clean = pan(60, speed=2.0)
    _, y0, _, y1 = text_box()
    wide = 3, y0 - 8, 316, y1 + 8
    film = [burn(on(p, wide, (16, 128, 128), 0.45)) if 10 <= i < 50 else p for i, p in enumerate(clean)]
    (event,) = scan(film).events
    assert event.veil is not None
    margin = 2
    assert event.veil.box == (wide[0] - margin, wide[1] - margin, wide[2] + margin, wide[3] + margin)


@pytest.mark.parametrize(("clear", "filled"), [(0.18, True), (0.45, False)])
def test_a_box_that_lets_hardly_anything_through_is_filled_and_is_no_sign(clear, filled):
    """Of what shows through it to a sixth, coding's noise would be six times as strong."""
    x0, y0, x1, y1 = text_box()
    dense = x0 - 8, y0 - 8, x1 + 8, y1 + 8
    found = panel([burn(on(p, dense, (16, 128, 128), clear)) for p in pan(60, speed=3.0)[::4]], text_box(), [])
    assert found is not None
    event = Event(text_box(), 0, 60, 0, 60, (0, 0, 320, 160), b"", evidence=Evidence(0.0, 0.0, None, None, 0.0))
    settle([(event, found)], [])
    assert (event.veil is None, event.evidence is None) == (filled, filled)
    assert not filled or (event.mask_box == dense and event.mask.all())


def test_a_label_is_a_ground_where_the_box_of_its_text_frames_all_of_it():
    """As detectors like to; beside the box is the scene then."""
    x0, y0, x1, y1 = text_box()
    label = x0 - 6, y0 - 4, x1 + 6, y1 + 4
    clean = pan(40, speed=3.0)
    samples = [burn(on(p, label, RED)) for p in clean[::4]]
    found = ground_of(samples, label, [(clean[0], samples[0])])
    assert found is not None
    assert np.abs(found.colour - RED).max() < 2
    shape = shape_of(samples, found.colour, label, label)
    assert shape is not None
    assert np.argwhere(shape).min(0).tolist() == [label[1], label[0]]
    assert np.argwhere(shape).max(0).tolist() == [label[3] - 1, label[2] - 1]
    assert shape.sum() == (label[2] - label[0]) * (label[3] - label[1])  # its letters too


def test_labels_line_by_line_are_found_as_they_are_and_a_banner_is_none():
    x0, y0, x1, y1 = text_box()
    upper, lower = (x0 - 6, y0 - 4, x1 + 6, y1 + 4), (x0 + 30, y1 + 4, x1 - 30, y1 + 24)
    lines = x0 - 6, y0 - 4, x1 + 6, y1 + 24
    clean = pan(40, speed=3.0)
    samples = [burn(on(on(p, upper, RED), lower, RED)) for p in clean[::4]]
    shape = shape_of(samples, np.array(RED, np.float32), lines, text_box())
    assert shape is not None
    wanted = np.zeros_like(shape)
    for box in (upper, lower):
        wanted[box[1] : box[3], box[0] : box[2]] = True
    assert (shape != wanted).mean() < 0.001
    banner = [burn(on(p, (0, y0 - 4, 320, y1 + 4), RED)) for p in clean[::4]]
    assert shape_of(banner, np.array(RED, np.float32), text_box(), text_box()) is None


def test_over_a_plain_road_a_label_is_told_by_the_film_s_other_labels():
    """There nothing could shine through it, so that it proves nothing itself."""
    x0, y0, x1, y1 = text_box()
    road = np.full_like(pan(1)[0], 120)
    film = [burn(on(road, (x0 - 6, y0 - 4, x1 + 6, y1 + 4), RED)) for _ in range(5)]
    edges = [(road, film[0])]
    assert ground_of(film, text_box(), edges) is None
    label = Label(np.array(RED, np.float32), (6, 4, 6, 4))
    assert ground_of(film, text_box(), edges, [label]) is not None
    assert ground_of(film, text_box(), None, [label._replace(colour=np.array(CREAM, np.float32))]) is None
    assert label.box(text_box()) == (x0 - 6, y0 - 4, x1 + 6, y1 + 4)


def test_white_over_a_plain_road_lets_nothing_through():
    x0, y0, x1, y1 = text_box()
    road = np.full_like(pan(1)[0], 90)
    dark = [burn(on(road, (x0 - 6, y0 - 4, x1 + 6, y1 + 4), (232, 128, 128))) for _ in range(5)]
    assert ground_of(dark, text_box(), [(road, dark[0])]) is not None
    glass = [burn(on(road, (x0 - 6, y0 - 4, x1 + 6, y1 + 4), (16, 128, 128), clear=0.4)) for _ in range(5)]
    assert ground_of(glass, text_box(), [(road, glass[0])]) is None


def test_letters_that_reach_over_the_edge_of_a_label_leave_no_hole_in_it():
    x0, y0, x1, y1 = text_box()
    label = x0 - 6, y0 + 2, x1 + 6, y1 - 2
    samples = [burn(on(p, label, RED)) for p in pan(40, speed=3.0)[::4]]
    shape = shape_of(samples, np.array(RED, np.float32), text_box(), text_box())
    assert shape is not None
    assert shape[label[1] : label[3], label[0] : label[2]].all()


def test_of_a_banner_a_crop_shows_no_label():
    x0, y0, x1, y1 = text_box()
    clean = pan(40, speed=3.0)
    samples = [burn(on(p, (0, y0 - 6, 320, y1 + 6), RED))[:, x0 - 10 : x1 + 10] for p in clean[::4]]
    inner = 10, y0, x1 - x0 + 10, y1
    assert shape_of(samples, np.array(RED, np.float32), inner, inner) is None


@pytest.mark.parametrize("text", ["NEIN", "HI MUM", "HALLO KIM"])
def test_capitals_with_stems_at_both_ends_are_no_ground_of_their_own(text):
    clean = pan(60, speed=3.0)
    film = [burn(p, text=text) if 10 <= i < 50 else p for i, p in enumerate(clean)]
    found = scan(film).events
    assert found
    for event in found:
        assert not event.ground
        assert event.mask.mean() < 0.6


def test_letters_as_wide_as_their_label_are_all_on_it():
    x0, y0, x1, y1 = text_box(text="WHOM")
    clean = pan(40, speed=3.0)
    samples = [burn(on(p, (x0, y0 - 14, x1, y1 + 14), RED), text="WHOM") for p in clean[::4]]
    known = Label(np.array(RED, np.float32), (0, 14, 0, 14))
    found = ground_of(samples, (x0, y0 - 9, x1, y1 + 9), [], [known])
    assert found is not None
    strokes = letters(text="WHOM")[0] > 0.2
    assert (found.letters & strokes).sum() == strokes.sum()


def test_a_label_s_colour_cuts_nothing_out_of_a_night_or_a_banner():
    """A label first; then letters on something larger of its colour."""
    x0, y0, x1, y1 = text_box()
    clean = pan(130, speed=3.0)
    label = x0 - 8, y0 - 5, x1 + 8, y1 + 5
    banner = [on(on(p, (0, y0 - 12, 320, y1 + 12), RED), (0, y1 + 12, 320, y1 + 24), CREAM) for p in clean]
    film = [burn(on(p, label, RED)) if 10 <= i < 50 else p for i, p in enumerate(clean)]
    film = [burn(banner[i]) if 70 <= i < 110 else p for i, p in enumerate(film)]
    result, found = cleaned(film)
    assert len(found.events) == 2
    for i in range(70, 110):
        assert np.abs(result[i].astype(int) - banner[i]).max() < 12, i


def test_a_label_under_one_line_of_two_says_nothing_of_other_captions():
    label = Label.of((50, 100, 250, 140), (120, 122, 180, 142), np.array(RED, np.float32))
    assert label.pads == (0, 0, 0, 2)
    assert label.box((140, 100, 160, 120)) == (140, 100, 160, 122)


@pytest.mark.parametrize(("was", "now"), [(17, 16), (21, 16), (233, 235), (228, 234)])
def test_a_level_of_noise_in_the_dark_or_on_snow_proves_no_ground(was, now):
    before, after = np.full_like(pan(1)[0], was), np.full_like(pan(1)[0], now)
    before[..., 1:], after[..., 1:] = 128, 128
    samples = [burn(after) for _ in range(5)]
    assert ground_of(samples, text_box(), [(before, samples[0])]) is None
