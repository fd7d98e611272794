"""Submitting a URL over HTTP: answered at once, fetched by the job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.origin import Origin, origin, say, serves
from tests.web.site import API, Site, problem, serving

SUBMIT = f"{API}/submit"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon whose operator allows this machine."""
    with serving(tmp_path_factory.mktemp("near"), workers=True, net__allow=("127.0.0.1",)) as site:
        yield site


@pytest.fixture
def server(clip: Path) -> Iterator[Origin]:
    with origin(serves(clip.read_bytes())) as made:
        yield made


def test_a_url_becomes_a_result(near: Site, server: Origin, clip: Path) -> None:
    url = f"{server.url}/holiday.mp4?key=hush"
    answer = near.http.post(SUBMIT, json={"pipeline": "copy", "video_url": url, "display_name": "Sea"})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["status"], told["original_filename"], told["display_name"]) == ("queued", "holiday.mp4", "Sea")
    job = near.wait(told["job_id"])
    assert job["status"] == "completed", job
    assert near.http.get(job["result_url"]).content == clip.read_bytes()
    assert "hush" not in json.dumps(job)


def test_the_request_does_not_wait_for_the_other_side(still: Site) -> None:
    answer = still.http.post(SUBMIT, json={"pipeline": "copy", "video_url": "https://far-away.invalid/clip.mp4"})
    assert answer.status_code == 202


def test_a_repeat_gives_the_same_job(near: Site, server: Origin) -> None:
    body = {"pipeline": "copy", "video_url": f"{server.url}/a.mp4"}
    first, second = (near.http.post(SUBMIT, json=body, headers={"Idempotency-Key": "url-1"}) for _ in range(2))
    assert first.json()["job_id"] == second.json()["job_id"]
    assert second.headers["idempotency-replayed"] == "true"
    other = near.http.post(
        SUBMIT, json=body | {"video_url": f"{server.url}/b.mp4"}, headers={"Idempotency-Key": "url-1"}
    )
    problem(other, 422, "idempotency_key_reused")


def test_every_complaint_at_once(near: Site) -> None:
    body = problem(near.http.post(SUBMIT, json={"pipeline": "cop", "video_url": "ftp://x", "params": 1}), 400)
    assert {e["field"] for e in body["errors"]} == {"pipeline", "video_url", "params"}


def test_a_form_with_empty_params_has_none(near: Site, clip: Path) -> None:
    assert near.submit(clip, params="").status_code == 202


def test_what_came_is_no_video(near: Site, server: Origin) -> None:
    server.act = lambda _asked, sock: say(sock, body=b"<html>", content_type="text/html")
    job = near.wait(near.http.post(SUBMIT, json={"pipeline": "copy", "video_url": server.url}).json()["job_id"])
    assert job["status"] == "failed"
    assert job["error"]["code"] == "unsupported_media"


def test_the_events_tell_of_the_download(near: Site, server: Origin, clip: Path) -> None:
    content = clip.read_bytes()
    server.act = serves(content, cut_at=[1000])
    job_id = near.http.post(SUBMIT, json={"pipeline": "copy", "video_url": f"{server.url}/a.mp4"}).json()["job_id"]
    near.wait(job_id)
    told = near.http.get(f"{API}/{job_id}/events").text
    assert "Downloading goes on in" in told
    assert "a.mp4 is here" in told
