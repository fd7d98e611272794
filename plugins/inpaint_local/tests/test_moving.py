"""Text that moves, that changes its colour, and that only the mean of many frames shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid_inpaint_local import scan as scanning
from vtid_inpaint_local import tuning
from vtid_inpaint_local.detect import Found
from vtid_inpaint_local.events import Event, Motion, packed
from vtid_inpaint_local.geometry import cover
from vtid_inpaint_local.linger import Linger
from vtid_inpaint_local.mask import bare, stroke_mask, sung_mask
from vtid_inpaint_local.motion import course_of
from vtid_inpaint_local.skirt import Around, changed
from vtid_inpaint_local.track import Ring, Track

from .conftest import ArrayFrame, burn, letters, pan, text_box, texture
from .test_parts import Seer, scan


class Reader(Seer):
    """Sees every line of near-white strokes, wherever it is, and in crops too."""

    def boxes(self, bgr):
        lines = cv2.dilate((bgr.min(2) > 215).astype(np.uint8), np.ones((3, 25), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(lines)
        return [Found((x, y, x + w, y + h), 0.9) for x, y, w, h, area in stats[1:].tolist() if w > 20 and h > 8]


def strip(text, size, at):
    """Alpha of letters and of their outline on a canvas of their own, width × height."""
    return letters(size[1], size[0], text=text, at=at)


def laid(picture, strip, x, y):
    """The picture with a strip over it, its corner at (x, y), and where its strokes are."""
    out, touched = picture.astype(np.float32), np.zeros(picture.shape[:2], bool)
    fill, rim = strip
    h, w = fill.shape
    x0, x1 = max(0, x), min(picture.shape[1], x + w)
    y0, y1 = max(0, y), min(picture.shape[0], y + h)
    if x1 > x0 and y1 > y0:
        here, there = np.s_[y0:y1, x0:x1], np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        for alpha, value in ((rim, 16), (fill, 235)):
            a = alpha[there][..., None]
            out[here] = out[here] * (1 - a) + a * np.array([value, 128, 128])
        touched[here] = rim[there] > 0.3
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), touched


def recall_of(found, truth):
    """Share of the stroke pixels that are masked, and of the masked ones that lie farther than 8 px from any."""
    hit = strokes = masked = far = 0
    for number, touched in enumerate(truth):
        mask = np.zeros_like(touched)
        for event in found.events:
            if event.start <= number < event.end:
                x0, y0, x1, y1 = event.mask_box
                mask[y0:y1, x0:x1] |= event.mask_at(number)
        near = cv2.dilate(touched.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
        hit, strokes = hit + (mask & touched).sum(), strokes + touched.sum()
        masked, far = masked + mask.sum(), far + (mask & ~near).sum()
    return hit / strokes, far / max(1, masked)


@pytest.mark.parametrize("speed", [-4, 3])
def test_a_ticker_is_followed_and_masked_by_its_strokes(speed):
    line = strip("snow in the north tonight, markets closed", (760, 40), (10, 28))
    start = 60 if speed < 0 else -460
    laid_ = [laid(p, line, start + speed * i, 115) for i, p in enumerate(pan(70))]
    found = scan([p for p, _ in laid_], Reader())
    (event,) = found.events
    assert event.motion is not None
    assert (event.start, event.end) == (0, 70)
    recall, far = recall_of(found, [t for _, t in laid_])
    assert recall > 0.95
    assert far < 0.03


def test_credits_roll_as_one_text():
    fill, rim = np.zeros((300, 320)), np.zeros((300, 320))
    for row, text in enumerate(["Directed by", "Anna Berg", "Music", "The Quartet", "Camera"]):
        one = strip(text, (320, 60), (60, 40))
        fill[60 * row : 60 * row + 60], rim[60 * row : 60 * row + 60] = one
    laid_ = [laid(p, (fill, rim), 0, 100 - 2 * i) for i, p in enumerate(pan(70, speed=0.5))]
    found = scan([p for p, _ in laid_], Reader())
    (event,) = found.events
    assert event.motion is not None
    assert {dx for dx, _ in event.motion.moves} == {0}
    recall, far = recall_of(found, [t for _, t in laid_])
    assert recall > 0.95
    assert far < 0.05


def test_a_sign_in_a_scene_that_moves_is_no_ticker():
    wide = burn(texture(160, 900), at=(260, 130))
    box = text_box(160, 900, at=(260, 130))
    ring = Ring(20)
    for i in range(12):
        ring.push(i, ArrayFrame(np.ascontiguousarray(wide[:, 60 + 4 * i : 500 + 4 * i]), i))
    assert course_of((box[0] - 60, box[1], box[2] - 60, box[3]), 0, ring) is None
    still = texture(160, 900)
    for i in range(12):
        moved, _ = laid(still[:, :440], strip("Hello there", (260, 60), (10, 40)), 150 - 4 * i, 90)
        ring.push(12 + i, ArrayFrame(moved, 12 + i))
    course = course_of((155, 95, 360, 140), 12, ring)
    assert course is not None
    assert not course.upright
    assert course.speed == pytest.approx(-4, abs=0.3)


def test_a_mask_that_moves_is_laid_where_the_text_is():
    mask = np.zeros((4, 6), bool)
    mask[1, 2] = True
    event = Event(
        (0, 0, 10, 8), 5, 8, 5, 8, (0, 0, 10, 8), packed(mask), motion=Motion((7, 2, 13, 6), [(0, 0), (-3, 1), (9, 0)])
    )
    assert np.argwhere(event.mask_at(5)).tolist() == [[3, 9]]
    assert np.argwhere(event.mask_at(6)).tolist() == [[4, 6]]
    assert not event.mask_at(7).any()


def test_a_line_that_is_sung_stays_one_text():
    film = []
    fill = letters()[0]
    rim = cv2.dilate(fill, np.ones((5, 5)))
    for i, picture in enumerate(pan(70)):
        if not 8 <= i < 60:
            film.append(picture)
            continue
        out = picture * (1 - rim[..., None]) + rim[..., None] * np.array([16, 128, 128])
        colour = np.full((160, 320, 3), (235, 128, 128.0))
        colour[:, : 60 + (i - 8) * 4] = (95, 215, 115)
        film.append(np.clip(out * (1 - fill[..., None]) + fill[..., None] * colour, 0, 255).astype(np.uint8))
    found = scan(film, Sung())
    (event,) = found.events
    assert (event.start, event.end) == (8, 60)
    x0, y0, x1, y1 = event.mask_box
    truth = (rim > 0.3)[y0:y1, x0:x1]
    assert (event.mask & truth).sum() / truth.sum() > 0.97


def test_a_line_that_is_sung_in_the_scenes_own_grey_goes_to_its_last_letter():
    fill, rim = letters()
    box = text_box()
    crops = []
    for i, picture in enumerate(pan(45)[::3]):
        out = picture * (1 - rim[..., None]) + rim[..., None] * np.array([16, 128, 128])
        colour = np.full((160, 320, 3), (80, 215, 95.0))
        colour[:, : box[0] + (box[2] - box[0]) * i // 15] = (235, 128, 128)
        crops.append(np.clip(out * (1 - fill[..., None]) + fill[..., None] * colour, 0, 255).astype(np.uint8))
    plain = stroke_mask(crops, box)
    assert bare(plain, box)
    sung = plain | sung_mask(crops, box, (), certain=True)
    assert not bare(sung, box)
    assert (sung & (rim > 0.3)).sum() / (rim > 0.3).sum() > 0.95


class Sung(Seer):
    """Sees the line whichever its colour is: by the black outline."""

    def boxes(self, bgr):
        x0, y0, x1, y1 = text_box()
        there = bgr.shape[:2] == (160, 320) and (bgr[y0:y1, x0:x1].max(2) < 40).mean() > 0.15
        return [Found(tuple(map(float, text_box())), 0.9)] if there else []


def test_a_faint_mark_is_found_in_the_mean_of_many_frames(monkeypatch):
    fill, _ = letters(scale=0.8)
    shown = []
    for picture in pan(90, speed=5.0):
        a = (0.4 * fill)[..., None]
        shown.append(np.clip(picture * (1 - a) + a * np.array([235, 128, 128]), 0, 255).astype(np.uint8))

    class Blurred(Seer):
        """Sees the mark only once the scene is smooth."""

        def boxes(self, bgr):
            h, w = bgr.shape[:2]
            if (h, w) == (160, 320):
                smooth = cv2.Laplacian(bgr[:90], cv2.CV_32F).std() < 11  # frames have 12.5, means 10.4
                return [Found(tuple(map(float, text_box(scale=0.8))), 0.9)] if smooth else []
            edge = 32 + (h - 64) / 3  # a crop with a frame of 16 px, doubled, and a margin as high as the text
            return [Found((edge, edge, w - edge, h - edge), 0.9)]

    begun = []
    monkeypatch.setattr(scanning, "Track", lambda *where, **how: begun.append(how["number"]) or Track(*where, **how))
    found = scan(shown, Blurred())
    assert len(found.events) == 1
    assert found.events[0].start == 0
    assert found.events[0].end == 90
    # The sixth look is at frame 52. Followed from the next look on, it would have left too few crops in a short film.
    assert begun == [52 + tuning.LINGER_LATER - 1] == [53]


def test_a_mark_of_which_some_letters_were_seen_for_a_while_is_found_in_the_mean_all_the_same():
    """Before a dark scene, for a second, its last letters show in single pictures; then none do."""
    fill, _ = letters(scale=0.8)
    x0, y0, x1, y1 = whole = text_box(scale=0.8)
    last = (x0 + 3 * (x1 - x0) // 5, y0, x1, y1)
    shown = []
    for number, picture in enumerate(pan(120, speed=5.0)):
        a = (0.4 * fill)[..., None]
        behind = picture // 4 + np.array([12, 96, 96], np.uint8) if number < 26 else picture
        shown.append(np.clip(behind * (1 - a) + a * np.array([235, 128, 128]), 0, 255).astype(np.uint8))

    class Blurred(Seer):
        """Sees the last letters before the dark scene, and the mark once the scene is smooth."""

        def boxes(self, bgr):
            h, w = bgr.shape[:2]
            if (h, w) == (160, 320):
                smooth = cv2.Laplacian(bgr[:90], cv2.CV_32F).std() < 11
                dark = bgr[:90].mean() < 75
                return [Found(tuple(map(float, last if dark else whole)), 0.9)] if smooth or dark else []
            edge = 32 + (h - 64) / 3
            return [Found((edge, edge, w - edge, h - edge), 0.9)]

    found = scan(shown, Blurred())
    assert any(cover(whole, event.box) > 0.9 and event.end == 120 for event in found.events)


def test_a_shadow_is_measured_on_its_own_side():
    core = np.zeros((60, 120), bool)
    core[20:40, 20:100] = True
    cast = core | np.roll(core, 6, 1)
    everywhere = np.ones_like(core)
    reach = changed(cast, Around.of(core), 20, everywhere, everywhere)
    assert reach[0] >= 4
    assert reach[4] == 0


def test_how_far_a_shadow_reaches_is_told_where_there_is_light():
    core = np.zeros((200, 60), bool)
    core[10:190, 20:40] = True
    lit = np.zeros_like(core)
    lit[:60] = True
    cast = core | (np.roll(core, 6, 1) & lit)  # over the rest of the scene it is too dark for it to show
    around, everywhere = Around.of(core), np.ones_like(core)
    assert changed(cast, around, 20, everywhere, everywhere)[0] == 0
    assert changed(cast, around, 20, everywhere, lit)[0] >= 4
    assert changed(cast, around, 20, everywhere, np.zeros_like(core))[0] == 0, "nowhere light: all are asked"


def test_what_entered_a_ticker_last_goes_too():
    text = strip("NEWS of the day  +++  rain  +++  sun", (760, 44), (8, 32))
    film, truth = [], []
    for i, picture in enumerate(pan(44, speed=1.0)):
        out, touched = laid(picture, text, 200 - 6 * i, 112)
        film.append(out)
        truth.append(touched)

    class Late(Reader):
        """Does not see what has just come in."""

        def boxes(self, bgr):
            seen = super().boxes(bgr)
            return [Found((*f.box[:2], min(f.box[2], 250.0), f.box[3]), f.score) for f in seen if f.box[0] < 200]

    found = scan(film, Late())
    assert found.events
    assert recall_of(found, truth)[0] > 0.95
    entered = [np.where(np.arange(320) > 260, touched, False) for touched in truth[-3:]]
    assert sum(e.sum() for e in entered) > 200
    shown = [np.zeros_like(truth[0])] * (len(truth) - 3) + entered
    assert recall_of(found, shown)[0] > 0.95


def test_the_mean_is_shown_with_its_contrast_raised():
    lingering = Linger()
    faint = np.full((80, 320, 3), 200, np.uint8)
    faint[30:50, 100:104] += 10
    rng = np.random.default_rng(2)
    for number in range(tuning.LINGER_LOOKS):
        assert lingering.mean() is None
        moving = faint.copy()
        moving[:, 160:] = rng.integers(150, 250, (80, 160, 3))
        lingering.add(10 * number, moving)
    since, mean = lingering.mean()
    assert since == 0
    stroke, around = mean[40, 101].astype(int), mean[40, 120].astype(int)
    assert (stroke - around).min() >= 17
    for number in range(tuning.LINGER_LOOKS // 2):
        lingering.add(100 + 10 * number, 255 - moving)
    assert lingering.mean() is None
    assert lingering.mean(last=True) is not None  # of the film's end
    for number in range(tuning.LINGER_LOOKS):
        lingering.add(200 + 10 * number, moving)
    assert lingering.mean() == (200, None)  # where nothing moves it shows no more than each picture
