"""`vtid serve` on its worst days: killed at any moment, out of disk, asked to stop, started where it may not."""

from __future__ import annotations

import random
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.web.daemon import Daemon
from tests.web.site import API, COPY, events, problem
from vtid.accounts import local_key
from vtid.media.synth import draw_clip

WORK = '[[step]]\nid = "slow"\nuses = "lab.slow"\nwith = {{ ticks = {ticks}, seconds = 0.02 }}\n' + COPY.replace(
    "{", "{{"
).replace("}", "}}")
PIPELINES = {"work": WORK.format(ticks=60), "endless": WORK.format(ticks=100_000)}
ENDED = {"completed", "failed", "cancelled"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=0.5, width=160, height=90, fps=10)
    return path


def submit(daemon: Daemon, clip: Path, pipeline: str) -> str:
    answer = daemon.http.post(
        f"{API}/submit", files={"file": ("clip.mp4", clip.read_bytes())}, data={"pipeline": pipeline}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def job(daemon: Daemon, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.http.get(f"{API}/{job_id}").json()
    return found


def ended(daemon: Daemon, job_id: str) -> dict[str, Any]:
    return wait_until(lambda: (found := job(daemon, job_id))["status"] in ENDED and found, every=0.1)


def results(daemon: Daemon) -> list[Path]:
    return [p for p in (daemon.data / "files" / "users").rglob("result/**/*") if p.is_file()]


def sound(daemon: Daemon) -> None:
    """The databases have taken no harm."""
    for name in ("vtid.db", "queue.db"):
        with sqlite3.connect(daemon.data / name) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


# --- starting


def serve(config: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtid.cli", "--config", str(config), "serve", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vtid.toml"
    path.write_text(f'data.path = "{tmp_path / "data"}"\n')
    return path


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_with_a_secret_that_everybody_knows_it_lets_nobody_else_in(config: Path, host: str) -> None:
    config.write_text(config.read_text() + 'auth.jwt_secret_key = "your-super-secret-key-change-in-production"\n')
    said = serve(config, "--host", host)
    assert said.returncode == 4
    assert f"{host} lets others in" in said.stderr
    assert "super-secret" not in said.stderr
    assert "Traceback" not in said.stderr


def test_a_port_that_is_taken(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = serve(config, "--port", str(port))
    assert said.returncode == 7
    assert str(port) in said.stderr
    assert "--port" in said.stderr
    assert "Traceback" not in said.stderr


# --- a day in its life


@pytest.mark.slow
def test_serve_work_and_stop(tmp_path: Path, clip: Path) -> None:
    with Daemon(tmp_path, PIPELINES, server__drain_seconds=PATIENCE_S) as daemon:
        daemon.ready()
        assert daemon.http.get("/health").json()["services"] == ["db", "queue", "storage", "workers"]
        job_id = submit(daemon, clip, "work")
        wait_until(lambda: job(daemon, job_id)["status"] == "processing")
        family = daemon.family()
        assert daemon.terminate() == 0
        assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
        daemon.start()
        assert job(daemon, job_id)["status"] == "completed", "it was let finish"
        assert daemon.http.get(job(daemon, job_id)["result_url"]).content == clip.read_bytes()
        assert daemon.terminate() == 0


@pytest.mark.slow
def test_what_does_not_finish_in_time_is_handed_back(tmp_path: Path, clip: Path) -> None:
    with Daemon(tmp_path, PIPELINES, server__drain_seconds=1) as daemon:
        daemon.ready()
        job_id = submit(daemon, clip, "endless")
        wait_until(lambda: job(daemon, job_id)["steps"][0]["status"] == "running")
        family = daemon.family()
        with daemon.http.stream("GET", f"{API}/{job_id}/events") as following:
            next(following.iter_lines())
            assert daemon.terminate() == 0
        assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
        daemon.start()
        wait_until(lambda: job(daemon, job_id)["steps"][0]["attempt"] == 2)
        daemon.http.post(f"{API}/{job_id}/cancel")
        assert ended(daemon, job_id)["status"] == "cancelled"


@pytest.mark.slow
def test_an_upload_in_hand_is_finished_before_it_stops(tmp_path: Path, clip: Path) -> None:
    with Daemon(tmp_path, PIPELINES, workers=False, server__drain_seconds=PATIENCE_S) as daemon:
        host = daemon.http.base_url.netloc
        content = clip.read_bytes()
        body = (
            b'--x\r\nContent-Disposition: form-data; name="pipeline"\r\n\r\nwork\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
            + content
            + b"\r\n--x--\r\n"
        )
        with socket.create_connection(
            (daemon.http.base_url.host, daemon.http.base_url.port), timeout=PATIENCE_S
        ) as line:
            line.sendall(
                b"POST /api/v1/jobs/submit HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n"
                % (host, key(daemon), len(body))
            )
            line.sendall(body[:5000])
            wait_until(lambda: any(daemon.data.glob("files/.staging/*")))
            daemon.process.terminate()
            wait_until(lambda: not answers(daemon))
            line.sendall(body[5000:])
            assert line.recv(100).startswith(b"HTTP/1.1 202 ")
        assert daemon.process.wait(PATIENCE_S) == 0


def key(daemon: Daemon) -> bytes:
    return (local_key(daemon.data) or "").encode()


def answers(daemon: Daemon) -> bool:
    try:
        httpx.get(f"{daemon.http.base_url}/", trust_env=False)
    except httpx.TransportError:
        return False
    return True


def test_an_answer_does_not_wait_for_the_network(tmp_path: Path) -> None:
    """Nagle's algorithm and delayed acknowledgements together cost each answer 40 ms, where the socket is not set up."""
    with Daemon(tmp_path, {}, workers=False) as daemon:

        def took() -> float:
            started = time.perf_counter()
            daemon.http.get("/nowhere")
            return time.perf_counter() - started

        wait_until(lambda: took() < 0.03)  # each would wait; that a busy machine is slow now and then says nothing


# --- killed


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path, clip: Path) -> None:
    pick, kills = random.Random(11), 5
    with Daemon(tmp_path, PIPELINES) as daemon:
        daemon.ready()
        ids = [submit(daemon, clip, "work") for _ in range(2)]
        for _ in range(kills):
            time.sleep(pick.uniform(0.0, 1.5))  # not for luck: the moment of the kill is what is random here
            for path in results(daemon):
                assert path.read_bytes() == clip.read_bytes(), "what is under /result is whole"
            daemon.kill()
            assert not daemon.relatives()
            assert all(path.read_bytes() == clip.read_bytes() for path in results(daemon))
            daemon.start()
        for job_id in ids:
            found = ended(daemon, job_id)
            assert found["status"] == "completed", found
            assert daemon.http.get(found["result_url"]).content == clip.read_bytes()
            numbers = told(daemon, job_id)
            assert numbers == sorted(set(numbers))
        assert daemon.terminate() == 0
        sound(daemon)
        left = [p for p in (daemon.data / "work").rglob("*") if p.is_file()]
        assert not left


def told(daemon: Daemon, job_id: str) -> list[int]:
    """The numbers of the job's events as they come."""
    with daemon.http.stream("GET", f"{API}/{job_id}/events") as answer:
        return [int(e["id"]) for e in events(answer.iter_lines()) if "id" in e]


@pytest.mark.slow
def test_killed_during_uploads_it_keeps_no_halves(tmp_path: Path, clip: Path) -> None:
    with Daemon(tmp_path, PIPELINES, workers=False) as daemon:
        with socket.create_connection(
            (daemon.http.base_url.host, daemon.http.base_url.port), timeout=PATIENCE_S
        ) as line:
            line.sendall(
                b"POST /api/v1/jobs/submit HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n" % key(daemon)
                + b'Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000000\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
                + b"m" * 3_000_000
            )
            wait_until(lambda: any(p.stat().st_size > 1_000_000 for p in daemon.data.glob("files/.staging/*")))
            daemon.kill()
        assert not [p for p in (daemon.data / "files" / "users").rglob("*") if p.is_file()]
        daemon.start()
        assert daemon.http.get(f"{API}/").json()["jobs"] == []
        sound(daemon)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_started_again(tmp_path: Path, clip: Path) -> None:
    with Daemon(tmp_path, PIPELINES) as daemon:
        daemon.ready()
        job_id = submit(daemon, clip, "work")
        wait_until(lambda: job(daemon, job_id)["status"] == "processing")
        worker = daemon.worker()
        assert worker
        below = worker.children(recursive=True)
        worker.kill()
        assert not psutil.wait_procs(below, timeout=PATIENCE_S)[1], "its steps went with it"
        after = wait_until(lambda: (w := daemon.worker()) and w.pid != worker.pid and w)
        assert after.is_running()
        found = ended(daemon, job_id)
        assert found["status"] == "completed"
        assert any(line["message"].startswith("the worker process died") for line in daemon.lines())
        assert daemon.terminate() == 0


# --- no room


@pytest.mark.slow
def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path, clip: Path) -> None:
    with Daemon(tmp_path, PIPELINES, workers=False) as daemon:
        job_id = submit(daemon, clip, "work")
        assert daemon.terminate() == 0
    text = daemon.config.read_text().replace("limits.min_free_disk_mb = 1\n", f"limits.min_free_disk_mb = {10**9}\n")
    daemon.config.write_text(text)
    daemon._flags = []
    with daemon:
        upload = {"files": {"file": ("clip.mp4", clip.read_bytes())}, "data": {"pipeline": "work"}}
        body = problem(daemon.http.post(f"{API}/submit", **upload), 507, "disk_full")
        assert body["suggested_action"]
        found = ended(daemon, job_id)
        assert found["status"] == "failed"
        assert found["error"]["code"] == "disk_full"
        assert "kept free" in found["error"]["message"]
        sick = daemon.http.get("/health")
        assert sick.status_code == 503
        assert "storage" in sick.json()["problems"]
        assert daemon.terminate() == 0
        sound(daemon)
        assert not results(daemon)
