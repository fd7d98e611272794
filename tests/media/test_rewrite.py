from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.smart.films import smart
from vtid.errors import Cancelled, InvalidInput, MediaError
from vtid.media import remux
from vtid.media.synth import Look
from vtid.sdk import EncodeOptions

HDR = (
    "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    ":max-cll=1000,400"
)

SAME = [
    "width",
    "height",
    "pixel_format",
    "bit_depth",
    "rotation",
    "sample_aspect",
    "color_primaries",
    "color_transfer",
    "color_space",
    "color_range",
    "interlaced",
]


def untouched(frames):
    yield from frames


def times(media, path):
    return [frame.time_s for frame in media.frames(path)]


CASES = {
    "mp4": ("a.mp4", "b.mp4", {}, "libx264"),
    "mov": ("a.mov", "b.mov", {}, "libx264"),
    "mkv": ("a.mkv", "b.mkv", {}, "libx264"),
    "ts": ("a.ts", "b.ts", {}, "libx264"),
    "avi": ("a.avi", "b.avi", {"codec": "mpeg4"}, "mpeg4"),
    "webm": ("a.webm", "b.webm", {"codec": "libvpx-vp9", "look": Look(options={"cpu-used": "8"})}, "libvpx-vp9"),
    "mkv to mp4": ("a.mkv", "b.mp4", {}, "libx264"),
    "vfr mp4": ("a.mp4", "b.mp4", {"look": Look(vfr=True)}, "libx264"),
    "vfr mkv": ("a.mkv", "b.mkv", {"look": Look(vfr=True)}, "libx264"),
    "turned": ("a.mp4", "b.mp4", {"look": Look(rotation=90, sample_aspect=Fraction(4, 3))}, "libx264"),
    "turned mkv": ("a.mkv", "b.mkv", {"look": Look(rotation=270)}, "libx264"),
    "late picture mp4": ("a.mp4", "b.mp4", {"look": Look(start_s=0.4)}, "libx264"),
    "late picture mkv": ("a.mkv", "b.mkv", {"look": Look(start_s=0.4)}, "libx264"),
    "flv with its frames in order": ("a.flv", "b.flv", {"look": Look(options={"bf": "0"})}, "libx264"),
    "two voices": ("a.mp4", "b.mp4", {"look": Look(audio_tracks=2)}, "libx264"),
    "silent": ("a.mp4", "b.mp4", {"audio": False}, "libx264"),
    "10 bit HDR": (
        "a.mp4",
        "b.mp4",
        {
            "codec": "libx265",
            "pix_fmt": "yuv420p10le",
            "look": Look(matrix="bt2020", transfer="pq", options={"x265-params": HDR}),
        },
        "libx265",
    ),
    "4:2:2 10 bit": ("a.mov", "b.mov", {"pix_fmt": "yuv422p10le"}, "libx264"),
    "prores": ("a.mov", "b.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}, "prores_ks"),
    "av1": ("a.mkv", "b.mp4", {"codec": "libsvtav1", "look": Look(options={"preset": "12"})}, "libsvtav1"),
    "full range": ("a.mp4", "b.mp4", {"look": Look(full_range=True)}, "libx264"),
    "interlaced": ("a.mp4", "b.mp4", {"look": Look(interlaced=True)}, "libx264"),
    "odd size": ("a.mkv", "b.mkv", {"codec": "ffv1", "width": 131, "height": 97}, "ffv1"),
    "odd size in a codec without an encoder": (
        "a.mkv",
        "b.mkv",
        {"codec": "mpeg2video", "width": 131, "height": 97},
        "mpeg4",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_edited_stays(case, media, clip, packets, tmp_path):
    name, target_name, options, encoder = CASES[case]
    source, target = clip(name, **options), tmp_path / target_name

    result = media.rewrite(source, target, untouched)

    before, after = media.probe(source), media.probe(target)
    assert result.encoder == encoder
    assert result.dropped == ()
    assert result.frames == len(times(media, source))
    assert [getattr(after.video[0], key) for key in SAME] == [getattr(before.video[0], key) for key in SAME]
    assert after.audio == before.audio
    assert packets(target)["audio"] == packets(source)["audio"]
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.025)
    assert times(media, target) == pytest.approx(times(media, source), abs=1e-6)
    assert first_pts_s(target) == first_pts_s(source)


def first_pts_s(path):
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.pts * frame.time_base


def test_hdr_metadata_stays(media, clip, tmp_path):
    _, _, options, _ = CASES["10 bit HDR"]
    source, target = clip(**options), tmp_path / "b.mp4"
    media.rewrite(source, target, untouched)
    assert light(target) == light(source)
    assert len(light(source)) == 2
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_tag == "hvc1"


def light(path):
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        kinds = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
        return {data.type.name: bytes(data) for data in frame.side_data if data.type.name in kinds}


def test_the_edit_is_what_is_written(media, clip, tmp_path):
    source, target = clip(), tmp_path / "b.mp4"
    box = (32, 16, 64, 48)

    def blacken(frames):
        for frame in frames:
            frame.paint(box, np.full((32, 32, 3), (16, 128, 128), np.float32), np.ones((32, 32), bool))
            yield frame

    media.rewrite(source, target, blacken)
    for before, after in zip(media.frames(source), media.frames(target), strict=True):
        assert after.luma((36, 20, 60, 44)).max() < 24
        outside = before.luma((72, 0, 128, 96)).astype(int) - after.luma((72, 0, 128, 96))
        assert np.abs(outside).mean() < 2.5


def test_an_edit_may_look_ahead(media, clip, tmp_path):
    source = clip(seconds=3)

    def all_first(frames):
        yield from list(frames)

    assert media.rewrite(source, tmp_path / "b.mp4", all_first).frames == 75


def test_sound_lies_beside_the_picture_in_the_file(media, clip, tmp_path):
    source, target = clip(seconds=4), tmp_path / "b.mp4"
    media.rewrite(source, target, untouched)
    ahead = 0.0
    with av.open(str(target)) as container:
        seen = {"video": 0.0, "audio": 0.0}
        for packet in container.demux():
            if packet.dts is not None and packet.pos is not None:
                seen[packet.stream.type] = float(packet.dts * packet.time_base)
                ahead = max(ahead, abs(seen["video"] - seen["audio"]))
    assert ahead < 1.0


def test_the_index_is_in_front(media, clip, tmp_path):
    target = tmp_path / "b.mp4"
    media.rewrite(clip(), target, untouched)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_metadata_chapters_subtitles_and_attachments_stay(media, clip, packets, enrich, tmp_path):
    plain, source, target = clip("plain.mp4"), tmp_path / "rich.mkv", tmp_path / "b.mkv"
    enrich(plain, source)

    result = media.rewrite(source, target, untouched)

    assert result.copied_streams == 3
    assert [(s.type, s.codec, s.language) for s in media.probe(target).other] == [
        (s.type, s.codec, s.language) for s in media.probe(source).other
    ]
    assert packets(target)["subtitle"] == packets(source)["subtitle"]
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.chapters() == before.chapters()
        assert len(after.chapters()) == 2
        assert after.metadata["title"] == "A walk"
        assert after.streams.video[0].metadata["language"] == "ita"
        assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
def test_a_cover_stays_a_cover(target, media, clip, tmp_path):
    source = tmp_path / "covered.mp4"
    with av.open(str(clip("plain.mp4"))) as plain, av.open(str(source), "w") as out:
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in plain.streams}
        cover = out.add_stream("mjpeg", rate=1, width=32, height=32)
        cover.pix_fmt, cover.disposition = "yuvj420p", av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame(32, 32, "yuvj420p")) + cover.encode(None))
        for packet in plain.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)

    result = media.rewrite(source, tmp_path / target, untouched)

    after = media.probe(tmp_path / target)
    assert (result.copied_streams, result.dropped) == (2, ())
    assert len(after.video) == 1
    assert [(s.type, s.codec) for s in after.other] == [("picture", "mjpeg")]


