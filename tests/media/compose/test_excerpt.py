"""A stretch of a film is, frame by frame and sample by sample, what the whole film has there."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from tests.media.compose.films import draw, grey
from vtid.domain.excerpt import excerpt
from vtid.media.compose.mixing import mixed
from vtid.media.compose.stack import Decoding, stacked
from vtid.sdk import Canvas, Clip, Footage, Mix, Overlay, Placing, Plain, Sound, Still, Timeline, Transition

SMALL = Canvas(160, 90, Fraction(25))
RATE = 48000


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    """2 s of everything: footage, a slow zoom, transitions, a mark above, a text that fades, three kinds of sound."""
    folder = tmp_path_factory.mktemp("excerpt")
    source = draw(folder / "a.mp4", [grey(n) for n in range(60)], tone=440)
    image = np.zeros((180, 320, 3), np.uint8)
    image[60:120, 110:210] = 255
    cv2.imwrite(str(folder / "a.png"), image)
    mark = np.full((20, 40, 4), 255, np.uint8)
    return Timeline(
        SMALL,
        50,
        (
            Clip(Footage(source, Fraction(1, 5)), 0, 20),
            Clip(Still(folder / "a.png", zoom=1.5), 12, 20, entry=Transition("wipeleft", 8)),
            Clip(Footage(source, Fraction(1), speed=Fraction(2)), 26, 24, entry=Transition("fade", 6)),
        ),
        above=(Clip(Footage(source), 5, 30, Placing(box=(100, 40, 40, 30), opacity=0.5)),),
        overlays=(Overlay(mark, 10, 10, 8, 30, fade_in=10, fade_out=10),),
        mix=Mix(
            (
                Sound(source, 0, RATE, gain=0.5, fade_in=RATE // 2, fade_out=RATE // 4),
                Sound(source, 3000, 70_000, gain=0.2, loop=True, bus="music"),
                Sound(source, 20_001, 40_000, start_s=Fraction(1, 10), speed=Fraction(3, 2), gain=0.3),
            )
        ),
    )


@pytest.mark.parametrize(("first", "last"), [(0, 10), (7, 15), (14, 17), (16, 29), (28, 50), (31, 32), (45, 50)])
def test_frames_and_samples_are_those_of_the_whole(film: Timeline, first: int, last: int) -> None:
    part = excerpt(film, first, last)
    wanted = [frame.to_ndarray() for frame in stacked(film, Decoding(1))][first:last]
    found = [frame.to_ndarray() for frame in stacked(part, Decoding(1))]
    assert len(found) == last - first
    for number, (a, b) in enumerate(zip(wanted, found, strict=True)):
        assert np.array_equal(a, b), f"frame {first + number}"
    assert film.mix is not None
    assert part.mix is not None
    heard = np.concatenate(list(mixed(film.mix, film.samples)))[round(first * 1920) : round(last * 1920)]
    again = np.concatenate(list(mixed(part.mix, part.samples)))
    assert heard.shape == again.shape
    assert np.abs(heard - again).max() < 0.02, "decoders that begin elsewhere settle a little otherwise"


def test_an_excerpt_of_an_excerpt(film: Timeline) -> None:
    once = excerpt(film, 13, 31)
    twice = excerpt(excerpt(film, 9, 40), 4, 22)
    for a, b in zip(stacked(once, Decoding(1)), stacked(twice, Decoding(1)), strict=True):
        assert np.array_equal(a.to_ndarray(), b.to_ndarray())


def test_black_before_and_after() -> None:
    film = Timeline(SMALL, 30, (Clip(Plain((200, 0, 0)), 10, 10),))
    levels = [frame.to_ndarray()[0, 0] for frame in stacked(excerpt(film, 5, 25), Decoding(1))]
    assert [n for n, level in enumerate(levels) if level > 16] == list(range(5, 15))
