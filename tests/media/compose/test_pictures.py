"""Which frame is on screen when, and how pictures of all kinds get onto the canvas."""

import gc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av import VideoFrame

from tests.media.compose.films import draw, grey, numbers, pictures, times_open
from vtid.errors import MediaError
from vtid.media import PyAVMedia, probe
from vtid.sdk import (
    Canvas,
    Clip,
    Composed,
    Footage,
    InvalidInput,
    Overlay,
    Placing,
    Plain,
    Still,
    Timeline,
    Transition,
    Writing,
)

SMALL = Canvas(160, 90, Fraction(25))
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def render(tmp_path: Path, clips: list[Clip], *, canvas: Canvas = SMALL, frames: int = 0, **more: Any) -> Path:
    """The film of some clips."""
    target = tmp_path / f"film{len(list(tmp_path.glob('film*')))}.mp4"
    timeline = Timeline(canvas, frames or max(clip.last for clip in clips), tuple(clips), **more)
    done = PyAVMedia(threads=2).compose(timeline, target, Writing(crf=4))
    assert isinstance(done, Composed)
    assert done.frames == timeline.frames == len(pictures(target)), "not a frame more or fewer"
    return target


def near(pixel: Any, colour: Any, by: float = 8) -> bool:
    return bool(np.abs(np.asarray(pixel, float) - np.asarray(colour, float)).max() <= by)


def test_every_frame_comes_at_its_place(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(30)])
    film = render(tmp_path, [Clip(Footage(source), 0, 30)])
    assert numbers(film) == list(range(30))


@pytest.mark.parametrize("start", [1, 7, 24])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_cut_begins_with_the_very_frame(tmp_path: Path, start: int, ending: str) -> None:
    options = {"crf": "4", "g": "12", "bf": "3"}
    source = draw(tmp_path / f"a.{ending}", [grey(n) for n in range(36)], options=options)
    film = render(tmp_path, [Clip(Footage(source, Fraction(start, 25)), 0, 10)])
    assert numbers(film) == list(range(start, start + 10))


def test_a_faster_source_loses_every_second_frame_and_is_not_decoded_in_vain(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(36)], fps=50, options={"crf": "4", "bf": "3"})
    film = render(tmp_path, [Clip(Footage(source, Fraction(4, 50)), 0, 15)])
    assert numbers(film) == list(range(4, 34, 2))


def test_a_slower_source_shows_frames_twice(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(10)], fps=Fraction(25, 2))
    assert numbers(render(tmp_path, [Clip(Footage(source), 0, 20)]))[1::2] == list(range(10))


@pytest.mark.parametrize(("speed", "step"), [(2, 2), (4, 4)])
def test_speed(tmp_path: Path, speed: int, step: int) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(32)])
    film = render(tmp_path, [Clip(Footage(source, speed=Fraction(speed)), 0, 32 // speed)])
    assert numbers(film) == list(range(0, 32, step))


def test_slow_motion_has_all_frames(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(6)])
    film = numbers(render(tmp_path, [Clip(Footage(source, speed=Fraction(1, 4)), 0, 24)]))
    assert film == sorted(film)
    assert {n: film.count(n) for n in range(1, 5)} == dict.fromkeys(range(1, 5), 4)


def test_a_variable_rate_is_kept_by_the_frames_own_times(tmp_path: Path) -> None:
    times = [0, 1, 2, 10, 11, 20]
    source = draw(tmp_path / "a.mkv", [grey(n) for n in range(6)], times=times)
    film = numbers(render(tmp_path, [Clip(Footage(source), 0, 24)]))
    assert film == [0, 1, *[2] * 8, 3, *[4] * 9, *[5] * 4], "the last one stays"


def test_a_one_frame_clip(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(5)])
    clips = [Clip(Footage(source, Fraction(n, 25)), at, 1) for at, n in enumerate([4, 0, 2])]
    assert numbers(render(tmp_path, clips)) == [4, 0, 2]


def test_gaps_are_black_and_clips_follow(tmp_path: Path) -> None:
    film = pictures(render(tmp_path, [Clip(Plain(RED), 2, 3), Clip(Plain(BLUE), 8, 2)], frames=12))
    seen = ["black" if near(p[45, 80], 0) else "red" if near(p[45, 80], RED) else "blue" for p in film]
    assert seen == ["black"] * 2 + ["red"] * 3 + ["black"] * 3 + ["blue"] * 2 + ["black"] * 2
    assert near(film[8][45, 80], BLUE)


def test_more_clips_than_memory_are_one_after_another(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(20)])
    clips = [Clip(Footage(source, Fraction(n % 20, 25)), n, 1) for n in range(150)]
    open_files = []

    def count(_: int) -> None:
        open_files.append(times_open(source))

    timeline = Timeline(SMALL, 150, tuple(clips))
    PyAVMedia().compose(timeline, tmp_path / "o.mp4", Writing(), progress=count)
    assert max(open_files) <= 2


