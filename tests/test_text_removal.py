"""The job itself, whole: files as people have them through `vtid.local`, every stage real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from vtid import config as vtid_config
from vtid.errors import InvalidInput, MediaError, UnsupportedMedia, VtidError
from vtid.local import LocalRun, local_run
from vtid.media import probe
from vtid.media.still import still, write_picture
from vtid.media.synth import Look, Subtitle, draw_clip

SUBTITLES = (Subtitle("Nobody knows the way", 0.3, 1.0), Subtitle("Look over there", 1.2, 1.9))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalRun]:
    empty = tmp_path / "empty.toml"
    empty.touch()
    loaded = vtid_config.load(
        empty, {}, overrides={"plugins.dirs": (Path("plugins").absolute(),), "limits.min_free_disk_mb": 1}
    )
    with local_run(loaded, tmp_path / "run") as local:
        yield local


def remove(local: LocalRun, source: Path, **params: Any) -> tuple[Any, Path]:
    job = local.submit(source, "remove-text", params)
    job = local.finish(job.id)
    assert job.status == "completed", job.error
    return job, local.deliver(job, 0, source.parent / f"out{source.suffix}", overwrite=True)


def packets(path: Path, kind: str) -> list[list[tuple[Fraction, bytes]]]:
    """Time and bytes of every packet of every stream of a kind."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        out: list[list[tuple[Fraction, bytes]]] = [[] for _ in streams]
        for packet in container.demux(streams) if streams else ():
            if packet.pts is not None and packet.size:
                out[streams.index(packet.stream)].append((packet.pts * packet.time_base, bytes(packet)))
        return out


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [f.pts * f.time_base for f in container.decode(video=0)]


def boxes_left(path: Path) -> int:
    """Text lines that the detector finds in every fifth frame; a box over a quarter of the picture is no line."""
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Det.limit_type": "max", "Det.limit_side_len": 960, "Global.log_level": "error"})
    found, mirrored = 0, probe(path).video[0].mirrored
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % 5 == 2:
                picture = frame.to_ndarray(format="bgr24")[:: -1 if mirrored else 1]
                picture = np.ascontiguousarray(np.rot90(picture, frame.rotation // 90))
                boxes = engine(picture, use_cls=False, use_rec=False).boxes
                found += sum(np.ptp(b[:, 1]) < picture.shape[0] / 4 for b in (() if boxes is None else boxes))
    return found


CLIPS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("mp4", {}),
    "no audio": ("mp4", {"audio": False}),
    "two audio tracks": ("mkv", {"look": Look(audio_tracks=2)}),
    "variable frame rate": ("mp4", {"look": Look(vfr=True)}),
    "rotated": ("mp4", {"look": Look(rotation=90)}),
    "of a front camera": ("mp4", {"look": Look(rotation=270, mirrored=True)}),
    "10-bit": ("mkv", {"codec": "libx265", "pix_fmt": "yuv420p10le"}),
    "4:2:2": ("mov", {"pix_fmt": "yuv422p"}),
    "odd dimensions": ("mkv", {"codec": "ffv1", "width": 481, "height": 271}),
    "webm": ("webm", {"codec": "libvpx-vp9"}),
    "late start": ("mp4", {"look": Look(start_s=0.4)}),
}


@pytest.mark.parametrize("kind", CLIPS)
def test_the_text_goes_and_everything_else_stays(local: LocalRun, tmp_path: Path, kind: str) -> None:
    suffix, how = CLIPS[kind]
    source = tmp_path / f"clip.{suffix}"
    drawn: dict[str, Any] = {"seconds": 2, "width": 480, "height": 270, "fps": 25, "subtitles": SUBTITLES} | how
    draw_clip(source, **drawn)
    assert boxes_left(source) > 3, "the clip has text that the detector finds"

    job, result = remove(local, source)

    assert boxes_left(result) == 0, job.message
    assert times(result) == times(source)
    assert packets(result, "audio") == packets(source, "audio")
    before, after = probe(source).video[0], probe(result).video[0]
    for fact in (
        "codec",
        "width",
        "height",
        "pixel_format",
        "bit_depth",
        "rotation",
        "mirrored",
        "sample_aspect",
        "color_primaries",
        "color_transfer",
        "color_space",
        "color_range",
    ):
        assert getattr(after, fact) == getattr(before, fact), fact
    report = job.metadata["clean"]["report"]
    assert (report["unchanged"], report["residual"]) == (False, 0)
    assert len(report["events"]) >= 2


def test_a_clip_without_text_comes_back_bit_exact_and_the_job_says_so(local: LocalRun, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    draw_clip(source, seconds=2, width=480, height=270, fps=25, subtitles=())
    job, result = remove(local, source)
    assert result.read_bytes() == source.read_bytes()
    assert job.metadata["clean"]["report"]["unchanged"] is True
    assert "no text" in job.message.lower()


def _text(path: Path, clip: Path) -> None:
    path.write_text("this is not a video\n" * 100)


def _truncated(path: Path, clip: Path) -> None:
    # Without faststart the index is at the end: cut off, nothing can be decoded.
    from vtid.media import remux

    remux(clip, path.with_suffix(".mkv"))
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mp4") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _half(path: Path, clip: Path) -> None:
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])


