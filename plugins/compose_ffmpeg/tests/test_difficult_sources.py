"""Sources as cameras, phones, broadcasters and editors really write them, from the document to pixels and samples."""

from __future__ import annotations

import sys
import wave
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tests.media.compose.films import RATE, draw, grey, heard, level, numbers, pictures, times_open
from vtid.media import PyAVMedia, probe
from vtid.sdk import File
from vtid.testing import RecordingLink, run_step
from vtid_compose_ffmpeg import Compose

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
SMALL = {"resolution": {"width": 160, "height": 90}, "fps": 25}


def compose(tmp_path: Path, *clips: dict[str, Any], link: RecordingLink | None = None, **more: Any) -> Any:
    """The film of some clips; paths in `more` are its files, all else belongs to the document."""
    workspace = tmp_path / "work"
    workspace.mkdir(exist_ok=True)
    files = {f"file_{k}": File(v, name=v.name) for k, v in more.items() if isinstance(v, Path)}
    document = {"clips": list(clips), "output": SMALL} | {k: v for k, v in more.items() if not isinstance(v, Path)}
    return run_step(Compose(), workspace, inputs={"files": files}, params=document, media=PyAVMedia(2), link=link)


def film(*args: Any, **more: Any) -> list[np.ndarray]:
    return pictures(compose(*args, **more).video.path)


def near(pixel: Any, colour: Any, by: float = 8) -> bool:
    return bool(np.abs(np.asarray(pixel, float) - np.asarray(colour, float)).max() <= by)


def corner(picture: np.ndarray, _number: int) -> None:
    """The left third of the upper third is white."""
    picture[: picture.shape[0] // 3, : picture.shape[1] // 3] = 255


# --- when


@pytest.mark.parametrize("start", ["0", "0.37", "1.1"])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_of_a_variable_rate_the_nearest_frame_is_shown(tmp_path: Path, ending: str, start: str) -> None:
    """Now denser than the film, now sparser: what is on screen is told by each frame's own time alone."""
    ticks = np.cumsum([0, *np.random.default_rng(7).choice([1, 2, 3, 4, 9, 20], 35)])
    source = draw(
        tmp_path / f"a.{ending}",
        [grey(n) for n in range(36)],
        times=[int(tick) for tick in ticks],
        fps=100,
        options={"crf": "4", "preset": "ultrafast", "bf": "2", "g": "10"},
    )
    begin, times = Fraction(start), [Fraction(int(tick), 100) for tick in ticks]
    out = compose(tmp_path, {"video_url": "asset:a", "trim_start": float(start), "trim_end": 1.9}, a=source)
    count = round((Fraction("1.9") - begin) * 25)

    def shown(slot: int) -> int:
        at = [(time - begin) * 25 for time in times]
        here = [n for n, each in enumerate(at) if floor(each + Fraction(1, 2)) == slot]
        return (
            min(here, key=lambda n: (abs(at[n] - slot), -n)) if here else max(n for n, t in enumerate(at) if t < slot)
        )

    assert numbers(out.video.path) == [shown(slot) for slot in range(count)]


def test_what_an_edit_list_hides_stays_hidden(tmp_path: Path) -> None:
    """A cut without encoding: the packets of the first ten frames are there, and no player shows them."""
    options = {"crf": "4", "preset": "ultrafast", "bf": "2", "g": "12"}
    whole = draw(tmp_path / "a.mp4", [grey(n) for n in range(36)], tone=440, options=options)
    with av.open(str(whole)) as old, av.open(str(tmp_path / "b.mp4"), "w", options={"avoid_negative_ts": "0"}) as new:
        streams = {each.index: new.add_stream_from_template(each) for each in old.streams}
        for packet in old.demux():
            if packet.dts is not None and packet.pts is not None:
                back = int(Fraction(10, 25) / packet.time_base)
                packet.pts, packet.dts = packet.pts - back, packet.dts - back
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    for trim, first in ((0.0, 10), (0.2, 15)):
        out = compose(tmp_path, {"video_url": "asset:b", "trim_start": trim}, b=tmp_path / "b.mp4")
        assert numbers(out.video.path) == list(range(first, 36))
        assert out.report.warnings == []
        out.video.path.unlink()


def test_a_file_of_one_frame(tmp_path: Path) -> None:
    one = draw(tmp_path / "one.mp4", [BLUE])
    many = draw(tmp_path / "many.mp4", [RED] * 20, tone=440)
    clip, other = {"video_url": "asset:one"}, {"video_url": "asset:many"}
    seen = [bool(near(p[45, 80], BLUE)) for p in film(tmp_path, other, clip, other, one=one, many=many)]
    assert [n for n, blue in enumerate(seen) if blue] == [20]
    assert len(seen) == 41
    (tmp_path / "work" / "film.mp4").unlink()
    faded = compose(tmp_path, other, clip | {"transition": {"duration": 0.4}}, one=one, many=many)
    assert len(pictures(faded.video.path)) == 21
    assert faded.report.warnings == ["clips[1].transition: is left out: one of its clips has only one frame"]


# --- how it looks


@pytest.mark.parametrize(("rotation", "size", "white"), [(90, (90, 160), (150, 10)), (180, (160, 90), (80, 150))])
def test_of_a_phone_the_source_size_is_the_upright_one(
    tmp_path: Path, rotation: int, size: tuple[int, int], white: tuple[int, int]
) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, paint=corner, rotation=rotation)
    out = compose(tmp_path, {"video_url": "asset:a", "speed": 2}, a=source, output={"resolution": "source"})
    assert (out.report.width, out.report.height) == size
    assert near(pictures(out.video.path)[0][white], 255, 20)


