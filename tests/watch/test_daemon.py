"""Hot folders of a whole daemon: `vtid serve` in processes of its own, its commands, its API, and SIGKILL."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.watch.conftest import COPY, declare, film
from tests.web.daemon import Daemon

FAST = {"watches__min_free_disk_mb": 1, "watches__stalled_seconds": 0.5, "workers__count": 2, "rate_limits__internal_per_minute": 100_000}  # fmt: skip


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """With a hot folder that was declared when it ran already."""
    (tmp_path / "in").mkdir()
    with Daemon(tmp_path, {"copy": COPY}, watches__dirs=[str(tmp_path / "watch")], **FAST) as daemon:
        assert daemon.child("watch") is None, "there is nothing to watch yet"
        declare(tmp_path / "watch", path=str(tmp_path / "in"), output=str(tmp_path / "out"), settle_seconds=0.2)
        yield daemon


def vtid(daemon: Daemon, *words: str) -> Any:
    command = [sys.executable, "-m", "vtid.cli", "--config", str(daemon.config), *words, "--json"]
    env = os.environ | {"VTID_URL": str(daemon.http.base_url)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def outputs(folder: Path) -> list[str]:
    out = folder / "out"
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and ".vtid" not in p.parts)


def _number(name: str) -> int:
    """Which film it is, also where its copy came first."""
    return int(name.partition(".")[0].removeprefix("again"))


def test_drop_a_file_and_find_the_result(daemon: Daemon, tmp_path: Path, clip: bytes) -> None:
    (tmp_path / "in/a").mkdir()
    (tmp_path / "in/a/talk.mp4").write_bytes(clip)
    wait_until(lambda: outputs(tmp_path) == ["a/talk.copy.mp4"])
    wait_until((tmp_path / "in/.vtid/done/a/talk.mp4").exists)

    def told() -> list[dict[str, Any]] | None:
        [watch] = vtid(daemon, "watch")
        # How many wait is written once a second at most: a small film is done before that is said anew.
        return [watch] if watch["files"].get("done") and not watch["waiting"] else None

    [watch] = wait_until(told)
    assert (watch["name"], watch["state"], watch["waiting"]) == ("in", "ok", 0)
    shown = vtid(daemon, "watch", "show", "in")["latest"]
    assert [(f["path"], f["state"], f["results"]) for f in shown] == [("a/talk.mp4", "done", ["a/talk.copy.mp4"])]
    assert shown[0]["kept_at"] == "done/a/talk.mp4"
    # paused, it takes nothing; resumed, it does
    assert vtid(daemon, "watch", "pause", "in")["state"] == "paused"
    (tmp_path / "in/b.mp4").write_bytes(film(clip, 1))
    wait_until(lambda: vtid(daemon, "watch", "list")[0]["waiting"] == 1)
    assert vtid(daemon, "watch", "rescan", "in")["paused"] is True
    assert (tmp_path / "in/b.mp4").exists()
    assert vtid(daemon, "watch", "resume", "in")["state"] == "ok"
    wait_until(lambda: len(outputs(tmp_path)) == 2)
    # of one that is not ready it tells why
    with (tmp_path / "in/slow.mp4").open("wb") as handle:
        handle.write(clip)
        handle.flush()
        held = wait_until(lambda: vtid(daemon, "watch", "show", "in")["held_back"])
        assert held == {"slow.mp4": "a program still has it open for writing"}
        (tmp_path / "in/slow.mp4").unlink()
    # what Prometheus and a client see
    metrics = daemon.http.get("/metrics").text
    assert 'vtid_watch_up{watch="in"} 1.0' in metrics
    assert 'vtid_watch_files{state="done",watch="in"}' in metrics
    assert 'vtid_watch_start_seconds{quantile="0.5",watch="in"}' in metrics
    page = daemon.http.get("/api/v1/watches/in/files", params={"limit": 1}).json()
    rest = daemon.http.get("/api/v1/watches/in/files", params={"cursor": page["next"]}).json()
    assert [f["path"] for f in page["files"] + rest["files"]] == ["b.mp4", "a/talk.mp4"]
    assert rest["next"] is None
    assert daemon.http.get("/api/v1/watches/nothing").status_code == 404
    assert daemon.http.get("/api/v1/watches/in/files", params={"state": "burnt"}).status_code == 400
    assert daemon.terminate() == 0
    assert not daemon.relatives()


def test_a_watcher_that_dies_is_started_again(daemon: Daemon, tmp_path: Path, clip: bytes) -> None:
    first = wait_until(lambda: daemon.child("watch"))
    first.kill()
    (tmp_path / "in/talk.mp4").write_bytes(clip)
    wait_until(lambda: outputs(tmp_path) == ["talk.copy.mp4"])
    second = daemon.child("watch")
    assert second
    assert second.pid != first.pid
    assert any(line["message"].startswith("the watch process died") for line in daemon.lines())


@pytest.mark.slow
@pytest.mark.parametrize("poll", [False, True], ids=["listening", "polling"])
def test_a_daemon_that_is_killed_every_few_seconds_delivers_each_file_once(
    tmp_path: Path, clip: bytes, poll: bool
) -> None:
    (tmp_path / "in").mkdir()
    keys = {"settle_seconds": 0.3, "poll": poll, "poll_seconds": 0.3, "duplicates": "move"}
    declare(tmp_path / "watch", path=str(tmp_path / "in"), output=str(tmp_path / "out"), **keys)
    pick, count = random.Random(3), 8
    seen: set[str] = set()
    with Daemon(tmp_path, {"copy": COPY}, watches__dirs=[str(tmp_path / "watch")], **FAST) as daemon:
        for number in range(count):
            how = number % 4
            path, data = tmp_path / f"in/{number}.mp4", film(clip, number)
            if how == 0:  # mv
                (tmp_path / "aside").write_bytes(data)
                (tmp_path / "aside").rename(path)
            elif how == 1:  # rsync
                (tmp_path / f"in/.{number}.mp4.Xa7f2b").write_bytes(data)
                (tmp_path / f"in/.{number}.mp4.Xa7f2b").rename(path)
            elif how == 2:  # a slow writer
                with path.open("wb") as handle:
                    for at in range(0, len(data), 2000):
                        handle.write(data[at : at + 2000])
                        handle.flush()
                        time.sleep(0.05)
            else:
                path.write_bytes(data)
                (tmp_path / f"in/again{number}.mp4").write_bytes(data)
                (tmp_path / f"in/bad{number}.mp4").write_bytes(b"no video %d" % number)
            if number % 8 == 7:
                daemon.kill()
                daemon.start()
        deadline = time.monotonic() + 4 * PATIENCE_S
        while len(outputs(tmp_path)) < count or any(p for p in (tmp_path / "in").iterdir() if p.name != ".vtid"):
            assert time.monotonic() < deadline, (outputs(tmp_path), list((tmp_path / "in").iterdir()))
            # It may do something, and is killed soon after: at some moment, which is what is random here.
            done = len(outputs(tmp_path))
            wait_until(lambda d=done: len(outputs(tmp_path)) > d or len(outputs(tmp_path)) == count)  # type: ignore[misc]
            time.sleep(pick.uniform(0.0, 2.0))
            for name in outputs(tmp_path):  # whatever is visible is whole
                if name not in seen:
                    seen.add(name)
                    assert (tmp_path / "out" / name).read_bytes() == film(clip, _number(name))
            daemon.kill()
            daemon.start()
        own = tmp_path / "in/.vtid"
        wait_until(lambda: not [p for p in (own / "processing").rglob("*") if p.is_file()])
        numbers = sorted(_number(n) for n in outputs(tmp_path))
        assert numbers == list(range(count)), "each unique file once"
        assert len(list((own / "failed").glob("bad*.mp4"))) == count // 4
        assert len(list((own / "failed").glob("bad*.mp4.txt"))) == count // 4
        assert len(list((own / "duplicate").glob("*.mp4"))) == count // 4
        assert len(list((own / "done").glob("*.mp4"))) == count


def test_nobody_waits_for_the_lease_of_one_that_was_killed(daemon: Daemon, tmp_path: Path, clip: bytes) -> None:
    (tmp_path / "in/a.mp4").write_bytes(clip)
    wait_until(lambda: outputs(tmp_path) == ["a.copy.mp4"])
    daemon.kill()
    (tmp_path / "in/b.mp4").write_bytes(film(clip, 1))
    daemon.start()
    wait_until(lambda: outputs(tmp_path) == ["a.copy.mp4", "b.copy.mp4"])
    said = [line["message"] for line in daemon.lines()]
    assert "took a hot folder over from a watcher that died" in said
