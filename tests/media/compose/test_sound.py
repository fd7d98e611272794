"""What is heard when, how loud, at which pitch; and that sound ends with the picture."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.compose.films import RATE, draw, grey, heard, level, pictures, pitch
from vtid.errors import MediaError
from vtid.media import PyAVMedia
from vtid.media.compose.mixing import mixed
from vtid.media.compose.soundtrack import finished
from vtid.sdk import Canvas, Clip, Composed, Footage, Mix, Plain, Sound, Timeline, Writing

SMALL = Canvas(64, 64, Fraction(25))
FULL = 0.5 / np.sqrt(2)
"""RMS of the tones that are drawn."""


def render(
    tmp_path: Path, seconds: float, *sounds: Sound, target: str = "film.mp4", **mix: Any
) -> tuple[Any, Composed]:
    timeline = Timeline(
        SMALL, round(seconds * 25), (Clip(Plain((0, 0, 0)), 0, round(seconds * 25)),), mix=Mix(sounds, **mix)
    )
    done = PyAVMedia().compose(timeline, tmp_path / target, Writing())
    return heard(tmp_path / target), done


def tone(tmp_path: Path, hertz: float, seconds: float = 2.0, name: str = "a.m4a", **more: Any) -> Path:
    return draw(tmp_path / name, [], tone=hertz, sound_s=seconds, **more)


def s(seconds: float) -> int:
    return round(seconds * RATE)


def test_sounds_begin_and_end_to_the_sample(tmp_path: Path) -> None:
    source = tone(tmp_path, 440)
    mix = np.concatenate(list(mixed(Mix((Sound(source, s(0.5) + 7, s(1)),)), s(2))))
    assert len(mix) == s(2)
    assert not mix[: s(0.5) + 7].any()
    assert not mix[s(1.5) + 7 :].any()
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(s(1)) / RATE)
    part = mix[s(0.5) + 7 : s(1.5) + 7, 0]
    assert float(np.corrcoef(part[4800:], wave[4800:])[0, 1]) > 0.999, "not a sample early or late"


def test_a_cut_begins_where_it_should(tmp_path: Path) -> None:
    """A tone that begins at 1.3 s of its film, cut from 1.0 s on: 0.3 s of silence."""
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=RATE, layout="mono")
        wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(s(2)) / RATE).astype(np.float32)
        wave[: s(1.3)] = 0
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    found, _ = render(tmp_path, 0.8, Sound(tmp_path / "a.mp4", 0, s(0.8), start_s=Fraction(1)))
    begin = int(np.argmax(np.abs(found[:, 0]) > 0.1))
    assert abs(begin - s(0.3)) < RATE * 0.005


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_any_number_of_channels_becomes_two(tmp_path: Path, layout: str) -> None:
    found, _ = render(tmp_path, 1, Sound(tone(tmp_path, 440, layout=layout), 0, s(1)))
    assert found.shape[1] == 2
    assert level(found, 0.2, 0.8) > 0.2
    assert pitch(found, 0.2, 0.8) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("speed", ["0.25", "0.5", "1.5", "4"])
def test_speed_keeps_the_pitch(tmp_path: Path, speed: str) -> None:
    found, _ = render(tmp_path, 0.5, Sound(tone(tmp_path, 440, 3), 0, s(0.5), speed=Fraction(speed)))
    assert pitch(found, 0.1, 0.45) == pytest.approx(440, abs=6)


def test_fades(tmp_path: Path) -> None:
    found, _ = render(tmp_path, 2, Sound(tone(tmp_path, 440), 0, s(2), fade_in=s(1), fade_out=s(0.5)))
    assert level(found, 0.45, 0.55) == pytest.approx(FULL * 0.5, rel=0.1)
    assert level(found, 1.1, 1.4) == pytest.approx(FULL, rel=0.05)
    assert level(found, 1.7, 1.8) == pytest.approx(FULL * 0.5, rel=0.1)


def test_music_that_loops_has_no_hole(tmp_path: Path) -> None:
    found, _ = render(tmp_path, 3, Sound(tone(tmp_path, 440, 0.7), 0, s(3), loop=True, bus="music"))
    assert min(level(found, at / 10, at / 10 + 0.1) for at in range(1, 29)) > FULL * 0.7


def test_a_sound_that_ends_early_leaves_silence(tmp_path: Path) -> None:
    found, done = render(tmp_path, 2, Sound(tone(tmp_path, 440, 0.5), 0, s(2)))
    assert done.samples == s(2)
    assert level(found, 0.1, 0.4) > 0.3
    assert level(found, 0.7, 1.9) < 0.001


def test_others_give_way_to_a_voice_and_come_back(tmp_path: Path) -> None:
    music, voice = tone(tmp_path, 200, 6), tone(tmp_path, 2000, 1.5, "v.m4a")
    found, _ = render(
        tmp_path,
        6,
        Sound(music, 0, s(6), gain=0.6, bus="music"),
        Sound(voice, s(2), s(1.5), gain=0.5, bus="voice"),
        duck_db=12,
    )

    def music_at(start: float, end: float) -> float:
        part = found[s(start) : s(end), 0]
        return float(np.abs(np.fft.rfft(part * np.hanning(len(part))))[round(200 * (end - start))] / len(part))

    before, under, after = music_at(1, 2), music_at(2.4, 3.4), music_at(5, 6)
    assert 20 * np.log10(before / under) == pytest.approx(12, abs=0.5)
    assert after == pytest.approx(before, rel=0.03)


@pytest.mark.parametrize("wanted", [-14.0, -23.0])
def test_loudness_as_asked_and_as_measured(tmp_path: Path, wanted: float) -> None:
    found, done = render(tmp_path, 5, Sound(tone(tmp_path, 440, 5), 0, s(5), gain=0.05), loudness=wanted)
    assert done.loudness == pytest.approx(wanted, abs=0.35)
    assert np.abs(found).max() <= 1


def test_silence_has_no_loudness(tmp_path: Path) -> None:
    found, done = render(tmp_path, 1, loudness=-14.0)
    assert done.loudness is None
    assert not found.any()


def test_many_loud_sounds_do_not_clip(tmp_path: Path) -> None:
    source = tone(tmp_path, 440)
    found, _ = render(tmp_path, 2, *[Sound(source, 0, s(2)) for _ in range(4)])
    assert 0.9 < np.abs(found[s(0.5) : s(1.5)]).max() <= 1.02
    peaks = np.abs(found[s(0.5) : s(1.5), 0])
    assert (peaks > 0.999).mean() < 0.2, "held down, and not cut off"


def test_sounds_that_cannot_clip_are_left_as_they_are(tmp_path: Path) -> None:
    """Full scale in all, one leading into the other: nothing is held down."""
    source = tone(tmp_path, 440, 4)
    one = Sound(source, 0, s(2), gain=0.7, fade_out=s(1))
    other = Sound(source, s(1), s(2), gain=0.7, fade_in=s(1))
    mix = Mix((one, other, Sound(source, 0, s(3), gain=0.3)))
    assert np.array_equal(*(np.concatenate(list(each)) for each in (finished(mix, s(3)), mixed(mix, s(3)))))


def test_sound_and_picture_of_one_film_stay_together_where_it_begins_late(tmp_path: Path) -> None:
    """A transport stream that begins at 13 s: a white frame and a click at the same time, in the result as well."""
    path = tmp_path / "a.ts"
    with av.open(str(path), "w", options={"mpegts_copyts": "1"}) as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "4", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="stereo")
        wave = np.zeros((2, s(2)), np.float32)
        wave[:, s(1) : s(1.04)] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(s(0.04)) / RATE)
        for n in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 235 if n == 25 else 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = 13 * 25 + n, Fraction(1, 25)
            out.mux(video.encode(frame.reformat(format="yuv420p")))
        sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = RATE, 13 * RATE, Fraction(1, RATE)
        out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    start = Fraction(12, 25)
    timeline = Timeline(
        SMALL, 30, (Clip(Footage(path, start), 0, 30),), mix=Mix((Sound(path, 0, s(1.2), start_s=start),))
    )
    PyAVMedia().compose(timeline, tmp_path / "film.mp4", Writing(crf=4))
    [white] = [n for n, p in enumerate(pictures(tmp_path / "film.mp4")) if p.mean() > 128]
    found = heard(tmp_path / "film.mp4")
    click = int(np.argmax(np.abs(found[:, 0]) > 0.1))
    assert white == 13
    assert abs(click - s(13 / 25)) < RATE * 0.01


def test_picture_and_sound_end_together(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.mp4", [grey(n) for n in range(60)], tone=440, fps=Fraction(30000, 1001))
    canvas = Canvas(64, 64, Fraction(30000, 1001))
    clips = tuple(Clip(Footage(source), 50 * n, 50) for n in range(3))
    sounds = tuple(Sound(source, round(50 * n * RATE * 1001 / 30000), s(1.6683)) for n in range(3))
    timeline = Timeline(canvas, 150, clips, mix=Mix(sounds))
    done = PyAVMedia().compose(timeline, tmp_path / "o.mp4")
    assert done.samples == round(150 * 1001 / 30000 * RATE)
    with av.open(str(tmp_path / "o.mp4")) as film:
        lengths = [float(stream.duration * stream.time_base) for stream in film.streams]
    assert abs(lengths[0] - lengths[1]) < 1024 / RATE


def test_webm_has_vp9_and_opus(tmp_path: Path) -> None:
    timeline = Timeline(
        SMALL, 10, (Clip(Plain((200, 0, 0)), 0, 10),), mix=Mix((Sound(tone(tmp_path, 440), 0, s(0.4)),))
    )
    done = PyAVMedia().compose(timeline, tmp_path / "o.webm", Writing(codec="vp9"))
    assert (done.encoder, done.audio_encoder) == ("libvpx-vp9", "libopus")
    assert len(pictures(tmp_path / "o.webm")) == 10


def test_a_file_without_sound(tmp_path: Path) -> None:
    mute = draw(tmp_path / "mute.mp4", [grey(1)] * 5)
    with pytest.raises(MediaError, match=r"mute\.mp4 has no sound"):
        render(tmp_path, 1, Sound(mute, 0, s(1)))
