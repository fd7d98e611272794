"""The doorbell on SQLite, and on Redis where one answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_until
from vtid.errors import Unavailable
from vtid.tasks import Queue


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'queue.db'}"
        return
    yield request.getfixturevalue("redis_url")


@pytest.fixture
def make_queue(url: str) -> Iterator[Callable[[bytes], Queue]]:
    queues: list[Queue] = []

    def make(secret: bytes = b"secret") -> Queue:
        queues.append(Queue(url, secret))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


def test_every_bell_is_heard_once(make_queue: Callable[..., Queue]) -> None:
    heard: list[str] = []
    lock = threading.Lock()

    def hear(job_id: str) -> None:
        with lock:
            heard.append(job_id)

    ringing, listening = make_queue(), make_queue()
    ids = [f"job-{i}" for i in range(40)]
    for job_id in ids[:20]:
        ringing.ring(job_id)
    assert ringing.pending() == 20
    listener = listening.listen(hear, threads=3)
    listener.start()
    for job_id in ids[20:]:
        ringing.ring(job_id)
    wait_until(lambda: len(heard) == 40)
    listener.stop(wait_s=5)
    assert sorted(heard) == sorted(ids)
    assert ringing.pending() == 0


def test_a_handler_that_raises_does_not_stop_the_others(make_queue: Callable[..., Queue]) -> None:
    heard: list[str] = []

    def hear(job_id: str) -> None:
        heard.append(job_id)
        raise RuntimeError(job_id)

    queue = make_queue()
    listener = queue.listen(hear, threads=1)
    listener.start()
    for i in range(3):
        queue.ring(str(i))
    wait_until(lambda: len(heard) == 3)
    listener.stop(wait_s=5)


def test_messages_that_others_signed_are_not_opened(make_queue: Callable[..., Queue]) -> None:
    heard: list[str] = []
    make_queue(b"somebody else").ring("evil")
    queue = make_queue()
    listener = queue.listen(heard.append, threads=1)
    listener.start()
    queue.ring("good")
    wait_until(lambda: heard)
    listener.stop(wait_s=5)
    assert heard == ["good"]


def test_a_queue_that_is_away_says_so() -> None:
    pytest.importorskip("redis", reason="the extra vtid[redis] is not installed")
    queue = Queue("redis://127.0.0.1:1/0", b"secret")
    with pytest.raises(Unavailable, match="queue does not answer"):
        queue.ring("x")
    with pytest.raises(Unavailable):
        queue.pending()
    queue.close()
