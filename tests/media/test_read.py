"""Probing and decoding, of good files and of bad ones."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from tests.pictures import huge_jpeg, huge_png
from vtid.errors import InvalidInput, MediaError, UnsupportedMedia
from vtid.media import encoders, is_image, probe, require_video
from vtid.media.bounds import declared_size
from vtid.media.still import before_after, still, write_picture
from vtid.media.synth import Look, Subtitle, draw_clip


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.avi"])
def test_probe(name, clip):
    info = probe(clip(name, codec="mpeg4" if name.endswith("avi") else "libx264"))
    video = info.video[0]
    assert info.container == name[2:]
    assert info.duration_s == pytest.approx(1.0, abs=0.05)
    assert (video.width, video.height, video.pixel_format, video.frame_rate) == (128, 96, "yuv420p", "25/1")
    assert len(info.audio) == 1
    assert require_video(info, name) is video


def test_probe_sees_rotation_colour_depth_and_fields(clip):
    look = Look(rotation=90, full_range=True, interlaced=True, sample_aspect=frac(4, 3), audio_tracks=2)
    info = probe(clip(look=look, pix_fmt="yuv422p10le"))
    video = info.video[0]
    assert (video.rotation, video.bit_depth, video.interlaced, video.sample_aspect) == (90, 10, True, "4/3")
    assert (video.color_primaries, video.color_transfer, video.color_space, video.color_range) == (1, 1, 1, 2)
    assert [track.language for track in info.audio] == ["eng", "deu"]


def frac(a, b):
    from fractions import Fraction

    return Fraction(a, b)


def test_a_container_under_a_wrong_name_is_known_by_its_content(clip, tmp_path):
    path = clip("a.mkv").rename(tmp_path / "a.mp4")
    assert probe(path).container == "mkv"


def test_sound_alone(tmp_path):
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    info = probe(path)
    assert info.video == ()
    assert info.audio[0].sample_rate == 8000
    with pytest.raises(MediaError, match=r"voice\.wav has sound but no picture"):
        require_video(info, "voice.wav")


def test_a_still_picture(tmp_path):
    path = tmp_path / "photo.mp4"
    write_picture(path, np.zeros((20, 30, 3), np.uint8))
    info = probe(path)
    assert is_image(info)
    assert (info.width, info.height) == (30, 20)
    with pytest.raises(MediaError, match=r"photo\.mp4 is a still picture"):
        require_video(info, "photo.mp4")


def refused(path, kind, code, words):
    with pytest.raises(kind, match=words) as caught:
        probe(path)
    assert caught.value.problems[0].code == code


def test_an_empty_file(tmp_path):
    (tmp_path / "a.mp4").touch()
    refused(tmp_path / "a.mp4", MediaError, "empty_file", r"a\.mp4 is empty: it has 0 bytes")


@pytest.mark.parametrize(
    "text", ["Dear diary,\n" * 50, "#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", "ffconcat version 1.0\nfile x\n"]
)
def test_text_and_playlists_are_not_media(text, tmp_path):
    (tmp_path / "a.mp4").write_text(text)
    refused(tmp_path / "a.mp4", UnsupportedMedia, "unsupported_media", "is not a media file")


def test_no_such_file(tmp_path):
    with pytest.raises(InvalidInput, match=r"no file a\.mp4"):
        probe(tmp_path / "a.mp4")


def test_cut_off_before_the_index(clip):
    path = clip("a.mp4")
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    path.write_bytes(data[:at] + data[at + size :])  # an MP4 that was never finished
    refused(path, MediaError, "cut_off", "incomplete.*Send the whole file again")


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.mp4", r"holds \d+ of 50 frames"), ("a.mkv", r"holds \d+ of \d+ bytes"), ("a.avi", r"holds \d+ of \d+ bytes")],
)
def test_cut_off_in_the_middle(name, words, media, clip, tmp_path):
    path = clip(name, seconds=2, codec="mpeg4" if name == "a.avi" else "libx264")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])

    assert probe(path).width == 128
    with pytest.raises(MediaError, match=words):
        next(media.frames(path))
    with pytest.raises(MediaError, match="cut off"):
        media.rewrite(path, tmp_path / "b.mkv", lambda frames: frames)
    assert not (tmp_path / "b.mkv").exists()
    assert next(media.frames(path, end_s=0.5)).index == 0


def test_damage_in_the_middle_is_skipped(media, clip):
    path = clip("a.mkv", seconds=3, audio=False)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(bytes(data))
    assert 60 <= len(list(media.frames(path))) <= 75


def test_total_failure_is_said(media, clip):
    path = clip("a.mp4", audio=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    data[at:] = bytes(len(data) - at)
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError, match=r"cannot be (played|read)"):
        list(media.frames(path))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_frames_from_a_time_are_those_of_the_whole(name, media, clip):
    path = clip(name, seconds=5, look=Look(start_s=0.4))
    whole = {frame.pts: (frame.index, frame.time_s, frame.luma().copy()) for frame in media.frames(path)}
    assert [index for index, _, _ in whole.values()] == list(range(125))
    part = list(media.frames(path, start_s=3.1, end_s=4.0))
    assert [frame.time_s for frame in part] == [time for _, time, _ in whole.values() if 3.0999 < time < 3.9999]
    for frame in part:
        assert frame.index == whole[frame.pts][0]
        np.testing.assert_array_equal(frame.luma(), whole[frame.pts][2])


def test_frames_past_the_end_are_none(media, clip):
    assert list(media.frames(clip(), start_s=60.0, end_s=61.0)) == []


def test_drawing_is_deterministic_and_tells_the_truth(tmp_path, media):
    subtitles = [Subtitle("Hello", 0.2, 0.6)]
    paths = [tmp_path / name for name in ("a.mkv", "b.mkv", "clean.mkv")]
    size = {"seconds": 1, "width": 160, "height": 90, "codec": "ffv1", "audio": False}
    drawn = draw_clip(paths[0], subtitles=subtitles, clean_path=paths[2], **size)
    draw_clip(paths[1], subtitles=subtitles, **size)
    dirty, again, clean = ([frame.luma().copy() for frame in media.frames(path)] for path in paths)
    np.testing.assert_array_equal(dirty, again)
    for time_s, box, with_text, without in zip(drawn.times_s, drawn.boxes, dirty, clean, strict=True):
        assert (box is not None) == (0.2 <= time_s < 0.6)
        changed = np.argwhere(with_text != without)
        if box is None:
            assert len(changed) == 0
        else:
            assert changed[:, 1].min() >= box[0] - 1
            assert changed[:, 1].max() <= box[2]


def test_stills_are_upright(clip, tmp_path):
    path = clip(look=Look(rotation=90))
    assert still(path, 0.5).shape == (128, 96, 3)
    assert still(path, 99.0, max_width=64).shape == (64, 48, 3)
    both = before_after(still(path, 0.0), still(path, 0.9, max_width=64))
    assert both.shape == (128, 96 + 8 + 96, 3)
    write_picture(tmp_path / "x.png", both)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_encoders_names_what_is_there():
    known = encoders()
    assert known["libx264"] is True
    assert "h264_nvenc" in known


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.png", huge_png(30_000, 30_000), "30000 x 30000, which is 900 million pixels; at most 67 million"),
        ("a.png", huge_png(8193, 8192), "8193 x 8192"),
        ("a.jpg", huge_jpeg(60_000, 50_000), "60000 x 50000"),
    ],
)
def test_pictures_that_unfold_are_refused_by_their_header(tmp_path, name, data, words):
    path = tmp_path / name
    path.write_bytes(data)
    assert len(data) < 200_000
    with pytest.raises(MediaError, match=words) as refused:
        probe(path)
    assert refused.value.problems[0].code == "too_many_pixels"


def test_the_largest_picture_is_let_in(tmp_path):
    (tmp_path / "a.png").write_bytes(huge_png(8192, 8192))
    assert probe(tmp_path / "a.png").width == 8192


@pytest.mark.parametrize(
    "data", [huge_jpeg(9, 9)[:-20], b"\xff\xd8\xff" + b"\xff" * 99, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
)
def test_half_a_header_says_nothing(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert declared_size(tmp_path / "a") == (0, 0)
