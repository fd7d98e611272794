"""Films that have fewer frames than they say: what there is of them is used, and a person is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tests.media.compose.films import draw, grey, numbers
from vtid.media import PyAVMedia
from vtid.sdk import File
from vtid.testing import run_step
from vtid_compose_ffmpeg import Compose

OUTPUT = {"resolution": {"width": 160, "height": 90}, "fps": 25}
FRAMES = 36


def compose(tmp_path: Path, *clips: dict[str, Any], output: dict[str, Any] = OUTPUT, **files: Path) -> Any:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    named = {f"file_{name}": File(path, name=path.name) for name, path in files.items()}
    document = {"clips": list(clips), "output": output}
    return run_step(Compose(), work, inputs={"files": named}, params=document, media=PyAVMedia(2))


def whole(path: Path, **more: Any) -> Path:
    """A film whose index lies in front, and which has groups of six frames."""
    options = {"crf": "4", "preset": "ultrafast", "g": "6"}
    drawn = draw(path.with_stem("drawn"), [grey(n) for n in range(FRAMES)], options=options, **more)
    front = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(drawn)) as old, av.open(str(path), "w", options=front) as new:
        streams = {each.index: new.add_stream_from_template(each) for each in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return path


def cut(path: Path, *, frames: int) -> Path:
    """The same film, cut off behind so many frames."""
    with av.open(str(path)) as film:
        begins = [packet.pos for packet in film.demux(film.streams.video[0]) if packet.pts is not None]
    path.write_bytes(path.read_bytes()[: begins[frames]])
    return path


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "flv"])
def test_of_a_film_that_is_cut_off_the_rest_stands_still_and_that_is_said(
    tmp_path: Path, ending: str, *, copy: bool
) -> None:
    source = cut(whole(tmp_path / f"a.{ending}"), frames=20)
    out = compose(
        tmp_path,
        {"color": "#ffffff", "duration": 0.4},
        {"video_url": "asset:a"},
        a=source,
        output=OUTPUT if copy else OUTPUT | {"bitrate": "2M"},
    )
    assert numbers(out.video.path)[10:] == [*range(20), *[19] * (FRAMES - 20)]
    says = "though it says that it lasts 1.44 s"
    assert out.report.warnings == [f"clips[1]: the film's frames end at 0.8 s, {says}; its last frame stays"]
    assert any(one.copied for one in out.report.pieces) == copy


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_each_clip_is_named_that_shows_what_is_missing(tmp_path: Path, ending: str) -> None:
    source = cut(whole(tmp_path / f"a.{ending}", tone=440), frames=20)
    clip = {"video_url": "asset:a"}
    out = compose(
        tmp_path,
        clip | {"trim_end": 0.8},
        clip | {"trim_start": 0.4, "transition": {"duration": 0.2}},
        clip | {"trim_start": 0.2, "trim_end": 0.6, "speed": 2},
        clip | {"trim_start": 1.2},
        clip | {"track": 1, "start_time": 0.2, "speed": 3, "position": {"x": 0, "y": 0, "width": 0.5, "height": 0.5}},
        a=source,
    )
    assert [one.partition(":")[0] for one in out.report.warnings] == ["clips[1]", "clips[3]", "clips[4]"]


@pytest.mark.parametrize(("ending", "kind"), [("gif", "video"), ("png", "picture")])
def test_pictures_of_it_say_so_too(tmp_path: Path, ending: str, kind: str) -> None:
    source = cut(whole(tmp_path / "a.mp4"), frames=20)
    out = compose(tmp_path, {"video_url": "asset:a", "trim_start": 1.2}, a=source, output=OUTPUT | {"format": ending})
    assert getattr(out, kind).path.exists()
    assert len(out.report.warnings) == 1


@pytest.mark.parametrize("speed", [0.5, 3])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "flv", "ts", "webm"])
def test_sound_that_goes_on_after_the_picture_is_nothing_to_be_told(tmp_path: Path, ending: str, speed: float) -> None:
    coding = {"codec": "libvpx"} if ending == "webm" else {}
    path = draw(tmp_path / f"a.{ending}", [grey(n) for n in range(20)], **coding)
    if ending not in ("webm", "flv"):
        path = draw(tmp_path / f"b.{ending}", [grey(n) for n in range(20)], tone=440, sound_s=1.3)
    out = compose(tmp_path, {"video_url": "asset:a", "speed": speed}, a=path)
    assert out.report.warnings == []