def test_a_clip_that_is_over_leaves_no_picture_behind(tmp_path: Path) -> None:
    """One in a circle of references stays until the garbage collector comes by, and with it all that the decoder held."""
    source = draw(tmp_path / "a.mp4", [GREEN] * 20)
    fades = [None, *(Transition("fade", 2) for _ in range(9))]
    clips = [Clip(Footage(source), 8 * n, 10, entry=entry) for n, entry in enumerate(fades)]
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        PyAVMedia().compose(
            Timeline(SMALL, 82, tuple(clips)), tmp_path / "o.webm", Writing("vp9"), progress=lambda _: None
        )
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not left


def test_a_crossfade_mixes_the_end_of_one_with_the_beginning_of_the_next(tmp_path: Path) -> None:
    clips = [Clip(Plain(RED), 0, 20), Clip(Plain(BLUE), 10, 20, entry=Transition("fade", 10))]
    film = [p[45, 80].astype(int) for p in pictures(render(tmp_path, clips))]
    assert near(film[9], RED)
    assert near(film[20], BLUE)
    reds = [int(pixel[0]) for pixel in film[9:21]]
    assert reds == sorted(reds, reverse=True)
    assert near(film[15], (100, 0, 100), 14)


@pytest.mark.parametrize(("kind", "left", "right"), [("wipeleft", RED, BLUE), ("slideright", BLUE, RED)])
def test_wipes_and_slides(tmp_path: Path, kind: str, left: Any, right: Any) -> None:
    clips = [Clip(Plain(RED), 0, 20), Clip(Plain(BLUE), 10, 20, entry=Transition(kind, 10))]
    middle = pictures(render(tmp_path, clips))[15]
    assert near(middle[45, 4], left)
    assert near(middle[45, 155], right)


def test_a_chain_of_transitions_shorter_than_the_clips(tmp_path: Path) -> None:
    clips = [Clip(Plain(RED), 0, 4)]
    clips += [Clip(Plain(c), 2 * n, 4, entry=Transition("fade", 2)) for n, c in enumerate([BLUE, GREEN, RED], 1)]
    film = pictures(render(tmp_path, clips))
    assert near(film[0][45, 80], RED)
    assert near(film[9][45, 80], RED)


# --- onto the canvas


