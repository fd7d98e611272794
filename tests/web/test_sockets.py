"""WebSockets on a real socket: every message once and in order, whoever reads slowly, leaves, or comes back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.conftest import PATIENCE_S, wait_until
from tests.web.site import API, Site, serving
from vtid.domain.job import Failure
from vtid.web import auth
from vtid.web.routes import sockets

KEYS = "/api/v1/users/me/api-keys"
NOBODY = "00000000-0000-4000-8000-000000000000"


@contextmanager
def line(site: Site, path: str, **options: Any) -> Iterator[ClientConnection]:
    url = site.url.replace("http", "ws") + path
    usual = {"proxy": None, "open_timeout": 20, "close_timeout": 1, "additional_headers": site.auth}
    with connect(url, **usual | options) as made:
        yield made


def read(made: ClientConnection, count: int = 10**9) -> list[dict[str, Any]]:
    """Messages until the line is closed, or so many have come."""
    found = []
    try:
        while len(found) < count:
            found.append(json.loads(made.recv(PATIENCE_S)))
    except ConnectionClosed:
        pass
    return found


def queued(still: Site, clip: Path) -> str:
    return still.submit(clip).json()["job_id"]


def test_a_job_from_its_start_to_its_end(site: Site, clip: Path) -> None:
    job_id = site.submit(clip, "steady").json()["job_id"]
    with line(site, f"/ws/jobs/{job_id}?last_sequence=0") as made:
        told = read(made, 1)
        while not (told[-1]["type"] == "progress" and told[-1]["estimated_time_remaining"] is not None):
            told += read(made, 1)
        site.http.post(f"{API}/{job_id}/cancel")
        told += read(made)
        assert made.protocol.close_code == 1000
    assert told[0]["type"] == "connected"
    assert told[0]["overall_progress"] >= 0
    assert told[0]["reconnection_token"]
    assert {m["type"] for m in told} - {"heartbeat"} == {"connected", "status", "progress"}
    assert all(m["job_id"] == job_id for m in told)
    sequences = [m["sequence"] for m in told[1:]]
    assert sequences == sorted(set(sequences))
    assert all(datetime.fromisoformat(m["timestamp"]).tzinfo for m in told)
    ticks = [m for m in told if m["type"] == "progress" and m["stage"] == "slow"]
    assert ticks[-1].keys() == {
        "type",
        "timestamp",
        "job_id",
        "sequence",
        "stage",
        "percentage",
        "overall_progress",
        "message",
        "estimated_time_remaining",
    }
    assert any(m["percentage"] for m in ticks)
    assert (told[-1]["type"], told[-1]["status"]) == ("status", "cancelled")


def test_without_a_number_only_news_comes(still: Site, clip: Path) -> None:
    job_id = queued(still, clip)
    with line(still, f"/ws/jobs/{job_id}") as made:
        (hello,) = read(made, 1)
        assert (hello["status"], hello["sequence"]) == ("queued", 1)
        still.http.post(f"{API}/{job_id}/cancel")
        told = [m for m in read(made) if m["type"] != "heartbeat"]
    assert [(m["type"], m["status"], m["sequence"]) for m in told] == [("status", "cancelled", 2)]


def test_a_failure_is_told(site: Site, clip: Path) -> None:
    job = site.done(clip, "fails")
    with line(site, f"/ws/jobs/{job['job_id']}?last_sequence=1") as made:
        told = read(made)
    error = next(m for m in told if m["type"] == "error")
    assert (error["error_code"], error["error_message"]) == (job["error"]["code"], job["error"]["message"])
    assert error["stage"] == "fail"
    assert error["is_recoverable"] is True
    assert told[-1]["status"] == "failed"


def test_an_ended_job_says_so_and_closes(site: Site, clip: Path) -> None:
    job = site.done(clip)
    with line(site, f"/ws/jobs/{job['job_id']}") as made:
        told = read(made)
        assert made.protocol.close_code == 1000
    assert [(m["type"], m["status"]) for m in told] == [("connected", "completed")]


@pytest.mark.parametrize("path", ["/api/v1/ws/compositions", "/ws/compositions"])
def test_a_composition_is_a_job(site: Site, clip: Path, path: str) -> None:
    job_id = site.done(clip)["job_id"]
    with line(site, f"{path}/{job_id}?last_sequence=0") as made:
        told = read(made)
    assert {m["composition_id"] for m in told} == {job_id}
    assert all("job_id" not in m for m in told)


def test_the_line_is_kept_alive(still: Site, clip: Path) -> None:
    """`still` beats fast."""
    with line(still, f"/ws/jobs/{queued(still, clip)}") as made:
        told = read(made, 3)
    assert [m["type"] for m in told] == ["connected", "heartbeat", "heartbeat"]
    assert [m["sequence"] for m in told] == [1, 1, 1]


def test_a_client_that_comes_back_misses_nothing(still: Site, clip: Path) -> None:
    job_id = queued(still, clip)
    still.emit(job_id, 300, "progress")
    seen: list[int] = []
    last, token = 0, ""
    for most in (7, 100, 250):
        path = f"/ws/jobs/{job_id}?last_sequence={last}&reconnection_token={token}"
        with line(still, path) as made:
            hello, *told = (m for m in read(made, most) if m["type"] != "heartbeat")
        token = hello["reconnection_token"]
        seen += [m["sequence"] for m in told]
        last = seen[-1]
        if last == 301:
            break
    assert seen == list(range(1, 302))


def test_a_reader_that_sleeps_is_closed_and_misses_nothing(
    still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    close = sockets._close

    async def spy(socket: Any, code: int, reason: str) -> None:
        closed.append(code)
        await close(socket, code, reason)

    job_id = queued(still, clip)
    big = "x" * 200_000

    async def write(count: int) -> None:
        from vtid.db.rows import emit

        for i in range(count):
            async with still.app.database.write() as c:
                await emit(c, job_id, float(i), "progress", {"message": f"{i} {big}"})

    still.bridge.run(write(120))
    host, _, port = still.url.removeprefix("http://").partition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    sock.connect((host, int(port)))
    path = f"/ws/jobs/{job_id}?last_sequence=0"
    with (
        monkeypatch.context() as patch,
        line(still, path, sock=sock, max_size=None, max_queue=1, compression=None) as sleeper,
    ):
        patch.setattr(sockets, "SLOW_S", 0.3)
        patch.setattr(sockets, "_close", spy)
        wait_until(lambda: sockets.SLOW in closed)  # let go of, though it reads nothing
        told = read(sleeper)
    assert 0 < len(told) < 122
    last = told[-1]["sequence"]
    with line(still, f"/ws/jobs/{job_id}?last_sequence={last}", max_size=None) as made:
        rest = read(made, 1 + 121 - last)
    assert [m["sequence"] for m in told[1:] + rest[1:]] == list(range(1, 122))


def test_one_that_leaves_is_forgotten(still: Site, clip: Path) -> None:
    job_id = queued(still, clip)
    feed = still.web.state.feed
    with line(still, f"/ws/jobs/{job_id}") as made:
        read(made, 1)
        wait_until(lambda: feed.watching == 1)
    wait_until(lambda: feed.watching == 0)


def test_a_daemon_that_stops_says_so(tmp_path: Path, clip: Path) -> None:
    with ExitStack() as lines, serving(tmp_path, workers=False) as site:
        job_id = queued(site, clip)
        url = site.url.replace("http", "ws") + f"/ws/jobs/{job_id}"
        made = lines.enter_context(connect(url, proxy=None, open_timeout=PATIENCE_S, additional_headers=site.auth))
        assert json.loads(made.recv(PATIENCE_S))["type"] == "connected"
    assert made.close_code == 1012


@pytest.mark.parametrize(
    ("path", "close", "code"),
    [
        (f"/ws/jobs/{NOBODY}", 4404, "not_found"),
        ("/ws/jobs/x", 4404, "not_found"),
        (f"/api/v1/ws/compositions/{NOBODY}", 4404, "not_found"),
    ],
)
def test_nothing_there(still: Site, path: str, close: int, code: str) -> None:
    with line(still, path) as made:
        (told,) = read(made)
        assert (told["type"], told["error_code"]) == ("error", code)
        assert made.protocol.close_code == close


@pytest.mark.parametrize("text", ["x", "%C2%B2", "9" * 30])
def test_a_number_that_is_none(still: Site, clip: Path, text: str) -> None:
    with line(still, f"/ws/jobs/{queued(still, clip)}?last_sequence={text}") as made:
        assert read(made)[0]["error_code"] == "invalid_input"
        assert made.protocol.close_code == 4400


@pytest.mark.parametrize("path", [f"/ws/jobs/{NOBODY}", "/socket.io/?EIO=4&transport=websocket"])
@pytest.mark.parametrize(
    "options",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"additional_headers": {"Sec-Fetch-Site": "cross-site"}},
    ],
)
def test_pages_of_other_sites_open_nothing(still: Site, path: str, options: dict[str, Any]) -> None:
    """For a handshake a browser asks nobody's leave: only its Origin tells."""
    with pytest.raises(InvalidStatus) as refused, line(still, path, **options):
        pass
    assert refused.value.response.status_code == 403