@pytest.mark.parametrize(
    ("matrix", "size", "white"),
    [
        ((-1, 0, 0, 1), (160, 90), (10, 150)),
        ((1, 0, 0, -1), (160, 90), (80, 10)),
        ((0, 1, 1, 0), (90, 160), (10, 10)),
        ((0, -1, -1, 0), (90, 160), (150, 80)),
    ],
)
def test_of_a_front_camera_the_picture_is_mirrored_as_players_do(
    tmp_path: Path, matrix: tuple[int, int, int, int], size: tuple[int, int], white: tuple[int, int]
) -> None:
    source = draw(tmp_path / "a.mp4", [GREEN] * 10, paint=corner, matrix=matrix)
    output = {"resolution": "source", "fps": "source"}
    out = compose(tmp_path, {"video_url": "asset:a"}, a=source, output=output)
    assert (out.report.width, out.report.height) == size
    shown = pictures(out.video.path)[0]
    assert near(shown[white], 255, 20)
    assert near(shown[80 if white[0] < 45 else 10, 45 if size[0] < 100 else 80], GREEN, 20)


def test_wide_pixels_of_broadcasts_fill_the_wide_picture(tmp_path: Path) -> None:
    """PAL in 16:9: 90 by 72 pixels of 64:45 are 128 by 72 squares."""
    source = draw(tmp_path / "a.mp4", [GREEN] * 2, size=(90, 72), aspect=Fraction(64, 45), paint=corner)
    shown = film(tmp_path, {"video_url": "asset:a"}, a=source)[0]
    assert near(shown[70, 1], GREEN)
    assert near(shown[70, 158], GREEN)
    assert near(shown[10, 48], 255, 20)
    assert near(shown[10, 58], GREEN, 20)
    (tmp_path / "work" / "film.mp4").unlink()
    own = compose(tmp_path, {"video_url": "asset:a"}, a=source, output={"resolution": "source"})
    assert (own.report.width, own.report.height) == (128, 72)


def test_odd_sizes_lose_a_line_and_no_colour(tmp_path: Path) -> None:
    options = {"level": "3"}
    source = draw(tmp_path / "a.mkv", [BLUE] * 2, size=(101, 75), codec="ffv1", pix_fmt="yuv444p", options=options)
    out = compose(tmp_path, {"video_url": "asset:a"}, a=source, output={"resolution": "source"})
    assert (out.report.width, out.report.height) == (100, 74)
    assert all(near(pictures(out.video.path)[0][y, x], BLUE) for y, x in ((0, 0), (73, 99), (37, 50)))