def _audio_only(path: Path, clip: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        stream = source.streams.audio[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)


def _image(path: Path, clip: Path) -> None:
    write_picture(path, still(clip, 0.0))


def _no_frames(path: Path, clip: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        out.start_encoding()


def _empty(path: Path, clip: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (_empty, InvalidInput, "empty"),
        (_text, UnsupportedMedia, "not a media file"),
        (_truncated, MediaError, "cut off"),
        (_half, MediaError, "cut off"),
        (_audio_only, MediaError, "no picture"),
        (_image, InvalidInput, "still picture"),
        (_no_frames, InvalidInput, ""),
    ],
)
def test_a_bad_file_is_refused_in_words_and_leaves_nothing(
    local: LocalRun, tmp_path: Path, make: Callable[[Path, Path], None], error: type[VtidError], words: str
) -> None:
    clip = tmp_path / "clip.mp4"
    draw_clip(clip, seconds=1, width=320, height=180, fps=25, subtitles=())
    bad = tmp_path / "bad.mp4"
    make(bad, clip)
    with pytest.raises(error) as caught:
        local.submit(bad, "remove-text", {})
    assert "bad.mp4" in caught.value.message
    assert words in caught.value.message
    assert not [p for p in local.app.storage.root.glob("users/**/*") if p.is_file()]


BOX = {"x": 100, "y": 50, "width": 200, "height": 100}


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        (
            {"regions": [{"type": "erasure", "coordinates": BOX | {"width": 2000}}]},
            "regions[0].coordinates",
            "outside the picture of 320×180",
        ),
        (
            {"regions": [{"type": "erasure", "coordinates": BOX, "endTime": 60}]},
            "regions[0].endTime",
            "past the end of the video (1.00 s)",
        ),
        (
            {"regions": [{"type": "erasure", "coordinates": BOX, "startTime": 5}]},
            "regions[0].startTime",
            "past the end",
        ),
        ({"regions": [{"type": "erase", "coordinates": BOX}]}, "regions[0].type", "erase"),
        ({"policy": "everything"}, "policy", "one of: all, regions, static, subtitles"),
        ({"regions": [{"type": "erase", "coordinates": BOX}]}, "regions[0].type", "one of: erasure, protection, text"),
        ({"regions": [{"type": "erasure", "coordinates": BOX | {"width": 0.2}}]}, "regions[0]", "less than one"),
        ({"region": []}, "region", 'did you mean "regions"'),
        ({"detector": "magic"}, "detector", "magic"),
    ],
)
def test_a_bad_wish_is_refused_before_anything_runs(
    local: LocalRun, tmp_path: Path, params: dict[str, Any], field: str, words: str
) -> None:
    clip = tmp_path / "clip.mp4"
    draw_clip(clip, seconds=1, width=320, height=180, fps=25, subtitles=())
    with pytest.raises(InvalidInput) as caught:
        local.submit(clip, "remove-text", params)
    problem = next(p for p in caught.value.problems if field in p.field)
    assert words in problem.message


