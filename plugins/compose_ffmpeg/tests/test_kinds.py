"""What comes out: a part of the film, a preview, an animation, a still, sound alone."""

from __future__ import annotations

import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tests.media.compose.films import RATE, draw, grey, heard, numbers, pictures, pitch
from vtid.media import PyAVMedia, probe
from vtid.sdk import Canvas, Clip, File, InvalidInput, Plain, StepError, Timeline, Writing
from vtid.testing import run_step
from vtid_compose_ffmpeg import Compose, Plan

SIZE = {"resolution": {"width": 160, "height": 90}, "fps": 25}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 frames that can be told apart, a tone."""
    return draw(tmp_path_factory.mktemp("kinds") / "a.mp4", [grey(n) for n in range(36)], tone=440)


def compose(tmp_path: Path, source: Path, output: dict[str, Any], step: Any = None, **document: Any) -> Any:
    film = {"clips": [{"video_url": "asset:a"}], "output": SIZE | output} | document
    (tmp_path / "work").mkdir(exist_ok=True)
    files = {"file_a": File(source, name=source.name)}
    return run_step(step or Compose(), tmp_path / "work", inputs={"files": files}, params=film, media=PyAVMedia())


def test_a_part_of_a_film(tmp_path: Path, source: Path) -> None:
    text = {"text": "Hi", "position": "top-left", "start_time": 0.4, "end_time": 0.6, "font_size": 40}
    out = compose(tmp_path, source, {"range": {"start_time": 0.48, "end_time": 0.8}}, overlays=[text])
    assert numbers(out.video.path) == list(range(12, 20))
    assert [n for n, picture in enumerate(pictures(out.video.path)) if picture[:40, :40].max() > 240] == [0, 1, 2]
    assert len(heard(out.video.path)) / RATE == pytest.approx(0.32, abs=0.025)
    assert out.report.frames == 8


def test_a_part_of_a_film_of_one_source_is_copied(tmp_path: Path) -> None:
    wishes = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"}
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(100)], options=wishes)
    out = compose(tmp_path, source, {"resolution": "source", "range": {"start_time": 0.8}})
    assert numbers(out.video.path) == [n % 36 for n in range(20, 100)]
    assert [(p.start_s, p.end_s, p.copied) for p in out.report.pieces] == [(0.0, 0.2, False), (0.2, 3.2, True)]


def test_a_preview_is_the_same_film_smaller(tmp_path: Path, source: Path) -> None:
    text = {
        "text": "HHHH",
        "position": {"x": 0.5, "y": 0.25},
        "font_size": 140,
        "box_color": "#FFFFFF",
        "box_opacity": 1,
    }
    large = {"resolution": "1080p"}
    film = {"clips": [{"color": "#000000", "duration": 0.2}], "overlays": [text]}
    small = compose(tmp_path, source, large | {"quality": "preview"}, **film)
    assert (small.report.width, small.report.height) == (640, 360)
    shown = pictures(small.video.path)[2]
    small.video.path.unlink()
    whole = pictures(compose(tmp_path, source, large | {"quality": "low"}, **film).video.path)[2]
    wanted = cv2.resize(whole, (640, 360), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - wanted).mean() < 3


def test_a_small_film_is_not_made_smaller_for_a_preview(tmp_path: Path, source: Path) -> None:
    assert compose(tmp_path, source, {"quality": "preview"}, Plan()).report.height == 90


def test_an_animation(tmp_path: Path, source: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    film = [{"color": "#{:02X}{:02X}{:02X}".format(*colour), "duration": 0.2} for colour in colours]
    out = compose(tmp_path, source, {"format": "gif", "fps": 10}, clips=film)
    seen = pictures(out.video.path)
    assert len(seen) == 6
    for number, picture in enumerate(seen):
        assert np.abs(picture[45, 80].astype(int) - colours[number // 2]).max() < 10, number
    with av.open(str(out.video.path)) as gif:
        assert gif.format.name == "gif"
    info = probe(out.video.path)
    assert info.duration_s == pytest.approx(0.6, abs=0.02)
    assert out.report.encoder == "gif"


@pytest.mark.parametrize(("ending", "time", "number"), [("png", 0.6, 15), ("jpg", None, 0), ("png", 1.4, 35)])
def test_a_still(tmp_path: Path, source: Path, ending: str, time: float | None, number: int) -> None:
    out = compose(tmp_path, source, {"format": ending} | ({"time": time} if time is not None else {}))
    assert out.video is None
    picture = cv2.imread(str(out.picture.path))
    assert picture.shape == (90, 160, 3)
    assert round((float(picture[41:49, 76:84].mean()) - 20) / 6) == number
    assert out.picture.path.suffix == f".{ending}"


def test_a_still_has_the_colours_of_the_film(tmp_path: Path, source: Path) -> None:
    out = compose(tmp_path, source, {"format": "png"}, clips=[{"color": "#C81E46", "duration": 1}])
    assert np.abs(cv2.imread(str(out.picture.path))[45, 80, ::-1].astype(int) - (200, 30, 70)).max() <= 3


@pytest.mark.parametrize(
    ("ending", "encoder"), [("m4a", "aac"), ("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("ogg", "libopus")]
)
def test_sound_alone(tmp_path: Path, source: Path, ending: str, encoder: str) -> None:
    out = compose(tmp_path, source, {"format": ending})
    with av.open(str(out.sound.path)) as file:
        assert not file.streams.video
    sound = heard(out.sound.path)
    if sound.dtype == np.int16:  # and packed, both channels in one row
        sound = sound.reshape(-1, 2) / 32768
    assert len(sound) / RATE == pytest.approx(36 / 25, abs=0.06)
    assert pitch(sound, 0.3, 1.2) == pytest.approx(440, abs=3)
    assert out.report.audio_encoder == encoder
    assert out.report.loudness is not None


@pytest.mark.parametrize("ending", ["mp4", "wav"])
@pytest.mark.parametrize(("loudness", "told"), [(-5, True), (-14, False)])
def test_a_loudness_that_the_peaks_do_not_let_it_have(
    tmp_path: Path, ending: str, loudness: float, *, told: bool
) -> None:
    """A tone so low that ears hear little of it: at full scale it is far from loud."""
    hum = 0.1 * np.sin(2 * np.pi * 40 * np.arange(3 * RATE) / RATE)
    with wave.open(str(tmp_path / "hum.wav"), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes((hum * 32767).astype("<i2").tobytes())
    audio = {"normalize": True, "loudness": loudness, "tracks": [{"url": "asset:a"}]}
    color = [{"color": "#000000", "duration": 3}]
    out = compose(tmp_path, tmp_path / "hum.wav", {"format": ending}, clips=color, audio=audio)
    said = f"audio.loudness: is {out.report.loudness:.1f} LUFS, not -5: louder, the peaks would be cut off"
    assert out.report.warnings == ([said] if told else [])


@pytest.mark.parametrize(
    ("ending", "codec"), [("mov", "h264"), ("avi", "h264"), ("mkv", "hevc"), ("mp4", "av1"), ("webm", "vp9")]
)
def test_videos_of_all_formats(tmp_path: Path, source: Path, ending: str, codec: str) -> None:
    out = compose(tmp_path, source, {"format": ending, "codec": codec, "quality": "low"})
    info = probe(out.video.path)
    assert (info.video[0].codec, bool(info.audio)) == (codec, True)
    assert numbers(out.video.path) == list(range(36))


@pytest.mark.parametrize(
    ("output", "place", "words"),
    [
        ({"time": 1}, "output.time", "is for stills"),
        ({"format": "png", "time": 9}, "output.time", r"past the end of the film \(1.44 s\)"),
        ({"format": "png", "range": {"start_time": 1}}, "output.range", "say which by time"),
        ({"range": {"start_time": 2}}, "output.range.start_time", r"past the end of the film \(1.44 s\)"),
        ({"range": {"start_time": 1, "end_time": 3}}, "output.range.end_time", r"past the end of the film \(1.44 s\)"),
        (
            {"range": {"start_time": 1, "end_time": 1}},
            "output.range.end_time",
            r"leaves no frame after start_time \(1 s\)",
        ),
        ({"format": "gif", "codec": "h264"}, "output.codec", "is for videos only"),
        ({"format": "mp3", "bitrate": "1M"}, "output.bitrate", "is for videos only"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, source: Path, output: Any, place: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as error:
        compose(tmp_path, source, output, Plan())
    assert [problem.field for problem in error.value.problems] == [place]


def test_no_sound_where_there_is_none(tmp_path: Path, source: Path) -> None:
    with pytest.raises(InvalidInput, match=r"output\.format: there is no sound in the film for a mp3"):
        compose(tmp_path, source, {"format": "mp3"}, clips=[{"color": "#000000", "duration": 1}])


def test_what_an_encoder_refuses_is_no_bug(tmp_path: Path) -> None:
    """Settings that nothing before it looks at: x264 takes bit rates of 31 bits."""
    timeline = Timeline(Canvas(160, 90, Fraction(25)), 5, (Clip(Plain((255, 0, 0)), 0, 5),))
    target = tmp_path / "film.mp4"
    with pytest.raises(StepError, match="libx264 cannot encode 160×90 pictures like this"):
        PyAVMedia().compose(timeline, target, Writing(bit_rate=10**15))
    assert not target.exists()
