"""Jobs on a URL: fetched as their first work, whatever happens on the way, and judged as an upload is."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE_S, Lab, wait_until
from tests.net.origin import Act, Asked, Origin, origin, say, serves
from vtid.engine.control import Control, Reason
from vtid.engine.downloads import WAITS, Downloads
from vtid.engine.links import Pace
from vtid.errors import RetryLater
from vtid.media.synth import draw_clip
from vtid.net import download
from vtid.net.download import SYNC_BYTES

COPY = '[[step]]\nid="copy"\nuses="lab.pass"\n[[deliver]]\nfrom="copy.video"\nname="{stem}.copy{suffix}"\n'
FAST = {"net__allow": ("127.0.0.1",), "limits__progress_per_second": 100.0}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=2, width=320, height=180, fps=10)
    return path.read_bytes()


@pytest.fixture
def server() -> Iterator[Origin]:
    with origin(lambda _asked, sock: say(sock, "404 Not Found")) as made:
        yield made


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab({"copy": COPY}, **FAST)


def submit(lab: Lab, url: str, pipeline: str = "copy") -> str:
    async def intake() -> str:
        async with lab.app.intake.draft("local") as draft:
            draft.use_url("video", url)
            return (await draft.submit(pipeline=pipeline, params={})).id

    return lab.bridge.run(intake())


def incoming(lab: Lab) -> list[Path]:
    root = Path(lab.app.config.data.path) / "incoming"
    return [p for p in root.rglob("*") if p.is_file()] if root.is_dir() else []


def stored(lab: Lab) -> list[Path]:
    return [p for p in (Path(lab.app.config.data.path) / "files").rglob("*") if p.is_file()]


def test_a_job_fetches_its_video(lab: Lab, server: Origin, content: bytes) -> None:
    server.act = serves(content)
    job_id = submit(lab, f"{server.url}/films/holiday.mp4?key=hush")
    assert lab.job(job_id).status == "queued"
    assert server.asked == []
    job = lab.run(job_id)
    assert job.status == "completed", job.error
    assert job.original_filename == "holiday.mp4"
    assert job.results[0].filename == "holiday.copy.mp4"
    assert b"".join(lab.app.storage.read(job.results[0].key)) == content
    asset = lab.bridge.run(lab.app.assets.get(job.inputs["video"]))
    assert (asset.filename, asset.size, asset.info is not None) == ("holiday.mp4", len(content), True)
    told = [e.data.get("message") for e in lab.events(job_id)]
    assert "holiday.mp4 is here" in told
    assert incoming(lab) == []


def test_the_server_names_the_file(lab: Lab, server: Origin, content: bytes) -> None:
    server.act = serves(content, content_disposition='attachment; filename="../a film.mp4"')
    job = lab.run(submit(lab, f"{server.url}/get?id=7"))
    assert job.results[0].filename == "a film.copy.mp4"


def test_a_broken_line_is_taken_up_where_it_broke(lab: Lab, server: Origin, content: bytes) -> None:
    server.act = serves(content, cut_at=[3000, 3000, len(content) // 2])
    job = lab.run(submit(lab, f"{server.url}/clip.mp4"))
    assert job.status == "completed", job.error
    assert [a.headers.get("range") for a in server.asked[:3]] == [None, "bytes=3000-", "bytes=3000-"]
    assert any("Downloading goes on in" in e.data.get("message", "") for e in lab.events(job.id))


def test_it_holds_no_worker_while_it_waits_for_the_other_side(lab: Lab, server: Origin) -> None:
    server.act = lambda _asked, sock: say(sock, "503 Service Unavailable", retry_after="3600")
    job_id = submit(lab, server.url)
    lab.runner.run(job_id)
    job = wait_until(lambda: (job := lab.job(job_id)).worker_id is None and job)
    assert job.status == "processing"
    assert job.wake_at > 0
    assert "503" in job.message


def test_a_server_that_never_serves_ends_it(make_lab: Callable[..., Lab], server: Origin, content: bytes) -> None:
    lab = make_lab({"copy": COPY}, **FAST, net__download_tries=3, retry__base_seconds=0.01)
    server.act = lambda _asked, sock: say(sock, "502 Bad Gateway")
    job = lab.run(submit(lab, f"{server.url}/clip.mp4"))
    assert (job.status, job.error.code) == ("failed", "download_failed")
    assert "clip.mp4 could not be downloaded: 127.0.0.1 answers 502 Bad Gateway" in job.error.message
    assert len(server.asked) == 3
    server.act = serves(content)
    lab.bridge.run(lab.app.jobs.retry(job.id))
    assert lab.run(job.id).status == "completed"


@pytest.mark.parametrize(
    ("body", "headers", "code", "word"),
    [
        (b"<html>no film here</html>", {"content_type": "text/html"}, "unsupported_media", "clip.mp4"),
        (b"", {}, "unreadable_media", "empty"),
        (b"x" * 10, {"content_length": str(2 << 40)}, "too_large", "larger than"),
        (b"x", {"content_encoding": "gzip"}, "invalid_input", "packed"),
    ],
)
def test_what_is_no_video_is_the_jobs_error(
    lab: Lab, server: Origin, body: bytes, headers: dict[str, str], code: str, word: str
) -> None:
    server.act = lambda _asked, sock: say(sock, "200 OK", body, **headers)
    job = lab.run(submit(lab, f"{server.url}/clip.mp4"))
    assert (job.status, job.error.code) == ("failed", code), job.error
    assert word in job.error.message
    assert incoming(lab) == []
    assert stored(lab) == []


def test_a_page_that_is_not_there(lab: Lab, server: Origin) -> None:
    job = lab.run(submit(lab, f"{server.url}/clip.mp4"))
    assert "video_url: 127.0.0.1 answers 404 Not Found" in job.error.message


def test_a_name_that_leads_inside_is_refused(make_lab: Callable[..., Lab], server: Origin) -> None:
    lab = make_lab({"copy": COPY})
    job = lab.run(submit(lab, f"http://localhost:{server.port}/clip.mp4"))
    assert (job.status, job.error.code) == ("failed", "address_refused")
    assert server.asked == []


def test_a_cancel_ends_a_download_that_hangs(lab: Lab, server: Origin, content: bytes) -> None:
    def hang(_asked: Asked, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + content[:1000])
        server.wait()

    server.act = hang
    job_id = submit(lab, f"{server.url}/clip.mp4")
    lab.runner.run(job_id)
    message = wait_until(lambda: "Downloading" in (words := lab.job(job_id).message) and words)
    assert message == "Downloading clip.mp4: 0.0 of 1.0 MB"
    lab.runner.stop(job_id, Reason.CANCELLED)
    wait_until(lambda: not lab.runner.active)
    assert lab.job(job_id).status == "cancelled"
    assert incoming(lab) == []


def test_a_download_holds_no_slot(make_lab: Callable[..., Lab], server: Origin, tmp_path: Path) -> None:
    """Servers that drip keep jobs on URLs waiting, and nobody else: with one slot, a job with its file runs at once."""
    lab = make_lab({"copy": COPY}, **FAST, workers__count=1, net__download_least_kb=0, rings=True)
    server.act = drip(server)
    dripping = [submit(lab, f"{server.url}/{i}.mp4") for i in range(3)]
    draw_clip(tmp_path / "mine.mp4", seconds=0.4, width=64, height=48, fps=10)
    worker = lab.app.worker(lab.bridge)
    worker.start()
    try:
        for job_id in dripping:
            lab.app.ring(job_id)
        wait_until(lambda: len(server.asked) == 2)
        mine = lab.submit("copy", files={"video": tmp_path / "mine.mp4"})
        assert wait_until(lambda: (job := lab.job(mine)).status.ended and job).status == "completed"
        states = wait_until(lambda: (s := [lab.job(i).message for i in dripping]) and WAITS in s and s)
        assert sum(words.startswith("Downloading") for words in states) == 2, "half of the places are one user's"
        lab.bridge.run(lab.app.jobs.cancel(dripping[0], "local"))
        wait_until(lambda: len(server.asked) == 3)  # whose place it was is gone: the one that waited has it
    finally:
        worker.stop()
    assert {lab.job(i).worker_id for i in dripping} == {None}, "handed back: they go on in the next worker"


def drip(server: Origin) -> Act:
    def act(_asked: Asked, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        while not server._closing.wait(0.1):
            sock.sendall(b"x" * 200)

    return act


def test_of_the_places_none_is_lost() -> None:
    downloads, gate = Downloads(4), threading.Event()
    begun = [downloads.begin(user, lambda: gate.wait(PATIENCE_S) and None) for user in "aaabbcc"]
    assert begun == [True, True, False, True, True, False, False]
    gate.set()
    wait_until(lambda: not downloads._busy)
    assert downloads.begin("a", lambda: None)
    assert Downloads(1).begin("a", lambda: None), "a share is one at least"


def test_a_server_that_drips_is_given_up(
    make_lab: Callable[..., Lab], server: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that come too slowly are no gain: else a server would be asked again for ever."""
    monkeypatch.setattr(download, "PACE_S", 0.2)
    lab = make_lab({"copy": COPY}, **FAST, net__download_tries=2, retry__base_seconds=0.01)
    server.act = drip(server)
    job = lab.run(submit(lab, f"{server.url}/clip.mp4"))
    assert (job.status, job.error.code) == ("failed", "download_failed")
    assert "sends less than 64 KB a second" in job.error.message
    assert len(server.asked) == 2