def square(picture: np.ndarray, _number: int) -> None:
    """White at the top left, red at the top right."""
    height, width = picture.shape[:2]
    picture[: height // 4, : width // 4] = 255
    picture[: height // 4, -width // 4 :] = (200, 0, 0)


def test_contain_leaves_the_background_beside_it(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(90, 90))
    [film, _] = pictures(render(tmp_path, [Clip(Footage(source), 0, 2, Placing(background=BLUE))]))
    assert near(film[45, 10], BLUE)
    assert near(film[45, 80], GREEN)
    assert near(film[45, 150], BLUE)
    assert near(film[45, 38], GREEN)
    assert near(film[45, 32], BLUE)


def test_cover_fills_and_cuts_the_middle_out(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(160, 160), paint=square)
    film = pictures(render(tmp_path, [Clip(Footage(source), 0, 2, Placing(fit="cover"))]))[0]
    assert near(film[0, 80], GREEN)
    assert near(film[2, 2], 255)
    assert near(film[12, 2], GREEN), "35 lines are cut off"


def test_stretch_fills_with_all_of_it(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(90, 90), paint=square)
    film = pictures(render(tmp_path, [Clip(Footage(source), 0, 2, Placing(fit="stretch"))]))[0]
    assert near(film[4, 35], 255, 20)
    assert near(film[4, 50], GREEN, 12)
    assert near(film[80, 2], GREEN)


def test_blur_fills_the_rest_with_itself(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(90, 90), paint=square)
    film = pictures(render(tmp_path, [Clip(Footage(source), 0, 2, Placing(fit="blur"))]))[0]
    assert near(film[80, 5], GREEN, 20)
    assert near(film[45, 80], GREEN)
    assert near(film[4, 40], 255, 12)


@pytest.mark.parametrize(
    ("placing", "white", "red"),
    [
        (Placing(), (4, 4), (4, 155)),
        (Placing(mirror=True), (4, 155), (4, 4)),
        (Placing(flip=True), (85, 4), (85, 155)),
        (Placing(turn=180), (85, 155), (85, 4)),
        (Placing(turn=90, fit="stretch"), (4, 155), (85, 155)),
        (Placing(turn=270, fit="stretch"), (85, 4), (4, 4)),
        (Placing(crop=(0.0, 0.0, 0.5, 0.5)), (40, 70), None),
        (Placing(crop=(0.5, 0.0, 0.5, 0.5)), None, (40, 150)),
    ],
)
def test_turns_flips_and_crops(tmp_path: Path, placing: Placing, white: Any, red: Any) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(160, 90), paint=square)
    film = pictures(render(tmp_path, [Clip(Footage(source), 0, 2, placing)]))[0]
    assert white is None or near(film[white], 255, 14)
    assert red is None or near(film[red], RED, 14)


@pytest.mark.parametrize(("rotation", "white"), [(90, (85, 56)), (-90, (4, 103)), (180, (85, 155))])
def test_what_a_phone_filmed_upright_is_upright(tmp_path: Path, rotation: int, white: tuple[int, int]) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 3, size=(160, 90), paint=square, rotation=rotation)
    assert probe(source).video[0].rotation == rotation % 360
    film = pictures(render(tmp_path, [Clip(Footage(source), 0, 2)]))[0]
    assert near(film[white], 255, 20)
    assert near(film[45, 4], 0 if rotation % 180 else GREEN), "upright, it leaves the sides free"


def test_pixels_that_are_no_squares(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(80, 90), aspect=Fraction(2))
    aspect = Fraction(probe(source).video[0].sample_aspect)
    film = pictures(render(tmp_path, [Clip(Footage(source, aspect=aspect), 0, 2)]))[0]
    assert near(film[45, 2], GREEN)
    assert near(film[45, 157], GREEN)


def test_odd_sizes(tmp_path: Path) -> None:
    source = draw(
        tmp_path / "a.mkv", [GREEN] * 2, size=(101, 75), codec="ffv1", pix_fmt="yuv444p", options={"level": "3"}
    )
    film = pictures(render(tmp_path, [Clip(Footage(source), 0, 2)]))[0]
    assert near(film[45, 80], GREEN)


def test_full_range_becomes_limited_and_white_stays_white(tmp_path: Path) -> None:
    full = draw(tmp_path / "a.mp4", [(255, 255, 255), (64, 64, 64)], pix_fmt="yuvj420p", tags=(1, 1, 1, 2))
    film = render(tmp_path, [Clip(Footage(full), 0, 2)])
    assert probe(film).video[0].color_range == 1
    white, grey_ = pictures(film)
    assert near(white, 255, 3)
    assert near(grey_[45, 80], 64, 4)


def test_a_crossfade_of_full_and_limited_range_does_not_jump(tmp_path: Path) -> None:
    one = draw(tmp_path / "a.mp4", [(128, 128, 128)] * 10, pix_fmt="yuvj420p", tags=(1, 1, 1, 2))
    two = draw(tmp_path / "b.mp4", [(128, 128, 128)] * 10, tags=(5, 6, 6, 1))
    clips = [Clip(Footage(one), 0, 10), Clip(Footage(two), 5, 10, entry=Transition("fade", 5))]
    levels = [float(p.mean()) for p in pictures(render(tmp_path, clips))]
    assert max(levels) - min(levels) < 4


def test_a_film_that_changes_its_size_on_the_way(tmp_path: Path) -> None:
    parts = [draw(tmp_path / f"{n}.ts", [c] * 5, size=s) for n, c, s in ((0, RED, (160, 90)), (1, GREEN, (90, 90)))]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    whole = tmp_path / "a.h264"
    with whole.open("wb") as out:
        for part in parts:
            with av.open(str(part)) as film:
                out.writelines(bytes(packet) for packet in film.demux(video=0) if packet.size)
    with av.open(str(whole)) as film:
        count = sum(1 for _ in film.decode(video=0))
    film_path = render(tmp_path, [Clip(Footage(whole), 0, count)])
    found = pictures(film_path)
    assert near(found[0][45, 80], RED)
    assert near(found[-1][45, 80], GREEN)
    assert near(found[-1][45, 5], 0)


