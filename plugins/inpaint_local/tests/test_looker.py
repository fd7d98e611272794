"""When the detector is asked, and that how far it is ahead changes nothing."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from vtid_inpaint_local import tuning
from vtid_inpaint_local.detect import Coming, Found
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.looker import Looker
from vtid_inpaint_local.novelty import anything_new, strokes_in

from .conftest import ArrayFrame, burn, texture

EVERY = 10


class Counting:
    """A detector that sees one box in pictures with much white, and counts how often it is asked."""

    name = "counting"

    def __init__(self):
        self.asked = 0

    def boxes(self, bgr):
        self.asked += 1
        return [Found((1.0, 2.0, 3.0, 4.0), 0.9)] if (bgr.min(2) > 225).mean() > 0.01 else []

    def read(self, bgr):
        return "", 0.0


def film(frames=91, text_from=None):
    """A scene that holds still but for some noise, with letters from a frame on."""
    rng, still = np.random.default_rng(1), texture(160, 320)
    out = []
    for number in range(frames):
        noisy = np.clip(still + rng.normal(0, 1.5, still.shape), 0, 255).astype(np.uint8)
        out.append(burn(noisy) if text_from is not None and number >= text_from else noisy)
    return [ArrayFrame(pixels, number) for number, pixels in enumerate(out)]


def looked(frames, *, ahead=0, sparing=True, hurries=()):
    """Which frames were looked at, with what was seen there; and how often the detector was asked."""
    detector = Counting()
    looker = Looker(detector, Turn(0, 320, 160), EVERY, sparing=sparing)
    out, expected = {}, 0
    for number, frame in enumerate(frames):
        while expected < min(len(frames), number + ahead):
            looker.expect(expected, frames[expected])
            expected += 1
        if number in hurries:
            looker.hurry(number + 2)
        if looker.due(number):
            out[number] = looker.look(number, frame).found
    looker.close()
    return out, looker.looks


def test_looks_between_are_left_out_where_nothing_comes():
    every, asked = looked(film(), sparing=False)
    some, fewer = looked(film())
    assert list(every) == list(some)
    assert asked == len(every)
    assert fewer == -(-len(some) // tuning.DETECT_EVERY)
    assert [found for found in some.values() if found is not None] == [[]] * fewer


@pytest.mark.parametrize("begin", [18, 25, 40])
def test_a_text_that_comes_is_looked_at_at_once(begin):
    some, _ = looked(film(text_from=begin))
    first = next(number for number in some if number >= begin)
    assert some[first]


def test_looks_out_of_turn_are_taken():
    some, _ = looked(film(), hurries=(14,))
    assert some[16] is not None


@pytest.mark.parametrize("hurries", [(), (14, 57), (33,)])
def test_how_far_ahead_it_is_changes_nothing(hurries):
    frames = film(text_from=48)
    alone = looked(frames, hurries=hurries)
    assert [looked(frames, ahead=n, hurries=hurries) for n in (3, 15, 40)] == [alone] * 3


def test_strokes_that_move_a_little_are_not_new():
    still = texture(160, 320)
    pictures = still, burn(still), burn(still, at=(63, 131))
    before, written, moved = (strokes_in(ArrayFrame(p, 0).bgr()) for p in pictures)
    assert anything_new(before, written)
    assert not anything_new(written, moved)
    assert not anything_new(written, before)


def test_a_detector_that_is_loading_is_waited_for():
    there = Event()

    def load():
        there.wait()
        return Counting()

    coming = Coming(load)
    there.set()
    assert coming.name == "counting"
    assert coming.boxes(np.full((8, 8, 3), 255, np.uint8))
    assert coming.read(np.zeros((8, 8, 3), np.uint8)) == ("", 0.0)


def test_what_loading_raises_is_raised_where_the_detector_is_wanted():
    def load():
        raise LookupError("no such model")

    coming = Coming(load)
    with pytest.raises(LookupError, match="no such model"):
        coming.boxes(np.zeros((8, 8, 3), np.uint8))
