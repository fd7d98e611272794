"""The same bytes twice, names that are taken, two daemons on one folder, files that go with others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Lab, wait_until
from tests.watch.conftest import COPY, Hotbed, declare, film

Make = Callable[..., Hotbed]
WITH_TEXT = (
    '[[step]]\nid="copy"\nuses="lab.pass"\n[[step]]\nid="more"\nuses="lab.append"\n'
    'inputs={file="source.subtitles"}\n[[deliver]]\nfrom="more.file"\nname="{stem}.txt"\n'
)


def test_the_same_bytes_again_stay_where_they_are(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", clip)
    hot.drop("b.mp4", clip)
    hot.settle()
    hot.work()
    hot.drop("c.mp4", clip)
    for _ in range(3):
        hot.settle()
    assert sorted(hot.states().values()) == ["done", "duplicate", "duplicate"]
    assert len(hot.outputs()) == 1
    assert {"c.mp4"} <= hot.lying()
    assert hot.file("c.mp4").reason == f"Its bytes were here before, as {'ab'['b.copy.mp4' in hot.outputs()]}.mp4."
    hot.start()
    hot.settle()
    assert len(hot.files()) == 3, "also known after a restart"


def test_the_same_bytes_again_are_moved_with_a_reason(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(duplicates="move")
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.drop("x/b.mp4", clip)
    hot.settle()
    hot.work()
    assert hot.lying() == {".vtid/done/a.mp4", ".vtid/duplicate/x/b.mp4", ".vtid/duplicate/x/b.mp4.txt"}
    assert "Its bytes were here before, as a.mp4." in (hot.own / "duplicate/x/b.mp4.txt").read_text()


def test_the_same_bytes_again_are_taken_where_that_is_wanted(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(duplicates="allow")
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.work()
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.work()
    assert hot.outputs() == {"a.copy.mp4", "a.copy-2.mp4"}
    assert hot.lying() == {".vtid/done/a.mp4", ".vtid/done/a-2.mp4"}


@pytest.mark.parametrize("policy", ["suffix", "overwrite", "fail"])
def test_a_name_that_is_taken(make_hotbed: Make, clip: bytes, policy: str) -> None:
    hot = make_hotbed(collision=policy, name="{stem}.{ext}")
    hot.out.mkdir()
    (hot.out / "a.mp4").write_bytes(b"somebody's")
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.work()
    found = {p: (hot.out / p).read_bytes() for p in hot.outputs()}
    if policy == "suffix":
        assert found == {"a.mp4": b"somebody's", "a-2.mp4": clip}
    elif policy == "overwrite":
        assert found == {"a.mp4": clip}
    else:
        assert found == {"a.mp4": b"somebody's"}
        assert "exists already" in (hot.own / "failed/a.mp4.txt").read_text()


def test_two_files_of_one_stem_and_several_results(make_hotbed: Make, clip: bytes) -> None:
    twice = COPY + '[[deliver]]\nfrom="copy.video"\n'
    hot = make_hotbed(pipeline="twice", pipelines={"twice": twice})
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.work()
    assert hot.outputs() == {"a.twice.mp4", "a.twice.copy-2.mp4"}


# --- two daemons


def other(lab: Lab, hot: Hotbed, keys: dict[str, str], tmp_path: Path) -> Hotbed:
    """Another daemon, with a database of its own, on the same folder."""
    folder = tmp_path / "other"
    declare(folder / "watch", path=str(hot.into), output=str(hot.out), **keys)
    found = Hotbed(lab, hot.folder, folder / "watch")
    found.now = hot.now
    return found


@pytest.mark.parametrize("on_done", ["move", "keep"])
@pytest.mark.parametrize("duplicates", ["skip", "allow"])
def test_two_daemons_on_one_folder_take_nothing_twice(
    make_hotbed: Make, make_lab: Callable[..., Lab], tmp_path: Path, clip: bytes, on_done: str, duplicates: str
) -> None:
    keys = {"on_done": on_done, "duplicates": duplicates}
    hot = make_hotbed(settings={"watches__at_once": 100}, **keys)
    second = make_lab({"copy": COPY}, data__path=tmp_path / "second", watches__min_free_disk_mb=1, watches__at_once=100)
    also = other(second, hot, keys, tmp_path)
    also.start("second")
    for number in range(12):
        hot.drop(f"{number}.mp4", film(clip, number))
    for one in (hot, also):
        one.watcher.round()
    for pass_s in (5.1, *[1.1] * 8):
        for one in (hot, also):  # side by side: what one begins the other finds half done
            one.now += pass_s
            for folder in one.watcher._hots.values():
                folder.scanned_at = None
            one.watcher.round()
        for one in (hot, also):
            wait_until(one.watcher.idle)
    for one in (hot, also):
        one.work()
    taken = [f.path for f in (*hot.files(), *also.files()) if f.state == "done"]
    assert sorted(taken) == sorted(f"{n}.mp4" for n in range(12))
    assert hot.outputs() == {f"{n}.copy.mp4" for n in range(12)}
    also.watcher.close()


def test_two_watchers_at_one_database_share_no_folder(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    first = hot.watcher
    first.round()
    second = hot.start("second")
    second.round()
    assert list(first._hots) == ["in"]
    assert list(second._hots) == []
    hot.now += 16.0  # the first one is gone, and its lease has run out
    second.round()
    assert list(second._hots) == ["in"]
    first._held_at.clear()
    first.round()
    assert list(first._hots) == []
    first.close()


# --- files that go with others


def test_params_beside_a_file(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(pipeline="text", pipelines={"text": WITH_TEXT}, with_='{ text = "!" }')
    hot.drop("a.mp4", clip)
    hot.drop("a.mp4.json", json.dumps({"more.text": "?"}).encode())
    hot.drop("a.en.srt", b"words")
    hot.settle()
    [file] = hot.files()
    assert sorted(file.companions) == ["a.en.srt", "a.mp4.json"]
    hot.work()
    assert {p: (hot.out / p).read_text() for p in hot.outputs()} == {"a.text.txt": "words?"}
    assert hot.lying() == {".vtid/done/a.mp4", ".vtid/done/a.mp4.json", ".vtid/done/a.en.srt"}


def test_params_that_cannot_be_read_or_are_wrong(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", film(clip, 1))
    hot.drop("a.mp4.toml", b"x = [")
    hot.drop("b.mp4", film(clip, 2))
    hot.drop("b.mp4.toml", b"nothing_like_it = 1")
    hot.settle()
    hot.work()
    assert set(hot.states().values()) == {"failed"}
    assert "a.mp4.toml is not valid TOML" in (hot.own / "failed/a.mp4.txt").read_text()
    assert "nothing_like_it" in (hot.own / "failed/b.mp4.txt").read_text()
    assert {".vtid/failed/a.mp4.toml", ".vtid/failed/b.mp4.toml"} <= hot.lying()


def test_nothing_begins_before_the_word(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(trigger=True)
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.settle()
    assert hot.files() == []
    hot.drop("a.mp4.toml", b"")
    hot.settle()
    assert hot.states() == {"a.mp4": "submitted"}


def test_a_sub_folder_means_something(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(rules='[watch.subfolders]\n"bad/*" = { pipeline = "fail" }\n')
    hot.drop("good/a.mp4", film(clip, 1))
    hot.drop("bad/a.mp4", film(clip, 2))
    hot.settle()
    hot.work()
    assert hot.states() == {"good/a.mp4": "done", "bad/a.mp4": "failed"}
