"""Socket.IO with the stock clients: python-socketio's, and the JavaScript one where node and npm are there."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.conftest import PATIENCE_S, wait_until
from tests.web.site import API, Site, problem, serving
from vtid.web import auth, socket_io

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The stock client leaves sockets open for the garbage collector to find."""
KEYS = "/api/v1/users/me/api-keys"
NOBODY = "00000000-0000-4000-8000-000000000000"


class Client:
    """The stock client, and what it was told."""

    def __init__(self, url: str, transports: list[str] | None = None, **options: Any) -> None:
        self._told: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.gone = threading.Event()
        self.io = socketio.Client(reconnection=False)
        self.io.on("job_update", self._told.append)
        self.io.on("job_error", self.errors.append)
        self.io.on("disconnect", lambda *_: self.gone.set())
        self.io.connect(url, transports=transports, wait_timeout=PATIENCE_S, **options)

    @property
    def updates(self) -> list[dict[str, Any]]:
        """By their numbers: this client hands each update to a thread of its own."""
        return sorted(self._told, key=lambda update: update["sequence"])

    def close(self) -> None:
        http = self.io.eio.http
        self.io.disconnect()
        if http is not None:
            http.close()
        # The library leaves sockets to the garbage collector, in whose test soever it comes by.
        del self.io, http
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def subscribe(self, job_id: str, **more: Any) -> dict[str, Any]:
        return self.io.call("subscribe_job", {"job_id": job_id, **more}, timeout=PATIENCE_S)  # type: ignore[no-any-return]


@contextmanager
def client(site: Site, transports: list[str] | None = None, **options: Any) -> Iterator[Client]:
    made = Client(site.url, transports, **{"auth": {"token": site.key}} | options)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
def test_a_job_from_its_start_to_its_end(site: Site, clip: Path, transports: list[str] | None) -> None:
    job_id = site.submit(clip, "steady").json()["job_id"]
    with client(site, transports) as made:
        answer = made.subscribe(job_id)
        assert answer["ok"]
        assert answer["job_id"] == job_id
        wait_until(lambda: len({u["progress"] for u in made.updates}) > 3)
        site.http.post(f"{API}/{job_id}/cancel")
        wait_until(lambda: made.updates[-1]["status"] == "cancelled")
    assert all(u.keys() == {"job_id", "status", "progress", "message", "sequence"} for u in made.updates)
    assert {u["job_id"] for u in made.updates} == {job_id}
    progress = [u["progress"] for u in made.updates]
    assert progress == sorted(progress)
    sequences = [u["sequence"] for u in made.updates]
    assert sequences == sorted(sequences)


def test_several_jobs_and_no_other(still: Site, clip: Path) -> None:
    mine, other, left = (still.submit(clip).json()["job_id"] for _ in range(3))
    with client(still) as made:
        made.subscribe(mine)
        made.subscribe(left)
        assert made.io.call("unsubscribe_job", {"job_id": left}, timeout=PATIENCE_S) == {"ok": True}
        assert made.io.call("unsubscribe_job", {"job_id": left}, timeout=PATIENCE_S) == {"ok": False}
        for job_id in (other, left, mine):
            still.http.post(f"{API}/{job_id}/cancel")
        wait_until(lambda: any(u["status"] == "cancelled" for u in made.updates))
    assert [u["job_id"] for u in made.updates if u["status"] == "cancelled"] == [mine]


