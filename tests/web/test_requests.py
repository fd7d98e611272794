"""What every request passes: its id, where it may come from, the log and the metrics."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import wait_until
from tests.web.site import API, Site, problem, serving
from vtid import logs

NOBODY = "00000000-0000-4000-8000-000000000000"
SUBMIT = f"{API}/submit"


# --- ids


def test_an_id_is_given_or_taken_over(still: Site) -> None:
    ids = {still.http.get("/").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch(r"[0-9a-f-]{32,36}", i) for i in ids)
    for mine in ("my-id.1_2", "A" * 64):
        assert still.http.get("/nowhere", headers={"X-Request-ID": mine}).headers["x-request-id"] == mine
    for bad in ("", "a" * 65, "a b", "a{b}", "<b>", "ä".encode()):
        assert still.http.get("/", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


def test_every_answer_forbids_guessing_its_type(still: Site) -> None:
    for path in ("/", "/docs", "/metrics", "/nowhere", f"{API}/", f"{API}/{NOBODY}"):
        assert still.http.get(path).headers["x-content-type-options"] == "nosniff", path


# --- where from


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8750",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "192.168.1.5",
        "0.0.0.0",
        "127.0.0.1:80:80",
    ],
)
@pytest.mark.parametrize("path", ["/", f"{API}/", "/health", "/nowhere", "/files/x"])
def test_a_name_that_is_not_ours(still: Site, host: str, path: str) -> None:
    """DNS rebinding: a page of evil.example whose name has come to mean this machine."""
    problem(still.http.get(path, headers={"Host": host}), 403, "forbidden_origin")


@pytest.mark.parametrize("host", ["localhost", "localhost:8750", "LOCALHOST", "127.0.0.1:1", "[::1]:8750"])
def test_names_that_are_ours(still: Site, host: str) -> None:
    assert still.http.get(f"{API}/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "https://evil.example:8750"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://[bad"},
        {"Origin": ""},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(still: Site, clip: Path, headers: dict[str, str]) -> None:
    before = still.stored()
    problem(still.submit(clip, headers=headers), 403, "forbidden_origin")
    problem(still.http.delete(f"{API}/{NOBODY}", headers=headers), 403, "forbidden_origin")
    problem(still.http.post(f"{API}/{NOBODY}/cancel", headers=headers), 403, "forbidden_origin")
    assert still.stored() == before


def test_our_own_pages_may(still: Site, clip: Path) -> None:
    assert still.submit(clip, headers={"Origin": still.url, "Sec-Fetch-Site": "same-origin"}).status_code == 202
    assert still.submit(clip, headers={"Sec-Fetch-Site": "none"}).status_code == 202


def test_other_sites_read_nothing(still: Site) -> None:
    answer = still.http.get(f"{API}/", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_sites_that_the_operator_names(tmp_path: Path, clip: Path) -> None:
    origin = "https://front.example"
    with serving(
        tmp_path, workers=False, server__cors_origins=(origin,), server__public_url="https://Media.example/"
    ) as site:
        answer = site.submit(clip, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 202
        assert answer.headers["access-control-allow-origin"] == origin
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "Idempotency-Key",
        }
        preflight = site.http.options(SUBMIT, headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        problem(site.submit(clip, headers={"Origin": "https://evil.example"}), 403)
        assert site.http.get(f"{API}/", headers={"Host": "media.example"}).status_code == 200
        public = {"Host": "media.example", "Origin": "https://media.example"}
        assert site.submit(clip, headers=public).status_code == 202
        assert site.core.storage.signed_url("a", ttl_s=1).startswith("https://Media.example/files/")


# --- the log


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.configure("info", "json", service="test", stream=stream)
    yield stream
    logs.configure("error", "json", service="test")


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_one_line_for_each_request(still: Site, log: io.StringIO) -> None:
    still.http.get(f"{API}/{NOBODY}", headers={"X-Request-ID": "mine"})
    # Told after the answer is sent: the line of an earlier test's request may still come in here.
    found = wait_until(lambda: [line for line in lines(log) if line.get("request_id") == "mine"])
    assert len(found) == 1
    line = found[0]
    assert line["message"] == "request"
    assert line["level"] == "info"
    assert line["duration_seconds"] >= 0
    assert {"method": "GET", "path": f"{API}/{NOBODY}", "status": 404}.items() <= line["metadata"].items()
    assert line.get("job_id") == NOBODY


def test_no_line_tells_what_is_nobodys_business(still: Site, clip: Path, log: io.StringIO) -> None:
    url = still.app.storage.signed_url("users/local/x.mp4", ttl_s=60, filename="hush.mp4")
    still.http.get(url)
    still.http.get(f"{API}/?text=hush")
    still.http.get("/nowhere?token=hush", headers={"Authorization": "Bearer hush", "Cookie": "a=hush"})
    still.submit(clip, display_name="hush", params={"hush": "hush"}, headers={"Idempotency-Key": "hush"})
    still.http.post(SUBMIT, content=b'{"password": "hush"', headers={"Content-Type": "application/json"})
    wait_until(lambda: len([line for line in lines(log) if line["message"] == "request"]) >= 5)
    signature = re.search(r"signature=(\w+)", url)
    assert signature
    assert "hush" not in log.getvalue()
    assert signature[1] not in log.getvalue()


def test_a_bug_is_logged_under_its_request(still: Site, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the very reason")

    monkeypatch.setattr(still.core.jobs, "with_runs", broken)
    still.http.get(f"{API}/{NOBODY}", headers={"X-Request-ID": "mine"})
    bug = wait_until(lambda: [line for line in lines(log) if line["level"] == "error"])[0]
    assert bug["request_id"] == "mine"
    assert "the very reason" in bug["exception"]


# --- metrics


def samples(site: Site) -> list[Any]:
    answer = site.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def test_metrics_are_what_prometheus_reads(site: Site, clip: Path) -> None:
    site.done(clip)
    found = {s.name: s for s in samples(site)}
    assert {"vtid_http_requests_total", "vtid_http_request_seconds_bucket", "vtid_info"} <= found.keys()
    jobs = {s.labels["status"]: s.value for s in samples(site) if s.name == "vtid_jobs"}
    assert jobs.keys() == {"queued", "processing", "completed", "failed", "cancelled"}
    assert jobs["completed"] >= 1
    assert found["vtid_workers"].value == 1
    assert found["vtid_worker_slots"].value == 2
    assert found["vtid_queue_pending"].value >= 0


def test_no_id_and_no_invention_makes_a_series(still: Site) -> None:
    for i in range(20):
        still.http.get(f"{API}/{NOBODY[:-2]}{i:02}")
        still.http.get(f"/nowhere/{i}")
        still.http.request(f"VERB{i}", "/health")
        still.http.get(f"/files/{i}/x.mp4")
        still.http.get(f"/docs/assets/{i}.js")
    requests = [s for s in samples(still) if s.name == "vtid_http_requests_total"]
    routes = {s.labels["route"] for s in requests}
    assert {f"{API}/{{job_id}}", "/files/{key}", "unmatched"} <= routes
    assert not [r for r in routes if re.search(r"\d|nowhere", r.replace("/v1/", ""))]
    assert not [s for s in requests if s.labels["method"].startswith("VERB")]
    assert len(requests) < 100


def test_requests_are_counted(still: Site) -> None:
    def count() -> float:
        wanted = {"method": "GET", "route": f"{API}/{{job_id}}", "status": "404"}
        return sum(s.value for s in samples(still) if s.name == "vtid_http_requests_total" and s.labels == wanted)

    before = count()
    for _ in range(3):
        still.http.get(f"{API}/{NOBODY}")
    assert count() == before + 3
