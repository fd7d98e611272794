"""A request that is sent twice makes one job."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.web.site import API, Site, another, problem
from vtid.db import Repeats
from vtid.db.repeats import RESERVED_S

SUBMIT = f"{API}/submit"


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def count(site: Site, name: str) -> int:
    return len(site.http.get(f"{API}/", params={"text": name}).json()["jobs"])


def test_a_repeat_gets_the_first_answer(still: Site, clip: Path, key: dict[str, str]) -> None:
    name, data = key["Idempotency-Key"], another(clip)
    first, second = (still.submit(data, headers=key, display_name=name) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert count(still, name) == 1
    kept = [k for k in still.stored() if first.json()["job_id"] in k]
    assert len(kept) == 1, "the second upload left nothing behind"


def test_the_same_body_in_another_wrapping_is_the_same(still: Site, clip: Path, key: dict[str, str]) -> None:
    parts = [("pipeline", (None, "copy")), ("file", ("clip.mp4", clip.read_bytes()))]
    first = still.http.post(SUBMIT, files=parts, headers=key)
    second = still.http.post(SUBMIT, files=parts[::-1], headers=key)
    assert first.json()["job_id"] == second.json()["job_id"]


def test_another_body_is_refused(still: Site, clip: Path, key: dict[str, str]) -> None:
    first = still.submit(clip, headers=key)
    asset = still.bridge.run(still.app.jobs.get(first.json()["job_id"])).inputs["video"]
    others = {
        "pipeline": lambda: still.submit(clip, "slow", headers=key),
        "params": lambda: still.submit(clip, headers=key, params={"a": 1}),
        "content": lambda: still.submit(clip.read_bytes() + b"\0\0\0\x08free", headers=key),
        "route": lambda: still.http.post(
            "/api/v1/upload-and-process", files={"file": ("clip.mp4", clip.read_bytes())}, headers=key
        ),
        "json": lambda: still.http.post(SUBMIT, json={"pipeline": "copy", "asset_id": asset}, headers=key),
    }
    for name, send in others.items():
        assert problem(send(), 422, "idempotency_key_reused"), name


def test_of_many_at_once_one_makes_the_job(still: Site, clip: Path, key: dict[str, str]) -> None:
    name = key["Idempotency-Key"]

    def send(_: int) -> httpx.Response:
        return still.submit(clip, headers=key, display_name=name)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    made = [a for a in answers if a.status_code == 202]
    for answer in answers:
        if answer.status_code != 202:
            problem(answer, 409, "conflict")  # the first is still on its way: come again
    assert made
    assert len({a.json()["job_id"] for a in made}) == 1
    assert count(still, name) == 1
    assert send(0).json()["job_id"] == made[0].json()["job_id"]


def test_a_request_that_failed_frees_its_key(still: Site, clip: Path, key: dict[str, str]) -> None:
    problem(still.submit(b"no video", headers=key), 415)
    problem(still.submit(clip, "no-such-pipeline", headers=key), 404)
    assert still.submit(clip, headers=key).status_code == 202


def test_a_json_body_has_it_too(still: Site, clip: Path, key: dict[str, str]) -> None:
    job_id = still.submit(clip).json()["job_id"]
    asset = still.bridge.run(still.app.jobs.get(job_id)).inputs["video"]
    answers = [still.http.post(SUBMIT, json={"pipeline": "copy", "asset_id": asset}, headers=key) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].json()["job_id"] == answers[1].json()["job_id"] != job_id


def test_without_a_key_each_request_makes_a_job(still: Site, clip: Path) -> None:
    assert still.submit(clip).json()["job_id"] != still.submit(clip).json()["job_id"]


BEGINNINGS = {
    "chunked-upload/init": {"json": {"filename": "a.mp4", "total_size": 10, "chunk_size": 5}},
    "tus": {"headers": {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": "filename YS5tcDQ="}},
}


@pytest.mark.parametrize("route", BEGINNINGS)
def test_an_upload_is_begun_once(still: Site, key: dict[str, str], route: str) -> None:
    asked = BEGINNINGS[route]
    headers = asked.get("headers", {}) | key
    first, second = (still.http.post(f"/api/v1/{route}", **asked | {"headers": headers}) for _ in range(2))
    assert first.status_code == second.status_code
    assert (first.content, first.headers.get("location")) == (second.content, second.headers.get("location"))
    assert second.headers["idempotency-replayed"] == "true"
    other = {"json": asked["json"] | {"total_size": 11}} if "json" in asked else {"headers": {"Upload-Length": "11"}}
    changed = asked | other
    changed["headers"] = asked.get("headers", {}) | changed.get("headers", {}) | key
    problem(still.http.post(f"/api/v1/{route}", **changed), 422, "idempotency_key_reused")


def test_a_key_that_is_too_long(still: Site, clip: Path) -> None:
    problem(still.submit(clip, headers={"Idempotency-Key": "k" * 256}), 400, "invalid_input")


def test_the_hash_of_a_request_fits_its_column(still: Site, clip: Path, key: dict[str, str]) -> None:
    """SQLite does not mind, PostgreSQL does."""
    from sqlalchemy import select

    from vtid.db.tables import idempotency

    still.submit(clip, headers=key)

    async def read() -> str:
        async with still.app.database.read() as c:
            found = await c.execute(
                select(idempotency.c.request_hash).where(idempotency.c.key == key["Idempotency-Key"])
            )
            return str(found.scalar_one())

    assert len(still.bridge.run(read())) <= 64


def test_a_key_that_a_dead_daemon_had_reserved_is_free_again(still: Site, clip: Path, key: dict[str, str]) -> None:
    """After a while: a request that is only slow keeps its key."""
    for age, status in ((RESERVED_S - 60, 422), (RESERVED_S + 5, 202)):
        mine = {"Idempotency-Key": f"{key['Idempotency-Key']}-{status}"}
        then = Repeats(still.app.database, clock=lambda age=age: time.time() - age)
        assert still.bridge.run(then.reserve("local", mine["Idempotency-Key"], "another request")) is None
        assert still.submit(clip, headers=mine).status_code == status
