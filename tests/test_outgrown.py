"""Outgrown SQLite: the same application on PostgreSQL and Redis, where both answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Lab, wait_until
from tests.db.test_database import postgres_database
from tests.test_queue import REDIS


@pytest.fixture
def urls() -> Iterator[tuple[str, str]]:
    redis = pytest.importorskip("redis", reason="the extra vtid[redis] is not installed")
    client = redis.Redis.from_url(REDIS)
    try:
        client.flushdb()
    except redis.ConnectionError:
        pytest.skip("no Redis answers on 127.0.0.1:6379")
    with postgres_database() as url:
        yield url, REDIS
    client.flushdb()
    client.close()


@pytest.mark.postgres
@pytest.mark.redis
def test_jobs_run_on_postgresql_and_redis(make_lab: Callable[..., Lab], urls: tuple[str, str]) -> None:
    pipeline = '[[step]]\nid="a"\nuses="lab.write"\n[[step]]\nid="b"\nuses="lab.append"\nwith={text="!"}\n'
    lab = make_lab(
        {"p": pipeline, "f": '[[step]]\nid="f"\nuses="lab.fail"\nretries=1'},
        rings=True,
        database__url=urls[0],
        queue__url=urls[1],
    )
    worker = lab.app.worker(lab.bridge)
    worker.start()
    try:
        good = [lab.submit("p", {"a.text": f"{uuid.uuid4()}"}) for _ in range(10)]
        bad = lab.submit("f")
        wait_until(lambda: all(lab.job(i).status.ended for i in [*good, bad]))
        assert {lab.job(i).status.value for i in good} == {"completed"}
        assert all(lab.result_text(i).endswith("!") for i in good)
        assert lab.job(bad).status == "failed"
    finally:
        worker.stop()
