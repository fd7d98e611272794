"""What passes by itself, what a person must act on, and who says so: shares, disks, credits, pauses, killed watchers."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import wait_until
from tests.watch.conftest import Hotbed, declare, film
from vtid.watch import watcher as watcher_module
from vtid.watch.folder import Folder
from vtid.watch.settling import Seen

Make = Callable[..., Hotbed]
BUSY = '[[step]]\nid="busy"\nuses="lab.noop"\nlabels=["nowhere"]\n'


def test_a_share_that_goes_and_comes_back(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.lab.run(hot.file("a.mp4").job_id)
    hot.into.rename(hot.folder / "away")
    hot.round()
    assert hot.record().state == "degraded"
    assert "is not there. Is the share mounted?" in (hot.record().reason or "")
    hot.into.mkdir()  # where it was mounted, an empty folder is left
    hot.drop("a.txt", b"not of the share")
    for _ in range(3):
        hot.round(10)
    assert "is not the folder that it was" in (hot.record().reason or "")
    assert hot.states() == {"a.mp4": "submitted"}, "nothing is given up"
    assert [p.name for p in hot.into.iterdir()] == ["a.txt"], "and nothing is written there"
    shutil.rmtree(hot.into)
    (hot.folder / "away").rename(hot.into)
    hot.round(400)
    hot.round(400)
    assert hot.outputs() == {"a.copy.mp4"}
    assert hot.states() == {"a.mp4": "done"}
    hot.round()
    assert (hot.record().state, hot.record().reason) == ("ok", None)


def test_a_folder_that_was_cleared_on_purpose_is_accepted_when_asked_to(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.lab.run(hot.file("a.mp4").job_id)
    shutil.rmtree(hot.into)
    hot.into.mkdir()
    hot.round()
    assert hot.record().state == "degraded"
    hot.now += 1
    hot.lab.bridge.run(hot.watcher._watches.ask_rescan("in"))
    hot.round()
    hot.round(400)
    assert hot.states() == {"a.mp4": "failed"}
    assert "It was removed while it was worked on" in (hot.own / "failed/a.mp4.txt").read_text()


def test_an_output_that_cannot_be_written_is_waited_for(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.lab.run(hot.file("a.mp4").job_id)
    if hot.out.exists():
        shutil.rmtree(hot.out)
    hot.out.write_text("in the way")
    hot.round()
    hot.round()
    file = hot.file("a.mp4")
    assert (file.state, file.tries) in (("submitted", 1), ("delivering", 1))
    assert hot.record().state == "degraded"
    waits = []
    for _ in range(4):
        waits.append((hot.file("a.mp4").next_at or 0) - hot.now)
        hot.round(max(waits[-1], 0) + 0.01)
    assert waits == sorted(waits)
    assert waits[-1] > waits[0], "it waits longer each time"
    hot.out.unlink()
    hot.round(400)
    hot.round(400)
    assert hot.states() == {"a.mp4": "done"}
    assert hot.outputs() == {"a.copy.mp4"}
    assert hot.record().state == "ok"


def test_a_cause_that_is_not_the_files_has_its_job_retried(make_hotbed: Make, clip: bytes) -> None:
    """A bad key at a provider: the step says that a person must act. Once they have, the job goes on by itself."""
    hot = make_hotbed(pipeline="pay", pipelines={"pay": '[[step]]\nid="copy"\nuses="lab.pass"\n[[step]]\nid="f"\nuses="lab.fail"\nwith={how="attention"}\n[[deliver]]\nfrom="copy.video"\n'})  # fmt: skip
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.lab.run(hot.file("a.mp4").job_id)
    hot.round()
    hot.round()
    file = hot.file("a.mp4")
    assert (file.state, file.tries) == ("submitted", 1)
    assert hot.record().state == "degraded"
    hot.round(400)
    assert hot.lab.job(file.job_id).status == "queued", "it is tried again"
    assert hot.lying() == {f".vtid/processing/{hot.record().token}/{file.id}/a.mp4"}


def test_no_credits_is_no_fault_of_the_file(make_hotbed: Make, clip: bytes) -> None:
    from vtid.domain.account import Role

    hot = make_hotbed(owner="poor@example.org", own=True)
    accounts, run = hot.lab.app.accounts, hot.lab.bridge.run
    user = run(accounts.create("poor@example.org", role=Role.USER, tier="free", password=None))
    run(accounts.ledger.grant(user.id, -100, "spent"))
    hot.drop("a.mp4", clip)
    hot.settle()
    assert hot.states() == {"a.mp4": "claimed"}
    hot.round()
    assert hot.record().state == "degraded"
    assert "credits" in (hot.record().reason or "")
    run(accounts.ledger.grant(user.id, 100, "more"))
    hot.round(400)
    hot.work()
    assert hot.states() == {"a.mp4": "done"}
    assert hot.lab.job(hot.file("a.mp4").job_id).user_id == user.id


def test_a_job_that_somebody_cancels_or_deletes(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", film(clip, 1))
    hot.drop("b.mp4", film(clip, 2))
    hot.settle()
    run, app = hot.lab.bridge.run, hot.lab.app
    for name in ("a.mp4", "b.mp4"):
        run(app.jobs.cancel(hot.file(name).job_id))
    run(app.removal.job(hot.file("b.mp4").job_id, "local"))
    hot.round()
    hot.round()
    assert set(hot.states().values()) == {"failed"}
    assert "Somebody cancelled its job." in (hot.own / "failed/a.mp4.txt").read_text()
    assert "Its job was deleted" in (hot.own / "failed/b.mp4.txt").read_text()


def test_pause_and_resume(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", film(clip, 1))
    hot.settle()
    run, watches = hot.lab.bridge.run, hot.lab.app.watches
    run(watches.pause("in", paused=True))
    hot.drop("b.mp4", film(clip, 2))
    hot.work()
    hot.settle()
    assert hot.states() == {"a.mp4": "done"}, "what was on its way goes on; nothing new is taken"
    assert hot.record().shown(hot.now) == "paused"
    hot.now += 4
    hot.round()
    assert hot.record().waiting == 1
    run(watches.pause("in", paused=False))
    hot.settle()
    assert hot.states()["b.mp4"] == "submitted"
    assert hot.record().shown(hot.now + 60) == "stopped", "what nobody keeps up is not ok"


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_under_its_floor(make_hotbed: Make, clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    hot = make_hotbed(settings={"watches__min_free_disk_mb": 100})
    real = shutil.disk_usage
    full = True

    def usage(path: Any) -> Any:
        return _Usage(1, 1, 99 << 20) if full and str(path) == str(hot.out) else real(path)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.settle()
    assert hot.files() == []
    assert hot.record().reason == f"{hot.out} has 99 MB left; below 100 nothing is taken (min_free_disk_mb)."
    full = False
    hot.settle()
    assert hot.states() == {"a.mp4": "submitted"}
    hot.round(2)
    assert hot.record().state == "ok"


def test_many_files_fill_neither_the_queue_nor_the_way_of_others(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(settings={"watches__at_once": 4}, pipelines={"busy": BUSY})
    declare(hot.config, "other", path=str(hot.folder / "other"))
    hot.start()
    for number in range(30):
        hot.drop(f"{number}.mp4", film(clip, number))
    hot.settle()
    hot.round(1)
    hot.round(1)
    assert len(hot.files()) == 4, "the rest waits in the folder"
    (hot.folder / "other").mkdir(exist_ok=True)
    (hot.folder / "other/one.mp4").write_bytes(film(clip, 99))
    hot.lab.run(hot.files()[0].job_id)
    hot.settle()
    hot.round(1)
    assert [f.path for f in hot.files("other")] == ["one.mp4"], "whoever has the fewest jobs open comes next"


def test_files_that_wait_for_something_do_not_keep_another_folder(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(settings={"watches__at_once": 6}, owner="poor@example.org")
    from vtid.domain.account import Role

    run, accounts = hot.lab.bridge.run, hot.lab.app.accounts
    user = run(accounts.create("poor@example.org", role=Role.USER, tier="free", password=None))
    run(accounts.ledger.grant(user.id, -100, "spent"))
    declare(hot.config, "other", path=str(hot.folder / "other"))
    (hot.folder / "other").mkdir()
    hot.start()
    for number in range(20):
        hot.drop(f"{number}.mp4", film(clip, number))
        (hot.folder / f"other/{number}.mp4").write_bytes(film(clip, 100 + number))
    hot.settle()
    for _ in range(4):
        hot.round(0.01)
    assert 4 <= len(hot.files()) <= 6, "no more than some find out"
    assert len(hot.files("other")) >= 6
    assert hot.record("other").state == "ok"
    assert hot.record().state == "degraded"


def test_a_share_that_hangs_keeps_no_other_folder(
    make_hotbed: Make, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = make_hotbed()
    declare(hot.config, "other", path=str(hot.folder / "other"))
    (hot.folder / "other").mkdir()
    (hot.folder / "other/a.mp4").write_bytes(clip)
    answers = threading.Event()
    real = Folder.look

    def hangs(self: Folder, folder: str = "") -> Iterator[Seen]:
        if self.root == hot.into:
            answers.wait(60)
        return real(self, folder)

    monkeypatch.setattr(Folder, "look", hangs)
    monkeypatch.setattr(watcher_module, "ATTEND_S", 0.5)
    hot.start()

    def taken() -> bool:
        hot.now += 6
        hot.watcher.round()
        return bool(hot.files("other"))

    try:
        wait_until(taken)
        assert not hot.watcher._hots["in"].is_attended
    finally:
        answers.set()
    wait_until(hot.watcher.idle)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_full_where_results_go(small_disk: Path, make_hotbed: Make, clip: bytes) -> None:
    """Really full, and another file system than that of the folder: nothing half is seen, and it goes on by itself."""
    hot = make_hotbed(output=str(small_disk / "out"))
    film_of_2_mb = clip + (2 << 20).to_bytes(4, "big") + b"free" + bytes((2 << 20) - 8)
    hot.drop("a.mp4", film_of_2_mb)
    hot.settle()
    assert hot.states() == {"a.mp4": "submitted"}
    hot.lab.run(hot.file("a.mp4").job_id)
    (small_disk / "full").write_bytes(bytes(3 << 20))
    hot.round()
    hot.round()
    assert hot.record().state == "degraded"
    assert f"The disk of {small_disk / 'out'} is full. Free some space" in (hot.file("a.mp4").reason or "")
    assert [p for p in (small_disk / "out").rglob("*") if p.is_file()] == []
    hot.round(400)
    assert hot.states() == {"a.mp4": "delivering"}
    (small_disk / "full").unlink()
    hot.round(400)
    hot.round(400)
    assert (small_disk / "out/a.copy.mp4").read_bytes() == film_of_2_mb
    assert hot.states() == {"a.mp4": "done"}
    hot.round(2)
    assert (hot.record().state, hot.record().reason) == ("ok", None)


def test_a_disk_that_is_full_where_files_come_in(small_disk: Path, make_hotbed: Make, clip: bytes) -> None:
    """Not even a mark fits on it: the file waits where it lies, and its result comes once there is room."""
    hot = make_hotbed(path=str(small_disk / "in"))
    (small_disk / "in").mkdir()
    hot.round()
    (small_disk / "in/a.mp4").write_bytes(clip)
    with contextlib.suppress(OSError), (small_disk / "full").open("wb", buffering=0) as full:
        while True:
            full.write(bytes(4096))
    hot.settle()
    hot.round(60)
    hot.round(2)
    assert hot.record().state == "degraded"
    assert "is full. Free some space" in (hot.record().reason or "")
    (small_disk / "full").unlink()
    for _ in range(3):
        hot.round(400)
        hot.work()
    assert (hot.out / "a.copy.mp4").read_bytes() == clip
    assert hot.states() == {"a.mp4": "done"}
    hot.round(2)
    assert hot.record().state == "ok"
