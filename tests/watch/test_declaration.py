"""What a hot folder says of itself: every complaint at once; names; what would happen to a file, and why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import LAB, PATIENCE_S
from tests.watch.conftest import COPY, Hotbed, declare
from vtid.watch import explain, load, naming, read

Make = Callable[..., Hotbed]


def problems(hot: Hotbed) -> list[str]:
    found = load([hot.config], hot.lab.app.pipelines, hot.lab.app.plugins.specs)
    return [f"{Path(p.file or '').name}: {p.field}: {p.message}" for d in found for p in d.problems]


def test_every_problem_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        '[watch]\npath = "in"\npipelin = "copy"\noutput = "out"\nsettle_seconds = -1\non_done = "burn"\n'
        '[watch.subfolders]\n"a/*" = { pipline = "x" }\n[wacht]\n'
    )
    found = [(p.field, p.message) for p in read(file).problems]
    assert ("wacht", 'unknown table; did you mean "watch"?') in found
    assert ("watch.pipelin", 'unknown key; did you mean "pipeline"?') in found
    assert ("watch.pipeline", "is missing") in found
    assert any(f == "watch.settle_seconds" and "(here: -1)" in m for f, m in found)
    assert any(f == "watch.on_done" and "burn" in m for f, m in found)
    assert ('watch.subfolders."a/*".pipline', 'unknown key; did you mean "pipeline"?') in found
    assert len(found) == 6
    assert all(p.file == str(file) for p in read(file).problems)


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("x = ", "", "not valid TOML"),
        ("", "watch", "the table [watch] is missing"),
        ("watch = 3", "watch", "write it as a table"),
    ],
)
def test_what_is_no_declaration(tmp_path: Path, text: str, field: str, words: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    [problem] = read(tmp_path / "a.toml").problems
    assert problem.field == field
    assert words in problem.message
    [problem] = read(tmp_path / "none.toml").problems
    assert "cannot be read" in problem.message


@pytest.mark.parametrize(
    ("keys", "place", "words"),
    [
        ({"pipeline": "coppy"}, "watch.pipeline", 'did you mean "copy"?'),
        ({"with_": "{ nothing = 1 }"}, "watch.with.nothing", "no such param"),
        ({"rules": '[watch.subfolders]\n"s/*" = { with = { no = 1 } }\n'}, 'watch.subfolders."s/*".with.no', "no such"),
        ({"rules": '[watch.subfolders]\n"s/*" = { pipeline = "no" }\n'}, 'watch.subfolders."s/*".pipeline', "no"),
        ({"output": "../in/out"}, "watch.output", "lies in the watched folder"),
        ({"name": "{steam}.mp4"}, "watch.name", "{steam} is not known here; known: {stem}"),
        ({"name": "x.mp4"}, "watch.name", "needs {stem}"),
        ({"name": "a/{stem}"}, "watch.name", "not a path"),
        ({"name": "{stem"}, "watch.name", "is no template"),
        ({"on_done": "keep", "duplicates": "move"}, "watch.duplicates", "nothing in the folder is touched"),
        ({"path": "ftp://x/y"}, "watch.path", "neither a folder nor s3://"),
        ({"output": "s3://x/y"}, "watch.output", "the pipeline says so"),
    ],
)
def test_each_complaint(make_hotbed: Make, keys: dict[str, str], place: str, words: str) -> None:
    [problem] = problems(make_hotbed(**keys))
    assert problem.startswith(f"in.toml: {place}: "), problem
    assert words in problem


def test_folders_that_hold_the_same_files(make_hotbed: Make) -> None:
    hot = make_hotbed()
    declare(hot.config, "inner", path=str(hot.into / "sub"))
    [problem] = problems(hot)
    assert "inner.toml: watch.path" in problem
    assert "hold the same files" in problem
    declare(hot.config, "inner", path=str(hot.into / "sub"), enabled=False)
    assert problems(hot) == []


def test_a_broken_one_is_told_and_keeps_nobody_from_work(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    (hot.config / "bad.toml").write_text("[watch]\n")
    hot.start()
    hot.drop("talk.mp4", clip)
    hot.settle()
    assert hot.states() == {"talk.mp4": "submitted"}
    bad = hot.record("bad")
    assert bad.state == "broken"
    assert "watch.path: is missing" in (bad.reason or "")
    declare(hot.config, "bad", path=str(hot.folder / "other"), owner="nobody@example.org")
    hot.start()
    hot.round()
    assert "watch.owner: there is no account nobody@example.org" in (hot.record("bad").reason or "")


# --- names


@pytest.mark.parametrize(
    "name",
    [
        "a.mp4.part", "A.MP4.CRDOWNLOAD", "a.tmp", "a.mp4~", "~$a.mp4", ".a.mp4", ".DS_Store", "Thumbs.db", "x/.stfolder/a.mp4",
        "@eaDir/a.mp4", "#recycle/a.mp4", "$RECYCLE.BIN/a.mp4", "System Volume Information/a.mp4", ".vtid/done/a.mp4",
        "lost+found/a.mp4", "a.mp4.filepart", "a.mp4.!qB", "a.mp4.aria2",
    ],
)  # fmt: skip
def test_never_taken(name: str) -> None:
    assert naming.ignored(name)


def test_taken() -> None:
    for name in ("a.mp4", "a b (1).MP4", "part/a.mp4", "tmp/a.mov", "a~1.mp4", "ünï/文.mkv"):
        assert naming.ignored(name) is None, name
    assert naming.matches("x/A.MP4", ["*.mp4"])
    assert naming.matches("x/a.mp4", ["x/*"])
    assert not naming.matches("y/a.mp4", ["x/*"])
    assert naming.rule_for("spanish/old/a.mp4", ["spanish/*", "spanish/old/*", "*"]) == "spanish/old/*"


def test_files_that_go_with_a_video() -> None:
    sources = {"video": "video", "audio": "audio", "subtitles": "subtitles", "mask": "video"}
    near = ["d/a.mp4", "d/a.en.wav", "d/a.srt", "d/a.mask.mp4", "d/a.other.mp4", "d/ab.wav", "d/a.txt"]
    found = naming.companions("d/a.mp4", near, sources, "video")
    assert found == {"audio": "d/a.en.wav", "subtitles": "d/a.srt", "mask": "d/a.mask.mp4"}
    assert naming.companions("d/a.mp4", near, {"video": "video"}, "video") == {}
    assert naming.companions("d/a.mp4", ["d/a.wav", "d/a.en.wav"], sources, "video") == {"audio": "d/a.wav"}


def test_names_of_results() -> None:
    name = naming.result_name("{stem}.{pipeline}.{ext}", "d/a.b.mov", "x.mp4", "remove-text", "clean")
    assert name == "a.b.remove-text.mp4"
    assert naming.result_name("{stem}.{step}.{ext}", "a.mov", "README", "p", "clean") == "a.clean"
    some = naming.candidates("d/a.mp4")
    assert [next(some) for _ in range(3)] == ["d/a.mp4", "d/a-2.mp4", "d/a-3.mp4"]


# --- what would happen


def test_what_would_happen(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(exclude=["raw*"], recursive=True, rules='[watch.subfolders]\n"fail/*" = { pipeline = "fail" }\n')
    pipelines, specs = hot.lab.app.pipelines, hot.lab.app.plugins.specs

    def ask(name: str) -> tuple[bool, str, str | None]:
        verdict = explain(hot.into / name, load([hot.config], pipelines, specs), pipelines, specs)
        return verdict.taken, "; ".join(verdict.because), verdict.pipeline

    assert ask("a.mp4")[0]
    assert "not there now" in ask("a.mp4")[1]
    assert ask("fail/a.mp4")[2] == "fail"
    assert "exclude matches" in ask("raw1.mp4")[1]
    assert "no pattern of include" in ask("a.txt")[1]
    assert "hidden" in ask(".a.mp4")[1]
    hot.drop("a.mp4", clip)
    hot.drop("a.mp4.toml", b"x = [")
    assert "it would fail: a.mp4.toml is not valid TOML" in ask("a.mp4")[1]
    with (hot.into / "b.mp4").open("wb"):
        assert "open for writing" in ask("b.mp4")[1]
    assert list((hot.into).glob(".vtid")) == [], "nothing is touched"


def test_the_command(tmp_path: Path, clip: bytes) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/copy.toml").write_text(f'[pipeline]\nname = "copy"\n{COPY}')
    declare(tmp_path / "watch", path=str(tmp_path / "in"), output=str(tmp_path / "out"))
    (tmp_path / "vtid.toml").write_text(
        f'plugins.dirs = ["{LAB}"]\npipelines.dirs = ["pipelines"]\nwatches.dirs = ["watch"]\ndata.path = "data"\n'
    )

    def vtid(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vtid.cli", "--config", str(tmp_path / "vtid.toml"), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.mp4").write_bytes(clip)
    said = vtid("watch", "test", str(tmp_path / "in/a.mp4"))
    assert (said.returncode, said.stderr) == (0, "")
    assert f"in takes {tmp_path / 'in/a.mp4'}" in said.stdout
    assert f"result: {tmp_path / 'out/a.copy.mp4'}" in said.stdout
    said = vtid("watch", "test", str(tmp_path / "in/a.part"), "--json")
    assert (said.returncode, json.loads(said.stdout)["taken"]) == (1, False)
    said = vtid("watch", "test", str(tmp_path / "elsewhere/a.mp4"))
    assert said.returncode == 5
    assert "lies in no hot folder" in said.stderr
    assert vtid("watch", "check").returncode == 0
    declare(tmp_path / "watch", path=str(tmp_path / "in"), output=str(tmp_path / "out"), colision="fail")
    said = vtid("watch", "check")
    assert said.returncode == 4
    assert 'watch.colision: unknown key; did you mean "collision"?' in said.stdout
    assert 'watch.colision: unknown key; did you mean "collision"?' in vtid("check").stdout