@pytest.mark.parametrize(
    ("transfer", "size", "screens"),
    [
        # 1, 100, 203 and 1000 cd/m²; the third is the white of paper (ITU-R BT.2408)
        (16, (160, 90), {0.1498: 27, 0.5081: 188, 0.5807: 253, 0.7518: 255}),
        (18, (640, 360), {0.25: 71, 0.5: 143, 0.75: 253, 1.0: 255}),
    ],
)
def test_white_of_hdr_is_white(tmp_path: Path, transfer: int, size: tuple[int, int], screens: dict[float, int]) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        options = {"crf": "2", "x265-params": "log-level=none", "preset": "ultrafast"}
        video = out.add_stream("libx265", rate=25, options=options)
        video.width, video.height, video.pix_fmt = *size, "yuv420p10le"
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for number, signal in enumerate(screens):
            frame = av.VideoFrame(*size, "yuv420p10le")
            for plane, code in zip(frame.planes, (round(64 + 876 * signal), 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, code, np.uint16).tobytes())
            frame.pts, frame.time_base, frame.colorspace, frame.color_range = number, Fraction(1, 25), 9, 1
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    clip = {"video_url": "asset:a", "background": "#0000C8", "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}}
    made = compose(tmp_path, clip, a=path).video.path
    facts = probe(made).video[0]
    assert (facts.color_primaries, facts.color_transfer, facts.color_space, facts.color_range) == (1, 1, 1, 1)
    for shown, screen in zip(pictures(made), screens.values(), strict=True):
        assert near(shown[45, 80], screen, 4)
        assert near(shown[45, 20], BLUE)


@pytest.mark.parametrize("zoom", [1, 1.001])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_upright_however_the_camera_was_held(tmp_path: Path, orientation: int, zoom: float) -> None:
    plain = np.full((90, 160, 3), GREEN, np.uint8)
    corner(plain, 0)
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(plain).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")).resize((160, 90))
    clip = {"image_url": "asset:a", "duration": 0.04, "fit": "stretch", "zoom": zoom}
    [shown] = film(tmp_path, clip, a=tmp_path / "a.jpg")
    assert np.abs(shown.astype(int) - np.asarray(upright)).mean() < 3


@pytest.mark.parametrize(
    ("ending", "codec", "pixels"),
    [
        ("mov", "qtrle", "argb"),
        ("mov", "prores_ks", "yuva444p10le"),
        ("webm", "libvpx-vp9", "yuva420p"),
        ("webm", "libvpx", "yuva420p"),
    ],
)
def test_a_film_with_transparency_lies_over_another(tmp_path: Path, ending: str, codec: str, pixels: str) -> None:
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options={"auto-alt-ref": "0"} if "vpx" in codec else {})
        video.width, video.height, video.pix_fmt = 160, 90, pixels
        for number in range(20):
            rgba = np.full((90, 160, 4), (*GREEN, 255), np.uint8)
            rgba[:, : 8 * number, 3] = 0
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    ground = {"color": "#C80000", "duration": 0.6}
    above = {"video_url": "asset:a", "track": 1, "trim_start": 0.2, "duration": 0.6}
    for number, shown in zip(range(5, 18), film(tmp_path, ground, above, a=path), strict=False):
        assert near(shown[45, 8 * number - 12], RED, 12)
        assert near(shown[45, 8 * number + 12], GREEN, 20)


# --- how it sounds


def test_who_has_no_sound_is_silent_and_the_others_keep_their_time(tmp_path: Path) -> None:
    mute = draw(tmp_path / "mute.mp4", [BLUE] * 20)
    loud = draw(tmp_path / "loud.mp4", [RED] * 20, tone=440)
    sound = heard(
        compose(
            tmp_path, *({"video_url": f"asset:{name}"} for name in ("mute", "loud", "mute")), mute=mute, loud=loud
        ).video.path
    )
    assert len(sound) / RATE == pytest.approx(2.4, abs=0.025)
    assert level(sound, 0, 0.75) < 0.001
    assert level(sound, 0.8, 1.6) == pytest.approx(0.354, abs=0.01)
    assert level(sound, 1.65, 2.4) < 0.001


def test_sound_alone_has_its_background_and_crosses_over(tmp_path: Path) -> None:
    song = draw(tmp_path / "song.m4a", [], tone=440, sound_s=1)
    clip = draw(tmp_path / "clip.mp4", [RED] * 20)
    out = compose(
        tmp_path,
        {"video_url": "asset:song", "background": "#0000C8"},
        {"video_url": "asset:clip", "transition": {"duration": 0.2}},
        song=song,
        clip=clip,
    )
    seen = pictures(out.video.path)
    assert all(near(p[45, 80], BLUE) for p in seen[:20])
    assert all(near(p[45, 80], RED) for p in seen[25:])
    sound = heard(out.video.path)
    assert level(sound, 0.5, 0.7) == pytest.approx(0.354, abs=0.01)
    assert level(sound, 0.88, 0.92) == pytest.approx(0.354 / 2, abs=0.03)
    assert level(sound, 1.05, 1.6) < 0.001


