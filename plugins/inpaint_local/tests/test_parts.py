"""Each part by itself, on plain arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vtid.sdk import Coordinates, Region, RegionType
from vtid_inpaint_local import tuning
from vtid_inpaint_local.arrays import largest, median
from vtid_inpaint_local.detect import plausible
from vtid_inpaint_local.events import Event, Findings, erasure
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.mask import stroke_mask
from vtid_inpaint_local.plates import hole_at
from vtid_inpaint_local.presence import Template, fade_length, walk
from vtid_inpaint_local.scan import Scan
from vtid_inpaint_local.shots import Cuts
from vtid_inpaint_local.track import Rate, Ring, Track
from vtid_inpaint_local.verify import neighbours, only_scenery, still_seen
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame, burn, letters, pan, text_box, texture

WHOLE = (0, 0, 320, 160)


class Seer:
    """Sees the text in every frame in which it is strong enough, where it is told."""

    name = "seer"

    def __init__(self, *boxes):
        self.boxes_, self.reads = boxes or (text_box(),), ("Hello there", 0.99)

    def boxes(self, bgr):
        from vtid_inpaint_local.detect import Found

        bright = bgr.min(2) > 225
        whole = bgr.shape[:2] == (160, 320)
        return [
            Found(tuple(map(float, b)), 0.9)
            for b in self.boxes_
            if whole and bright[b[1] : b[3], b[0] : b[2]].mean() > 0.05
        ]

    def read(self, bgr):
        return self.reads


class Teller(Seer):
    """Reads every text as another."""

    def read(self, bgr):
        self.count = getattr(self, "count", 0) + 1
        return f"{self.count}" * 9, 0.99


def scan(film, detector=None, regions=(), turn=None):
    turn = turn or Turn(0, 320, 160)
    scan = Scan(detector or Seer(), turn, Zones(list(regions), turn), Rate.of(25, 320 * 240, 0.4))
    for i, pixels in enumerate(film):
        scan.feed(ArrayFrame(pixels, i))
    return scan.finish()


def region(kind, x, y, w, h, start=0.0, end=None):
    return Region(RegionType(kind), Coordinates(x, y, w, h), start, end)


# --- extents ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [(7, 41), (0, 33), (23, 60), (30, 45)])
def test_hard_cuts_are_exact_to_the_frame(start, end):
    film = [burn(p) if start <= i < end else p for i, p in enumerate(pan(60))]
    (event,) = scan(film).events
    assert (event.start, event.end) == (start, end)
    assert (event.core_start, event.core_end) == (start, end)


@pytest.mark.parametrize(("start", "end", "seen"), [(54, 60, 1), (0, 6, 1), (27, 33, 0)])
def test_what_the_film_cuts_off_had_no_time_to_hold_still_for_long(start, end, seen):
    film = [burn(p) if start <= i < end else p for i, p in enumerate(pan(60, speed=3.0))]
    found = scan(film)
    assert [(e.start, e.end) for e in found.events] == [(start, end)] * seen
    assert found.moving <= 1 - seen


def test_fades_are_masked_to_their_last_faint_frame():
    strength = np.clip(np.minimum((np.arange(80) - 11) / 8, (61 - np.arange(80)) / 8), 0, 1)
    film = [burn(p, s) if s else p for s, p in zip(strength, pan(80), strict=True)]
    (event,) = scan(film).events
    shown = np.flatnonzero(strength)
    assert shown[0] - 2 <= event.start <= shown[0]
    assert shown[-1] + 1 <= event.end <= shown[-1] + 3
    assert event.start < event.core_start < event.core_end < event.end


def test_fades_over_a_bright_scene_are_no_part_of_the_core():
    """White letters there differ so little from the scene that half of them are nearly all of them."""
    strength = np.clip(np.minimum((np.arange(80) - 11) / 8, (61 - np.arange(80)) / 8), 0, 1)
    film = []
    for share, pixels in zip(strength, pan(80), strict=True):
        pixels[..., 0] = 200 + pixels[..., 0] // 16
        faded = pixels * (1 - share) + burn(pixels) * share
        film.append(np.rint(faded).astype(np.uint8) if share else burn(pixels, text="Good night!"))
    event = next(e for e in scan(film, Teller()).events if e.core_start < 40 < e.core_end)
    assert 15 <= event.core_start <= 18
    assert 54 <= event.core_end <= 57
    assert event.end >= 61


def test_a_text_first_seen_while_it_fades_out_is_followed_from_where_it_was_strong():
    strength = np.clip(np.minimum((np.arange(60) - 29) / 10, (49 - np.arange(60)) / 8), 0, 1)
    film = [burn(p, s) if s else burn(p, text="Good night!") for p, s in zip(pan(60), strength, strict=True)]
    ring = Ring(40)
    for number, pixels in enumerate(film[:46]):
        ring.push(number, ArrayFrame(pixels, number))
    track = Track(text_box(), WHOLE, WHOLE, number=45, ring=ring, rate=Rate.of(25, 320 * 240, 0.4), score=0.9)
    for number in range(46, 60):
        frame = ArrayFrame(film[number], number)
        ring.push(number, frame)
        track.feed(number, frame, ring)
    event = track.event(ring)
    assert track.static
    assert 29 <= event.start <= 34
    assert 35 <= event.core_start <= 38
    assert event.core_end <= 45
    assert 48 <= event.end <= 50


def test_one_text_after_the_other_in_the_same_place():
    film = [burn(p, text="Hello there" if i < 30 else "Good night!") for i, p in enumerate(pan(60))]
    ranges = sorted((e.start, e.end) for e in scan(film, Teller()).events)
    assert ranges[0][0] == 0
    assert abs(ranges[0][1] - 30) <= 2
    assert abs(ranges[-1][0] - 30) <= 2
    assert ranges[-1][1] == 60


def test_another_text_before_it_on_a_darker_scene_is_not_it():
    """White on black, its strokes that happen to lie in the same places weigh as much as all of those on grey."""
    day, night = np.full((160, 320, 3), (200, 128, 128), np.uint8), np.full((160, 320, 3), (20, 128, 128), np.uint8)
    fill = letters(text="Hello there")[0][..., None]
    bare = np.rint(day * (1 - fill) + fill * (235, 128, 128)).astype(np.uint8)
    other = cv2.putText(night.copy(), "WEEK END", (60, 130), 0, 0.9, (235, 128, 128), 3, cv2.LINE_AA)
    x0, y0, x1, y1 = text_box()
    line = np.s_[y0:y1, x0:x1, 0]
    assert Template(bare[line]).amplitude(other[line]) > tuning.PRESENT
    film = [bare if i >= 20 else other for i in range(60)]
    event = max(scan(film, Teller()).events, key=lambda e: e.end)
    assert 19 <= event.start <= 20


def test_text_that_moves_with_the_scene_stays():
    wide = burn(texture(160, 700), at=(260, 130))
    film = [np.ascontiguousarray(wide[:, 4 * i : 4 * i + 320]) for i in range(60)]
    box = text_box(160, 320)

    class Follower(Seer):
        def boxes(self, bgr):
            from vtid_inpaint_local.detect import Found

            xs = np.nonzero(bgr.min(2) > 225)[1]
            return [Found((xs.min(), box[1], xs.max() + 1, box[3]), 0.9)] if xs.size > 50 else []

    found = scan(film, Follower())
    assert not found.events
    assert found.moving


def test_fade_length_tells_fades_from_cuts():
    assert fade_length([0.02, 0.01, 0.0]) == 0
    assert fade_length([0.75, 0.5, 0.25, 0.0, 0.0]) == 3  # by its pace nothing is left for the next frame
    assert fade_length([0.75, 0.5, 0.25, 0.04, 0.0]) == 4  # but something is seen there
    assert fade_length([0.8, 0.6, 0.4, 0.05, 0.0]) == 4  # there half of a step is left
    assert fade_length([0.5, 0.3, 0.2, 0.04, 0.0], 0.62) == 4
    assert fade_length([0.1, 0.05]) == 0
    assert walk([True, False, False, True, False, False, False], 2) == 4


def test_cuts_are_seen_and_subtitles_are_not_taken_for_cuts():
    film = pan(20, seed=1) + [255 - p for p in pan(20, seed=2)]
    film = [burn(p) if i >= 10 else p for i, p in enumerate(film)]
    cuts = Cuts()
    for pixels in film:
        cuts.feed(pixels[..., 0])
    assert cuts.found() <= {20}


# --- masks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.0, 2.0])
def test_mask_covers_strokes_and_outline_but_not_the_box(speed):
    clean = pan(30, speed=speed)
    film = [burn(p) for p in clean]
    edges = [(clean[0], film[0]), (clean[-1], film[-1])] if speed == 0 else []
    mask = stroke_mask(film[::2], text_box(), edges)
    truth = letters()[1] > 0.1
    assert (mask & truth).sum() / truth.sum() > 0.99
    x0, y0, x1, y1 = text_box()
    assert mask.sum() < 0.9 * (x1 - x0) * (y1 - y0)


def test_yellow_text_with_a_soft_shadow_on_a_still_background():
    clean = texture(160, 320)
    fill, rim = letters()
    shadow = cv2.GaussianBlur(np.roll(rim, (3, 3), (0, 1)), (0, 0), 1.5) * 0.6
    dirty = clean * (1 - shadow[..., None])
    dirty[..., 1:] = 128
    dirty = dirty * (1 - fill[..., None]) + fill[..., None] * np.array([220, 40, 150])
    dirty = dirty.astype(np.uint8)
    mask = stroke_mask([dirty] * 5, text_box(), [(clean, dirty), (clean, dirty)])
    touched = np.abs(dirty.astype(int) - clean).max(2) > 12
    assert (mask & touched).sum() / touched.sum() > 0.97


# --- regions ----------------------------------------------------------------------------------------------------------


def test_text_regions_limit_and_protection_wins():
    film = [burn(p) for p in pan(40)]
    assert not scan(film, regions=[region("text", 0, 0, 1, 0.4)]).events
    assert not scan(film, regions=[region("protection", 0, 0, 1, 1)]).events
    assert len(scan(film, regions=[region("text", 0, 0.5, 1, 0.5)]).events) == 1


def test_holes_keep_to_regions_in_space_and_time():
    turn = Turn(0, 320, 160)
    zones = Zones([region("protection", 0.5, 0, 0.5, 1, 1.0, 2.0)], turn)
    event = erasure((0, 100, 320, 140), 0, 100)
    before = hole_at(10, 0.4, (0, 0, 320, 160), [event], zones)
    during = hole_at(30, 1.2, (0, 0, 320, 160), [event], zones)
    assert before[100:140].all()
    assert not before[:100].any()
    assert during[100:140, :160].all()
    assert not during[:, 160:].any()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_regions_follow_what_players_turn_and_mirror(rotation, mirrored):
    coded = np.zeros((160, 320), np.uint8)
    turn = Turn(rotation, 320, 160, mirrored)
    box = turn.coded_region(Coordinates(0.1, 0.25, 0.3, 0.5))
    coded[box[1] : box[3], box[0] : box[2]] = 1
    shown = turn.upright(coded)
    assert (turn.coded(shown) == coded).all()
    h, w = shown.shape
    assert (w, h) == turn.shown
    ys, xs = np.nonzero(shown)
    got = (xs.min() / w, ys.min() / h, (xs.max() + 1) / w, (ys.max() + 1) / h)
    assert got == pytest.approx((0.1, 0.25, 0.4, 0.75), abs=0.01)
    at = turn.shown_region(box)
    assert (at.x, at.y, at.width, at.height) == pytest.approx((0.1, 0.25, 0.3, 0.5), abs=0.01)


# --- verify -----------------------------------------------------------------------------------------------------------


def test_verify_sees_what_is_left_and_only_that():
    event = Event(text_box(), 0, 30, 0, 30, (0, 0, 320, 160), b"")
    turn = Turn(0, 320, 160)

    class Crops(Seer):
        def boxes(self, bgr):
            from vtid_inpaint_local.detect import Found

            ys, xs = np.nonzero(bgr.min(2) > 225)
            whole = (0, 0, bgr.shape[1], bgr.shape[0])  # what a network answers to a picture without text
            return [Found((xs.min(), ys.min(), xs.max(), ys.max()) if xs.size > 50 else whole, 0.9)]

    clean = [ArrayFrame(p, i) for i, p in enumerate(pan(30))]
    half = [ArrayFrame(burn(p) if i > 20 else p, i) for i, p in enumerate(pan(30))]

    def left(frames, event):
        found = Findings([event], set(), [i / 25 for i in range(30)])
        return still_seen(list(enumerate(frames)), found, Zones([], turn), Crops(), turn)

    assert left(clean, event) == {}
    assert left(half, event) == {0: 1}
    assert left(half, erasure(event.box, 0, 30)) == {}


def test_scenery_that_looks_like_text_is_told_from_text_that_is_left():
    event = Event(text_box(), 5, 30, 5, 30, (0, 0, 320, 160), b"")
    turn = Turn(0, 320, 160)

    class Fooled(Seer):
        def __init__(self, always):
            self.always = always

        def boxes(self, bgr):
            from vtid_inpaint_local.detect import Found

            h, w = bgr.shape[:2]
            return [Found((w * 0.1, h * 0.4, w * 0.9, h * 0.6), 0.9)] if self.always else []

    clean, dirty = (ArrayFrame(p, 0) for p in (pan(1)[0], burn(pan(1)[0])))
    assert only_scenery(dirty, clean, event, Fooled(True), turn)
    assert not only_scenery(dirty, clean, event, Fooled(False), turn)
    assert not only_scenery(dirty, dirty, event, Fooled(True), turn)  # the text itself
    other = Event(event.box, 30, 60, 30, 60, event.mask_box, b"")
    assert neighbours(event, [event], 60, set()) == [(29, 30), (5, 4)]
    assert neighbours(event, [event, other], 60, {40}) == [(5, 4)]
    assert neighbours(event, [event], 30, {5}) == []


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_template_measures_strength():
    clean = texture(160, 320)
    x0, y0, x1, y1 = text_box()
    template = Template(burn(clean)[y0:y1, x0:x1, 0])
    seen = [template.amplitude(burn(clean, s)[y0:y1, x0:x1, 0]) for s in (0, 0.5, 1)]
    assert seen[2] == pytest.approx(1, abs=0.01)
    assert 0.3 < seen[1] < 0.75
    assert abs(seen[0]) < 0.3


def test_the_plugin_is_listed_without_loading_anything_heavy():
    code = (
        "import sys, vtid.sdk; before = set(sys.modules); import vtid_inpaint_local\n"
        "new = set(sys.modules) - before\n"
        "assert not {'cv2', 'numpy', 'rapidocr', 'onnxruntime', 'torch'} & new, new"
    )
    root = Path(__file__).parents[3]
    path = f"{root}:{root / 'plugins/inpaint_local/src'}"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path, "PATH": "/usr/bin"})


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_the_largest_channel_is_what_numpy_says(kind):
    pixels = np.random.default_rng(3).integers(0, 255, (20, 30, 3)).astype(kind)
    assert np.array_equal(largest(pixels), pixels.max(2))
    assert largest(pixels).dtype == kind


@pytest.mark.parametrize("count", [*range(1, 20), 60])
def test_the_median_of_pictures(count):
    stack = np.random.default_rng(count).integers(0, 256, (count, 3, 5), np.uint8)
    assert np.array_equal(median(stack), np.sort(stack, 0)[(count - 1) // 2])
    assert np.allclose(median(stack.astype(np.float32)), np.median(stack, 0))


@pytest.mark.parametrize(("height", "seen", "faint"), [(30, True, True), (38, True, False), (45, False, False)])
def test_text_is_no_higher_than_a_quarter_of_the_picture_and_in_a_mean_a_fifth(height, seen, faint):
    box = (10, 20, 200, 20 + height)
    assert (plausible(box, 320, 160), plausible(box, 320, 160, tuning.MAX_FAINT_SHARE)) == (seen, faint)
