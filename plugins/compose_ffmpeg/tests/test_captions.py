"""Subtitle files: burnt in where and when they should be, or as a track of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tests.media.compose.films import draw, grey, pictures
from vtid.media import PyAVMedia
from vtid.media.compose.stack import lanes
from vtid.sdk import File, InvalidInput, Overlay
from vtid.testing import run_step
from vtid_compose_ffmpeg import Compose, Plan

OUTPUT = {"resolution": {"width": 320, "height": 180}, "fps": 25}
SRT = "1\n00:00:00,400 --> 00:00:00,800\nHello <i>there</i>\nyou\n\n2\n00:00:01,000 --> 00:00:01,200\n{\\an8}Up\n"
VTT = "WEBVTT\n\n00:00.400 --> 00:00.800\nHello <b>there</b>\nyou\n\n00:01.000 --> 00:01.200\nUp\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment
Style: Loud,Arial,20,&H000000FF,-1,8

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.40,0:00:00.80,Loud,,0,0,0,,Hello, you
"""


def compose(tmp_path: Path, text: str, name: str, step: Any = None, **document: Any) -> Any:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "work").mkdir(exist_ok=True)
    captions = {"url": "asset:1"} | document.pop("captions", {})
    film = {"clips": [{"color": "#000000", "duration": 1.6}], "output": OUTPUT, "captions": captions} | document
    files = {"file_1": File(tmp_path / name, name=name)}
    files |= {f"file_{path.stem}": File(path) for path in tmp_path.glob("*.mp4")}
    return run_step(step or Compose(), tmp_path / "work", inputs={"files": files}, params=film, media=PyAVMedia())


def lit(path: Path, part: slice) -> list[int]:
    return [number for number, picture in enumerate(pictures(path)) if picture[part].max() > 200]


@pytest.mark.parametrize(("name", "text"), [("a.srt", SRT), ("a.vtt", VTT)])
def test_lines_are_burnt_in_when_they_are_said(tmp_path: Path, name: str, text: str) -> None:
    film = compose(tmp_path, text, name).video.path
    top = lit(film, slice(0, 60))
    assert lit(film, slice(110, 180)) == [*range(10, 20)] + ([*range(25, 30)] if not top else [])
    assert top == ([*range(25, 30)] if name == "a.srt" else []), "what the file says of the place is heeded"


def test_the_styles_of_ass(tmp_path: Path) -> None:
    shown = pictures(compose(tmp_path, ASS, "a.ass").video.path)[15].astype(int)
    red = (shown[..., 0] > 180) & (shown[..., 1:].max(axis=2) < 70)
    rows = np.nonzero(red)[0]
    assert red.sum() > 8
    assert rows.max() < 60, "alignment 8 is at the top"


def test_what_the_document_says_wins_and_times_move(tmp_path: Path) -> None:
    wishes = {"offset": 0.2, "position": "top", "font_color": "#00FF00", "font_size": 30}
    film = compose(tmp_path, ASS, "a.ass", captions=wishes).video.path
    assert lit(film, slice(0, 60)) == list(range(15, 25))
    shown = pictures(film)[20].astype(int)
    assert ((shown[..., 1] > 180) & (shown[..., 0] < 90)).sum() > 50


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "mov_text"), ("mov", "mov_text"), ("mkv", "srt"), ("webm", "webvtt")]
)
def test_a_track_of_its_own(tmp_path: Path, ending: str, codec: str) -> None:
    document = {"captions": {"mode": "soft", "language": "deu"}, "output": OUTPUT | {"format": ending}}
    film = compose(tmp_path, SRT, "a.srt", **document).video.path
    assert lit(film, slice(0, 180)) == []
    with av.open(str(film)) as file:
        [stream] = file.streams.subtitles
        assert stream.codec_context.name == codec
        assert stream.language == ("deu" if ending != "mov" else None)  # QuickTime's table has no such code in FFmpeg
        said = [
            (
                round(float(p.pts * p.time_base), 3),
                round(float(p.duration * p.time_base), 3),
                event.ass.split(b",", 8)[8],
            )
            for p in file.demux(stream)
            if p.size
            for event in p.decode()
        ]
    assert said == [(0.4, 0.4, b"Hello there\\Nyou"), (1.0, 0.2, b"Up")]


