"""Coloured letters that are as bright as what is behind them: told by their colour; on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest

from vtid_inpaint_local.detect import Found
from vtid_inpaint_local.mask import stroke_mask

from .conftest import letters, text_box
from .test_parts import Seer, scan
from .test_veils import pan

COLOUR = (130, 100, 200)


def coloured(pixels, colour=COLOUR):
    """Letters of a colour, without an outline."""
    fill = letters()[0][..., None]
    return np.rint(pixels * (1 - fill) + fill * np.array(colour)).astype(np.uint8)


class Colourful(Seer):
    """Sees letters where something is red."""

    def boxes(self, bgr):
        red = bgr[..., 2].astype(int) - bgr[..., 1] > 60
        whole = bgr.shape[:2] == (160, 320)
        return [Found(tuple(map(float, b)), 0.9) for b in self.boxes_ if whole and red.mean() > 0.005]


def test_parts_of_letters_that_are_as_bright_as_the_scene_are_letters():
    scenes = pan(60, speed=3.0)[::4]
    for scene in scenes:  # a light wall behind one half of the words, a dark one behind the other
        scene[:, :135, 0] = 130 + (scene[:, :135, 0].astype(int) - 128) // 8
        scene[:, 135:, 0] //= 3
    mask = stroke_mask([coloured(s) for s in scenes], text_box())
    strokes = letters()[0] > 0.5
    for half in (np.s_[:, :135], np.s_[:, 135:]):
        assert (mask & strokes)[half].sum() > 0.98 * strokes[half].sum()
    assert mask.sum() < 4 * strokes.sum()


@pytest.mark.parametrize(("start", "end"), [(7, 41), (23, 60)])
def test_they_are_followed_in_the_channel_that_tells_them(start, end):
    clean = pan(60, speed=3.0)
    for scene in clean:
        scene[..., 0] = 130 + (scene[..., 0].astype(int) - 128) // 2
    film = [coloured(p) if start <= i < end else p for i, p in enumerate(clean)]
    (event,) = scan(film, Colourful()).events
    assert (event.start, event.end) == (start, end)
