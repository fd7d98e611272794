"""Names as people and programs give them: of any length, any letters, and such as would command a terminal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

from tests.watch.conftest import Hotbed, film
from vtid.cli.output import Output
from vtid.watch import explain, naming

Make = Callable[..., Hotbed]
ODD = (
    "with space.mp4",
    "-dash.mp4",
    "new\nline.mp4",
    "émoji 🎬.mp4",
    "Mu\u0308ller.mp4",
    "Müller.mp4",
    "{stem}.mp4",
    "50%.mp4",
    "*.mp4",
    "a#b?c&d.mp4",
    "back\\slash.mp4",
    "quote'\".mp4",
    "\x1b[31mred.mp4",
    "UPPER.MP4",
    "dots...mp4",
    "sub folder/ä/x.mp4",
)


def test_odd_names_come_through(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    for number, name in enumerate(ODD):
        hot.drop(name, film(clip, number))
    hot.settle()
    for _ in range(4):
        hot.work()
        hot.settle()
    assert hot.states() == dict.fromkeys(ODD, "done")
    assert hot.outputs() == {".copy.".join(name.rsplit(".", 1)) for name in ODD}


def test_long_names_are_cut_and_stay_apart(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(collision="fail", settings={"watches__stalled_seconds": 0})
    names = ["x" * 250 + "1.mp4", "x" * 250 + "2.mp4", "ü" * 120 + ".mp4"]
    for number, name in enumerate(names):
        hot.drop(name, film(clip, number))
    hot.drop("y" * 251 + ".mp4", b"no video")
    hot.settle()
    for _ in range(2):
        hot.work()
    assert set(hot.states().values()) == {"done", "failed"}, hot.files()
    outputs = hot.outputs()
    assert len(outputs) == 3, "each has a name of its own"
    assert all(len(name.encode()) <= 255 and name.endswith(".copy.mp4") for name in outputs)
    assert (hot.own / "failed" / ("y" * 251 + ".mp4")).exists()
    [note] = (hot.own / "failed").glob("*.txt")
    assert "is not a media file" in note.read_text()
    hot.drop("y" * 251 + ".mp4", b"no video")  # it fails again, beside the first
    hot.settle()
    assert len(list((hot.own / "failed").glob("y*.mp4"))) == 2
    assert all(len(p.name.encode()) <= 255 for p in (hot.own / "failed").iterdir())


def test_a_name_that_is_no_text_is_left_alone_and_told(
    make_hotbed: Make, clip: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    hot = make_hotbed()
    raw = os.fsencode(hot.into) + b"/bad\xff.mp4"
    with open(raw, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(clip)
    hot.drop("good.mp4", film(clip, 1))
    hot.settle()
    hot.settle()
    assert [f.path for f in hot.files()] == ["good.mp4"]
    assert "not valid UTF-8" in (naming.ignored(os.fsdecode(b"bad\xff.mp4")) or "")
    declared = list(hot.watcher._declared.values())
    specs = hot.lab.app.plugins.specs
    verdict = explain(hot.into / os.fsdecode(b"bad\xff.mp4"), declared, hot.lab.app.pipelines, specs)
    assert not verdict.taken
    assert "rename it" in verdict.because[0]
    Output(as_json=True).json(verdict)
    assert "rename it" in capsys.readouterr().out


def test_what_is_no_file_of_the_folder_is_told(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("film.mp4", clip)
    (hot.into / "link.mp4").symlink_to(hot.into / "film.mp4")
    (hot.into / "dangling.mp4").symlink_to("/nowhere/at/all.mp4")
    (hot.folder / "beside").mkdir()
    (hot.folder / "beside/x.mp4").write_bytes(film(clip, 1))
    (hot.into / "elsewhere").symlink_to(hot.folder / "beside")
    (hot.into / "folder.mp4").mkdir()
    os.mkfifo(hot.into / "pipe.mp4")
    hot.settle()
    specs, declared = hot.lab.app.plugins.specs, list(hot.watcher._declared.values())

    def told(name: str) -> tuple[bool, str]:
        verdict = explain(hot.into / name, declared, hot.lab.app.pipelines, specs)
        return verdict.taken, " ".join(verdict.because)

    assert [f.path for f in hot.files()] == ["film.mp4"]
    for name, words in (
        ("link.mp4", "a link to another place"),
        ("dangling.mp4", "a link to another place"),
        ("elsewhere/x.mp4", "lies behind"),
        ("folder.mp4", "it is a folder"),
        ("pipe.mp4", "no file with contents"),
    ):
        taken, because = told(name)
        assert not taken, name
        assert words in because
    hot.work()
    hot.drop("again.mp4", clip)
    taken, because = told("../in/again.mp4")
    assert not taken
    assert "its bytes were here before, as film.mp4: it is left where it is" in because


def test_the_name_of_a_file_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=False)
    out.table(("FILE",), [("\x1b[31mred\x07\x9b2J.mp4",)])
    out.say("\x1b]0;title\x07 é\n  • second line")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\x9b" not in shown
    assert "\\x1b[31mred\\x07" in shown
    assert "é\n  • second line" in shown


@pytest.fixture
def unmovable(make_hotbed: Make) -> object:
    """A hot folder with a sub-folder out of which nobody may take a file, not even the superuser."""
    hot = make_hotbed()
    (hot.into / "locked").mkdir()
    (hot.into / "locked/a.mp4").write_bytes(b"")
    done = subprocess.run(["chattr", "+i", str(hot.into / "locked")], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this file system has no immutable folders")
    yield hot
    subprocess.run(["chattr", "-i", str(hot.into / "locked")], check=True)


def test_a_file_that_may_not_be_taken_keeps_no_other(unmovable: Hotbed, clip: bytes) -> None:
    hot = unmovable
    (hot.into / "locked/a.mp4").write_bytes(clip)
    hot.drop("b.mp4", film(clip, 1))
    hot.settle()
    hot.work()
    hot.round(2)
    assert hot.states()["b.mp4"] == "done"
    assert hot.record().state == "degraded"
    assert "Operation not permitted" in (hot.record().reason or "")
    assert (hot.into / "locked/a.mp4").exists()
    subprocess.run(["chattr", "-i", str(hot.into / "locked")], check=True)
    hot.round(60)
    hot.round(60)
    hot.work()
    hot.round(2)
    assert hot.states() == {"b.mp4": "done", "locked/a.mp4": "done"}
    assert hot.record().state == "ok"
