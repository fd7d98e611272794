"""Uploads: limits, memory, clients that leave, many at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.web.daemon import Daemon
from tests.web.site import API, COPY, Site, another, problem

SUBMIT = f"{API}/submit"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="pipeline"\r\n\r\ncopy\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"
MIB = b"m" * (1 << 20)


def body(mebibytes: int, start: bytes = b"") -> Iterator[bytes]:
    """A form with a file that is made as it is sent; httpx sends it chunked, so that nobody knows how long it will be."""
    yield HEAD + start
    for _ in range(mebibytes):
        yield MIB
    yield TAIL


# --- limits: the site takes one megabyte


def test_too_large_by_what_it_says(still: Site) -> None:
    for size in (3, 40):
        answer = still.http.post(SUBMIT, files={"file": ("a.mp4", MIB * size)}, data={"pipeline": "copy"})
        body = problem(answer, 413, "too_large")
        assert "1 MB" in body["detail"]
        assert body["suggested_action"]
    assert still.stored().isdisjoint({"a.mp4"})


def test_too_large_as_it_turns_out(still: Site) -> None:
    before = still.stored()
    problem(still.http.post(SUBMIT, content=body(30), headers=FORM), 413, "too_large")
    assert still.stored() == before


def test_what_is_no_file_is_limited_too(still: Site) -> None:
    fields = {f"f{i}": (None, "a" * 200_000) for i in range(60)}
    answer = still.http.post(SUBMIT, files=fields)
    assert problem(answer, answer.status_code)
    assert answer.status_code in (400, 413)


def test_a_file_of_just_the_limit_is_taken(still: Site, clip: Path) -> None:
    padded = clip.read_bytes()
    padded += b"\0\0\0\x08free" * (((1 << 20) - len(padded)) // 8)
    assert still.submit(padded).status_code == 202


def test_a_connection_serves_on_after_a_refused_upload(still: Site) -> None:
    with still.client() as client:
        problem(client.post(SUBMIT, content=body(3), headers=FORM), 413)
        assert client.get("/api/v1/pipelines").status_code == 200


# --- clients that leave


@pytest.mark.parametrize("announced", [True, False])
def test_a_client_that_leaves_leaves_nothing(still: Site, announced: bool) -> None:
    before, host = still.stored(), still.url.removeprefix("http://")
    length = b"Content-Length: 900000" if announced else b"Transfer-Encoding: chunked"
    with socket.create_connection(host.split(":"), timeout=PATIENCE_S) as line:
        line.sendall(
            b"POST %s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Type: multipart/form-data; boundary=x\r\n%s\r\n\r\n"
            % (SUBMIT.encode(), host.encode(), still.key.encode(), length)
        )
        data = HEAD + MIB[:100_000]
        line.sendall(data if announced else b"%x\r\n%s\r\n" % (len(data), data))
        wait_until(lambda: still.stored() - before)
    wait_until(lambda: still.stored() == before)
    assert still.http.get("/api/v1/pipelines").status_code == 200


# --- many


def test_many_at_once(still: Site, clip: Path) -> None:
    contents = [another(clip) for _ in range(32)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(still.submit, contents))
    assert {a.status_code for a in answers} == {202}
    ids = {a.json()["job_id"] for a in answers}
    assert len(ids) == 32
    kept = [key for key in still.stored() if key.split("/")[3] in ids]
    assert len(kept) == 32
    assert {(still.files / key).read_bytes() for key in kept} == set(contents)


def test_uploads_that_stall_hold_up_nobody(still: Site, clip: Path) -> None:
    host = still.url.removeprefix("http://")
    lines = [socket.create_connection(host.split(":"), timeout=PATIENCE_S) for _ in range(40)]
    try:
        for line in lines:
            line.sendall(
                b"POST %s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 900000\r\n\r\n"
                % (SUBMIT.encode(), host.encode(), still.key.encode())
            )
            line.sendall(HEAD)
        assert still.submit(clip).status_code == 202
    finally:
        for line in lines:
            line.close()
    wait_until(lambda: not any(still.files.glob(".staging/*")))


# --- memory


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    with Daemon(tmp_path, {"copy": COPY}, workers=False) as daemon:
        process = psutil.Process(daemon.process.pid)
        # Once on a small scale, so that what is loaded on first use is not counted; then the prober is at work too.
        problem(daemon.http.post(SUBMIT, content=body(8), headers=FORM), 415)
        before, peak = process.memory_info().rss, 0

        def watched() -> Iterator[bytes]:
            nonlocal peak
            for i, piece in enumerate(body(320)):
                if i % 16 == 0:
                    peak = max(peak, process.memory_info().rss)
                yield piece

        answer = daemon.http.post(SUBMIT, content=watched(), headers=FORM, timeout=120)
        peak = max(peak, process.memory_info().rss)
        problem(answer, 415)
        assert (peak - before) / 2**20 < 40
        assert not [p for p in (daemon.data / "files").rglob("*") if p.is_file()]
