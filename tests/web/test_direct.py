"""Uploads past the daemon, to a real server that checks signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE_S
from tests.web.site import API, Site, another, problem

DIRECT = "/api/v1/direct-upload"
MIB = 1 << 20


def begin(site: Site, size: int, **more: Any) -> dict[str, Any]:
    answer = site.http.post(DIRECT, json={"filename": "film.mp4", "size": size} | more)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{DIRECT}/{answer.json()['upload_id']}"
    body: dict[str, Any] = answer.json()
    return body


def put(site: Site, upload: str, number: int, data: bytes) -> None:
    """As a browser would: no credentials, no header of ours."""
    urls = site.http.post(f"{DIRECT}/{upload}/parts", json={"numbers": [number]}).json()["urls"]
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as stranger:
        assert stranger.put(urls[str(number)], content=data).status_code == 200


def test_a_file_in_parts(bucket_site: Site, clip: Path) -> None:
    data = another(clip) + (6 * MIB).to_bytes(4, "big") + b"free" + bytes(6 * MIB - 8)
    begun = begin(bucket_site, len(data), part_size=5 * MIB)
    upload = begun["upload_id"]
    assert (begun["part_count"], begun["received"], begun["complete"]) == (2, {}, False)
    put(bucket_site, upload, 2, data[5 * MIB :])
    assert bucket_site.http.get(f"{DIRECT}/{upload}").json()["received"] == {"2": len(data) - 5 * MIB}
    told = problem(bucket_site.http.post(f"{DIRECT}/{upload}/complete"), 409, "conflict")
    assert "not complete" in told["detail"]
    put(bucket_site, upload, 1, data[: 5 * MIB])
    answer = bucket_site.http.post(f"{DIRECT}/{upload}/complete")
    assert answer.status_code == 200, answer.text
    asset = answer.json()
    assert (asset["asset_id"], asset["size"], asset["kind"], asset["width"]) == (upload, len(data), "video", 160)
    again = bucket_site.http.post(f"{DIRECT}/{upload}/complete").json()
    assert again["asset_id"] == upload
    assert bucket_site.http.get(f"{DIRECT}/{upload}").json()["complete"]
    assert httpx.get(asset["url"], trust_env=False).content == data
    job = bucket_site.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": upload}).json()["job_id"]
    assert bucket_site.wait(job)["status"] == "completed"


def test_what_is_sent_twice_is_stored_once_here_too(bucket_site: Site, clip: Path) -> None:
    data, keys = another(clip), bucket_site.keys()
    for _ in range(2):
        upload = begin(bucket_site, len(data))["upload_id"]
        put(bucket_site, upload, 1, data)
        assert bucket_site.http.post(f"{DIRECT}/{upload}/complete").status_code == 200
    assert len(bucket_site.keys() - keys) == 1


def test_what_is_no_video_is_refused_and_gone(bucket_site: Site) -> None:
    keys = bucket_site.keys()
    upload = begin(bucket_site, 1000)["upload_id"]
    put(bucket_site, upload, 1, b"text" * 250)
    problem(bucket_site.http.post(f"{DIRECT}/{upload}/complete"), 415, "unsupported_media")
    assert bucket_site.keys() == keys
    problem(bucket_site.http.get(f"{DIRECT}/{upload}"), 404)


def test_an_upload_that_is_dropped_takes_no_more(bucket_site: Site) -> None:
    upload = begin(bucket_site, 1000)["upload_id"]
    url = bucket_site.http.post(f"{DIRECT}/{upload}/parts", json={"numbers": [1]}).json()["urls"]["1"]
    assert bucket_site.http.delete(f"{DIRECT}/{upload}").status_code == 204
    assert httpx.put(url, content=b"x" * 1000, trust_env=False).status_code == 404
    problem(bucket_site.http.post(f"{DIRECT}/{upload}/parts", json={"numbers": [1]}), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"size": 5}, "filename"),
        ({"filename": "a", "size": 0}, "size"),
        ({"filename": "a", "size": 5, "part_size": 1000}, "part_size"),
    ],
)
def test_bad_beginnings(bucket_site: Site, body: dict[str, Any], field: str) -> None:
    assert problem(bucket_site.http.post(DIRECT, json=body), 400)["errors"][0]["field"] == field


def test_bad_parts(bucket_site: Site) -> None:
    upload = begin(bucket_site, 1000)["upload_id"]
    for numbers in ([2], [0], [], "1"):
        body = problem(bucket_site.http.post(f"{DIRECT}/{upload}/parts", json={"numbers": numbers}), 400)
        assert body["errors"][0]["field"].startswith("numbers")
    bucket_site.http.delete(f"{DIRECT}/{upload}")


def test_a_folder_takes_no_direct_uploads(site: Site) -> None:
    body = problem(site.http.post(DIRECT, json={"filename": "a.mp4", "size": 5}), 409)
    assert "tus or in chunks" in body["suggested_action"]