def test_a_track_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    options = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"}
    source = draw(tmp_path / "2.mp4", [grey(n) for n in range(50)], tone=440, options=options)
    document = {"clips": [{"video_url": "asset:2"}], "output": {"resolution": "source", "fps": "source"}}
    out = compose(tmp_path, SRT, "a.srt", captions={"mode": "soft"}, **document)
    assert [piece.copied for piece in out.report.pieces] == [True]
    assert all(np.array_equal(a, b) for a, b in zip(pictures(source), pictures(out.video.path), strict=True))
    with av.open(str(out.video.path)) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio", "subtitle"]


def test_a_part_of_the_film_has_its_part_of_the_lines(tmp_path: Path) -> None:
    document = {"captions": {"mode": "soft"}, "output": OUTPUT | {"format": "mkv", "range": {"start_time": 0.6}}}
    film = compose(tmp_path, SRT, "a.srt", **document).video.path
    with av.open(str(film)) as file:
        stream = file.streams.subtitles[0]
        times = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in file.demux(stream) if p.size]
    assert times == [(0.0, 0.2), (0.4, 0.2)]


@pytest.mark.parametrize(
    ("text", "document", "place", "words"),
    [
        ("nothing of the kind", {}, "captions.url", r"a\.srt is no subtitle file that can be read; give SRT"),
        (SRT, {"captions": {"url": "asset:3"}}, "captions.url", 'there is no file "asset:3"'),
        (SRT.replace("Up", "上"), {}, "captions (line 2).text", "has no glyph for “上”"),
        (SRT, {"captions": {"mode": "soft"}, "output": OUTPUT | {"format": "gif"}}, "captions.mode", "gif holds no"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, document: Any, place: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as error:
        compose(tmp_path, text, "a.srt", Plan(), **document)
    assert [problem.field for problem in error.value.problems] == [place]


def test_lines_that_nobody_sees_are_told_of(tmp_path: Path) -> None:
    report = compose(tmp_path, SRT, "a.srt", Plan(), captions={"offset": 60}).report
    assert report.warnings == ["captions.url: none of the 2 lines comes while the film lasts (1.6 s)"]


def test_a_thousand_lines(tmp_path: Path) -> None:
    """Each in a stage of its own would be deeper than Python goes."""

    def line(number: int) -> str:
        begin, end = number * 40, number * 40 + 40
        stamp = "00:{:02d}:{:02d},{:03d}"
        times = [stamp.format(ms // 60_000, ms // 1000 % 60, ms % 1000) for ms in (begin, end)]
        return f"{number + 1}\n{times[0]} --> {times[1]}\n{number}\n"

    text = "\n".join(line(number) for number in range(1200))
    document = {
        "clips": [{"color": "#000000", "duration": 48}],
        "output": {"resolution": {"width": 64, "height": 48}, "fps": 25},
    }
    film = pictures(compose(tmp_path, text, "a.srt", captions={"font_size": 20, "outline": 0}, **document).video.path)
    assert len(film) == 1200
    assert all(picture.max() > 150 for picture in film[::100])


def test_what_comes_later_in_the_document_lies_above() -> None:
    def overlay(first: int, frames: int) -> Overlay:
        return Overlay(np.zeros((2, 2, 4), np.uint8), 0, 0, first, frames)

    a, b, c, d = overlay(10, 5), overlay(0, 5), overlay(3, 10), overlay(20, 5)
    assert lanes([a, b, c, d]) == [[b, a, d], [c]]
    assert lanes([c, a]) == [[c], [a]]
