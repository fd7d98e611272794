"""`vtid compose` from a file to a film, with all of vtid in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media.compose.films import draw, grey, numbers, pictures
from tests.net.origin import origin, say, serves
from vtid.errors import DiskFull

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("vtid.resources.pipelines_dir", lambda: ROOT / "config" / "pipelines")
    (home / "vtid.toml").write_text(f'plugins.dirs = ["{ROOT / "plugins"}"]\nlimits.min_free_disk_mb = 1\n')
    draw(home / "a.mp4", [grey(n) for n in range(25)], tone=440)
    return home


def write(folder: Path, **document: Any) -> Path:
    output = {"resolution": {"width": 160, "height": 90}, "fps": 25}
    path = folder / "film.json"
    path.write_text(json.dumps({"clips": [{"video_url": "a.mp4", "trim_start": 0.4}], "output": output} | document))
    return path


def test_a_film_is_made_beside_its_document(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder)
    said = vtid("compose", "film.json")
    assert said.code == 0, said.err
    assert "film.mp4: 160×90, 25 frames per second, 0.6 s, 15 frames" in said.out
    assert numbers(folder / "film.mp4") == list(range(10, 25))
    again = vtid("compose", "film.json")
    assert again.code == 6
    assert "exists already" in again.err


def test_of_sound_alone_no_picture_is_told(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder, output={"format": "mp3"})
    assert "film.json is in order: sound alone, 0.6 s." in vtid("compose", "film.json", "--check").out
    assert "It would be sound alone, 0.6 s." in vtid("compose", "film.json", "--explain").out
    assert "film.mp3: sound alone, 0.6 s, " in vtid("compose", "film.json").out


def test_looking_renders_nothing(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder)
    said = vtid("compose", "film.json", "--check")
    assert said.code == 0, said.err
    assert "film.json is in order: 160×90" in said.out
    said = vtid("compose", "film.json", "--explain", "--json")
    assert said.json["frames"] == 15
    assert said.json["pieces"][0]["why"]
    assert not (folder / "film.mp4").exists()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"clips": [{"video_url": "b.mp4"}]}, "clips[0].video_url: there is no file b.mp4"),
        (
            {"clips": [{"video_url": "a.mp4", "sped": 2}]},
            'clips[0].sped: there is no such field; did you mean "speed"?',
        ),
        ({"clips": [{"video_url": "a.mp4", "end_time": 9}]}, "clips[0].end_time: past the end of the source (1"),
        ({"overlays": [{"text": "你"}]}, "overlays[0].text: Roboto, the default font, has no glyph"),
        ({"clip": []}, 'clip: there is no such field; did you mean "clips"?'),
    ],
)
def test_what_is_wrong_is_said_by_its_place(vtid: Callable[..., Any], folder: Path, document: Any, words: str) -> None:
    write(folder, **document)
    said = vtid("compose", "film.json", "--check")
    assert said.code == 2
    assert words in said.err


def test_all_that_is_wrong_is_said_at_once_missing_files_too(vtid: Callable[..., Any], folder: Path) -> None:
    clips = [{"video_url": "b.mp4", "speed": 9}, {"image_url": "", "colour": "red"}]
    write(folder, clips=clips, audio={"music_url": "song.mp3", "music_volume": "loud"})
    said = vtid("compose", "film.json")
    assert said.code == 2
    places = ("clips[0].speed", "clips[1].image_url", "clips[1].colour", "audio.music_volume", "clips[0].video_url")
    assert all(f"{place}:" in said.err for place in (*places, "audio.music_url")), said.err
    assert not list(folder.glob("film.mp4"))


def test_what_is_no_document(vtid: Callable[..., Any], folder: Path) -> None:
    (folder / "film.json").write_text("{")
    assert "film.json: is no valid JSON" in vtid("compose", "film.json").err
    assert "nix.json: cannot be read" in vtid("compose", "nix.json").err
    for deep in ("[" * 100_000, '{"clips":' + "[" * 500 + "]" * 500 + "}"):
        (folder / "film.json").write_text(deep)
        said = vtid("compose", "film.json")
        assert said.code == 2
        assert "nested" in said.err


def test_a_document_with_a_mark_before_it(vtid: Callable[..., Any], folder: Path) -> None:
    path = write(folder)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert "in order" in vtid("compose", "film.json", "--check").out


def test_names_longer_than_names_can_be(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder, clips=[{"video_url": "a" * 1000}])
    said = vtid("compose", "film.json")
    assert (said.code, "clips[0].video_url: there is no file aaa" in said.err) == (2, True), said.err
    write(folder)
    said = vtid("compose", "film.json", "-o", "a" * 1000 + ".mp4")
    assert (said.code, "cannot be written" in said.err) == (2, True), said.err


def test_a_disk_that_fills_up_is_told_of(
    vtid: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFull("The disk that holds the database is full.")

    monkeypatch.setattr("vtid.local.LocalRun._turns", full)
    write(folder)
    said = vtid("compose", "film.json")
    assert (said.code, "database is full" in said.err) == (7, True), said.err


def test_a_font_that_is_none_is_called_by_its_own_name(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder, overlays=[{"text": "x", "font": "a.mp4"}])
    assert "overlays[0].font: a.mp4 is no font that can be read" in vtid("compose", "film.json", "--check").err


def test_the_name_of_the_film_says_its_format(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder)
    assert vtid("compose", "film.json", "-o", "film.mkv").code == 0
    assert numbers(folder / "film.mkv") == list(range(10, 25))
    write(folder, output={"format": "mp4"})
    said = vtid("compose", "film.json", "-o", "film.mov")
    assert said.code == 2
    assert "output.format is mp4" in said.err


def test_a_url_is_fetched_like_any_files(vtid: Callable[..., Any], folder: Path) -> None:
    open_door = '[net]\nallow = ["127.0.0.1"]\n'
    with origin(serves((folder / "a.mp4").read_bytes())) as there:
        clips = [{"video_url": f"{there.url}/b.mp4?key=1", "trim_end": 0.2}, {"video_url": "a.mp4", "trim_start": 0.8}]
        write(folder, clips=clips)
        said = vtid("compose", "film.json")
        assert said.code == 2
        assert "clips[0].video_url:" in said.err
        assert "127.0.0.1" in said.err
        assert not there.asked, "nothing inside is asked for unless net.allow says so"
        with (folder / "vtid.toml").open("a") as file:
            file.write(open_door)
        said = vtid("compose", "film.json")
        assert said.code == 0, said.err
        assert numbers(folder / "film.mp4") == [*range(5), *range(20, 25)]
    with origin(lambda _asked, sock: say(sock, "404 Not Found")) as gone:
        write(folder, clips=[{"video_url": "a.mp4"}, {"video_url": f"{gone.url}/c.mp4"}])
        said = vtid("compose", "film.json", "--check")
        assert said.code == 2
        assert "clips[1].video_url: 127.0.0.1 answers 404 Not Found" in said.err


def test_a_timeline_of_another_program_and_back(vtid: Callable[..., Any], folder: Path) -> None:
    pytest.importorskip("opentimelineio", reason="needs the extra vtid[otio]")
    clips = [
        {"video_url": "a.mp4", "trim_start": 0.2, "trim_end": 0.8, "flip": "horizontal"},
        {"video_url": "a.mp4", "speed": 0.5, "duration": 0.8, "transition": {"type": "crossfade", "duration": 0.2}},
        {"color": "#00C800", "duration": 0.2},
    ]
    texts = [{"text": "Hi", "position": "top", "font_size": 40, "end_time": 0.5}]
    write(folder, clips=clips, overlays=texts)
    said = vtid("compose", "film.json", "--convert", "other.otio")
    assert said.code == 0, said.err
    assert "not mapped: clips[0].flip: only vtid reads it" in said.out
    assert "not mapped: overlays: only vtid reads it" in said.out
    assert vtid("compose", "film.json", "--convert", "other.otio").code == 6
    assert vtid("compose", "film.json").code == 0
    assert vtid("compose", "other.otio").code == 0
    films = zip(pictures(folder / "film.mp4"), pictures(folder / "other.mp4"), strict=True)
    assert [int(np.abs(one.astype(int) - other).max()) for one, other in films] == [0] * 35
    said = vtid("compose", "other.otio", "--convert", "back.json", "--json")
    assert said.json["unmapped"] == []
    document = json.loads((folder / "back.json").read_text())
    assert document["clips"][0]["video_url"] == "a.mp4"
    assert vtid("compose", "back.json", "--check").code == 0
    assert "not film.json as x.mp4" in vtid("compose", "film.json", "--convert", "x.mp4").err


FIELDS = {
    "fields": {"begin": 0.4, "name": None, "size": 24, "still": False},
    "title": "For {{name}}",
    "overlays": [{"text": "Hi {{ name }}!", "font_size": "{{size}}"}],
}
CLIP = {"clips": [{"video_url": "a.mp4", "trim_start": "{{begin}}", "mute": "{{still}}"}]}


def test_a_batch_makes_a_film_of_each_row(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder, **FIELDS, **CLIP)
    (folder / "people.csv").write_text('name,begin,size,still\nAnn,0.6,48,yes\n"Bob, too",,,\n')
    (folder / "out").mkdir()
    said = vtid("compose", "film.json", "--data", "people.csv", "-o", "out")
    assert said.code == 0, said.err
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["film-1.mp4", "film-2.mp4"]
    assert len(numbers(folder / "out" / "film-1.mp4")) == 10
    assert len(numbers(folder / "out" / "film-2.mp4")) == 15, "the default stands where a value is empty"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("nme\nAnn\n", 'people.csv row 1: "nme" is no field of the document; did you mean "name"?'),
        ("begin\n0.6\n", 'title: the field "name" has no value in people.csv row 1 and no default'),
        ("name,begin\nAnn,nan\n", 'row 1: begin is "nan", and as its default (0.4) says it is to be a number'),
        ("name,begin\nAnn,soon\n", 'row 1: begin is "soon", and as its default (0.4) says it is to be a number'),
        ("name,begin\nAnn\n", "line 2 has not as many values as the first line has names"),
        ("name\n", "has no rows"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_before_a_film_is_made(
    vtid: Callable[..., Any], folder: Path, data: str, words: str
) -> None:
    write(folder, **FIELDS, **CLIP)
    (folder / "people.csv").write_text(data)
    said = vtid("compose", "film.json", "--data", "people.csv", "--check")
    assert said.code == 2
    assert words in said.err


def test_a_field_that_is_not_there_is_named_with_its_place(vtid: Callable[..., Any], folder: Path) -> None:
    write(folder, overlays=[{"text": "{{nobody}}"}])
    said = vtid("compose", "film.json", "--check")
    assert 'overlays[0].text: "nobody" is no field; name it in fields' in said.err


def test_a_preset_of_the_operator(vtid: Callable[..., Any], folder: Path) -> None:
    (folder / "config" / "presets").mkdir(parents=True)
    file = folder / "config" / "presets" / "own.toml"
    file.write_text("lines = 40\n[h264]\ncrf = 33\n")
    write(folder, output={"quality": "own", "resolution": {"width": 160, "height": 90}})
    said = vtid("compose", "film.json")
    assert said.code == 0, said.err
    assert "film.mp4: 72×40" in said.out
    file.write_text("[h264]\ncrf = 330\n")
    words = f"{file}: h264.crf: must be at most 51"
    said = vtid("compose", "film.json", "--check")
    assert said.code == 2
    assert f'output.quality: the preset "own" cannot be used: {words}' in said.err
    said = vtid("check")
    assert said.code == 4
    assert words in said.out.replace("config/presets", str(folder / "config/presets"))
    (broken,) = [one for one in vtid("doctor", "--json").json["facts"] if one["name"] == "preset own"]
    assert (broken["state"], words in broken["value"]) == ("missing", True)