def test_a_client_that_comes_back_misses_nothing(still: Site, clip: Path) -> None:
    job_id = still.submit(clip).json()["job_id"]
    with client(still) as made:
        seen = made.subscribe(job_id)["sequence"]
    still.emit(job_id, 50, "progress")
    with client(still) as made:
        made.subscribe(job_id, last_sequence=seen)
        wait_until(lambda: len(made.updates) == 51)
    assert [u["sequence"] for u in made.updates] == list(range(1, 52))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"job_id": NOBODY}, "not_found"),
        ({"job_id": "x"}, "not_found"),
        ({}, "invalid_input"),
        ("x", "invalid_input"),
        (None, "invalid_input"),
        ({"job_id": NOBODY, "last_sequence": "1"}, "invalid_input"),
        ({"job_id": NOBODY, "last_sequence": -1}, "invalid_input"),
        ({"job_id": {"a": 1}}, "not_found"),
    ],
)
def test_what_cannot_be_followed(still: Site, data: Any, code: str) -> None:
    with client(still) as made:
        answer = made.io.call("subscribe_job", data, timeout=PATIENCE_S)
        assert (answer["ok"], answer["code"]) == (False, code)
        assert answer["message"]
        wait_until(lambda: made.errors)
        assert made.errors[0]["code"] == code


def test_too_many(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_io, "MOST_JOBS", 2)
    jobs = [still.submit(clip).json()["job_id"] for _ in range(3)]
    with client(still) as made:
        assert [made.subscribe(job_id)["ok"] for job_id in jobs] == [True, True, False]
        assert made.subscribe(jobs[0])["ok"]


def test_one_that_leaves_is_forgotten(still: Site, clip: Path) -> None:
    with client(still) as made:
        made.subscribe(still.submit(clip).json()["job_id"])
        wait_until(lambda: still.web.state.feed.watching == 1)
    wait_until(lambda: still.web.state.feed.watching == 0)


def test_one_that_leaves_while_it_asks_is_forgotten_too(
    still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its goodbye comes before there is anything to end."""
    asked, gone = threading.Event(), threading.Event()
    jobs = still.core.jobs
    get = jobs.get

    async def slow(*args: Any) -> Any:
        asked.set()
        await asyncio.to_thread(gone.wait, 20)
        return await get(*args)

    job_id = still.submit(clip).json()["job_id"]
    with client(still) as made:
        monkeypatch.setattr(jobs, "get", slow)
        made.io.emit("subscribe_job", {"job_id": job_id})
        assert asked.wait(PATIENCE_S)
    lines = still.web.state.live.server.eio.sockets
    wait_until(lambda: not lines)
    monkeypatch.setattr(jobs, "get", get)
    gone.set()
    still.emit(job_id, 1, "progress")
    with client(still) as made:  # its own subscription is the only one
        made.subscribe(job_id)
        wait_until(lambda: still.web.state.feed.watching == 1)
    wait_until(lambda: still.web.state.feed.watching == 0)


def test_a_client_that_does_not_read_is_cut_off(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that polls and never comes for its messages: nothing piles up."""
    dropped: list[str] = []
    drop = socket_io.SocketIO._drop

    async def spy(room: socket_io.SocketIO, sid: str) -> None:
        await drop(room, sid)
        dropped.append(sid)

    job_id = still.submit(clip).json()["job_id"]
    still.emit(job_id, 200, "progress")
    place = "/socket.io/?EIO=4&transport=polling"
    hello = json.loads(still.http.get(place).text[1:])
    mine = f"{place}&sid={hello['sid']}"
    still.http.post(mine, content="40")
    still.http.get(mine)
    with monkeypatch.context() as patch:
        patch.setattr(socket_io, "SLOW_S", 0.5)
        patch.setattr(socket_io.SocketIO, "_drop", spy)
        still.http.post(mine, content="42" + json.dumps(["subscribe_job", {"job_id": job_id, "last_sequence": 0}]))
        wait_until(lambda: dropped)
    wait_until(lambda: still.web.state.feed.watching == 0)
    assert still.http.get(mine).status_code == 400  # not known any more: a stock client connects again
    with client(still) as made:
        made.subscribe(job_id, last_sequence=0)
        wait_until(lambda: len(made.updates) == 201)


def test_a_daemon_that_stops_lets_them_go(tmp_path: Path) -> None:
    with serving(tmp_path, workers=False) as site:
        known = {"token": site.key}
        polling, socket = (Client(site.url, [way], auth=known) for way in ("polling", "websocket"))
    for made in (polling, socket):
        assert made.gone.wait(PATIENCE_S)
        made.close()


def test_an_endless_message_is_refused(still: Site) -> None:
    place = "/socket.io/?EIO=4&transport=polling"
    mine = f"{place}&sid={json.loads(still.http.get(place).text[1:])['sid']}"
    problem(still.http.post(mine, content="4" * (1 << 20)), 413, "too_large")
    problem(still.http.post(mine, content=iter([b"4" * 65536] * 16)), 413, "too_large")


def test_pages_of_other_sites_hear_nothing(still: Site) -> None:
    place = "/socket.io/?EIO=4&transport=polling"
    answer = still.http.get(place, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    problem(still.http.post(place, headers={"Origin": "http://evil.example"}), 403, "forbidden_origin")
    ours = still.http.get(place, headers={"Origin": still.url})
    assert ours.status_code == 200


# --- the JavaScript client

SCRIPT = """
const { io } = require("socket.io-client");
const [url, jobId, token] = process.argv.slice(2);
const socket = io(url, { auth: { token } });
socket.on("connect", () => socket.emit("subscribe_job", { job_id: jobId }));
socket.on("job_update", (update) => {
  console.log(JSON.stringify(update));
  if (["completed", "failed", "cancelled"].includes(update.status)) socket.close();
});
socket.on("connect_error", (error) => { console.error(error.message); process.exit(1); });
"""


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stock JavaScript client in it."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no node or no npm for the JavaScript client")
    folder = tmp_path_factory.mktemp("javascript")
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "socket.io-client@4"]
    try:
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not answer")
    if made.returncode:
        pytest.skip(f"npm cannot install socket.io-client: {made.stderr.strip().splitlines()[-1:]}")
    (folder / "follow.js").write_text(SCRIPT)
    return folder


