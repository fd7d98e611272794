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
from vtid_inpaint_local.composite import Composite
from vtid_inpaint_local.events import Event, Findings, erasure
from vtid_inpaint_local.fill import Filler
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.mask import stroke_mask
from vtid_inpaint_local.merging import merge
from vtid_inpaint_local.patch import Patch
from vtid_inpaint_local.plates import hole_at
from vtid_inpaint_local.presence import Template, fade_length, walk
from vtid_inpaint_local.scan import Scan
from vtid_inpaint_local.shots import Cuts
from vtid_inpaint_local.spatial import close_holes
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


# --- fill -------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_the_largest_channel_is_what_numpy_says(kind):
    pixels = np.random.default_rng(3).integers(0, 255, (20, 30, 3)).astype(kind)
    assert np.array_equal(largest(pixels), pixels.max(2))
    assert largest(pixels).dtype == kind


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


def test_of_a_text_found_twice_the_longer_stays():
    def event(start, end, box):
        return Event(box, start, end, start, end, box, b"", text="not even the old captain.")

    whole = event(45, 100, (391, 638, 881, 695))
    again = event(65, 100, (384, 636, 883, 697))
    part = event(45, 100, (391, 638, 600, 695))
    assert merge([again, part, whole]) == [whole]


@pytest.mark.parametrize("count", [*range(1, 20), 60])
def test_the_median_of_pictures(count):
    stack = np.random.default_rng(count).integers(0, 256, (count, 3, 5), np.uint8)
    assert np.array_equal(median(stack), np.sort(stack, 0)[(count - 1) // 2])
    assert np.allclose(median(stack.astype(np.float32)), np.median(stack, 0))


def test_a_text_followed_in_two_pieces_is_there_for_the_time_of_both():
    def event(start, end):
        return Event((292, 373, 473, 416), start, end, start, end, (0, 0, 9, 9), b"", text="not even the old captain.")

    first, second = event(5, 11), event(8, 21)
    assert merge([first, second]) == [second]
    assert (second.start, second.core_start, second.core_end, second.end) == (5, 5, 21, 21)


def test_a_text_that_goes_on_in_another_colour_gets_the_strokes_of_both_pieces():
    def piece(start, end, x, text="Hello there", box=(50, 90, 200, 130)):
        mask = np.zeros((50, 180), bool)
        mask[20:30, x : x + 40] = True
        return Event(box, start, end, start, end, (40, 80, 220, 130), np.packbits(mask).tobytes(), text=text)

    first, second = piece(10, 30, 10), piece(31, 90, 100)
    (whole,) = merge([first, second])
    assert (whole.start, whole.end) == (10, 90)
    assert whole.mask[20:30, 10:50].all()
    assert whole.mask[20:30, 100:140].all()
    # What says something else, stands elsewhere, or comes after a pause is a text of its own.
    for other in (piece(31, 90, 100, "Good bye"), piece(31, 90, 100, box=(20, 90, 90, 130)), piece(40, 90, 100)):
        assert len(merge([piece(10, 30, 10), other])) == 2
