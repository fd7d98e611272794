"""Which pixels are letters, outline and shadow, where the picture makes that hard; on plain arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid_inpaint_local.arrays import widen
from vtid_inpaint_local.change import certain, stirred
from vtid_inpaint_local.events import Event
from vtid_inpaint_local.mask import Strokes, recoloured, stroke_mask, strokes_of
from vtid_inpaint_local.presence import gone
from vtid_inpaint_local.skirt import Around, freed, held
from vtid_inpaint_local.still import still
from vtid_inpaint_local.style import Styles

from .conftest import burn, letters, pan, text_box, texture
from .test_parts import scan

WHOLE = (0, 0, 320, 160)


def truth(**where):
    """Every pixel that letters and outline change."""
    return letters(**where)[1] > 0.05


def excess(mask, pixels, **where):
    """Masked pixels farther than so many from any text, as a share of the text's."""
    side = 2 * pixels + 1
    near = cv2.dilate(truth(**where).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return (mask & ~near).sum() / truth(**where).sum()


def test_an_outline_ends_where_the_scene_begins_to_move():
    around = Around.of(letters()[0] > 0.5)
    sway = np.where(around.distance <= 4, 1.0, 20.0).astype(np.float32)
    assert held(sway, around, 40) == pytest.approx(4, abs=0.5)
    assert held(np.ones_like(sway), around, 40) == float("inf")  # nothing moves: that says nothing


def test_a_shadow_reaches_to_where_the_scene_does_all_that_it_does_beside_it():
    """Whatever that is: the scene does little on the left and much on the right."""
    fill = letters()[0] > 0.5
    rows, columns = np.indices(fill.shape)
    open_scene = 8 + 40 * columns / 320 + 4 * np.sin(rows / 9)
    opaque = np.maximum(fill, 0.7 * np.roll(fill, (5, 5), (0, 1)) * ~fill)
    for by in range(5):  # it begins at the letters
        opaque = np.maximum(opaque, 0.7 * np.roll(fill, (by, by), (0, 1)) * ~fill)
    sway = (open_scene * (1 - opaque)).astype(np.float32)
    reach = freed(sway, Around.of(fill), 30, np.ones_like(fill))
    assert reach is not None
    assert 5 <= reach[1] <= 8  # right and down
    assert reach[5] == 1
    assert max(reach[4], reach[6]) <= 3
    assert freed(np.ones_like(sway), Around.of(fill), 30, np.ones_like(fill)) is None


def test_a_scene_that_differs_from_place_to_place_is_no_shadow():
    """It does more than twice as much behind some letters as behind others, and more the farther from them."""
    around = Around.of(letters()[0] > 0.5)
    columns = np.indices(around.distance.shape)[1]
    beside = np.where((columns // 60) % 2 == 0, 24.0, 10.0) * (1 + 0.03 * np.minimum(around.distance, 14))
    sway = np.where(around.distance <= 3, 1.0, beside).astype(np.float32)
    reach = freed(sway, around, 30, np.ones_like(sway, bool))
    assert reach is not None
    assert reach.max() <= 4


def outlined(pixels, width=4, luma=235):
    """Letters with a broad outline over a picture, and every pixel that they change."""
    fill = letters()[0]
    rim = cv2.dilate(fill, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1)))
    out = pixels.astype(np.float32)
    for alpha, value in ((rim, 16), (fill, luma)):
        out = out * (1 - alpha[..., None]) + alpha[..., None] * np.array([value, 128, 128])
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), rim > 0.05


def test_a_scene_that_is_dark_around_the_letters_is_no_outline_if_it_moves():
    film = []
    slope = 6.0 * np.abs(np.arange(160) - 120)  # darkest along the line
    for pixels in pan(45, speed=4.0)[::3]:
        scene = pixels.copy()
        scene[..., 0] = np.clip(slope[:, None] + 0.3 * (pixels[..., 0].astype(np.float32) - 115) + 16, 16, 235)
        film.append(burn(scene))
    mask = stroke_mask(film, text_box())
    assert mask[truth()].mean() > 0.99
    assert excess(mask, 4) < 0.02


@pytest.mark.parametrize("seen", [120, 190])
def test_an_outline_that_did_not_show_at_its_coming_is_masked_where_the_scene_moves_on(seen):
    """More than half of the line, or its last word, was black when the text came: no black outline changes that."""
    clean = pan(45, speed=4.0)[::3]
    film = [outlined(p)[0] for p in clean]
    before = clean[0].copy()
    before[:, seen:, 0] = 16
    mask = stroke_mask(film, text_box(), [(before, outlined(before)[0])])
    assert mask[:, seen:][outlined(before)[1][:, seen:]].mean() > 0.98


