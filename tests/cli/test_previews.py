"""`vtid previews`: what an editor needs of a file, into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtid.media import probe
from vtid.media.synth import draw_clip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def film(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clip, in a folder whose vtid.toml knows the real plugins and pipelines."""
    monkeypatch.setattr("vtid.resources.pipelines_dir", lambda: ROOT / "config" / "pipelines")
    (home / "vtid.toml").write_text(f'plugins.dirs = ["{ROOT / "plugins"}"]\nlimits.min_free_disk_mb = 1\n')
    draw_clip(home / "film.mp4", seconds=1, width=160, height=90, fps=10)
    return home / "film.mp4"


def test_everything_lies_in_the_folder_under_its_name(vtid: Callable[..., Any], film: Path) -> None:
    said = vtid("previews", "film.mp4", "-o", "there")
    assert said.code == 0, said.err
    names = {"facts.json", "proxy.mp4", "waveform.dat", "sprites.vtt", "sprite-1.jpg", "shots.json"}
    assert {path.name for path in (film.parent / "there").iterdir()} == names
    assert json.loads((film.parent / "there/facts.json").read_text())["timing"]["frames"] == 10
    assert probe(film.parent / "there/proxy.mp4").video[0].frames == 10
    again = vtid("previews", "film.mp4", "-o", "there")
    assert again.code == 6
    assert "--overwrite" in again.err
    one = vtid("previews", "film.mp4", "-o", "there", "--still", "0.5", "--json")
    assert json.loads(one.out)["files"] == ["still-1.jpg"]


@pytest.mark.parametrize(
    ("args", "words"),
    [(["none.mp4"], "there is no such file"), (["film.mp4", "--still", "9"], "past the end of the video (1.00 s)")],
)
def test_bad_wishes_are_refused(vtid: Callable[..., Any], film: Path, args: list[str], words: str) -> None:
    said = vtid("previews", *args)
    assert said.code == 2
    assert words in said.err
    assert not list(film.parent.glob("*.previews/*"))
