"""The steps on real files: what is seen, what is written, what is heard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tests.media.compose.films import draw, grey, heard, numbers, pictures, pitch
from vtid.media import PyAVMedia, probe
from vtid.sdk import File, InvalidInput
from vtid.testing import RecordingLink, run_step
from vtid_compose_ffmpeg import Compose, Plan
from vtid_compose_ffmpeg.fonts import characters, installed

TINY = {"output": {"resolution": {"width": 320, "height": 180}, "fps": 25}}
BLACK = {"color": "#000000", "duration": 1}


def compose(
    tmp_path: Path, document: dict[str, Any], step: Any = None, link: RecordingLink | None = None, **files: Path
) -> Any:
    given = {f"file_{name}": File(path, name=path.name) for name, path in files.items()}
    workspace = tmp_path / "work"
    workspace.mkdir(exist_ok=True)
    return run_step(
        step or Compose(), workspace, inputs={"files": given}, params=TINY | document, media=PyAVMedia(2), link=link
    )


def ink(picture: np.ndarray) -> tuple[int, int, int, int]:
    """The box of all that is bright: x0, y0, x1, y1."""
    rows, columns = np.nonzero(picture.max(axis=2) > 100)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_a_film_of_two_clips_with_text_and_music(tmp_path: Path) -> None:
    a = draw(tmp_path / "a.mp4", [grey(n) for n in range(36)], tone=300)
    song = draw(tmp_path / "song.m4a", [], tone=2000, sound_s=1)
    link = RecordingLink()
    document = {
        "clips": [
            {"video_url": "asset:a", "trim_end": 0.4},
            {"video_url": "asset:a", "trim_start": 1, "duration": 0.4},
        ],
        "audio": {"music_url": "asset:song", "original_audio_volume": 0},
        "overlays": [{"text": "Hi", "position": "bottom-right", "start_time": 0.2, "end_time": 0.4, "font_size": 40}],
    }
    out = compose(tmp_path, document, a=a, song=song, link=link)
    film = out.video.path
    assert numbers(film) == [*range(10), *range(25, 35)]
    lit = [n for n, p in enumerate(pictures(film)) if p[140:, 250:].max() > 235]
    assert lit == [5, 6, 7, 8, 9]
    assert pitch(heard(film), 0.2, 0.7) == pytest.approx(2000, abs=5)
    assert out.report.frames == 20
    assert (out.report.encoder, out.report.audio_encoder) == ("libx264", "aac")
    assert link.reports[-1][0] == 1.0


@pytest.mark.parametrize(
    ("position", "left", "top"),
    [("top-left", True, True), ("bottom-right", False, False), ({"x": 0.25, "y": 0.75}, True, False)],
)
def test_text_is_where_it_should_be(tmp_path: Path, position: Any, left: bool, top: bool) -> None:
    out = compose(tmp_path, {"clips": [BLACK], "overlays": [{"text": "Hello", "position": position}]})
    x0, y0, x1, y1 = ink(pictures(out.video.path)[3])
    assert (x1 < 160) is left
    assert (x0 > 160) is not left
    assert (y1 < 90) is top
    assert (y0 > 90) is not top
    assert 14 < y1 - y0 < 26, "as large as asked"
    if not isinstance(position, str):
        assert abs((x0 + x1) / 2 - 80) < 5


def test_long_text_is_broken_between_words_and_stays_inside(tmp_path: Path) -> None:
    text = {"text": "The quick brown fox jumps over the lazy dog", "max_width": 0.5, "position": "center"}
    x0, y0, x1, y1 = ink(pictures(compose(tmp_path, {"clips": [BLACK], "overlays": [text]}).video.path)[0])
    assert x0 >= 80
    assert x1 <= 240
    assert y1 - y0 > 70, "several lines"


@pytest.mark.parametrize("words", ["Zażółć gęślą jaźń", "Съешь ещё этих булок", "Ξεσκεπάζω τὴν"])
def test_the_default_font_writes_latin_cyrillic_and_greek(tmp_path: Path, words: str) -> None:
    if "ὴ" in words:
        words = "Ξεσκεπάζω την"
    film = pictures(compose(tmp_path, {"clips": [BLACK], "overlays": [{"text": words}]}).video.path)
    assert ink(film[0])[2] - ink(film[0])[0] > 100


def test_a_missing_glyph_is_an_error_and_never_a_box(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        compose(
            tmp_path, {"clips": [BLACK], "overlays": [{"text": "ok"}, {"text": "a 你 b"}, {"text": "x", "font": "Nix"}]}
        )
    first, second = caught.value.problems
    assert str(first).startswith("overlays[1].text: Roboto, the default font, has no glyph for “你” (U+4F60)")
    assert str(second).startswith('overlays[2].font: no font file of this machine is called "Nix"')


def test_a_font_of_the_machine_writes_what_it_has(tmp_path: Path) -> None:
    fonts = {name: path for name, path in installed().items() if ord("你") in characters(path)}
    if not fonts:
        pytest.skip("no font of this machine has Chinese")
    name = min(fonts)
    film = pictures(compose(tmp_path, {"clips": [BLACK], "overlays": [{"text": "你好", "font": name}]}).video.path)
    assert ink(film[0])[2] - ink(film[0])[0] > 30


def test_a_font_that_came_along_and_one_that_is_none(tmp_path: Path) -> None:
    import font_roboto

    words = {"text": "Hello", "font": "asset:f"}
    compose(tmp_path, {"clips": [BLACK], "overlays": [words]}, f=Path(font_roboto.RobotoThin))
    (tmp_path / "no.ttf").write_text("no font")
    with pytest.raises(InvalidInput, match=r"overlays\[0\].font: no.ttf is no font"):
        compose(tmp_path, {"clips": [BLACK], "overlays": [words]}, step=Plan(), f=tmp_path / "no.ttf")


def test_outline_shadow_and_box(tmp_path: Path) -> None:
    plain = {"text": "HHH", "font_size": 60, "font_color": "#FFFFFF"}
    white = {"clips": [{"color": "#FFFFFF", "duration": 0.2}]}

    def dark(**look: Any) -> int:
        picture = pictures(compose(tmp_path, white | {"overlays": [plain | look]}).video.path)[0]
        return int((picture.max(axis=2) < 100).sum())

    assert dark() == 0
    assert dark(outline=3) > 500
    assert dark(shadow=6) > 500
    assert dark(box_color="#000000", box_opacity=1) > 5000


def test_text_with_transparent_edges_has_no_dark_rim(tmp_path: Path) -> None:
    document = {"clips": [{"color": "#FFFFFF", "duration": 0.2}], "overlays": [{"text": "Hello", "font_size": 60}]}
    assert pictures(compose(tmp_path, document).video.path)[0].min() > 245


def test_right_to_left_is_shaped(tmp_path: Path) -> None:
    """Arabic letters join: the same three letters are narrower together than apart."""
    from PIL import ImageFont

    from vtid_compose_ffmpeg.text import wrapped

    fonts = {name: path for name, path in installed().items() if {0x628, 0x62A} <= characters(path)}
    if not fonts:
        pytest.skip("no font of this machine has Arabic")
    font = ImageFont.truetype(fonts[min(fonts)], 40)
    assert font.getlength("ببب") < 3 * font.getlength("ب") * 0.95
    assert wrapped("ببب ببب", font, font.getlength("ببب") * 1.2) == ["ببب", "ببب"]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("今日は、晴れです。", 3, ["今日", "は、晴", "れで", "す。"]),
        ("「ああ」「いい」", 5, ["「ああ」", "「いい」"]),
        ("コーヒー、カップ!?", 3, ["コー", "ヒー、", "カッ", "プ!?"]),
        ("。。。。", 3, ["。。。", "。"]),
        ("天地玄黄", 3, ["天地玄", "黄"]),
    ],
)
def test_no_line_begins_with_a_stop_or_ends_with_an_opening_bracket(text: str, width: int, lines: list[str]) -> None:
    from vtid_compose_ffmpeg.text import wrapped

    class EvenFont:
        """In which all letters are equally wide, as those of CJK are."""

        getlength = staticmethod(len)

    assert wrapped(text, cast("Any", EvenFont()), width) == lines


def test_planning_says_what_would_be_and_renders_nothing(tmp_path: Path) -> None:
    a = draw(tmp_path / "a.mp4", [grey(n) for n in range(25)])
    out = compose(tmp_path, {"clips": [{"video_url": "asset:a"}, BLACK]}, step=Plan(), a=a)
    assert (out.report.frames, out.report.duration_s, out.report.encoder) == (50, 2.0, None)
    assert out.report.pieces[0].why
    assert not list((tmp_path / "work").iterdir())


def test_addresses_must_be_those_of_files_that_came_along(tmp_path: Path) -> None:
    problems = Compose().check(
        _film({"clips": [{"video_url": "/etc/passwd"}], "audio": {"music_url": "http://x/y.mp3"}}), {}
    )
    assert [problem.field for problem in problems] == ["clips[0].video_url", "audio.music_url"]


def _film(document: dict[str, Any]) -> Any:
    import msgspec

    from vtid_compose_ffmpeg.document import Composition

    return msgspec.convert(document, Composition)


@pytest.mark.parametrize("ending", ["mov", "mkv", "webm"])
def test_containers(tmp_path: Path, ending: str) -> None:
    out = compose(tmp_path, {"clips": [{**BLACK, "duration": 0.2}], "output": {**TINY["output"], "format": ending}})
    assert probe(out.video.path).container == ending


def test_clips_that_overlap_are_told_of_before_their_files_are_here() -> None:
    film: dict[str, Any] = {
        "clips": [
            {"video_url": "asset:1", "start_time": 0, "end_time": 5},
            {"video_url": "asset:2", "start_time": 3, "duration": 4.0},
            {"video_url": "asset:3", "start_time": 3, "track": 1},
            {"video_url": "asset:4", "start_time": 7.02},
            {"video_url": "asset:5", "start_time": 8},
        ]
    }
    [problem] = Compose().check(_film(film), {})
    assert str(problem) == "clips[1].start_time: overlaps clips[0], which ends at 5 s"
    film["clips"][3]["start_time"] = 6.5
    assert [one.field for one in Compose().check(_film(film), {})] == [
        "clips[1].start_time",
        "clips[3].start_time",
    ]
