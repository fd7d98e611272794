"""Masks as files: pictures and videos, and what is said of those that do not fit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid.media import PyAVMedia
from vtid.sdk import Coordinates, File, InvalidInput, Region, RegionType, Video
from vtid_inpaint_local.events import Event, erasure
from vtid_inpaint_local.geometry import Turn, area
from vtid_inpaint_local.masks import MaskFile
from vtid_inpaint_local.params import Inputs, Params
from vtid_inpaint_local.plates import hole_at, plates_of
from vtid_inpaint_local.step import Remove
from vtid_inpaint_local.zones import Zones

from .conftest import ListMedia, pan

TURN = Turn(0, 320, 160)
WHOLE = (0, 0, 320, 160)
TIMES = [i / 25 for i in range(50)]


def drawn(*boxes, size=(320, 160)):
    mask = np.zeros(size[::-1], np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 255
    return mask


def as_file(tmp_path, pixels, name="mask.png"):
    path = tmp_path / name
    assert cv2.imwrite(str(path), pixels)
    return path


def still(path, turn=TURN):
    return MaskFile(path, path.name, PyAVMedia(), turn, 2.0).events(TIMES)


def film(masks, path, fps=25.0):
    """A mask video in memory; luma 235 and 16, as video has white and black."""
    pixels = [np.stack([np.where(m > 0, 235, 16), *[np.full(m.shape, 128)] * 2], -1).astype(np.uint8) for m in masks]
    return ListMedia({path: pixels}, fps=fps)


def holes(events, number):
    return hole_at(number, number / 25, WHOLE, events, Zones([], TURN))


def test_a_picture_holds_for_the_whole_film_and_its_patches_are_filled_apart(tmp_path):
    mask = drawn((10, 10, 60, 30), (200, 120, 300, 150))
    events = still(as_file(tmp_path, mask))
    assert [(e.mask_box, e.start, e.end) for e in events] == [((10, 10, 60, 30), 0, 50), ((200, 120, 300, 150), 0, 50)]
    for number in (0, 49):
        assert np.array_equal(holes(events, number), mask > 0)


@pytest.mark.parametrize("name", ["mask.png", "mask.jpg"])
def test_a_mask_of_another_size_is_scaled(tmp_path, name):
    events = still(as_file(tmp_path, drawn((20, 20, 120, 60), size=(640, 320)), name))
    assert [e.mask_box for e in events] == [(10, 10, 60, 30)]


def test_an_area_of_dots_is_an_area_and_lone_dots_are_dots(tmp_path):
    dotted, area_ = np.zeros((160, 320), np.uint8), drawn((40, 60, 100, 90))
    dotted[60:90:6, 40:100:6] = dotted[61:90:6, 40:100:6] = 255
    (event,) = still(as_file(tmp_path, dotted))
    hole = holes([event], 0)
    assert not (hole & (area_ == 0)).any()
    assert hole[60:86, 40:95].all()
    lone = np.zeros((160, 320), np.uint8)
    lone[20:150:30, 20:300:30] = 255
    assert np.array_equal(holes(still(as_file(tmp_path, lone)), 0), lone > 0)
    letters = cv2.putText(np.zeros((160, 320), np.uint8), "ill.iii", (40, 90), 0, 0.5, 255, 1)
    assert np.array_equal(holes(still(as_file(tmp_path, letters)), 0), letters > 127)


def test_what_is_transparent_is_not_white(tmp_path):
    mask = drawn((10, 10, 60, 30))
    pixels = np.dstack([np.full((160, 320, 3), 255, np.uint8), mask])
    assert [e.mask_box for e in still(as_file(tmp_path, pixels))] == [(10, 10, 60, 30)]


def test_sixteen_bits_are_read_as_such(tmp_path):
    mask = drawn((10, 10, 60, 30)).astype(np.uint16) * 200  # 51,000 of 65,535: white; the rest black
    assert [e.mask_box for e in still(as_file(tmp_path, mask))] == [(10, 10, 60, 30)]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_mask_is_drawn_on_the_picture_as_shown(tmp_path, turns):
    coded = drawn((10, 10, 60, 30)) > 0
    shown = np.rot90(coded, turns)
    events = still(as_file(tmp_path, shown.astype(np.uint8) * 255), Turn(90 * turns, 320, 160))
    assert [e.mask_box for e in events] == [(10, 10, 60, 30)]


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (drawn(), "black all over"),
        (drawn(WHOLE), "white all over"),
        (drawn((1, 1, 9, 9), size=(300, 300)), "300×300 pixels, which is another shape than the picture's 320×160"),
    ],
)
def test_a_picture_that_does_not_fit_is_refused_in_words(tmp_path, pixels, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        still(as_file(tmp_path, pixels))
    assert caught.value.problems[0].field == "mask"


def test_a_video_goes_along_with_the_film(tmp_path):
    path = tmp_path / "mask.mp4"
    masks = [drawn((10 + 2 * i, 20, 60 + 2 * i, 50)) if 5 <= i < 45 else drawn() for i in range(50)]
    events = MaskFile(path, "mask.mp4", film(masks, path), TURN, 2.0).events(TIMES)
    assert (min(e.start for e in events), max(e.end for e in events)) == (5, 45)
    for number, mask in enumerate(masks):
        assert np.array_equal(holes(events, number), mask > 0)


def test_a_slower_mask_video_is_aligned_by_time(tmp_path):
    path = tmp_path / "mask.mp4"
    masks = [drawn((10 * i, 20, 10 * i + 40, 50)) for i in range(20)]
    events = MaskFile(path, "mask.mp4", film(masks, path, fps=10.0), TURN, 2.0).events(TIMES)
    for number, time in enumerate(TIMES):
        assert np.array_equal(holes(events, number), masks[int(time * 10 + 1e-6)] > 0), number


def test_a_mask_video_that_stands_still_is_kept_once(tmp_path):
    path = tmp_path / "mask.mp4"
    times = [i / 25 for i in range(25 * 20)]
    media = film([drawn((10, 10, 60, 30))] * len(times), path)
    (event,) = MaskFile(path, "mask.mp4", media, TURN, 20.0).events(times)
    assert (event.start, event.end, event.frames) == (0, len(times), [])


def test_a_mask_video_that_is_short_or_black_is_refused(tmp_path):
    path = tmp_path / "mask.mp4"
    with pytest.raises(InvalidInput, match=r"ends at 1.00 s, and the film at 2.00 s"):
        MaskFile(path, "mask.mp4", film([drawn((1, 1, 9, 9))] * 25, path), TURN, 2.0)
    with pytest.raises(InvalidInput, match="black all over"):
        MaskFile(path, "mask.mp4", film([drawn()] * 50, path), TURN, 2.0).events(TIMES)


def test_a_mask_video_that_spares_nothing_is_refused(tmp_path):
    path = tmp_path / "mask.mp4"
    with pytest.raises(InvalidInput, match="white all over: nothing would be left to fill from"):
        MaskFile(path, "mask.mp4", film([drawn(WHOLE)] * 50, path), TURN, 2.0).events(TIMES)
    flash = [drawn(WHOLE) if i == 10 else drawn((1, 1, 9, 9)) for i in range(50)]
    assert MaskFile(path, "mask.mp4", film(flash, path), TURN, 2.0).events(TIMES)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_a_mask_that_cannot_be_read_is_called_by_its_own_name(tmp_path, content):
    path = tmp_path / "in" / "mask.png"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^The mask logo\.png is neither a picture nor a video") as caught:
        MaskFile(path, "logo.png", PyAVMedia(), TURN, 2.0)
    assert caught.value.problems[0].field == "mask"


def test_the_step_empties_the_mask_and_nothing_else(context, tmp_path):
    path, mask = tmp_path / "film.mp4", as_file(tmp_path, drawn((100, 40, 160, 80)))
    film = pan(30, speed=2.0)
    media = ListMedia({path: film})
    protected = Region(RegionType.PROTECTION, Coordinates(0.0, 0.0, 0.4, 1.0))
    params = Params(policy="regions", regions=[protected])
    out = Remove().run(context(media, threads=2), params, Inputs(Video(path), File(mask)))
    assert [e.kind for e in out.report.events] == ["erasure"]
    inside = np.zeros((160, 320), bool)
    inside[40:80, 128:160] = True
    for got, was in zip(media.films[out.video.path], film, strict=True):
        assert np.array_equal(got[~inside], was[~inside])
        assert not np.array_equal(got[inside], was[inside])


def test_hundreds_of_erasures_are_no_more_work_than_the_picture():
    boxes = [(x, y, x + 8, y + 8) for x in range(0, 312, 20) for y in range(0, 152, 12)]
    plates = plates_of([erasure(box, 0, 50) for box in boxes], 320, 160, set())
    assert len(boxes) > 200
    assert sum(area(p.box) for p in plates) <= 320 * 160
    assert sum(len(p.events) for p in plates) == len(boxes)


def test_texts_and_erasures_that_lie_or_last_apart_keep_their_own_crops():
    line = Event((100, 120, 220, 140), 0, 50, 0, 50, (90, 110, 230, 150), b"")
    logo, near, later = erasure((10, 10, 30, 30), 0, 50), erasure((40, 10, 60, 30), 0, 50), erasure(WHOLE, 200, 220)
    plates = plates_of([line, logo, near, later], 320, 160, set())
    assert sorted(len(p.events) for p in plates) == [1, 1, 2]