def test_a_slow_server_may_be_allowed(
    make_lab: Callable[..., Lab], server: Origin, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PACE_S", 0.05)
    lab = make_lab({"copy": COPY}, **FAST, net__download_least_kb=0)

    def act(_asked: Asked, sock: socket.socket) -> None:
        sock.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\n\r\n".encode())
        for at in range(0, len(content), len(content) // 20):
            server._closing.wait(0.02)
            sock.sendall(content[at : at + len(content) // 20])

    server.act = act
    assert lab.run(submit(lab, f"{server.url}/clip.mp4")).status == "completed"
    assert len(server.asked) == 1


def test_a_killed_worker_costs_no_more_than_its_last_moments(lab: Lab, server: Origin, content: bytes) -> None:
    """SIGKILL in the middle of the body; the next worker asks for the rest only."""
    padding = SYNC_BYTES + 2_000_000
    large = content + padding.to_bytes(4, "big") + b"free" + b"\0" * (padding - 8)
    mark = '"one"'

    def act(asked: Asked, sock: socket.socket) -> None:
        if "range" in asked.headers:
            return serves(large, etag=mark)(asked, sock)
        sock.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(large)}\r\netag: {mark}\r\n\r\n".encode() + large[:-9])
        return server.wait()

    server.act = act
    job_id = submit(lab, f"{server.url}/clip.mp4")
    code = f"from tests.engine.once_worker import main; main({str(lab.pipelines_dir.parent)!r}, {job_id!r})"
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen([sys.executable, "-c", code], cwd=root) as worker:
        try:
            wait_until(lambda: any(p.name == "state.json" for p in incoming(lab)))
        finally:
            worker.kill()
    assert lab.run(job_id).status == "completed"
    first, second = server.asked
    assert "range" not in first.headers
    assert int(second.headers["range"].removeprefix("bytes=").rstrip("-")) >= SYNC_BYTES


def test_a_worker_that_slept_keeps_its_hands_off(lab: Lab, server: Origin, content: bytes) -> None:
    """Two workers that both believe to have the job: the second waits for the first to let go of the file."""
    gate = threading.Event()

    def slow(asked: Asked, sock: socket.socket) -> None:
        gate.wait(PATIENCE_S)
        serves(content)(asked, sock)

    server.act = slow
    job_id = submit(lab, f"{server.url}/clip.mp4")
    claim = lab.bridge.run(lab.work.claim(job_id))
    assert claim is not None

    def bring() -> Any:
        return lab.runner.fetcher.bring(claim, Control(job_id), Pace(1.0))

    first = threading.Thread(target=bring)
    first.start()
    wait_until(lambda: server.asked)
    with pytest.raises(RetryLater, match="Another worker"):
        bring()
    gate.set()
    first.join(PATIENCE_S)
    assert len(server.asked) == 1


def test_urls_do_not_lie_in_the_clear(lab: Lab, server: Origin, content: bytes) -> None:
    server.act = serves(content)
    job_id = submit(lab, f"{server.url}/clip.mp4?signature=hush-hush")
    database = Path(lab.app.config.data.path)

    def everything() -> bytes:
        return b"".join(p.read_bytes() for p in database.glob("vtid.db*"))

    assert b"hush-hush" not in everything()
    assert lab.run(job_id).status == "completed"
    assert b"hush-hush" not in everything()
