"""What is the bucket's alone: presigned URLs, uploads past the daemon, refusals, broken connections, flat memory."""

from __future__ import annotations

import random
import socket
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import PATIENCE_S
from tests.simulators.object_store import ObjectStore
from vtid.errors import NotFound, StorageError
from vtid.storage import DirectUploads, LocalStorage
from vtid.storage.remote import connect
from vtid.storage.s3 import S3Storage

MAKE = Callable[..., S3Storage]


def http(method: str, url: str, **more: object) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
        return client.request(method, url, **more)  # type: ignore[arg-type]


def store(storage: S3Storage, key: str, data: bytes) -> None:
    with storage.writer(key) as writer:
        writer.write(data)


def test_a_presigned_url_serves_the_file_and_ranges_of_it(make_s3: MAKE) -> None:
    storage = make_s3()
    store(storage, "u/clip ü.mp4", b"0123456789")
    url = storage.signed_url("u/clip ü.mp4", ttl_s=60, filename="Fílm 1.mp4")
    whole = http("GET", url)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["content-disposition"] == "inline; filename*=UTF-8''F%C3%ADlm%201.mp4"
    part = http("GET", url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")


def test_a_presigned_url_cannot_be_bent(make_s3: MAKE) -> None:
    storage = make_s3()
    store(storage, "u/a", b"mine")
    store(storage, "u/b", b"other")
    url = storage.signed_url("u/a", ttl_s=60)
    parts = urlsplit(url)
    for bent in (
        url.replace("/u/a", "/u/b"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        f"{parts.scheme}://{parts.netloc}{parts.path}",
    ):
        assert http("GET", bent).status_code in (400, 403), bent
    assert http("PUT", url, content=b"changed").status_code == 403
    wrong = make_s3(storage.bucket, "wrong-secret").signed_url("u/a", ttl_s=60)
    assert http("GET", wrong).status_code == 403
    assert b"".join(storage.read("u/a")) == b"mine"


def test_links_may_go_through_the_daemon(make_s3: MAKE) -> None:
    url = make_s3(direct=False).signed_url("u/a", ttl_s=60)
    assert url.startswith("http://daemon/files/u/a?expires=")


def test_no_link_lives_longer_than_a_week(make_s3: MAKE) -> None:
    assert "X-Amz-Expires=604800" in make_s3().signed_url("u/a", ttl_s=1e9)


def test_an_upload_past_the_daemon(make_s3: MAKE) -> None:
    storage, rest = make_s3(), b"the end"
    first = random.Random(2).randbytes(5 << 20)
    upload = storage.begin_direct("u/direct.mp4")
    for number, data in ((2, rest), (1, b"wrong at first"), (1, first)):
        assert http("PUT", storage.part_url("u/direct.mp4", upload, number, 60), content=data).status_code == 200
    parts = storage.direct_parts("u/direct.mp4", upload)
    assert [(p.number, p.size) for p in parts] == [(1, len(first)), (2, len(rest))]
    with pytest.raises(NotFound):
        storage.stat("u/direct.mp4")
    storage.complete_direct("u/direct.mp4", upload, parts)
    storage.complete_direct("u/direct.mp4", upload, parts)  # as when the answer was lost
    assert b"".join(storage.read("u/direct.mp4")) == first + rest


def test_a_direct_upload_that_is_aborted_is_gone(make_s3: MAKE) -> None:
    storage = make_s3()
    upload = storage.begin_direct("u/x")
    url = storage.part_url("u/x", upload, 1, 60)
    http("PUT", url, content=b"part")
    storage.abort_direct("u/x", upload)
    storage.abort_direct("u/x", upload)
    assert http("PUT", url, content=b"part").status_code == 404
    with pytest.raises(NotFound):
        storage.complete_direct("u/x", upload, [])
    assert list(storage.list("u/")) == []


def test_only_a_bucket_takes_direct_uploads(make_s3: MAKE) -> None:
    assert isinstance(make_s3(), DirectUploads)
    assert not issubclass(LocalStorage, DirectUploads)


def test_what_killed_writers_left_is_swept(make_s3: MAKE) -> None:
    storage = make_s3()
    killed = storage.writer("u/killed")
    killed.write(bytes(9 << 20))  # its first part is sent
    assert storage.sweep(older_than_s=3600) == 0, "it may be at work"
    assert storage.sweep(older_than_s=-60) == 1
    assert storage.sweep(older_than_s=-60) == 0
    with pytest.raises(NotFound):
        killed.__exit__(None, None, None)
    assert list(storage.list("u/")) == []


def test_wrong_credentials_are_told_without_telling_them(make_s3: MAKE, store: ObjectStore) -> None:
    storage = make_s3(store.bucket(), "not-the-secret")
    for act in (storage.check, lambda: storage.stat("u/a"), lambda: list(storage.list("u/"))):
        with pytest.raises(StorageError) as caught:
            act()
        assert "refuses access" in caught.value.message
        assert "not-the-secret" not in f"{caught.value.message}{caught.value.suggestion}"


def test_a_bucket_that_is_not_there(make_s3: MAKE) -> None:
    storage = make_s3("no-such-bucket-here")
    with pytest.raises(StorageError, match="There is no bucket no-such-bucket-here"):
        storage.check()


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        storage = S3Storage(connect(f"http://127.0.0.1:{closed.getsockname()[1]}", "us-east-1", "a", "b"), "bucket")
        with pytest.raises(StorageError, match="does not answer"):
            storage.check()


# --- connections that break


class BreakingProxy:
    """Passes connections on, and cuts the first three that carry so many bytes back.

    Args:
        target: where to.
        after: bytes.
    """

    def __init__(self, target: str, after: int) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self.cuts = 0
        self._target = (host, int(port))
        self._after = after
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._server]
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._start(self._serve)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args))
        self._threads[-1].start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                upstream = socket.create_connection(self._target)
                self._sockets += [client, upstream]
                self._start(self._pump, client, upstream, False)
                self._start(self._pump, upstream, client, True)

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        sent = 0
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                sent += len(data)
                if back and sent > self._after and self.cuts < 3:
                    self.cuts += 1
                    break
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> BreakingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()


def test_a_download_that_breaks_is_taken_up_where_it_broke(make_s3: MAKE, store: ObjectStore) -> None:
    storage, data = make_s3(), random.Random(3).randbytes(6 << 20)
    with storage.writer("u/long") as writer:
        writer.write(data)
    with BreakingProxy(store.endpoint, 1_500_000) as proxy:
        # Signed for the proxy's name: the server goes by the Host header.
        through = S3Storage(connect(proxy.url, store.region, store.access_key, store.secret_key), storage.bucket)
        assert b"".join(through.read("u/long", 7, None)) == data[7:]
        through.client._http.clear()
        assert proxy.cuts == 3


# --- memory


def test_memory_stays_flat_whatever_the_size(make_s3: MAKE) -> None:
    storage, piece = make_s3(), bytes(1 << 20)

    def peak(mebibytes: int) -> int:
        tracemalloc.start()
        try:
            with storage.writer("m/file") as writer:
                for _ in range(mebibytes):
                    writer.write(piece)
            assert sum(len(p) for p in storage.read("m/file")) == mebibytes << 20
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(20), peak(60)
    assert large < small + (4 << 20), (small, large)
    assert large < 40 << 20