@pytest.mark.slow
def test_the_javascript_client(site: Site, clip: Path, javascript: Path) -> None:
    job_id = site.submit(clip, "steady").json()["job_id"]
    command = ["node", "follow.js", site.url, job_id, site.key]
    updates: list[dict[str, Any]] = []
    with subprocess.Popen(command, cwd=javascript, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        for line in node.stdout:
            updates.append(json.loads(line))
            if len(updates) == 4:
                site.http.post(f"{API}/{job_id}/cancel")
        assert node.wait(PATIENCE_S) == 0
    assert {u["job_id"] for u in updates} == {job_id}
    assert updates[-1]["status"] == "cancelled"


def test_whose_key_is_revoked_hears_no_more(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = still.submit(clip).json()["job_id"]
    key = still.http.post(KEYS, json={"name": "n", "scopes": ["read"]}).json()
    with client(still, auth={"token": key["key"]}) as made:
        assert made.subscribe(job_id)["ok"]
        still.http.delete(f"{KEYS}/{key['id']}")
        assert made.subscribe(job_id)["code"] == "unauthorized"
    other = still.http.post(KEYS, json={"name": "n", "scopes": ["read"]}).json()
    monkeypatch.setattr(auth, "MIND_S", 0.05)
    with client(still, auth={"token": other["key"]}) as made:
        made.subscribe(job_id)
        still.http.delete(f"{KEYS}/{other['id']}")
        assert made.gone.wait(PATIENCE_S)


def test_who_does_not_say_who_it_is_is_shown_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is open before anybody has logged in on it."""
    monkeypatch.setattr(socket_io, "NAMELESS_S", 1.0)
    stay = Client(site.url, auth={"token": site.key})
    opened = site.http.get("/socket.io/?EIO=4&transport=polling")
    line = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
    assert site.http.post(line, content="3").status_code == 200
    wait_until(lambda: site.http.post(line, content="3").status_code == 400, every=0.2)
    assert stay.io.connected
    assert not stay.gone.is_set()
    stay.close()