# --- pictures, layers, drawings


def png(path: Path, rgba: Any, size: tuple[int, int] = (60, 40)) -> Path:
    cv2.imwrite(str(path), np.full((size[1], size[0], 4), [rgba[2], rgba[1], rgba[0], rgba[3]], np.uint8))
    return path


def test_a_picture_for_a_while(tmp_path: Path) -> None:
    film = pictures(
        render(tmp_path, [Clip(Still(png(tmp_path / "a.png", (200, 0, 0, 255))), 0, 5, Placing(fit="cover"))])
    )
    assert all(near(p[45, 80], RED) for p in film)


def test_a_picture_that_comes_slowly_nearer(tmp_path: Path) -> None:
    image = np.full((180, 320, 3), 255, np.uint8)
    image[60:120, 110:210] = 0
    cv2.imwrite(str(tmp_path / "a.png"), image)
    film = pictures(render(tmp_path, [Clip(Still(tmp_path / "a.png", zoom=1.5), 0, 20)]))
    dark = [int((p[45] < 128).sum()) // 3 for p in film]
    assert dark == sorted(dark)
    assert abs(dark[0] - 50) <= 1
    assert abs(dark[-1] - 75) <= 1


def test_picture_in_picture_half_transparent_and_for_its_time(tmp_path: Path) -> None:
    above = (
        Clip(Plain(BLUE), 3, 4, Placing(box=(10, 10, 40, 20), opacity=0.5)),
        Clip(Still(png(tmp_path / "a.png", (0, 200, 0, 255))), 5, 5, Placing(box=(100, 50, 60, 40))),
    )
    film = pictures(render(tmp_path, [Clip(Plain(RED), 0, 10)], above=above))
    assert near(film[2][20, 30], RED)
    assert near(film[3][20, 30], (100, 0, 100))
    assert near(film[7][20, 30], RED)
    assert near(film[4][70, 130], RED)
    assert near(film[5][70, 130], GREEN)
    assert near(film[9][70, 130], GREEN)
    assert near(film[5][5, 5], RED)


def test_transparency_of_pictures(tmp_path: Path) -> None:
    above = (Clip(Still(png(tmp_path / "a.png", (0, 200, 0, 128))), 0, 2, Placing(box=(0, 0, 60, 40))),)
    film = pictures(render(tmp_path, [Clip(Plain(RED), 0, 2)], above=above))
    assert near(film[0][20, 30], (100, 100, 0), 12)
    alone = pictures(
        render(tmp_path, [Clip(Still(png(tmp_path / "b.png", (0, 200, 0, 0))), 0, 2, Placing(background=BLUE))])
    )
    assert near(alone[0][45, 80], BLUE)


def test_a_drawing_where_and_when_it_should_be(tmp_path: Path) -> None:
    rgba = np.zeros((20, 40, 4), np.uint8)
    rgba[:, :20] = 255
    drawing = Overlay(rgba, 60, 30, 4, 6, fade_in=2, fade_out=2)
    film = pictures(render(tmp_path, [Clip(Plain((0, 0, 0)), 0, 14)], overlays=(drawing,)))
    levels = [int(p[40, 68, 0]) for p in film]
    assert [n for n, level in enumerate(levels) if level > 20] == list(range(4, 10))
    assert levels[4] < levels[5] < levels[6]
    assert levels[7] > 250
    assert levels[9] < levels[8] < levels[7]
    assert all(near(p[40, 92], 0) for p in film), "its right half is transparent"


# --- what cannot be


def test_a_file_without_pictures(tmp_path: Path) -> None:
    sound = draw(tmp_path / "a.m4a", [], tone=440, sound_s=1)
    with pytest.raises(MediaError, match="has sound but no picture"):
        render(tmp_path, [Clip(Footage(sound), 0, 2)])
    assert not list(tmp_path.glob("film*"))


def test_nothing_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    def stop(frames: int) -> None:
        if frames == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PyAVMedia().compose(Timeline(SMALL, 9, (Clip(Plain(RED), 0, 9),)), tmp_path / "o.mp4", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_codec_that_the_container_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="webm holds no h264"):
        PyAVMedia().compose(Timeline(SMALL, 9, (Clip(Plain(RED), 0, 9),)), tmp_path / "o.webm")
