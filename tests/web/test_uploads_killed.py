"""Uploads in parts while the daemon is killed, and however large they are."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.simulators.object_store import ObjectStore
from tests.web.daemon import Daemon
from tests.web.site import COPY, another
from tests.web.test_chunked import CHUNKED
from tests.web.test_tus import TUS, TYPE, VERSION

MIB = 1 << 20


def padded(clip: Path, mebibytes: int) -> bytes:
    """A video of about that size: behind it, a box that players skip."""
    filler = random.Random(mebibytes).randbytes(mebibytes * MIB)
    return another(clip) + (len(filler) + 8).to_bytes(4, "big") + b"free" + filler


@pytest.fixture(params=["local", "s3"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    settings = {}
    if request.param == "s3":
        store: ObjectStore = request.getfixturevalue("store")
        settings = store.settings(store.bucket())
    with Daemon(tmp_path, {"copy": COPY}, workers=False, **settings) as daemon:
        yield daemon


class Sender:
    """Sends the same file by tus and in chunks, as far as the daemon lives, and holds it to what it acknowledged."""

    def __init__(self, daemon: Daemon, data: bytes, size: int) -> None:
        self.daemon = daemon
        self.data = data
        self.size = size
        begun = daemon.http.post(TUS, headers=VERSION | {"Upload-Length": str(len(data))})
        self.tus = begun.headers["location"]
        wish = {"filename": "film.mp4", "total_size": len(data), "chunk_size": size}
        told = daemon.http.post(f"{CHUNKED}/init", json=wish).json()
        self.chunked, self.count = told["upload_id"], told["chunk_count"]
        self.offset = 0
        self.there: set[int] = set()

    def look(self) -> bool:
        """Whether all is there. Nothing that was may be gone."""
        offset = int(self.daemon.http.head(self.tus, headers=VERSION).headers["upload-offset"])
        there = set(self.daemon.http.get(f"{CHUNKED}/{self.chunked}").json()["received"])
        assert offset >= self.offset, "acknowledged bytes are gone"
        assert there >= self.there, "an acknowledged chunk is gone"
        self.offset, self.there = offset, there
        return offset == len(self.data) and len(there) == self.count

    def go_on(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=act) for act in (self._chunks, self._tus)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self) -> httpx.Client:
        known = {"Authorization": self.daemon.http.headers["Authorization"]}
        return httpx.Client(base_url=str(self.daemon.http.base_url), trust_env=False, timeout=PATIENCE_S, headers=known)

    def _chunks(self) -> None:
        with contextlib.suppress(httpx.TransportError), self._client() as http:
            for index in sorted(set(range(self.count)) - self.there):
                piece = self.data[index * self.size : (index + 1) * self.size]
                answer = send_chunk(http, self.chunked, index, piece)
                assert answer.status_code == 200, answer.text
                self.there.add(index)

    def _tus(self) -> None:
        if self.offset < len(self.data):
            headers = VERSION | TYPE | {"Upload-Offset": str(self.offset)}
            with contextlib.suppress(httpx.TransportError), self._client() as http:
                http.patch(self.tus, headers=headers, content=self._slowly())

    def _slowly(self) -> Iterator[bytes]:
        for at in range(self.offset, len(self.data), MIB):
            time.sleep(0.01)
            yield self.data[at : at + MIB]


@pytest.mark.slow
def test_what_was_acknowledged_survives_kills(daemon: Daemon, clip: Path) -> None:
    """SIGKILL at chance moments of two uploads: no acknowledged byte is sent again, and both files are right."""
    data, chance, kills = padded(clip, 48), random.Random(7), 0
    sender = Sender(daemon, data, 3 * MIB)
    while not sender.look():
        threads = sender.go_on()
        if kills < 3:
            # No wait for luck: whatever moment this is, the promise holds.
            time.sleep(chance.uniform(0.1, 0.4))
            daemon.kill()
            kills += 1
        for thread in threads:
            thread.join()
        if daemon.process.poll() is not None:
            daemon.start()
    assert kills == 3
    assert daemon.http.post(f"{CHUNKED}/complete/{sender.chunked}", timeout=120).status_code == 200
    for asset in (sender.tus.rpartition("/")[2], sender.chunked):
        assert daemon.http.get(f"/api/v1/files/{asset}/content", timeout=120).content == data
    usage = daemon.http.get("/api/v1/files/usage").json()
    assert (usage["assets"], usage["asset_count"], usage["uploads"]) == (len(data), 2, 0)


def send_chunk(http: httpx.Client, upload: str, index: int, piece: bytes) -> httpx.Response:
    form = {"files": {"chunk": ("c", piece)}, "data": {"chunk_index": str(index)}}
    return http.post(f"{CHUNKED}/chunk/{upload}", **form, timeout=120)  # type: ignore[arg-type]


@pytest.mark.slow
def test_memory_stays_flat_in_parts(daemon: Daemon, clip: Path) -> None:
    """RSS of the API process while a file goes in by tus and in chunks, and comes out again."""
    process = psutil.Process(daemon.process.pid)
    small = padded(clip, 8)
    upload_both(daemon, small, lambda: None)
    before, peak = process.memory_info().rss, 0

    def watch() -> None:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)

    upload_both(daemon, padded(clip, 96), watch)
    assert (peak - before) / MIB < 64, (before // MIB, peak // MIB)


def upload_both(daemon: Daemon, data: bytes, watch: Callable[[], None]) -> None:
    def pieces() -> Iterator[bytes]:
        for at in range(0, len(data), MIB):
            watch()
            yield data[at : at + MIB]

    begun = daemon.http.post(TUS, headers=VERSION | {"Upload-Length": str(len(data))})
    tus = begun.headers["location"]
    headers = VERSION | TYPE | {"Upload-Offset": "0"}
    assert daemon.http.patch(tus, headers=headers, content=pieces(), timeout=120).status_code == 204
    wish = {"filename": "film.mp4", "total_size": len(data), "chunk_size": 16 * MIB}
    chunked = daemon.http.post(f"{CHUNKED}/init", json=wish).json()
    for index in range(chunked["chunk_count"]):
        piece = data[index * 16 * MIB : (index + 1) * 16 * MIB]
        assert send_chunk(daemon.http, chunked["upload_id"], index, piece).status_code == 200
        watch()
    assert daemon.http.post(f"{CHUNKED}/complete/{chunked['upload_id']}", timeout=120).status_code == 200
    watch()
    with daemon.http.stream("GET", f"/api/v1/files/{chunked['upload_id']}/content", timeout=120) as answer:
        for _ in answer.iter_bytes():
            pass
    watch()
    for asset in (tus.rpartition("/")[2], chunked["upload_id"]):
        assert daemon.http.delete(f"/api/v1/files/{asset}").status_code == 204


def test_a_daemon_that_ends_takes_its_time_to_store(tmp_path: Path, clip: Path) -> None:
    """SIGTERM between two requests of an upload: it goes on in the next daemon."""
    data = another(clip)
    with Daemon(tmp_path, {"copy": COPY}, workers=False) as daemon:
        begun = daemon.http.post(TUS, headers=VERSION | {"Upload-Length": str(len(data))})
        tus = begun.headers["location"]
        headers = VERSION | TYPE | {"Upload-Offset": "0"}
        assert daemon.http.patch(tus, headers=headers, content=data[:5000]).status_code == 204
        assert daemon.terminate() == 0
        daemon.start()
        assert daemon.http.head(tus, headers=VERSION).headers["upload-offset"] == "5000"
        headers |= {"Upload-Offset": "5000"}
        assert daemon.http.patch(tus, headers=headers, content=data[5000:]).status_code == 204
        wait_until(lambda: daemon.http.get(tus).json()["complete"])
