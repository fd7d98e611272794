"""Previews, looked into: frame times, seeks in the proxy, peaks, thumbnails, shots."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vtid.errors import MediaError
from vtid.media.decode import frames
from vtid.media.previews import Previews
from vtid.media.previews.shots import cuts
from vtid.media.still import still
from vtid.media.synth import Look, draw_clip

MADE = Previews(threads=1)


def numbered(
    path: Path,
    times: list[int],
    *,
    base: Fraction = Fraction(1, 1000),
    size: tuple[int, int] = (320, 180),
    codec: str = "libx264",
    sound: bool = False,
    bf: int = 2,
) -> Path:
    """A film whose frames show their number as 8 bits of black and white bars, at times of the test's choosing."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            codec, rate=25, options={"bf": str(bf), "g": "25", "preset": "ultrafast"} if codec == "libx264" else {}
        )
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        track = out.add_stream("aac", rate=48000, layout="stereo") if sound else None
        for number, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(bars(number, size), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = at, base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track:
            samples = np.sin(np.arange(round(float(times[-1] * base + Fraction(1, 25)) * 48000)) / 20).astype(
                np.float32
            )
            heard = av.AudioFrame.from_ndarray(np.stack((samples, samples)), format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = 48000, 0
            out.mux(track.encode(heard))
            out.mux(track.encode(None))
    return path


def bars(number: int, size: tuple[int, int]) -> np.ndarray:
    picture = np.zeros((size[1], size[0]), np.uint8)
    wide = size[0] // 8
    for bit in range(8):
        picture[:, bit * wide : (bit + 1) * wide] = 235 if number >> bit & 1 else 16
    return picture


def number_of(gray: np.ndarray) -> int:
    wide = gray.shape[1] / 8
    middle = gray[gray.shape[0] // 2]
    return sum(1 << bit for bit in range(8) if middle[int((bit + 0.5) * wide)] > 128)


VARYING = [0, 40, 80, 95, 200, 240, 241, 400, 500, 520, 900, 940]


# --- frame times


def test_of_a_steady_film_one_step_says_it_all(tmp_path: Path) -> None:
    path = numbered(tmp_path / "steady.mkv", [40 * n for n in range(30)])
    found = MADE.timing(path)
    assert (found.frames, found.time_base, found.step, found.deltas, found.start_s) == (30, "1/1000", 40, [], 0.0)
    assert list(found.ticks) == [40 * n for n in range(30)]
    assert found.duration_s == pytest.approx(1.2, abs=0.002)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_of_a_varying_film_every_time_is_told(tmp_path: Path, ending: str) -> None:
    found = MADE.timing(numbered(tmp_path / f"varying.{ending}", VARYING))
    ticks = Fraction(found.time_base) * 1000
    assert found.step is None
    assert [at * ticks for at in found.ticks] == VARYING
    assert len(found.deltas) == len(VARYING) - 1


def test_what_an_edit_list_hides_is_not_counted(tmp_path: Path) -> None:
    """The copy begins at frame 30, and must carry the frames from the key frame 25 on to decode it."""
    whole = numbered(tmp_path / "whole.mp4", [40 * n for n in range(60)])
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        source.seek(1_200_000, backward=True)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                shift = round(Fraction(30, 25) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                out.mux(packet)
    shown = [number_of(frame.luma()) for frame in frames(cut)]
    found = MADE.timing(cut)
    assert shown[0] == 30
    assert found.frames == len(shown) == 30
    assert found.start_s == 0


def test_a_film_that_begins_after_its_sound_says_when(tmp_path: Path) -> None:
    path = numbered(tmp_path / "late.mp4", [500 + 40 * n for n in range(10)], sound=True)
    assert MADE.timing(path).start_s == pytest.approx(0.5)


# --- the proxy


def test_a_proxy_is_small_seekable_and_shows_every_frame_at_its_time(tmp_path: Path) -> None:
    path = numbered(tmp_path / "in.mp4", [40 * n + n % 3 for n in range(40)], size=(1600, 900), sound=True)
    proxy = tmp_path / "proxy.mp4"
    told: list[float] = []
    assert MADE.proxy(path, proxy, progress=told.append) == "libx264"
    assert told == sorted(told)
    before, after = MADE.timing(path), MADE.timing(proxy)
    assert [at * Fraction(after.time_base) for at in after.ticks] == [
        at * Fraction(before.time_base) for at in before.ticks
    ]
    with av.open(str(proxy)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.pix_fmt) == (1280, 720, "yuv420p")
        assert film.streams.audio[0].codec_context.codec.name == "aac"
        packets = [packet for packet in film.demux(stream) if packet.size]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        assert keys == list(range(0, 40, 12))
        assert all(packet.pts == packet.dts for packet in packets), "no B frames"
        for number in (39, 0, 37, 12, 11, 20):  # as an editor jumps about
            wanted = packets[number].pts
            film.seek(wanted, stream=stream, backward=True)
            shown = next(frame for frame in film.decode(stream) if frame.pts >= wanted)
            assert (shown.pts, number_of(shown.to_ndarray(format="gray"))) == (wanted, number)
    head = proxy.read_bytes()[:4096]
    assert head.index(b"moov") < 64, "the index lies in front"


def test_a_proxy_of_a_phones_film_is_upright_and_never_larger(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    draw_clip(path, seconds=0.4, width=320, height=180, fps=10, look=Look(rotation=90), audio=False)
    MADE.proxy(path, tmp_path / "proxy.mp4")
    with av.open(str(tmp_path / "proxy.mp4")) as film:
        frame = next(film.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (180, 320, 0)
        assert not film.streams.audio


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_everybody_shows_what_a_player_shows(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    """The same scene, held in whatever way."""
    held, plain = tmp_path / "held.mp4", tmp_path / "plain.mp4"
    size = {"width": 180, "height": 320} if rotation % 180 else {"width": 320, "height": 180}
    draw_clip(held, seconds=0.4, fps=10, look=Look(rotation=rotation, mirrored=mirrored), audio=False, **size)
    draw_clip(plain, seconds=0.4, fps=10, width=320, height=180, audio=False)
    wanted = still(plain).astype(int)
    MADE.proxy(held, tmp_path / "proxy.mp4")
    _, sheets = MADE.sprites(held, tmp_path, side=320)
    for shown in (still(held), still(tmp_path / "proxy.mp4"), cv2.imread(str(sheets[0]))):
        assert shown.shape == wanted.shape
        assert np.abs(shown - wanted).mean() < 8, "another orientation differs by 20 and more"


def test_nothing_is_left_of_a_proxy_that_fails(tmp_path: Path) -> None:
    path = numbered(tmp_path / "in.mp4", [40 * n for n in range(20)])

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MADE.proxy(path, tmp_path / "proxy.mp4", progress=stop)
    assert not (tmp_path / "proxy.mp4").exists()


# --- the waveform


def test_peaks_lie_where_the_sound_is_at_every_level(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with av.open(str(path), "w") as out:
        track = out.add_stream("pcm_s16le", rate=48000, layout="stereo")
        samples = np.zeros((2, 48000 * 12), np.int16)
        samples[0, 48000:96000] = np.rint(16384 * np.sin(np.arange(48000) / 20)).astype(np.int16)
        samples[1, 480_000] = -32768
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    found = MADE.waveform(path, tmp_path / "waveform.dat")
    assert found.duration_s == 12.0
    assert [one.per_second for one in found.levels] == [100, 25, 6.25]
    data = (tmp_path / "waveform.dat").read_bytes()
    assert len(data) == sum(one.size for one in found.levels)
    for level in found.levels:
        block = data[level.offset : level.offset + level.size]
        version, flags, rate, step, length, channels = struct.unpack_from("<iIiiIi", block)
        assert (version, flags, rate, step, length, channels) == (2, 1, 48000, level.samples_per_pixel, level.length, 1)
        pairs = np.frombuffer(block[24:], np.int8).reshape(-1, 2)
        assert len(pairs) == length
        at = {second: pairs[int(second * level.per_second)] for second in (0.3, 1.5, 3.0, 10.0)}
        assert at[0.3].tolist() == at[3.0].tolist() == [0, 0]
        assert at[1.5] == pytest.approx([-63, 63], abs=2)
        assert at[10.0].tolist() == [-127, 0]


def test_a_film_without_sound_has_no_waveform(tmp_path: Path) -> None:
    path = numbered(tmp_path / "silent.mp4", [0, 40, 80])
    with pytest.raises(MediaError, match="no sound"):
        MADE.waveform(path, tmp_path / "w.dat")
    assert not (tmp_path / "w.dat").exists()


# --- thumbnails


@pytest.mark.parametrize("bf", [0, 2])
def test_each_thumbnail_shows_the_middle_of_its_time(tmp_path: Path, bf: int) -> None:
    path = numbered(tmp_path / "in.mp4", [100 * n for n in range(130)], bf=bf)
    found, sheets = MADE.sprites(path, tmp_path, most=500, side=64)
    assert (found.count, found.columns, found.rows, found.interval_s, found.sheets) == (13, 10, 2, 1.0, 1)
    assert (found.width, found.height) == (64, 36)
    sheet = cv2.imread(str(sheets[0]), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (72, 640)
    for number in range(found.count):
        y, x = number // 10 * 36, number % 10 * 64
        shown = number_of(sheet[y : y + 36, x : x + 64])
        assert abs(shown / 10 - (number + 0.5)) <= 0.5, "a key frame of its second, at the least"
    assert sheet[36:, 3 * 64 + 8 :].max() < 16


def test_a_long_film_has_no_more_thumbnails_than_wished(tmp_path: Path) -> None:
    path = numbered(tmp_path / "long.mkv", [1000 * n for n in range(250)], size=(64, 36))
    found, sheets = MADE.sprites(path, tmp_path, most=120, side=32)
    assert (found.count, found.sheets, [sheet.name for sheet in sheets]) == (120, 2, ["sprite-1.jpg", "sprite-2.jpg"])
    assert found.interval_s == pytest.approx(250 / 120, abs=0.01)
    assert cv2.imread(str(sheets[1])).shape == (2 * 18, 320, 3)


# --- shots


def test_cuts_are_found_to_the_frame_and_pans_are_none(tmp_path: Path) -> None:
    parts = []
    for seed in (1, 2, 3):
        part = tmp_path / f"{seed}.mp4"
        draw_clip(part, seconds=1, width=160, height=90, fps=25, seed=seed, audio=False)
        parts.append(part)
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        number = 0
        for part in parts:
            for frame in frames(part):
                frame.av.pts, frame.av.time_base, frame.av.pict_type = number, Fraction(1, 25), 0
                out.mux(stream.encode(frame.av))
                number += 1
        out.mux(stream.encode(None))
    found = MADE.shots(path)
    assert [(one.first, one.last) for one in found] == [(0, 25), (25, 50), (50, 75)]
    assert [one.start_s for one in found] == [0.0, 1.0, 2.0]
    assert found[-1].end_s == pytest.approx(3.0, abs=0.001)
    assert found[0].change == 0 < found[1].change


def test_a_flash_is_one_cut_at_most_and_a_shaky_camera_none() -> None:
    still = np.full(40, 1.0)
    flash = still.copy()
    flash[[20, 21]] = 90, 80
    assert cuts(flash) in ([20], [])
    assert cuts(np.full(40, 30.0)) == []
    one = still.copy()
    one[7] = 60
    assert cuts(one) == [7]


# --- stills


def test_a_still_is_the_frame_that_a_player_shows(tmp_path: Path) -> None:
    path = numbered(tmp_path / "in.mp4", [40 * n for n in range(60)])
    for ending in ("jpg", "png"):
        target = tmp_path / f"still.{ending}"
        assert MADE.still(path, target, 1.48, width=160) == (160, 90)
        assert number_of(cv2.imread(str(target), cv2.IMREAD_GRAYSCALE)) == 37