def test_a_name_that_is_not_ours_opens_nothing(still: Site) -> None:
    """DNS rebinding: the page and the daemon are of one origin for the browser."""
    host, port = still.url.removeprefix("http://").split(":")
    url = f"ws://evil.example:{port}/ws/jobs/{NOBODY}"
    sock = socket.create_connection((host, int(port)))
    with pytest.raises(InvalidStatus), connect(url, sock=sock, origin=f"http://evil.example:{port}", proxy=None):  # type: ignore[arg-type]
        pass


def test_our_own_pages_may(still: Site, clip: Path) -> None:
    with line(still, f"/ws/jobs/{queued(still, clip)}", origin=still.url) as made:
        assert read(made, 1)[0]["type"] == "connected"


def test_a_hopeless_failure_is_told_as_such() -> None:
    from vtid.domain.job import Event, Job, JobStatus
    from vtid.domain.pipeline import Pipeline
    from vtid.web.live import Teller

    job = Job(
        id="j", status=JobStatus.QUEUED, pipeline=Pipeline("p", "P", ()), params={}, inputs={}, original_filename="a"
    )
    error = {"code": "unsupported_media", "message": "no"}
    event = Event("j", 2, 1.0, "status", {"status": "failed", "progress": 0, "message": "no", "error": error})
    first, second = Teller(job, "job_id", 1).messages(event)
    assert (first["type"], first["is_recoverable"], second["type"]) == ("error", False, "status")
    assert Failure(**error).code == first["error_code"]