@pytest.mark.parametrize(
    ("layout", "channel", "left", "right"),
    [("mono", 0, 1, 1), ("stereo", 1, 0, 1), ("5.1", 0, 1, 0), ("5.1", 2, 1, 1), ("5.1", 5, 0, 1), ("7.1", 6, 1, 0)],
)
def test_each_channel_is_heard_on_its_side(tmp_path: Path, layout: str, channel: int, left: int, right: int) -> None:
    path, count = tmp_path / "a.mka", av.AudioLayout(layout).nb_channels
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=44100, layout=layout)
        waves = np.zeros((44100, count), np.int16)
        waves[:, channel] = 16000 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
        frame = av.AudioFrame.from_ndarray(waves.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    sound = heard(
        compose(
            tmp_path, {"color": "#000000", "duration": 0.6}, a=path, audio={"tracks": [{"url": "asset:a"}]}
        ).video.path
    )
    sides = np.sqrt(np.mean(np.square(sound[9600:24000]), axis=0))
    assert [bool(side > 0.2) for side in sides] == [bool(left), bool(right)]
    assert all(side < 0.001 for side, there in zip(sides, (left, right), strict=True) if not there)


@pytest.mark.parametrize("late", [0.32, -0.32])
def test_sound_that_begins_later_or_earlier_than_its_picture(tmp_path: Path, late: float) -> None:
    """A click 1 s after the first frame is heard 1 s after the first frame, whoever comes first in the file."""
    path = tmp_path / "a.mkv"
    video_at, sound_at = max(0.0, -late), max(0.0, late)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 80, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number + round(video_at * 25), Fraction(1, 25)
            out.mux(video.encode(frame.reformat(format="yuv420p")))
        click = np.zeros((1, round(1.6 * RATE)), np.int16)
        click[0, round((1 - late) * RATE) :][:200] = 20000
        sound = av.AudioFrame.from_ndarray(click, format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = RATE, round(sound_at * RATE), Fraction(1, RATE)
        out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    found = heard(compose(tmp_path, {"video_url": "asset:a", "trim_start": 0.5, "trim_end": 1.5}, a=path).video.path)
    assert int(np.argmax(np.abs(found[:, 0]) > 0.1)) == pytest.approx(RATE / 2, abs=RATE * 0.005)


# --- how much


def test_of_many_sources_those_are_open_that_are_seen_or_heard(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(36)], tone=440)
    most = 0

    class Counting(RecordingLink):
        def progress(self, *args: Any, **more: Any) -> None:
            nonlocal most
            most = max(most, times_open(source))

    clips = [{"video_url": "asset:a", "trim_start": n % 20 / 25, "duration": 0.08} for n in range(60)]
    out = compose(tmp_path, *clips, a=source, link=Counting())
    assert numbers(out.video.path) == [n % 20 + more for n in range(60) for more in (0, 1)]
    assert 2 <= most <= 4, "the picture and the sound of a clip, and of the next one"


def click_film(path: Path, seconds: int, every: int) -> None:
    """One picture per second; each `every` seconds it is white, and then there is a click."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=1, options={"preset": "ultrafast", "g": "10"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = out.add_stream("flac", rate=44100, layout="mono")
        audio.format = "s16"
        for second in range(seconds):
            hit = second % every == 0
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 235 if hit else 16, np.uint8), format="rgb24")
            frame.pts, frame.time_base = second, Fraction(1)
            out.mux(video.encode(frame.reformat(format="yuv420p")))
            click = np.zeros((1, 44100), np.int16)
            click[0, : 441 * hit] = 20000
            sound = av.AudioFrame.from_ndarray(click, format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 44100, second * 44100, Fraction(1, 44100)
            out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


@pytest.mark.slow
def test_after_half_an_hour_sound_and_picture_are_where_they_belong(tmp_path: Path) -> None:
    """Through other rates of frames (1 to 2.997 per second) and samples (44.1 to 48 kHz), in one piece, then in many.

    Each is held against the clock, and so against the other; a film with both would be encoded ten times as long.
    """
    seconds, every = 1800, 100
    click_film(tmp_path / "a.mkv", seconds, every)
    cuts = [0, *range(900, seconds, 10), seconds]
    clips = [{"video_url": "asset:a", "trim_start": a, "trim_end": b} for a, b in pairwise(cuts)]
    output = {"resolution": {"width": 64, "height": 64}, "fps": 2.997, "quality": "preview"}
    mute = {"original_audio_volume": 0}
    silent = compose(tmp_path, *clips, a=tmp_path / "a.mkv", output=output, audio=mute).video.path
    rate, whites, count, white = Fraction("2.997"), [], 0, False
    with av.open(str(silent)) as out:
        for frame in out.decode(video=0):
            now = int(frame.to_ndarray()[32, 32]) > 128
            if now and not white:
                whites.append(count)
            white, count = now, count + 1
    assert count == round(seconds * rate)
    assert whites == [floor(second * rate + Fraction(1, 2)) for second in range(0, seconds, every)]

    sound = compose(tmp_path, *clips, a=tmp_path / "a.mkv", output=output | {"format": "wav"}).sound.path
    with wave.open(str(sound)) as heard_:
        waves = np.frombuffer(heard_.readframes(heard_.getnframes()), np.int16)[::2]
    assert len(waves) == round(count / rate * RATE)
    loud = np.flatnonzero(np.abs(waves) > 3000)
    clicks = loud[np.flatnonzero(np.diff(loud, prepend=-2 * RATE) > RATE)]
    away = np.abs(clicks - np.arange(0, seconds, every) * RATE) / RATE
    assert away[:9].max() < 0.001
    assert away.max() < float(1 / rate) / 2 + 0.001, "each clip begins with a frame, and its sound with it"
