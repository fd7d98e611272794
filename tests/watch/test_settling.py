"""Only what is whole is taken: every way in which a file arrives, with a clock that the test turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.watch.conftest import Hotbed, film
from vtid.watch.settling import Seen, Settling, Share, turns
from vtid.watch.whole import Unready, read_whole, writer_of

Make = Callable[..., Hotbed]
A = Seen("a.mp4", 1, "x")


def test_quiet_is_counted_from_the_last_change() -> None:
    settling = Settling(5.0)
    settling.see(A, (), 0.0)
    settling.see(A, (), 4.0)
    assert settling.due(4.9, 9) == []
    grown = Seen("a.mp4", 2, "x")
    settling.see(grown, (), 4.9)
    assert settling.due(9.8, 9) == []
    [settled] = settling.due(9.9, 9)
    assert (settled.seen, settled.at) == (grown, 9.9)
    settling.stir("a.mp4", 9.9)
    assert settling.due(14.8, 9) == []
    settling.drop("a.mp4")
    assert settling.due(99.0, 9) == []
    assert len(settling) == 0


def test_a_companion_that_changes_starts_the_wait_anew() -> None:
    settling = Settling(5.0)
    settling.see(A, (Seen("a.srt", 1, "1"),), 0.0)
    settling.see(A, (Seen("a.srt", 2, "2"),), 4.0)
    assert settling.due(8.9, 9) == []
    assert len(settling.due(9.0, 9)) == 1


def test_one_that_was_not_ready_waits_on() -> None:
    settling = Settling(5.0)
    settling.see(A, (), 0.0)
    [settled] = settling.due(5.0, 9)
    settling.drop("a.mp4")
    settling.restore(settled, 5.0, "somebody writes to it")
    assert settling.reasons() == {"a.mp4": "somebody writes to it"}
    assert settling.due(5.9, 9) == []
    assert settling.due(6.0, 9)[0].quiet_since == 0.0
    settling.see(Seen("a.mp4", 2, "y"), (), 6.0)
    assert settling.due(10.9, 9) == []


def test_ten_thousand_files_do_not_starve_one() -> None:
    order = list(turns([Share("many", 0, 10_000, 0), Share("one", 0, 1, 0), Share("some", 0, 3, 0)], 8))
    assert order == ["many", "one", "some", "many", "some", "many", "some", "many"]
    assert list(turns([Share("busy", 0, 9, 5), Share("idle", 0, 9, 0)], 5)) == ["idle"] * 5
    assert list(turns([Share("low", -1, 9, 0), Share("high", 7, 2, 50)], 4)) == ["high", "high", "low", "low"]
    assert list(turns([Share("a", 0, 1, 0)], 5)) == ["a"]
    assert list(turns([Share("a", 0, 1, 0)], -3)) == []


# --- the real thing: files that arrive


def test_a_slow_copy(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    for end in range(200, len(clip) + 200, 200):
        hot.drop("slow.mp4", clip[:end])
        hot.round(4.0)
        assert hot.files() == []
    hot.settle()
    assert hot.states() == {"slow.mp4": "submitted"}


def test_a_copy_that_stalls_for_a_minute_with_its_file_open(make_hotbed: Make, clip: bytes) -> None:
    """Everything that can be seen of this file says that it is whole, and it would play; only the system knows better."""
    hot = make_hotbed()
    path = hot.into / "stalls.mp4"
    with path.open("wb") as handle:
        handle.write(clip)
        handle.flush()
        for _ in range(12):
            hot.round(5.5)
        assert hot.files() == []
        hot.round(0.1)
        reasons = hot.watcher._hots["in"].lookout.settling.reasons()
        assert reasons == {"stalls.mp4": "a program still has it open for writing"}
        handle.write(b"\0\0\0\x18free" + b"0" * 16)
    hot.settle()
    hot.round(2)
    assert hot.states() == {"stalls.mp4": "submitted"}
    assert hot.file("stalls.mp4").size == len(clip) + 24


def test_a_copy_that_stalls_for_a_minute_on_another_machine(make_hotbed: Make, clip: bytes) -> None:
    """Nobody here has it open: what tells is that the video ends before its headers say."""
    hot = make_hotbed()
    hot.drop("stalls.mp4", clip[: len(clip) // 2])
    for _ in range(12):
        hot.round(5.5)
    assert hot.files() == []
    hot.drop("stalls.mp4", clip)
    hot.settle()
    hot.work()
    assert hot.outputs() == {"stalls.copy.mp4"}
    assert (hot.out / "stalls.copy.mp4").read_bytes() == clip


def test_a_file_that_is_replaced_while_it_waits(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    first = hot.drop("talk.mp4", film(clip, 1))
    times = first.stat()
    hot.round()
    hot.round(4.0)
    (hot.folder / "aside.mp4").write_bytes(film(clip, 2))  # of the same size
    os.utime(hot.folder / "aside.mp4", ns=(times.st_atime_ns, times.st_mtime_ns))
    (hot.folder / "aside.mp4").replace(first)
    hot.round(4.0)
    assert hot.files() == [], "the other file has its own wait"
    hot.round(4.0)
    hot.round(2.0)
    hot.work()
    assert (hot.out / "talk.copy.mp4").read_bytes() == film(clip, 2)


def test_a_rename_into_place(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    for name in ("talk.mp4.part", ".talk.mp4.x7Gh2k", "talk.mp4.crdownload", "~talk.mp4", "talk.tmp"):
        hot.drop(name, clip)
    hot.settle()
    hot.settle()
    assert len(hot.watcher._hots["in"].lookout.settling) == 0
    (hot.into / ".talk.mp4.x7Gh2k").rename(hot.into / "talk.mp4")
    hot.settle()
    assert hot.states() == {"talk.mp4": "submitted"}


def test_a_hard_link(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    original = hot.folder / "library.mp4"
    original.write_bytes(clip)
    (hot.into / "linked.mp4").hardlink_to(original)
    hot.settle()
    hot.work()
    assert hot.states() == {"linked.mp4": "done"}
    assert original.read_bytes() == clip
    assert hot.outputs() == {"linked.copy.mp4"}


def test_a_file_that_grows_again_after_it_settled(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("talk.mp4", clip)
    hot.round()
    hot.now += 5.1
    hot.drop("talk.mp4", film(clip, 1))  # between the look that finds it settled and its turn
    hot.round()
    assert hot.files() == []
    hot.round(5.1)
    assert hot.states() == {"talk.mp4": "submitted"}


def test_a_file_that_grows_while_it_is_worked_on(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("talk.mp4", clip)
    hot.settle()
    held = next((hot.own / "processing").rglob("talk.mp4"))
    held.write_bytes(film(clip, 1))
    hot.work()
    assert hot.outputs() == set(), "the result of its half is not delivered"
    hot.settle()
    hot.work()
    assert [f.state for f in hot.files()] == ["done", "changed"]
    assert (hot.out / "talk.copy.mp4").read_bytes() == film(clip, 1)


def test_a_folder_that_comes_whole(make_hotbed: Make, clip: bytes) -> None:
    """Nobody hears of the files in a folder that is moved in; it is heard of itself."""
    hot = make_hotbed()
    hot.watcher.round()
    (hot.folder / "aside/deep").mkdir(parents=True)
    (hot.folder / "aside/deep/talk.mp4").write_bytes(clip)
    (hot.folder / "aside").rename(hot.into / "aside")
    inside = hot.watcher._hots["in"].lookout
    inside._dirty = {"aside"}
    inside._look_at({"aside"}, hot.now)
    assert inside.settling.paths() == ["aside/deep/talk.mp4"]


def test_what_is_heard_leads_to_a_look(make_hotbed: Make, clip: bytes) -> None:
    """The listener's own doing, without a look through the whole folder."""
    from tests.conftest import wait_until

    for keys in ({}, {"poll": True, "poll_seconds": 0.05}):
        hot = make_hotbed(listens=True, **keys)
        hot.watcher.round()
        inside = hot.watcher._hots["in"].lookout
        wait_until(lambda i=inside: i._listener is not None and i._listener._thread.is_alive())
        hot.drop(f"heard/{len(keys)}.mp4", film(clip, len(keys)))

        def heard(hot: Hotbed = hot, keys: object = keys) -> bool:
            hot.now += 1
            hot.watcher.round()
            hot.drop(f"heard/{len(keys)}.txt", os.urandom(8))  # the listener may have begun after the first file came
            return any(f.path == f"heard/{len(keys)}.mp4" for f in hot.files())

        wait_until(heard, every=0.1)
        hot.watcher.close()


def test_nobody_is_killed_for_opening_a_file_that_is_looked_at(tmp_path: Path) -> None:
    """The lease by which writers are found makes the kernel send a signal to us, should one come meanwhile."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x" * 1000)
    code = (
        "import sys\nfrom pathlib import Path\nfrom vtid.watch.whole import read_whole\n"
        "for _ in range(2000):\n try: read_whole(Path(sys.argv[1]))\n except Exception as e: assert 'writing' in str(e) or 'changed' in str(e), e\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", code, str(path)])
    while reader.poll() is None:
        with path.open("r+b") as handle:
            handle.write(b"y")
    assert reader.returncode == 0


def test_a_file_that_cannot_be_read_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(Unready, match="cannot be opened"):
        read_whole(tmp_path / "none.mp4")
    (tmp_path / "link.mp4").symlink_to("/etc/hostname")
    with pytest.raises(Unready, match="cannot be opened"):
        read_whole(tmp_path / "link.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc")
    assert not writer_of(path)
    with path.open("ab"):
        assert writer_of(path)
        with pytest.raises(Unready, match="open for writing"):
            read_whole(path)
    assert read_whole(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
