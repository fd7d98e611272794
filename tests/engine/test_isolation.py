"""Steps that do what no step should: each fails alone, soon, and in plain words."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE_S, Lab, wait_until
from vtid.engine.control import Reason

MakeLab = Callable[..., Lab]
MISBEHAVE = '[[step]]\nid="m"\ntitle="Misbehave"\nuses="lab.misbehave"'


@pytest.mark.parametrize(
    ("how", "settings", "words"),
    [
        ("segfault", {}, "Misbehave: it crashed (SIGSEGV)"),
        ("allocate", {"limits__step_memory_mb": 300}, "it needed more than 300 MiB of memory (limits.step_memory_mb)"),
        ("write", {"limits__step_disk_mb": 20}, "File too large"),
        ("write_many", {"limits__step_disk_mb": 50}, "it wrote more than 50 MiB (limits.step_disk_mb)"),
        ("open_files", {"limits__step_open_files": 64}, "Too many open files"),
        ("exit", {}, "it ended by itself with code 3; its last words: the last words"),
        ("bug", {}, "it has a bug: KeyError: 'nobody'"),
        ("garbage", {}, "it has a bug: what it sent is no message"),
        ("endless_message", {}, "it has a bug: it sent a message of 4294967295 bytes"),
        ("die_with_a_child_left", {}, "it crashed (SIGSEGV)"),
    ],
)
def test_it_fails_alone_and_says_why(make_lab: MakeLab, how: str, settings: dict[str, int], words: str) -> None:
    lab = make_lab({"p": MISBEHAVE, "good": '[[step]]\nid="w"\nuses="lab.noop_isolated"'}, **settings)
    job = lab.run(lab.submit("p", {"how": how}))
    assert job.status == "failed"
    assert words in job.error.message
    assert job.error.code == "step_crashed"
    assert lab.run(lab.submit("good")).status == "completed", "the worker is as good as before"


@pytest.mark.parametrize("how", ["hang", "hang_in_native_code"])
def test_a_hang_ends_at_the_timeout(make_lab: MakeLab, how: str) -> None:
    lab = make_lab({"p": MISBEHAVE + "\ntimeout=0.5"})
    job = lab.run(lab.submit("p", {"how": how}))
    assert job.error.message == "Misbehave: it took longer than 0.5 s and was stopped"


@pytest.mark.parametrize("how", ["hang", "hang_in_native_code", "hang_with_children", "half_a_message"])
def test_cancel_kills_with_all_its_children(make_lab: MakeLab, tmp_path: Path, how: str) -> None:
    lab = make_lab({"p": MISBEHAVE}, workers__lease_seconds=60)  # no heart renews it here
    job_id = lab.submit("p", {"how": how, "report": str(tmp_path / "pid")})
    thread = threading.Thread(target=lab.runner.run, args=(job_id,))
    thread.start()
    grandchild = tmp_path / "data" / "grandchild"
    wait_until(
        lambda: (
            (tmp_path / "pid").exists()
            and (how != "hang_with_children" or (grandchild.exists() and grandchild.read_text()))
        )
    )
    pids = [int((tmp_path / "pid").read_text())] + ([int(grandchild.read_text())] if grandchild.exists() else [])
    lab.bridge.run(lab.app.jobs.cancel(job_id))
    lab.runner.stop(job_id, Reason.CANCELLED)
    thread.join(PATIENCE_S)  # without the cancel it would hang for good
    assert not thread.is_alive()
    assert lab.job(job_id).status == "cancelled"
    wait_until(lambda: not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids))
    assert not (lab.runner.workspaces.root / job_id).exists()


def test_what_cannot_be_removed_easily_is_removed_all_the_same(make_lab: MakeLab) -> None:
    lab = make_lab({"p": MISBEHAVE})
    job = lab.run(lab.submit("p", {"how": "nest_folders"}))
    assert job.status == "completed"
    assert not (lab.runner.workspaces.root / job.id).exists()


def test_a_step_cannot_change_the_file_that_came_in(make_lab: MakeLab, tmp_path: Path) -> None:
    from vtid.media.synth import draw_clip

    clip = tmp_path / "clip.mp4"
    draw_clip(clip, seconds=0.4, width=64, height=48)
    before = clip.read_bytes()
    lab = make_lab({"p": '[[step]]\nid="s"\nuses="lab.scribble"'})
    job = lab.run(lab.submit("p", files={"video": clip}))
    assert clip.read_bytes() == before
    asset = lab.bridge.run(lab.app.assets.get(job.inputs["video"]))
    assert b"".join(lab.app.storage.read(asset.key)) == before


def test_a_step_in_place_cannot_take_the_worker_along(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="l"\nuses="lab.leave"'})
    assert lab.run(lab.submit("p")).error.message == "l: it has a bug: SystemExit: 3"


def test_a_process_of_a_step_gets_nobody_elses_secrets(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_API_KEY", "s3cret")
    monkeypatch.setenv("GHOSTCUT_APP_SECRET", "s3cret")
    monkeypatch.setenv("HARMLESS", "yes")
    lab = make_lab({"p": MISBEHAVE})
    names = lab.run(lab.submit("p", {"how": "environment"})).error.message.split(",")
    assert "HARMLESS" in names
    assert not {"SYNC_API_KEY", "GHOSTCUT_APP_SECRET"} & set(names)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", "its output video is not there"),
        ("empty", "its output video is empty"),
        ("outside", "its output video lies outside its workspace"),
        ("text", "its output video is not a good video"),
    ],
)
def test_a_wrong_output_is_never_shown_as_a_result(make_lab: MakeLab, how: str, words: str) -> None:
    lab = make_lab({"p": '[[step]]\nid="m"\nuses="lab.wrong_output"'})
    job = lab.run(lab.submit("p", {"how": how}))
    assert (job.status, job.results) == ("failed", [])
    assert words in job.error.message


def test_a_full_disk_fails_the_job_with_that_reason(make_lab: MakeLab) -> None:
    lab = make_lab({"p": MISBEHAVE})
    job_id = lab.submit("p", {"how": "hang"})
    lab.app.room._min_free = 1 << 60
    job = lab.run(job_id)
    assert (job.status, job.error.code) == ("failed", "disk_full")
    assert "kept free" in job.error.message


def test_progress_and_messages_come_through_the_pipe(make_lab: MakeLab) -> None:
    lab = make_lab(
        {"p": '[[step]]\nid="s"\nuses="lab.slow"\nwith={ticks=40, seconds=0.01}'}, limits__progress_per_second=50
    )
    job_id = lab.submit("p")
    seen: list[str] = []
    original = lab.work.progress

    async def spy(*args: object, **kwargs: object) -> None:
        seen.append(str(kwargs["message"]))
        await original(*args, **kwargs)  # type: ignore[arg-type]

    lab.work.progress = spy  # type: ignore[method-assign,assignment]
    assert lab.run(job_id).status == "completed"
    assert 3 < len(seen) <= 40
    assert seen[0] == "tick 0"


def test_progress_never_floods_the_database(make_lab: MakeLab) -> None:
    lab = make_lab(
        {"p": '[[step]]\nid="s"\nuses="lab.slow_in_place"\nwith={ticks=5000, seconds=0}'}, limits__progress_per_second=1
    )
    job_id = lab.submit("p")
    lab.run(job_id)
    assert lab.job(job_id).event_seq < 20


def test_the_kernel_ends_a_step_whose_worker_is_gone(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab({"p": MISBEHAVE})
    job_id = lab.submit("p", {"how": "hang_in_native_code", "report": str(tmp_path / "pid")})
    # A worker in a process of its own, killed the hard way.
    code = "import sys; from tests.engine.once_worker import main; main(*sys.argv[1:])"
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), job_id])
    child = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    worker = psutil.Process(child).parent()
    assert worker is not None
    worker.kill()
    starter.wait(PATIENCE_S)
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")
