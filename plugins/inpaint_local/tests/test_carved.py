"""Faint marks over a scene that holds still, found by their shape; by the default detector, on plain arrays."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from vtid.models import Store
from vtid_inpaint_local import detectors, layers, tuning
from vtid_inpaint_local.carved import Carver, shape_in
from vtid_inpaint_local.events import Event
from vtid_inpaint_local.geometry import Turn, cover
from vtid_inpaint_local.looker import Looker
from vtid_inpaint_local.scan import Scan
from vtid_inpaint_local.track import Rate
from vtid_inpaint_local.veil import matte_of
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame

SIZE = (640, 360)
TURN = Turn(0, *SIZE)
WORD = (468, 26, 597, 46)


@cache
def the_default():
    return detectors.choose("auto", threads=1, model_dir=None, models=Store(Path("nowhere")))


def leaves(seed):
    """A still scene of leaves of every size, BGR: letters drown in it."""
    rng = np.random.default_rng(seed)
    out = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for radius in sorted(np.clip(4 / rng.random(2500), 4, 40).astype(int), reverse=True):
        at = tuple(int(v) for v in rng.integers(0, SIZE))
        cv2.circle(out, at, int(radius), [int(v) for v in rng.normal(120, 40, 3).clip(20, 220)], -1, cv2.LINE_AA)
    return cv2.GaussianBlur(out, (0, 0), 0.7)


def letters(size=SIZE):
    x0, _, _, y1 = WORD
    drawn = cv2.putText(np.zeros(size[::-1], np.uint8), "NORTH TV", (x0 + 2, y1 - 1), 0, 0.9, 255, 4, cv2.LINE_AA)
    return drawn / 255.0


def film(count, opacity, seed=1):
    """Frames as YUV: the scene with a little grain, and the word over it in white."""
    rng, alpha = np.random.default_rng(seed), (letters() * opacity)[..., None]
    scene = leaves(seed) * (1 - alpha) + alpha * 255
    for _ in range(count):
        grained = np.clip(scene + rng.normal(0, 1.5, scene.shape), 0, 255).astype(np.uint8)
        yield cv2.cvtColor(grained, cv2.COLOR_BGR2YUV)


def scanned(frames):
    found = Scan(the_default(), TURN, Zones([], TURN), Rate.of(25, SIZE[0] * SIZE[1] * 2, 0.4))
    for i, pixels in enumerate(frames):
        found.feed(ArrayFrame(pixels, i))
    return found.finish()


def test_a_mark_that_no_detector_sees_is_found_by_its_shape(monkeypatch):
    frames = list(film(90, 0.3))
    (event,) = scanned(frames).events
    assert (event.start, event.end) == (0, 90)
    assert cover(WORD, event.box) > 0.7
    assert event.veil is not None
    x0, y0, x1, y1 = event.veil.box
    where = letters()[y0:y1, x0:x1] > 0.9
    assert abs(float(np.median(matte_of(event.veil)[where])) - 0.3) < 0.05
    monkeypatch.setattr(Carver, "begin", lambda *_: None)
    assert not scanned(frames).events


def test_leaves_alone_are_no_mark():
    assert not scanned(film(70, 0.0)).events
    assert not scanned(film(70, 0.0, seed=2)).events


def test_a_mark_that_is_followed_already_is_not_found_twice():
    frames = list(film(90, 0.5))
    pictures = [cv2.cvtColor(p, cv2.COLOR_YUV2BGR) for p in frames[:: 90 // tuning.LINGER_LOOKS]]
    assert len(carved_in(pictures)) == 1
    assert len(scanned(frames).events) == 1


def test_a_second_broader_measure_of_a_mark_that_is_known_is_not_asked_for_and_the_rest_of_one_that_was_cut_short_is():
    """What was followed covers half of it: a shape is drawn too large often, a line that the mean shows hardly ever."""
    scan = Scan(None, TURN, Zones([], TURN), Rate.of(25, 640 * 540, 0.4))
    scan.found.events.append(Event(WORD, 0, 60, 0, 60, WORD, b""))
    broader = (WORD[0] - 60, WORD[1] - 4, WORD[2] + 8, WORD[3] + 12)
    assert 0.3 < cover(broader, WORD) < 0.7
    assert scan._met(broader, 0, layers.CARVED_MET)
    assert not scan._met(broader, 0, tuning.LINGER_MET)
    assert not scan._met(broader, 60, layers.CARVED_MET)


def carved_in(pictures):
    looker, carver = Looker(the_default(), TURN, 10), Carver()
    carver.begin(looker, pictures, 0)
    marks, _ = carver.found(last=True)
    looker.close()
    return marks


def test_what_a_shape_says_is_read():
    (carved,) = carved_in([cv2.cvtColor(p, cv2.COLOR_YUV2BGR) for p in film(tuning.LINGER_LOOKS, 0.34)])
    assert "NORTH" in carved.text
    assert cover(WORD, carved.box) > 0.7
    assert abs(carved.alpha - 0.34) < 0.05


def test_the_corners_are_looked_at_the_more_rarely_the_longer_they_hold_still():
    looker, carver = Looker(the_default(), TURN, 10), Carver()
    pictures = [cv2.cvtColor(p, cv2.COLOR_YUV2BGR) for p in film(2, 0.34)]
    told = []
    for time in range(1, 13):
        carver.begin(looker, pictures, time)
        for _ in range(layers.CARVED_LATER - 1):
            assert carver.found() == ([], 0)
        marks, since = carver.found()
        told += [since] * len(marks)
        assert carver.found(last=True) == ([], 0)
    assert told == [1, 3, 9]
    looker.close()


def test_corners_that_move_are_not_looked_at():
    pictures = [cv2.cvtColor(p, cv2.COLOR_YUV2BGR) for p in film(1, 0.34)]
    assert not carved_in([pictures[0], np.roll(pictures[0], 40, 1)])


def test_a_plain_wall_has_no_shape():
    wall = [np.full((72, 256, 3), 140, np.uint8)] * 6
    assert shape_in(wall) is None
