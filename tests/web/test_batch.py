"""Several files in one request."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from tests.web.site import API, Site, another, problem
from tests.web.test_assets import uploaded

BATCH = f"{API}/batch"


def send(site: Site, files: dict[str, bytes], key: str | None = None, **fields: str) -> Any:
    form = [("files", (name, data)) for name, data in files.items()]
    headers = {"Idempotency-Key": key} if key else {}
    return site.http.post(BATCH, files=form, data={"pipeline": "copy"} | fields, headers=headers)


def test_a_job_of_each_file(site: Site, clip: Path) -> None:
    files = {f"part {i}.mp4": another(clip) for i in range(4)}
    answer = send(site, files)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert [job["original_filename"] for job in body["jobs"]] == list(files)
    assert body["refused"] == []
    for job in body["jobs"]:
        done = site.wait(job["job_id"])
        assert site.http.get(done["result_url"]).content == files[job["original_filename"]]


def test_a_bad_file_does_no_harm_to_the_others(still: Site, clip: Path) -> None:
    before = still.stored()
    answer = send(still, {"good.mp4": another(clip), "notes.mp4": b"text" * 50, "fine.mp4": another(clip)})
    assert answer.status_code == 202
    body = answer.json()
    assert [job["original_filename"] for job in body["jobs"]] == ["good.mp4", "fine.mp4"]
    assert [(r["file"], r["status"]) for r in body["refused"]] == [("notes.mp4", 415)]
    assert "not a media file" in body["refused"][0]["detail"]
    assert len(still.stored() - before) == 2


def test_nothing_usable(still: Site) -> None:
    before = still.stored()
    body = problem(send(still, {"a.mp4": b"text" * 50, "b.mp4": b"more" * 50}), 415, "nothing_usable")
    assert [e["field"] for e in body["errors"]] == ["a.mp4", "b.mp4"]
    assert still.stored() == before


def test_files_that_came_in_before(site: Site, clip: Path) -> None:
    ids = [uploaded(site, another(clip), f"{i}.mp4")["asset_id"] for i in range(2)]
    gone = "550e8400-e29b-41d4-a716-446655440000"
    answer = site.http.post(BATCH, json={"pipeline": "copy", "asset_ids": [ids[0], gone, ids[1]]})
    assert answer.status_code == 202, answer.text
    assert [job["original_filename"] for job in answer.json()["jobs"]] == ["0.mp4", "1.mp4"]
    assert [(r["file"], r["status"]) for r in answer.json()["refused"]] == [(gone, 404)]


def test_a_repeat_makes_nothing_new(site: Site, clip: Path) -> None:
    files = {f"{i}.mp4": another(clip) for i in range(2)}
    first, again = (send(site, files, "batch-1").json()["jobs"] for _ in range(2))
    assert [job["job_id"] for job in first] == [job["job_id"] for job in again]


def test_what_a_batch_may_not_be(still: Site, clip: Path) -> None:
    too_many = send(still, {f"{i}.mp4": b"x" for i in range(51)})
    assert "more than 50 times" in str(problem(too_many, 400)["errors"])
    assert "missing" in str(problem(still.http.post(BATCH, files={"pipeline": (None, "copy")}), 400)["errors"])
    problem(send(still, {"a.mp4": clip.read_bytes()}, pipeline="nope"), 404)
    assert "params" in str(problem(send(still, {"a.mp4": clip.read_bytes()}, params="{"), 400)["errors"])
    problem(send(still, {"a.mp4": bytes(2 << 20)}), 413, "too_large")
    problem(still.http.post(BATCH, json={"pipeline": "copy", "asset_ids": []}), 400)


def test_a_batch_that_is_sent_again_says_so(still: Site, clip: Path) -> None:
    files, key = {"a.mp4": another(clip), "b.mp4": another(clip)}, str(uuid.uuid4())
    first, second = send(still, files, key), send(still, files, key)
    assert [j["job_id"] for j in first.json()["jobs"]] == [j["job_id"] for j in second.json()["jobs"]]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
