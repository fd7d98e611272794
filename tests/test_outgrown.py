"""Outgrown SQLite: the same application on PostgreSQL and Redis, where both answer."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Lab, wait_until
from tests.db.test_database import postgres_database
from tests.net.origin import Asked, origin, say, serves
from vtid.db import DeliveryFilter, JobFilter
from vtid.domain.webhook import DeliveryState
from vtid.media.synth import draw_clip


@pytest.fixture
def urls(redis_url: str) -> Iterator[tuple[str, str]]:
    with postgres_database() as url:
        yield url, redis_url


@pytest.mark.postgres
@pytest.mark.redis
def test_what_goes_out_on_postgresql(make_lab: Callable[..., Lab], urls: tuple[str, str], tmp_path: Path) -> None:
    """A video from a URL, a webhook and a callback, told by a real worker, read back and replayed."""
    clip = tmp_path / "clip.mp4"
    draw_clip(clip, seconds=0.5, width=160, height=90, fps=10)
    told: list[Asked] = []

    def act(asked: Asked, sock: socket.socket) -> None:
        if asked.method == "POST":
            told.append(asked)
            say(sock, "200 OK", b"a \x00 byte")
        else:
            serves(clip.read_bytes())(asked, sock)

    pipeline = '[[step]]\nid="a"\nuses="lab.pass"\n[[deliver]]\nfrom="a.video"\n'
    lab = make_lab({"p": pipeline}, rings=True, database__url=urls[0], queue__url=urls[1], net__allow=("127.0.0.1",))
    run, app = lab.bridge.run, lab.app

    async def submit(url: str) -> str:
        async with app.intake.draft("local") as draft:
            draft.use_url("video", f"{url}/clip.mp4")
            draft.call_back(f"{url}/back")
            return (await draft.submit(pipeline="p", params={})).id

    with origin(act) as server:
        hook, _ = run(app.registrar.add("local", f"{server.url}/hook", ["job.completed"], ""))
        worker = app.worker(lab.bridge)
        worker.start()
        try:
            job_id = run(submit(server.url))
            wait_until(lambda: lab.job(job_id).status.ended)
            assert lab.job(job_id).status == "completed", lab.job(job_id).error
            wait_until(lambda: len(told) == 2)
            assert {asked.path for asked in told} == {"/hook", "/back"}

            def delivered() -> bool:
                found = run(app.deliveries.list(DeliveryFilter("local", state=DeliveryState.DELIVERED)))
                return len(found) == 2

            wait_until(delivered)
            run(app.registrar.rotate(hook))
            run(app.deliveries.replay(told[0].headers["webhook-id"], "local"))
            wait_until(lambda: len(told) == 3)
            _, tries = run(app.deliveries.get(told[0].headers["webhook-id"], "local"))
            assert tries[0].body == "a  byte"
            first = run(app.jobs.list(JobFilter("local", limit=1)))
            assert run(app.jobs.list(JobFilter("local", before=(first[0].created_at, first[0].id)))) == []
        finally:
            worker.stop()


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