def test_whose_key_is_revoked_hears_no_more(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MIND_S", 0.05)
    job_id = queued(still, clip)
    key = still.http.post(KEYS, json={"name": "n", "scopes": ["read"]}).json()
    path, mine = f"/ws/jobs/{job_id}", {"Authorization": f"Bearer {key['key']}"}
    with line(still, path, additional_headers=mine) as made:
        token = read(made, 1)[0]["reconnection_token"]
        with line(still, f"{path}?reconnection_token={token}", additional_headers={}) as again:
            renewed = read(again, 1)[0]["reconnection_token"]
        still.http.delete(f"{KEYS}/{key['id']}")
        assert read(made) == []
        assert made.protocol.close_code == 4401
    for old in (token, renewed):
        with line(still, f"{path}?reconnection_token={old}", additional_headers={}) as made:
            assert read(made)[0]["error_code"] == "unauthorized"
            assert made.protocol.close_code == 4401


def test_coming_back_does_not_renew_itself_for_ever(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/ws/jobs/{queued(still, clip)}"
    now = time.time()
    with line(still, path) as made:
        token = read(made, 1)[0]["reconnection_token"]
    with line(still, f"{path}?reconnection_token={token}", additional_headers={}) as made:
        token = read(made, 1)[0]["reconnection_token"]
    monkeypatch.setattr(sockets.time, "time", lambda: now + sockets.TOKEN_S + 60)
    with line(still, f"{path}?reconnection_token={token}", additional_headers={}) as made:
        assert read(made)[0]["error_code"] == "unauthorized"
