"""Following jobs: each event once and in order, whatever happens to the line."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.web.site import API, Site, events, problem, serving
from vtid.web.events import EventFeed


def follow(site: Site, job_id: str, last: int | None = None, *, most: int = 10**9) -> list[dict[str, Any]]:
    """Events of a job until the stream ends, or `most` have come; comments left out."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    found: list[dict[str, Any]] = []
    with site.client() as client, client.stream("GET", f"{API}/{job_id}/events", headers=headers) as answer:
        if answer.status_code == 204:  # ended, and nothing new: by it a browser knows not to come back
            return []
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "no-" in answer.headers["cache-control"]
        for event in events(answer.iter_lines()):
            if "data" in event:
                found.append(event | {"data": json.loads(event["data"])})
                if len(found) >= most:
                    break
    return found


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [int(e["id"]) for e in found]


@pytest.fixture
def waiting(still: Site, clip: Path) -> str:
    """A job that nobody works on, with one event so far."""
    return str(still.submit(clip).json()["job_id"])


def test_a_job_from_beginning_to_end(site: Site, clip: Path) -> None:
    job_id = site.submit(clip, "ticking").json()["job_id"]
    found = follow(site, job_id)
    assert ids(found) == sorted(set(ids(found)))
    statuses = [e["data"]["status"] for e in found if e["event"] == "status"]
    assert statuses[0] == "queued"
    assert statuses[-1] == "completed"
    assert {e["event"] for e in found} >= {"status", "step", "progress"}
    assert all(e["data"]["job_id"] == job_id and e["data"]["seq"] == int(e["id"]) for e in found)
    percents = [e["data"]["progress"] for e in found if e["event"] in ("progress", "status")]
    assert percents == sorted(percents)
    assert site.job(job_id)["status"] == "completed"


def test_events_come_while_the_job_runs(site: Site, clip: Path) -> None:
    job_id = site.submit(clip, "slow").json()["job_id"]
    with site.client() as client, client.stream("GET", f"{API}/{job_id}/events") as answer:
        stream = events(answer.iter_lines())
        next(e for e in stream if e.get("event") == "progress")
        assert site.job(job_id)["status"] == "processing"
        site.http.post(f"{API}/{job_id}/cancel")
        rest = [json.loads(e["data"]).get("status") for e in stream if "data" in e]
    assert "cancelled" in rest


def test_an_ended_job_is_told_and_ends(site: Site, clip: Path) -> None:
    job = site.done(clip)
    found = follow(site, job["job_id"])
    assert found[-1]["data"]["status"] == "completed"
    assert follow(site, job["job_id"], ids(found)[-1]) == []
    assert follow(site, job["job_id"], 10**9) == []


def test_no_event_is_missed_or_told_twice(still: Site, waiting: str) -> None:
    """A reader that is cut off again and again, at any place, while events arrive."""
    writer = threading.Thread(target=still.emit, args=(waiting, 300))
    writer.start()
    found: list[int] = []
    while len(found) < 301:
        found += ids(
            follow(
                still,
                waiting,
                found[-1] if found else None,
                most=7 + len(found) % 31 if len(found) < 280 else 301 - len(found),
            )
        )
    writer.join()
    assert found == list(range(1, 302))


def test_the_number_may_come_in_the_query(still: Site, waiting: str) -> None:
    still.emit(waiting, 5)
    with still.client() as client, client.stream("GET", f"{API}/{waiting}/events?last_event_id=4") as answer:
        first = next(e for e in events(answer.iter_lines()) if "data" in e)
    assert first["id"] == "5"
    assert ids(follow(still, waiting, 2, most=1)) == [3]


def test_more_events_than_a_page(still: Site, waiting: str) -> None:
    still.emit(waiting, 450)
    assert ids(follow(still, waiting, most=451)) == list(range(1, 452))