def test_regions_say_what_goes_and_what_stays(local: LocalRun, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    clean = tmp_path / "truth.mkv"
    draw_clip(
        source,
        seconds=2,
        width=480,
        height=270,
        fps=25,
        subtitles=(Subtitle("Keep this line", 0.2, 1.8),),
        clean_path=clean,
    )
    whole = {"x": 0, "y": 0, "width": 1, "height": 1}
    job, result = remove(local, source, regions=[{"type": "protection", "coordinates": whole}])
    assert result.read_bytes() == source.read_bytes()
    job, result = remove(local, source, regions=[{"type": "text", "coordinates": whole | {"height": 0.4}}])
    assert job.metadata["clean"]["report"]["unchanged"] is True
    job, result = remove(
        local,
        source,
        regions=[
            {
                "type": "erasure",
                "coordinates": {"x": 0.05, "y": 0.7, "width": 0.9, "height": 0.28},
                "startTime": 0.0,
                "endTime": 1.9,
            }
        ],
    )
    assert boxes_left(result) == 0


def test_a_result_may_go_into_another_container(local: LocalRun, tmp_path: Path) -> None:
    source = tmp_path / "clip.mkv"
    draw_clip(source, seconds=1, width=320, height=180, fps=25, subtitles=())
    job = local.finish(local.submit(source, "remove-text", {}).id)
    target = local.deliver(job, 0, tmp_path / "out.mp4", overwrite=False)
    assert probe(target).container == "mp4"
    assert times(target) == times(source)
    with pytest.raises(InvalidInput):
        local.deliver(job, 0, tmp_path / "out.txt", overwrite=False)
    assert not list(tmp_path.glob(".*.part*"))


def test_the_removed_text_comes_back_as_subtitles_with_its_times(local: LocalRun, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    drawn = (Subtitle("Nobody knows\nthe way out", 0.32, 1.12), Subtitle("Look over there", 1.2, 1.8, fade_s=0.12))
    draw_clip(source, seconds=2, width=480, height=270, fps=25, subtitles=drawn)
    job, _ = remove(local, source)
    (srt,) = (a for a in local.artifacts(job.id) if a.output == "subtitles")
    text = local.write(srt, tmp_path / "out.srt", overwrite=False).read_text()
    cues = [cue.split("\n", 2) for cue in text.strip().split("\n\n")]
    assert [cue[2] for cue in cues] == [s.text for s in drawn]
    for (_, times, _), subtitle in zip(cues, drawn, strict=True):
        told = [_seconds(t) for t in times.split(" --> ")]
        assert told == pytest.approx([subtitle.start_s, subtitle.end_s], abs=0.0405 + (0.04 if subtitle.fade_s else 0))


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_a_mask_is_emptied_as_a_picture_and_as_a_video(local: LocalRun, tmp_path: Path) -> None:
    source, mask, video = tmp_path / "clip.mp4", tmp_path / "mask.png", tmp_path / "mask.mkv"
    draw_clip(source, seconds=1, width=320, height=180, fps=25)
    white = np.zeros((180, 320, 3), np.uint8)
    white[40:80, 100:180] = 255
    write_picture(mask, white)
    with av.open(str(video), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for i in range(25):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(white if 5 <= i < 20 else 0 * white, format="bgr24")))
        out.mux(stream.encode(None))
    for path, first, last in ((mask, 0.0, 1.0), (video, 0.2, 0.8)):
        job = local.submit(source, "remove-text", {"policy": "regions"}, {"mask": path})
        job = local.finish(job.id)
        assert job.status == "completed", job.error
        (event,) = job.metadata["clean"]["report"]["events"]
        assert (event["kind"], event["start_s"], event["end_s"]) == (
            "erasure",
            pytest.approx(first),
            pytest.approx(last),
        )
        assert event["at"] == pytest.approx({"x": 100 / 320, "y": 40 / 180, "width": 80 / 320, "height": 40 / 180})


def test_a_mask_that_is_no_picture_fails_in_words(local: LocalRun, tmp_path: Path) -> None:
    source, mask = tmp_path / "clip.mp4", tmp_path / "mask.png"
    draw_clip(source, seconds=1, width=320, height=180, fps=25)
    _text(mask, source)
    job = local.finish(local.submit(source, "remove-text", {}, {"mask": mask}).id)
    assert job.status == "failed"
    assert job.error is not None
    assert "The mask mask.png is neither a picture nor a video" in job.error.message


def test_a_preview_tells_what_is_there_and_shows_the_picture_without_it(local: LocalRun, tmp_path: Path) -> None:
    source, clean = tmp_path / "clip.mp4", tmp_path / "truth.mkv"
    drawn = draw_clip(source, seconds=2, width=480, height=270, fps=25, subtitles=SUBTITLES, clean_path=clean)
    job = local.finish(local.submit(source, "preview-text", {"at_s": 0.6}).id)
    assert job.status == "completed", job.error
    report = job.metadata["look"]["report"]
    assert [f["text"] for f in report["found"]] == [s.text for s in SUBTITLES]
    picture = local.deliver(job, 0, tmp_path / "still.png", overwrite=False)
    shown, wanted, dirty = cv2.imread(str(picture)), still(clean, 0.6), still(source, 0.6)
    assert shown.shape == wanted.shape
    x0, y0, x1, y1 = drawn.boxes[15] or (0, 0, 0, 0)
    apart, was = (np.abs(p[y0:y1, x0:x1].astype(int) - wanted[y0:y1, x0:x1]).mean() for p in (shown, dirty))
    assert apart < 0.2 * was
