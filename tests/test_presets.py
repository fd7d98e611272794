"""Presets: files that say what a quality means, theirs before ours, a broken one told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtid import presets
from vtid.errors import InvalidInput


def test_those_that_are_shipped_speak_of_every_codec() -> None:
    found = presets.load()
    assert set(found.known) == {"preview", "low", "medium", "high"}
    assert found.broken == {}
    assert all(one.codecs == ("h264", "hevc", "av1", "vp9") and one.title for one in found.known.values())
    for codec in ("h264", "hevc", "av1", "vp9"):
        rates = [found.coding(name, codec).crf for name in ("high", "medium", "low", "preview")]
        assert rates == sorted(rates)


def test_an_operators_file_wins_and_may_be_new(tmp_path: Path) -> None:
    (tmp_path / "high.toml").write_text('audio_kbps = 320\n[h264]\ncrf = 12\npreset = "slow"\n')
    (tmp_path / "archive.toml").write_text("[av1]\ncrf = 20.5\n")
    found = presets.load([tmp_path, tmp_path / "nowhere"])
    assert (found.get("high").audio_kbps, found.coding("high", "h264").crf) == (320, 12)
    assert found.coding("archive", "av1").crf == 20.5
    assert found.coding("low", "vp9").crf == 40
    words = rf'"high" says nothing of hevc, only of h264; add \[hevc\] to {tmp_path}/high.toml'
    with pytest.raises(InvalidInput, match=words):
        found.coding("high", "hevc")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[h264\n", ": not valid TOML"),
        ("[h264]\ncrf = 60\n", ": h264.crf: must be at most 51"),
        ('[h264]\ncrf = 20\npreset = "fsat"\n', ": h264.preset: Invalid enum value 'fsat'"),
        ("[vp9]\ncrf = 20\npreset = 3\n", ": vp9.preset: there is no such field"),
        ("[av1]\n", ": av1.crf: is missing"),
        ("[h265]\ncrf = 20\n", ': h265: there is no such field; did you mean "h264"'),
        ('title = "x"\n', ": says nothing of any codec; give [h264] or [hevc]"),
        (b"\xff\xfe", ": cannot be read"),
    ],
)
def test_a_broken_file_is_told_with_its_place_and_breaks_nothing_else(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    file = tmp_path / "low.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = presets.load([tmp_path])
    assert f"{file}{words}" in str(found.broken["low"][0])
    assert "medium" in found.known
    with pytest.raises(InvalidInput, match='the preset "low" cannot be used'):
        found.get("low")


def test_all_that_is_wrong_with_a_file_is_told_and_its_name_may_be(tmp_path: Path) -> None:
    (tmp_path / "Low 2.toml").write_text("lines = 3\n[h264]\ncrf = -1\n")
    problems = presets.load([tmp_path]).broken["Low 2"]
    assert [one.field for one in problems] == ["", "lines", "h264.crf"]


def test_one_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match='no preset "hihg"; did you mean "high"'):
        presets.load().get("hihg")
    with pytest.raises(InvalidInput, match='no preset "q"; there are: high, low, medium, preview'):
        presets.load().get("q")