@pytest.mark.parametrize(("width", "sure"), [(3, True), (7, False)])
def test_an_outline_that_has_no_end_says_nothing_of_the_films_style(width, sure):
    film = [outlined(p, width)[0] for p in pan(45, speed=4.0)[::3]]
    for picture in film:
        picture[136:, :, 0] = 16  # no scene moves below
    box = text_box()
    strokes = strokes_of(still(film), box, [], box[3] - box[1])
    assert strokes is not None
    assert strokes.sure is sure


def test_letters_are_what_their_outline_holds_though_the_outline_is_more_of_one_colour():
    fill = cv2.putText(np.zeros((160, 320), np.uint8), "Look over there", (40, 130), 0, 0.8, 255, 1, cv2.LINE_AA) / 255
    rim = cv2.dilate(fill, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    picture = np.full((160, 320, 3), (120, 128, 128), np.float32)
    for x in range(50, 280, 40):  # and the scene has that colour too
        picture[105:122, x : x + 4, 0] = 18
    for alpha, value in ((rim, 16), (fill, 235)):
        picture = picture * (1 - alpha[..., None]) + alpha[..., None] * np.array([value, 128, 128])
    picture = cv2.GaussianBlur(np.rint(picture).astype(np.uint8), (0, 0), 0.7)  # thin strokes are never quite white
    ys, xs = np.nonzero(rim > 0.1)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    strokes = strokes_of(still([picture] * 5), box, [], box[3] - box[1])
    assert strokes is not None
    assert strokes.colour[0] > 150


def test_before_a_bright_scene_white_letters_are_still_told_from_their_outline():
    picture = texture(160, 320).astype(np.float32)
    picture[..., 0] = 195 + picture[..., 0] // 20  # letters are only a little brighter, and their outline black
    fill = cv2.putText(np.zeros((160, 320), np.uint8), "Hello there", (30, 110), 0, 1.3, 255, 4, cv2.LINE_AA) / 255
    rim = cv2.dilate(fill, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    for alpha, value in ((rim, 16), (fill, 235)):
        picture = picture * (1 - alpha[..., None]) + alpha[..., None] * np.array([value, 128, 128])
    shape = (rim > 0.05).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(shape)
    soft = cv2.GaussianBlur(np.rint(picture).astype(np.uint8), (0, 0), 0.7)
    strokes = strokes_of(still([soft] * 5), (x, y, x + w, y + h), [], h)
    assert strokes is not None
    assert strokes.colour[0] > 220
    assert strokes.mask[shape > 0].mean() > 0.99
    assert (strokes.mask & (cv2.dilate(shape, np.ones((5, 5), np.uint8)) == 0)).sum() < 0.02 * shape.sum()


def grid(thickness):
    """Light letters of few strokes, as Chinese ones are: much of the line is gaps."""
    out = np.zeros((160, 320), np.uint8)
    for x in range(52, 244, 32):
        cv2.rectangle(out, (x, 110), (x + 26, 136), 255, thickness)
        cv2.rectangle(out, (x + 9, 119), (x + 17, 127), 255, thickness)
    return out > 0


@pytest.mark.parametrize("dark", [30, 40])
def test_gaps_between_light_strokes_before_a_dark_scene_are_no_letters(dark):
    film = []
    for i in range(7):
        picture = np.full((160, 320, 3), 128, np.uint8)
        picture[..., 0] = dark + 150 * np.exp(-(((np.arange(320) - 200 - 2 * i) / 30) ** 2))
        picture[grid(4)], picture[grid(2)] = (26, 128, 128), (200, 45, 148)
        film.append(np.dstack([cv2.GaussianBlur(picture[..., 0], (3, 3), 0.5), cv2.blur(picture[..., 1:], (2, 2))]))
    strokes = strokes_of(still(film), (50, 108, 238, 140), [], 32)
    assert strokes is not None
    assert strokes.colour[0] > 150
    assert strokes.mask[grid(2)].mean() > 0.99


def test_over_a_picture_that_holds_still_what_came_or_went_is_text_and_nothing_else():
    box = np.zeros((160, 320), bool)
    box[108:140, 50:238] = True
    clean = pan(1)[0]
    text = clean.copy()
    text[grid(4)], text[grid(2)] = (26, 128, 128), (200, 45, 148)
    sure = certain([(clean, text)], box, 32)
    assert sure is not None
    assert sure[grid(2)].mean() > 0.95
    assert not sure[~grid(4)].any()
    half = text.copy()
    half[:, :150] = clean[:, :150]
    both = certain([(half, text), (text, clean)], box, 32)  # what was there before it came went with it all the same
    assert both is not None
    assert np.array_equal(both, sure)
    assert certain([(np.roll(clean, 9, 1), text)], box, 32) is None


def test_a_text_that_is_only_paler_outside_its_time_has_not_gone():
    clean = pan(1)[0]
    x0, y0, x1, y1 = text_box()
    line = np.s_[y0:y1, x0:x1, 0]
    none, all_ = clean[line], burn(clean)[line]
    assert gone(none, all_)
    assert gone(burn(clean, text="Good night!")[line], all_)
    assert not gone(burn(clean, 0.4)[line], burn(clean, 0.6)[line])


def test_what_was_there_before_and_stays_is_no_letter_though_it_has_their_colour():
    """The scene moves behind the text, so that its coming does not tell pixel by pixel; but the shoe stands still."""
    before, *film = pan(46, speed=4.0)
    for pixels in (before, *film):
        pixels[70:125, 138:178] = (90, 128, 128)
        pixels[84:112, 154:162] = (235, 128, 128)  # in the gap between the words, and above them
    burned = [burn(p) for p in film]
    edges = [(before, burned[0])]
    seen = still(burned[::3])
    shoe = np.zeros(WHOLE[:1:-1], bool)
    shoe[84:100, 154:162] = True
    plain, told = (strokes_of(one, text_box(), edges, 30) for one in (seen, seen._replace(stirred=stirred(edges, 30))))
    assert plain is not None
    assert told is not None
    assert plain.mask[shoe].mean() > 0.5
    assert told.mask[shoe].mean() < 0.1
    assert told.mask[truth()].mean() > 0.99


def test_words_that_one_text_shares_with_the_next_go_with_both():
    film = [burn(p, text="Hello there" if i < 30 else "Hello again") for i, p in enumerate(pan(60, speed=0.0))]
    found = scan(film)
    for number in (10, 45):
        mask = np.zeros((160, 320), bool)
        for event in found.events:
            x0, y0, x1, y1 = event.mask_box
            mask[y0:y1, x0:x1] |= event.mask & (event.start <= number < event.end)
        assert mask[letters(text="Hello there" if number < 30 else "Hello again")[0] > 0.5].mean() > 0.98


def test_a_full_stop_beside_the_box_is_masked():
    box = text_box()
    at = (box[2] + 12, 128)
    film = []
    for pixels in pan(45, speed=2.0)[::3]:
        out = burn(pixels)
        cv2.circle(out, at, 4, (16, 128, 128), -1)
        cv2.circle(out, at, 2, (235, 128, 128), -1)
        film.append(out)
    mask = stroke_mask(film, box)
    assert mask[at[1] - 2 : at[1] + 3, at[0] - 2 : at[0] + 3].mean() > 0.8
    assert mask[:, at[0] + 12 :].sum() == 0


def test_what_the_crop_cuts_off_is_no_letter_beside_the_box():
    box = text_box()
    stripe = np.s_[110:130, 315:320]
    film = []
    for pixels in pan(45, speed=2.0)[::3]:
        out = burn(pixels)
        out[105:135, 305:320] = (40, 128, 128)
        out[stripe] = (235, 128, 128)
        film.append(out)
    assert stroke_mask(film, box)[stripe].mean() < 0.1
    whole = [np.concatenate([pixels, np.full((160, 30, 3), (40, 128, 128), np.uint8)], 1) for pixels in film]
    assert stroke_mask(whole, box)[stripe].mean() > 0.8, "a letter that the detector left out"


def test_a_scene_that_moved_behind_letters_is_no_line_that_was_sung():
    def crop(shift):
        scene = np.full((40, 240, 3), (170, 128, 128), np.uint8)
        for x in range(-40, 280, 22):
            scene[:, max(0, x + shift) : max(0, x + shift + 7), 0] = 40
        fill, rim = letters(40, 240, at=(8, 30))
        scene[rim > 0.5, 0] = 16
        scene[fill > 0.5] = (235, 128, 128)
        return scene

    assert not recoloured([crop(0)] * 5 + [crop(5)] * 5 + [crop(11)] * 5)


def test_what_one_text_shows_of_its_style_mends_the_guess_at_another():
    box, styles = text_box(), Styles()
    clean = pan(1)[0]
    shown, guess = (Event(box, 0, 9, 0, 9, WHOLE, b"") for _ in "12")
    seen = still([burn(clean)] * 5)
    strokes = strokes_of(seen, box, [(clean, burn(clean))], 30)
    assert strokes is not None
    assert strokes.sure
    shown.mask = strokes.mask
    dusk = np.full_like(clean, (120, 128, 128))
    dusk[80:, :, 0] = np.clip(16 + 3 * np.abs(np.arange(80, 160) - 118), 16, 120)[:, None]  # black along the line
    veiled = still([burn(dusk)] * 5)
    wide = strokes_of(veiled, box, [], 30)
    assert wide is not None
    assert not wide.sure
    guess.mask = wide.mask
    before = excess(guess.mask, 4)
    assert before > 0.1
    styles.add(guess, veiled, box, wide)
    styles.add(shown, seen, box, strokes)
    styles.settle()
    assert excess(guess.mask, 4) < 0.2 * before
    assert guess.mask[truth()].mean() > 0.98
    assert np.array_equal(shown.mask, strokes.mask)


@pytest.mark.parametrize(("wider", "mended"), [(0.5, False), (1.5, True)])
def test_a_guess_that_reaches_a_pixel_and_a_half_beyond_the_style_is_mended(wider, mended):
    box, styles, clean = text_box(), Styles(), pan(1)[0]
    seen = still([burn(clean)] * 5)
    strokes = strokes_of(seen, box, [(clean, burn(clean))], 30)
    assert strokes is not None
    height = box[3] - box[1]
    reach = np.maximum(strokes.reach, 2 / height)
    guess = Event(box, 0, 9, 0, 9, WHOLE, b"")
    guess.mask = np.ones((160, 320), bool)
    styles.add(guess, seen, box, strokes._replace(reach=reach + wider / height, sure=False))
    styles.add(Event(box, 0, 9, 0, 9, WHOLE, b""), seen, box, strokes._replace(reach=reach))
    styles.settle()
    assert guess.mask.all() != mended


@pytest.mark.parametrize(("shade", "mended"), [(0.75, True), (1.0, False)])
def test_a_shadow_that_all_others_have_goes_where_the_picture_is_darker(shade, mended):
    box, styles = text_box(), Styles()
    fill = np.zeros((160, 320), bool)
    fill[box[1] : box[3], 70:200:40] = True
    fill = widen(fill, 3)
    cast = np.roll(fill, (5, 5), (0, 1)) & ~fill
    crop = np.full((160, 320, 3), (150, 128, 128), np.uint8)
    crop[cast, 0] = round(150 * shade)
    crop[fill] = (235, 128, 128)
    seen, height = still([crop] * 5), box[3] - box[1]
    plain = np.full(8, 1 / height, np.float32)
    shaded = np.where(np.isin(np.arange(8), (0, 1, 2)), np.float32(8 / height), plain)
    events = [Event(box, 0, 9, 0, 9, WHOLE, b"") for _ in range(3)]
    for event, reach in zip(events, (plain, shaded, shaded), strict=True):
        strokes = Strokes(fill, fill, np.array([235, 128, 128], np.float32), reach, sure=True)
        event.mask = strokes.mask
        styles.add(event, seen, box, strokes)
    styles.settle()
    assert events[0].mask[cast].mean() > 0.85 if mended else np.array_equal(events[0].mask, fill)
    assert all(np.array_equal(e.mask, fill) for e in events[1:])


def test_gaps_between_plain_letters_are_no_letters():
    film = []
    fill = cv2.putText(np.zeros((160, 320), np.uint8), "M A X W H N E", (40, 130), 0, 0.8, 255, 1, cv2.LINE_AA) / 255
    for pixels in pan(45, speed=3.0)[::3]:
        scene = cv2.GaussianBlur(pixels, (0, 0), 4).astype(np.float32)
        scene = scene * (1 - fill[..., None]) + fill[..., None] * np.array([235, 128, 128])
        film.append(cv2.GaussianBlur(np.rint(scene).astype(np.uint8), (0, 0), 0.7))
    ys, xs = np.nonzero(fill > 0.1)
    box = (int(xs.min()) - 2, int(ys.min()) - 2, int(xs.max()) + 3, int(ys.max()) + 3)
    mask = stroke_mask(film, box)
    assert mask[fill > 0.3].mean() > 0.98
    x0, y0, x1, y1 = box
    assert mask[y0:y1, x0:x1].mean() < 0.8
