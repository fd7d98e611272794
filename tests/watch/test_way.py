"""A file's way through a hot folder, door to door."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.db.test_database import postgres_database
from tests.watch.conftest import Hotbed, film

Make = Callable[..., Hotbed]


def test_a_file_is_dropped_and_its_result_found(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a/talk.mp4", clip)
    hot.round()
    assert hot.files() == [], "it has not settled"
    hot.round(5.1)
    [file] = hot.files()
    assert file.state == "submitted"
    assert hot.lying() == {f".vtid/processing/{hot.record().token}/{file.id}/a/talk.mp4"}
    assert hot.outputs() == set()
    job = hot.lab.job(file.job_id)
    assert (job.original_filename, job.display_name, job.user_id) == ("talk.mp4", "a/talk.mp4", "local")
    hot.work()
    assert hot.outputs() == {"a/talk.copy.mp4"}
    assert (hot.out / "a/talk.copy.mp4").read_bytes() == clip
    assert hot.lying() == {".vtid/done/a/talk.mp4"}
    told = [e.data for e in hot.lab.events(job.id) if e.type == "log"]
    assert [(d["event"], d["path"]) for d in told] == [
        ("taken from a hot folder", "a/talk.mp4"),
        ("delivered to a folder", "a/talk.mp4"),
    ]
    assert told[1]["targets"] == ["a/talk.copy.mp4"]
    assert hot.states() == {"a/talk.mp4": "done"}


def test_what_happens_to_the_file_afterwards(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(on_done="delete")
    hot.drop("talk.mp4", clip)
    hot.settle()
    hot.work()
    assert hot.outputs() == {"talk.copy.mp4"}
    assert hot.lying() == set()


def test_a_folder_that_must_not_change_does_not(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(on_done="keep", work="../own")
    path = hot.drop("talk.mp4", clip)
    before = path.stat()
    hot.settle()
    for _ in range(3):
        hot.settle()
    assert len(hot.files()) == 1
    hot.work()
    hot.start()
    for _ in range(3):
        hot.settle()
    assert hot.outputs() == {"talk.copy.mp4"}
    assert len(hot.files()) == 1, "it is known what became of it, also after a restart"
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [p.name for p in hot.into.iterdir()] == ["talk.mp4"]
    hot.drop("talk.mp4", film(clip, 1))
    hot.settle()
    hot.work()
    assert hot.outputs() == {"talk.copy.mp4", "talk.copy-2.mp4"}


def test_a_bad_file_goes_where_somebody_finds_out_why_and_may_come_again(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("day/notes.mp4", b"these are notes, and no video")
    hot.settle()
    assert hot.files() == [], "its end may still be on its way"
    hot.round(120)
    hot.round(20)  # what was not whole after two minutes is looked at again after a tenth of that
    assert hot.states() == {"day/notes.mp4": "failed"}
    assert hot.lying() == {".vtid/failed/day/notes.mp4", ".vtid/failed/day/notes.mp4.txt"}
    words = (hot.own / "failed/day/notes.mp4.txt").read_text()
    assert "notes.mp4" in words
    assert "move notes.mp4\nback into the watched folder. It runs again." in words
    # dropped back as it is, it is looked at again; mended, it is done, and the words go
    (hot.own / "failed/day/notes.mp4").rename(hot.into / "day/notes.mp4")
    hot.settle()
    hot.round(125)
    hot.round(20)
    assert [f.state for f in hot.files()] == ["failed", "failed"]
    (hot.own / "failed/day/notes.mp4").unlink()
    hot.drop("day/notes.mp4", clip)
    hot.settle()
    hot.work()
    assert hot.outputs() == {"day/notes.copy.mp4"}
    assert hot.lying() == {".vtid/done/day/notes.mp4"}


def test_a_job_that_fails_takes_its_file_along(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(pipeline="fail")
    hot.drop("talk.mp4", clip)
    hot.settle()
    hot.work()
    [file] = hot.files()
    assert file.state == "failed"
    assert hot.lying() == {".vtid/failed/talk.mp4", ".vtid/failed/talk.mp4.txt"}
    words = (hot.own / "failed/talk.mp4.txt").read_text()
    assert file.reason in words
    assert file.job_id in words
    (hot.own / "failed/talk.mp4").rename(hot.into / "talk.mp4")
    hot.settle()
    assert [f.state for f in hot.files()] == ["submitted", "failed"], "it is no duplicate of itself"


@pytest.fixture
def postgres() -> Iterator[str]:
    with postgres_database() as url:
        yield url


@pytest.mark.postgres
def test_the_whole_way_on_postgresql(postgres: str, make_hotbed: Make, clip: bytes) -> None:
    """The rows of hot folders on the other database: taken, done, failed, left alone, listed, pruned."""
    hot = make_hotbed(settings={"database__url": postgres, "watches__stalled_seconds": 0})
    hot.drop("a/ü 🎬.mp4", clip)
    hot.drop("a/ü 🎬.mp4.toml", b"")
    hot.drop("bad.mp4", b"no video")
    hot.settle()
    hot.work()
    hot.drop("again.mp4", clip)
    hot.settle()
    hot.round(2)
    assert hot.states() == {"a/ü 🎬.mp4": "done", "bad.mp4": "failed", "again.mp4": "duplicate"}
    assert hot.outputs() == {"a/ü 🎬.copy.mp4"}
    hot.watcher.close()
    hot.start("another")
    hot.round()
    hot.settle()
    assert len(hot.files()) == 3, "what was done is remembered"
    run, watches = hot.lab.bridge.run, hot.watcher._watches
    assert {k: v for k, v in run(watches.counts())["in"].items() if v} == {"done": 1, "failed": 1, "duplicate": 1}
    assert len(run(watches.starts("in"))) == 1
    assert hot.record().holder == "another"
    hot.now += 100
    assert run(watches.prune("in", 50.0)) == 3