def test_what_the_container_cannot_hold_is_named(media, clip, enrich, tmp_path):
    source = tmp_path / "rich.mkv"
    enrich(clip("plain.mp4"), source)
    dropped = media.rewrite(source, tmp_path / "b.mp4", untouched).dropped
    assert len(dropped) == 2
    assert "subtitle track 2" in dropped[0]
    assert "mp4 cannot hold it" in dropped[0]


def test_sound_is_never_dropped(media, clip, tmp_path):
    target = tmp_path / "b.webm"
    with pytest.raises(MediaError, match=r"sound would be lost.*another container"):
        media.rewrite(clip(), target, untouched, options=EncodeOptions(codec="vp9"))
    assert not target.exists()


def test_a_failing_edit_leaves_nothing(media, clip, tmp_path):
    target = tmp_path / "b.mp4"

    def cancelled(frames):
        for frame in frames:
            if frame.index == 12:
                raise Cancelled
            yield frame

    with pytest.raises(Cancelled):
        media.rewrite(clip(), target, cancelled)
    assert not target.exists()


@pytest.mark.parametrize("edit", [lambda f: list(f)[:-1], lambda f: list(f)[::-1], lambda f: [next(f)]])
def test_an_edit_that_loses_or_reorders_frames_is_a_bug(edit, media, clip, tmp_path):
    with pytest.raises(RuntimeError, match="the edit yielded"):
        media.rewrite(clip(), tmp_path / "b.mp4", edit)
    assert not (tmp_path / "b.mp4").exists()


