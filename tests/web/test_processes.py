"""Two API processes on one database: whatever one hears, the other tells."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import socketio
from websockets.sync.client import connect

from tests.conftest import PATIENCE_S, wait_until
from tests.web.daemon import Daemon
from tests.web.site import API, PIPELINES, another, events

KEYS = "/api/v1/users/me/api-keys"
CHUNKED = "/api/v1/chunked-upload"
Pair = tuple[Daemon, Daemon]


def pair(folder: Path, **settings: Any) -> Iterator[Pair]:
    """Two daemons; the first has a worker."""
    with Daemon(folder / "a", PIPELINES, **settings) as first:
        shared = {"data__path": str(first.data), "pipelines__dirs": [str(first.folder / "pipelines")]}
        with Daemon(folder / "b", {}, workers=False, **settings | shared) as second:
            yield first, second


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield from pair(tmp_path_factory.mktemp("both"))


def bearer(daemon: Daemon) -> str:
    return str(daemon.http.headers["authorization"])


def test_what_is_submitted_here_is_followed_there(both: Pair, clip: Path) -> None:
    here, there = both
    with clip.open("rb") as file:
        answer = here.http.post(f"{API}/submit", files={"file": file}, data={"pipeline": "ticking"})
    job_id = answer.json()["job_id"]
    line = str(there.http.base_url).replace("http", "ws") + f"/ws/jobs/{job_id}"
    told: list[dict[str, Any]] = []
    client = socketio.Client(reconnection=False)
    client.on("job_update", told.append)
    client.connect(str(there.http.base_url), auth={"token": bearer(there).partition(" ")[2]}, transports=["websocket"])
    try:
        assert client.call("subscribe_job", {"job_id": job_id}, timeout=PATIENCE_S)["ok"]
        with (
            connect(line, proxy=None, additional_headers={"Authorization": bearer(there)}) as socket,
            there.http.stream("GET", f"{API}/{job_id}/events") as stream,
        ):
            streamed = [json.loads(e["data"]) for e in events(stream.iter_lines()) if "data" in e]
            messages = []
            while not messages or messages[-1].get("status") != "completed":
                messages.append(json.loads(socket.recv(PATIENCE_S)))
        wait_until(lambda: any(update["status"] == "completed" for update in told))
    finally:
        client.disconnect()
    assert streamed[-1]["status"] == "completed"
    assert there.http.get(f"{API}/{job_id}").json()["status"] == "completed"


def test_chunks_go_to_whichever_answers(both: Pair, clip: Path) -> None:
    data = another(clip)
    size = len(data) // 5 + 1
    wish = {"filename": "a.mp4", "total_size": len(data), "chunk_size": size}
    upload = both[0].http.post(f"{CHUNKED}/init", json=wish).json()["upload_id"]
    for index, daemon in zip(range(5), cycle(both), strict=False):
        parts = [("chunk_index", (None, str(index))), ("chunk", ("c", data[index * size : (index + 1) * size]))]
        assert daemon.http.post(f"{CHUNKED}/chunk/{upload}", files=parts).status_code == 200
    asset = both[1].http.post(f"{CHUNKED}/complete/{upload}").json()
    assert both[0].http.get(asset["url"].replace(str(both[1].http.base_url), "")).content == data


def test_what_is_revoked_here_ends_there(both: Pair) -> None:
    here, there = both
    made = here.http.post(KEYS, json={"name": str(uuid.uuid4())}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert there.http.get("/api/v1/users/me", headers=headers).status_code == 200
    here.http.delete(f"{KEYS}/{made['id']}")
    wait_until(lambda: there.http.get("/api/v1/users/me", headers=headers).status_code == 401)


def test_limits_are_counted_together_in_redis(tmp_path: Path, redis_url: str) -> None:
    limits = {"rate_limits__public_per_minute": 1, "rate_limits__public_burst": 6}
    # Who does not answer in time is not asked: then each counts for itself.
    patient = f"{redis_url}?socket_timeout={PATIENCE_S}&socket_connect_timeout={PATIENCE_S}"
    for here, there in pair(tmp_path, queue__url=patient, **limits):
        stranger = {"authorization": "Bearer nobody"}
        answers = [d.http.get("/api/v1/users/me", headers=stranger) for d, _ in zip(cycle((here, there)), range(8))]
        assert [a.status_code for a in answers] == [401] * 6 + [429] * 2