def test_many_readers(still: Site, waiting: str) -> None:
    with ThreadPoolExecutor(24) as pool:
        readers = [pool.submit(follow, still, waiting, most=41) for _ in range(24)]
        still.emit(waiting, 40)
        assert all(ids(r.result(20)) == list(range(1, 42)) for r in readers)
    wait_until(lambda: not still.web.state.feed.watching)


def test_a_slow_reader_holds_up_nobody(still: Site, waiting: str) -> None:
    """It reads nothing while so much comes that no buffer holds it; the others, and it itself, miss nothing."""
    count, pad = 400, "x" * 20_000

    def write() -> None:
        from vtid.db.rows import emit

        async def all_at_once() -> None:
            async with still.app.database.write() as c:
                for _ in range(count):
                    await emit(c, waiting, 0.0, "log", {"message": pad})

        still.bridge.run(all_at_once())

    with still.client() as client, client.stream("GET", f"{API}/{waiting}/events") as slow:
        lines = slow.iter_lines()
        first = next(e for e in events(lines) if "data" in e)
        write()
        assert ids(follow(still, waiting, most=count + 1)) == list(range(1, count + 2))
        assert still.http.get("/health/db").status_code == 200
        found = [first["id"]]
        for event in events(lines):
            if "data" in event:
                found.append(event["id"])
                if len(found) > count:
                    break
    assert [int(i) for i in found] == list(range(1, count + 2))


def test_a_line_with_no_news_is_kept_alive(still: Site, waiting: str) -> None:
    with still.client() as client, client.stream("GET", f"{API}/{waiting}/events") as answer:
        beats = 0
        for line in answer.iter_lines():
            beats += line.startswith(": still here")
            if beats == 3:
                break
    assert beats == 3


def test_a_reader_that_leaves_is_forgotten(still: Site, waiting: str) -> None:
    with still.client() as client, client.stream("GET", f"{API}/{waiting}/events") as answer:
        lines = answer.iter_lines()  # kept: when it is dropped, httpx closes the connection
        next(lines)
        wait_until(lambda: still.web.state.feed.watching)
    wait_until(lambda: not still.web.state.feed.watching)


def test_one_that_leaves_just_as_there_is_news_is_forgotten_too(still: Site, waiting: str) -> None:
    async def leave() -> bool:
        feed = EventFeed(still.app.jobs)
        came = asyncio.Event()

        async def listen() -> None:
            async with aclosing(feed.follow(waiting, 0)) as events:
                async for _ in events:
                    came.set()

        listening = asyncio.create_task(listen())
        await came.wait()
        (bell,) = feed._watchers[waiting]
        while bell.is_set() or not bell._waiters:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        bell.set()
        listening.cancel()
        done, _ = await asyncio.wait([listening], timeout=PATIENCE_S)
        feed.close()
        return bool(done) and feed.watching == 0

    assert still.bridge.run(leave())


def test_the_stream_of_a_deleted_job_ends(still: Site, waiting: str) -> None:
    with still.client() as client, client.stream("GET", f"{API}/{waiting}/events") as answer:
        lines = answer.iter_lines()
        next(e for e in events(lines) if "data" in e)
        still.http.post(f"{API}/{waiting}/cancel")
        assert still.http.delete(f"{API}/{waiting}").status_code == 204
        for _ in lines:
            pass
    problem(still.http.get(f"{API}/{waiting}/events"), 404)


def test_streams_end_with_the_daemon(tmp_path: Path, clip: Path) -> None:
    """In good order: one that is cut off would be an error for its reader."""
    ended: list[bool] = []
    with serving(tmp_path, workers=False) as site:
        job_id = site.submit(clip).json()["job_id"]

        def read() -> None:
            follow(site, job_id)
            ended.append(True)

        readers = [threading.Thread(target=read) for _ in range(5)]
        for reader in readers:
            reader.start()
        wait_until(lambda: site.web.state.feed.watching == 5)
    for reader in readers:
        reader.join(PATIENCE_S)
    assert len(ended) == 5