def test_bugs_of_the_edit_are_not_taken_for_bad_media(media, clip, tmp_path):
    def broken(frames):
        yield next(frames)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        media.rewrite(clip(), tmp_path / "b.mp4", broken)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "encoder"),
    [
        ("a.mov", "prores_ks", "yuva444p10le", "prores_ks"),
        ("a.mov", "qtrle", "argb", "prores_ks"),
        ("a.mkv", "ffv1", "yuva420p", "ffv1"),
        ("a.avi", "rawvideo", "bgra", "ffv1"),
    ],
)
def test_transparency_stays(name, codec, pix_fmt, encoder, media, clip, tmp_path):
    source, target = clip(name, codec=codec, pix_fmt=pix_fmt, audio=False), tmp_path / f"b{Path(name).suffix}"
    result = media.rewrite(source, target, untouched)
    assert result.encoder == encoder
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    assert any(part.is_alpha for part in frame.format.components)
    assert frame.reformat(format="rgba").to_ndarray()[..., 3].min() >= 254


def test_transparency_is_not_lost_in_silence(media, clip, tmp_path):
    look = Look(options={"cpu-used": "8"})
    webm = clip("a.webm", codec="libvpx-vp9", pix_fmt="yuva420p", look=look)
    avi = clip("a.avi", codec="rawvideo", pix_fmt="bgra", audio=False)
    for source, words in ((webm, "beside its picture"), (avi, "no encoder keeps it in flv")):
        target = tmp_path / ("b.flv" if source is avi else "b.webm")
        with pytest.raises(MediaError, match=words):
            media.rewrite(source, target, untouched)
        assert not target.exists()


