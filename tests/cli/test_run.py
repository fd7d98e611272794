"""`vtid run` and `vtid preview` with more than one file in or out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vtid.media.synth import Subtitle, draw_clip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def film(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clip with a subtitle, in a folder whose vtid.toml knows the real plugins and pipelines."""
    monkeypatch.setattr("vtid.resources.pipelines_dir", lambda: ROOT / "config" / "pipelines")
    (home / "vtid.toml").write_text(f'plugins.dirs = ["{ROOT / "plugins"}"]\nlimits.min_free_disk_mb = 1\n')
    path = home / "film.mp4"
    draw_clip(path, seconds=1, width=480, height=270, subtitles=(Subtitle("Nobody knows the way", 0.2, 0.8),))
    return path


@pytest.mark.slow
def test_subtitles_boxes_and_the_page_are_written_beside_the_result(vtid: Callable[..., Any], film: Path) -> None:
    said = vtid(
        *("run", "remove-text", "film.mp4", "-o", "out.mp4", "--report", "page.html", "--json"),
        *("--also", "subtitles=text.srt", "--also", "clean.boxes=boxes.json"),
    )
    assert said.code == 0, said.err
    assert said.json["also"] == {"subtitles": "text.srt", "clean.boxes": "boxes.json", "page": "page.html"}
    assert "Nobody knows the way" in Path("text.srt").read_text()
    assert '"Nobody knows the way"' in Path("boxes.json").read_text()
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert not list(film.parent.glob(".*"))


@pytest.mark.slow
def test_what_a_job_had_no_reason_to_make_is_said(vtid: Callable[..., Any], film: Path) -> None:
    said = vtid(
        "run", "remove-text", "film.mp4", "-o", "out.mp4", "--also", "subtitles=text.srt", "-p", "policy=static"
    )
    assert said.code == 0, said.err
    assert "subtitles → nothing: this run made none" in said.out
    assert not Path("text.srt").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--also", "subtitle=a.srt"), 'did you mean "subtitles"'),
        (("--also", "subtitles"), "is not NAME=FILE"),
        (("-i", "mask=nothing.png"), "there is no file nothing.png"),
        (("-i", "mosk=film.mp4"), "takes no file of this name"),
        (("--report", "film.mp4", "--overwrite"), "film.mp4 is the source"),
        (("--also", "boxes=out.mp4", "--overwrite"), "out.mp4 is another result"),
        (("--also", "boxes=a.json", "--also", "subtitles=./a.json"), "a.json is another result"),
        (("--report", "vtid.toml"), "exists already"),
        (("--report", "/proc/page.html"), "/proc/page.html cannot be written: No such file or directory"),
        (("--also", "boxes=film.mp4/out.json"), "film.mp4/out.json cannot be written: Not a directory"),
        (("-o", "out.xyz"), 'cannot go into a file that ends in ".xyz"'),
        (("-p", "regions=@film.mp4"), "film.mp4 is no text file; give JSON"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    vtid: Callable[..., Any], film: Path, args: tuple[str, ...], words: str
) -> None:
    said = vtid("run", "remove-text", "film.mp4", "-o", "out.mp4", *args)
    assert said.code != 0
    assert words in said.err
    assert not Path("out.mp4").exists()


def test_a_pipeline_without_a_page_says_so(vtid: Callable[..., Any], film: Path, pipe: Callable[..., Path]) -> None:
    pipe("look", '[[step]]\nid = "look"\nuses = "inpaint_local.preview"\n')
    config = film.parent / "vtid.toml"
    config.write_text(config.read_text() + 'pipelines.dirs = ["pipes"]\n')
    said = vtid("run", "look", "film.mp4", "--report", "page.html")
    assert said.code != 0
    assert "no step of look makes a report" in said.err


@pytest.mark.slow
def test_preview_tells_and_shows(vtid: Callable[..., Any], film: Path) -> None:
    said = vtid("preview", "film.mp4", "--at", "0.5", "-o", "still.png")
    assert said.code == 0, said.err
    assert "Nobody knows the way" in said.out
    assert cv2.imread("still.png").shape == (270, 480, 3)
    assert vtid("preview", "film.mp4", "--at", "0.5", "-o", "still.png").code != 0, "a file that is there is kept"
    mask = np.zeros((270, 480), np.uint8)
    mask[50:90, 50:90] = 255
    cv2.imwrite("mask.png", mask)
    said = vtid("preview", "film.mp4", "--json", "-i", "mask=mask.png")
    assert sorted(f["kind"] for f in said.json["found"]) == ["erasure", "subtitle"]
    assert said.json["still"] is None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nothing.mp4",), "there is no such file"),
        (("film.mp4", "-o", "x.png"), "a picture needs a time"),
        (("film.mp4", "--at", "0.5", "-o", "x.jpg"), "the picture is a PNG; call it x.png"),
        (("film.mp4", "--at", "9"), "past the end of the video"),
    ],
)
def test_a_preview_of_nothing_is_refused(
    vtid: Callable[..., Any], film: Path, args: tuple[str, ...], words: str
) -> None:
    said = vtid("preview", *args)
    assert said.code != 0
    assert words in said.err