@pytest.mark.parametrize(
    ("codec", "target", "encoder"),
    [("h264", "b.mp4", "libx264"), ("hevc", "b.mov", "libx265"), ("av1", "b.mkv", "libsvtav1")],
)
def test_a_codec_can_be_asked_for(codec, target, encoder, media, clip, tmp_path):
    result = media.rewrite(clip(), tmp_path / target, untouched, options=EncodeOptions(codec=codec))
    assert result.encoder == encoder
    assert media.probe(tmp_path / target).video[0].codec == codec


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may be so urgent")
def test_no_encoder_takes_the_machine_for_itself(media, clip, tmp_path):
    seen = set()

    def look(frames):
        for frame in frames:
            for task in Path("/proc/self/task").iterdir():
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    seen.add(os.sched_getscheduler(int(task.name)))
            yield frame

    media.rewrite(clip(), tmp_path / "b.mkv", look, options=EncodeOptions(codec="av1"))
    assert seen == {os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_crf_and_preset_are_heard(media, clip, tmp_path):
    source, coarse, fine = clip(), tmp_path / "c.mp4", tmp_path / "f.mp4"
    media.rewrite(source, coarse, untouched, options=EncodeOptions(crf=40, preset="ultrafast"))
    media.rewrite(source, fine, untouched)
    assert coarse.stat().st_size * 2 < fine.stat().st_size


@pytest.mark.parametrize(
    ("target", "codec", "words"),
    [
        ("b.xyz", "auto", '".xyz".*Use one of: mp4'),
        ("b.mp4", "h266", 'no "h266"'),
        ("b.webm", "h264", "webm holds no h264"),
    ],
)
def test_bad_wishes_are_refused_in_words(target, codec, words, media, clip, tmp_path):
    with pytest.raises(InvalidInput, match=words):
        media.rewrite(clip(), tmp_path / target, untouched, options=EncodeOptions(codec=codec))


def test_the_picture_looks_the_same(media, clip, tmp_path):
    source, target = clip(width=320, height=180), tmp_path / "b.mp4"
    media.rewrite(source, target, untouched)
    worst = min(
        psnr(before.luma(), after.luma())
        for before, after in zip(media.frames(source), media.frames(target), strict=True)
    )
    assert worst > 38


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2)))


def test_remux_copies_every_packet(clip, packets, tmp_path):
    source, target = clip("a.mkv", look=Look(rotation=90, audio_tracks=2)), tmp_path / "b.mp4"
    assert remux(source, target) == ()
    kinds = packets(source)
    assert packets(target)["video"] == kinds["video"]
    assert [[digest for _, digest in track] for track in packets(target)["audio"]] == [
        [digest for _, digest in track] for track in kinds["audio"]
    ]


def test_remux_refuses_a_container_that_holds_nothing_of_it(clip, tmp_path):
    with pytest.raises(MediaError, match="cannot go into webm"):
        remux(clip(), tmp_path / "b.webm")
    assert not Path(tmp_path / "b.webm").exists()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (EncodeOptions(), {b"subme=2", b"mbtree=1", b"crf=16.0"}),
        (EncodeOptions(quick=True), {b"subme=1", b"mbtree=1", b"rc_lookahead=10", b"crf=15.5"}),
        (EncodeOptions(quick=True, preset="faster"), {b"subme=4", b"crf=16.0"}),
        (EncodeOptions(quick=True, crf=20), {b"subme=1", b"crf=20.0"}),
    ],
    ids=["usual", "quick", "a preset wins", "a crf is kept"],
)
def test_quick_is_another_preset_of_x264_unless_one_was_said(clip, tmp_path, media, options, settings):
    target = tmp_path / "out.mp4"
    media.rewrite(clip(), target, untouched, options=options)
    written = target.read_bytes()  # x264 tells its settings in the first picture's packet
    assert {each for each in settings if each not in written} == set()


@pytest.mark.parametrize("target_name", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize("edit", ["rewrite", "smart render"])
def test_the_picture_of_an_avi_with_b_frames_begins_with_its_sound(edit, target_name, media, clip, tmp_path):
    source, target = clip("a.avi", codec="mpeg4", look=Look(options={"bf": "2"})), tmp_path / target_name
    assert first_pts_s(source) > 0  # as FFmpeg tells it
    if edit == "rewrite":
        media.rewrite(source, target, untouched)
    else:
        smart(media, source, target, [(5, 9)])
    assert first_pts_s(target) == 0
    assert times(media, target) == pytest.approx(times(media, source), abs=1e-6)


def test_an_avi_of_an_avi_has_no_empty_chunk_before_its_second_frame(media, clip, tmp_path):
    source, target = clip("a.avi", codec="mpeg4", look=Look(options={"bf": "2"})), tmp_path / "b.avi"
    media.rewrite(source, target, untouched)
    with av.open(str(target)) as container:
        assert [packet.dts for packet in container.demux(video=0) if packet.size] == list(range(25))
