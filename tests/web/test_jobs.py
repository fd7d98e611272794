"""Jobs over HTTP: the contract's shapes, from submitting to deleting."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.web.site import API, Site, another, problem

FIELDS = {
    "job_id",
    "status",
    "progress",
    "message",
    "result_url",
    "output_url",
    "created_at",
    "updated_at",
    "completed_at",
    "error",
    "original_filename",
    "display_name",
    "pipeline",
    "estimated_credits",
    "actual_credits_used",
    "metadata",
}
NOBODY = "00000000-0000-4000-8000-000000000000"


def when(text: str) -> datetime:
    """A time of the contract: ISO 8601 in UTC, with a Z."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def finished(site: Site, clip: Path) -> dict[str, Any]:
    return site.done(clip, display_name="Holiday")


# --- submit


def test_a_submitted_job_is_accepted_and_told_where_to_look(still: Site, clip: Path) -> None:
    answer = still.submit(clip, display_name="Holiday")
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"{API}/{body['job_id']}"
    assert still.http.get(answer.headers["location"]).json() == body
    assert str(uuid.UUID(body["job_id"])) == body["job_id"]
    assert body.keys() == FIELDS | {"steps"}
    assert (body["status"], body["progress"], body["error"]) == ("queued", 0, None)
    assert (body["result_url"], body["output_url"], body["completed_at"]) == (None, None, None)
    assert (body["original_filename"], body["display_name"], body["pipeline"]) == ("clip.mp4", "Holiday", "copy")
    assert body["steps"] == [
        {"id": "copy", "title": "Copying", "status": "pending", "progress": 0, "message": None, "attempt": 0}
    ]
    assert abs((when(body["created_at"]) - datetime.now(UTC)).total_seconds()) < 60


def test_a_job_on_a_file_that_came_in_before(site: Site, clip: Path, finished: dict[str, Any]) -> None:
    asset_id = site.bridge.run(site.app.jobs.get(finished["job_id"])).inputs["video"]
    answer = site.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": asset_id, "display_name": "again"})
    assert answer.status_code == 202
    job = site.wait(answer.json()["job_id"])
    assert job["status"] == "completed"
    assert site.http.get(job["result_url"]).content == clip.read_bytes()


def test_upload_and_process_removes_text(still: Site, clip: Path) -> None:
    answer = still.http.post("/api/v1/upload-and-process", files={"file": ("v.mp4", clip.read_bytes())})
    assert answer.status_code == 202
    assert answer.json()["pipeline"] == "remove-text"


def test_params_reach_their_step(site: Site, clip: Path) -> None:
    job = site.done(clip, "slow", params={"ticks": 3})
    assert job["status"] == "completed", job


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd.mp4",
        "C:\\videos\\ö 漢字 \U0001f600.mp4",
        "..",
        "a" * 500 + ".mp4",
        'quote"d.mp4',
        "%2e%2e%2fx.mp4",
    ],
)
def test_strange_file_names_do_no_harm(still: Site, clip: Path, name: str) -> None:
    answer = still.http.post(f"{API}/submit", files={"file": (name, another(clip))}, data={"pipeline": "copy"})
    assert answer.status_code == 202, answer.text
    shown = answer.json()["original_filename"]
    assert shown
    assert "/" not in shown
    prefix = f"users/local/jobs/{answer.json()['job_id']}/source/video/"
    assert sum(key.startswith(prefix) for key in still.stored()) == 1


# --- look


def test_a_finished_job_has_everything(site: Site, clip: Path, finished: dict[str, Any]) -> None:
    assert finished.keys() == FIELDS | {"steps"}
    assert (finished["status"], finished["progress"], finished["error"]) == ("completed", 100, None)
    assert finished["result_url"] == finished["output_url"]
    assert when(finished["created_at"]) <= when(finished["completed_at"]) <= when(finished["updated_at"])
    assert [(s["id"], s["status"], s["progress"], s["attempt"]) for s in finished["steps"]] == [
        ("copy", "completed", 100, 1)
    ]


def test_the_result_is_what_was_stored(site: Site, clip: Path, finished: dict[str, Any]) -> None:
    answer = site.http.get(finished["result_url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert "clip.copy.mp4" in answer.headers["content-disposition"]
    stored = site.bridge.run(site.app.jobs.get(finished["job_id"])).results[0]
    assert answer.content == b"".join(site.app.storage.read(stored.key)) == clip.read_bytes()


def test_files_are_listed_with_their_links(site: Site, finished: dict[str, Any]) -> None:
    files = site.http.get(f"{API}/{finished['job_id']}/files").json()
    assert [f.keys() for f in files] == [{"step_id", "output", "kind", "filename", "size", "url"}] * len(files)
    assert [(f["step_id"], f["output"], f["kind"]) for f in files] == [("copy", "video", "video")]
    assert len(site.http.get(files[0]["url"]).content) == files[0]["size"]


def test_ids_are_read_in_any_case(site: Site, finished: dict[str, Any]) -> None:
    assert site.http.get(f"{API}/{finished['job_id'].upper()}").json()["job_id"] == finished["job_id"]


@pytest.mark.parametrize("job_id", [NOBODY, "1", "x" * 300, "%00", "..%2f..", "'; drop table jobs"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/files"), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")],
)
def test_unknown_jobs_are_not_found(still: Site, method: str, path: str, job_id: str) -> None:
    problem(still.http.request(method, f"{API}/{job_id}{path}"), 404, "not_found")


# --- list


@pytest.fixture(scope="session")
def listed(still: Site, clip: Path) -> list[str]:
    """Seven jobs, newest first, that only these tests know.

    They live as long as the daemon that lists them: a worker that steals tests comes back to this module after another.
    """
    ids = [
        still.submit(clip, "copy" if i % 2 else "slow", display_name=f"Needle {i} 50%_off").json()["job_id"]
        for i in range(7)
    ]
    return ids[::-1]


def test_lists_are_newest_first(still: Site, listed: list[str]) -> None:
    body = still.http.get(f"{API}/", params={"text": "needle"}).json()
    assert body.keys() == {"jobs", "next"}
    assert [j["job_id"] for j in body["jobs"]] == listed
    assert all(j.keys() >= FIELDS for j in body["jobs"])
    assert body["next"] is None
    assert still.http.get(API, params={"text": "needle"}).json() == body


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
def test_pages_show_each_job_once(still: Site, listed: list[str], size: int) -> None:
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        params = {"text": "needle", "limit": size} | ({"cursor": cursor} if cursor else {})
        body = still.http.get(f"{API}/", params=params).json()
        found += [j["job_id"] for j in body["jobs"]]
        cursor, pages = body["next"], pages + 1
    assert found == listed
    assert pages == -(-7 // size)


def test_pages_do_not_shift_when_jobs_come(still: Site, clip: Path, listed: list[str]) -> None:
    body = still.http.get(f"{API}/", params={"text": "50%_off", "limit": 4}).json()
    still.submit(clip, display_name="haystack 50%_ff")
    rest = still.http.get(f"{API}/", params={"text": "50%_off", "cursor": body["next"]}).json()["jobs"]
    assert [j["job_id"] for j in (*body["jobs"], *rest)] == listed


def test_filters(still: Site, listed: list[str]) -> None:
    def ids(**params: str) -> list[str]:
        return [j["job_id"] for j in still.http.get(f"{API}/", params={"text": "needle"} | params).json()["jobs"]]

    assert ids(pipeline="copy") == [listed[i] for i in (1, 3, 5)]
    assert ids(status="queued") == listed
    assert ids(status="completed") == []
    assert ids(text="NEEDLE 3") == [listed[3]]
    assert ids(text=listed[2][:13]) == [listed[2]]
    assert ids(text="50%_o") == listed, "the wildcards of SQL are letters"
    assert ids(text="5__") == []


# --- decide


def test_a_waiting_job_is_cancelled_at_once(still: Site, clip: Path) -> None:
    job_id = still.submit(clip).json()["job_id"]
    answer = still.http.post(f"{API}/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert still.http.post(f"{API}/{job_id}/cancel").json()["status"] == "cancelled", "it is idempotent"


def test_a_running_job_is_cancelled(site: Site, clip: Path) -> None:
    job_id = site.submit(clip, "slow").json()["job_id"]
    wait_until(lambda: site.job(job_id)["progress"] > 0)
    problem(site.http.delete(f"{API}/{job_id}"), 409, "conflict")
    assert site.http.post(f"{API}/{job_id}/cancel").status_code == 200
    job = site.wait(job_id, "cancelled")
    assert {s["id"]: s["status"] for s in job["steps"]}["slow"] == "cancelled"
    assert job["result_url"] is None


def test_a_finished_job_stays_as_it_is(site: Site, finished: dict[str, Any]) -> None:
    assert site.http.post(f"{API}/{finished['job_id']}/cancel").json()["status"] == "completed"
    problem(site.http.post(f"{API}/{finished['job_id']}/retry"), 409, "conflict")


def test_a_failed_job_says_why_and_can_be_tried_again(site: Site, clip: Path) -> None:
    job = site.done(clip, "fails")
    assert job["status"] == "failed"
    assert job["error"] == {
        "code": "step_error",
        "message": "the moon is in the wrong phase",
        "step_id": "fail",
        "suggested_action": None,
    }
    assert job["result_url"] is None
    again = site.http.post(f"{API}/{job['job_id']}/retry")
    assert again.status_code == 200
    assert (again.json()["status"], again.json()["error"], again.json()["completed_at"]) == ("queued", None, None)
    later = site.wait(job["job_id"])
    assert {s["id"]: s["attempt"] for s in later["steps"]}["fail"] == 2


def test_a_deleted_job_is_gone_with_its_files(site: Site, clip: Path) -> None:
    job = site.done(clip)
    assert any(job["job_id"] in key for key in site.stored())
    answer = site.http.delete(f"{API}/{job['job_id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not any(job["job_id"] in key for key in site.stored())
    problem(site.http.get(f"{API}/{job['job_id']}"), 404, "not_found")
    problem(site.http.get(job["result_url"]), 404, "not_found")


def test_a_waiting_job_is_not_deleted(still: Site, clip: Path) -> None:
    job_id = still.submit(clip).json()["job_id"]
    assert "cancel it first" in problem(still.http.delete(f"{API}/{job_id}"), 409, "conflict")["detail"]


# --- the other routes


def test_pipelines_tell_what_can_run(still: Site) -> None:
    found = {p["name"]: p for p in still.http.get("/api/v1/pipelines").json()}
    assert found["copy"]["ready"]
    assert found["copy"]["steps"] == ["lab.pass"]
    assert (found["broken"]["ready"], bool(found["broken"]["problems"])) == (False, True)
    assert (found["not-ready"]["ready"], found["not-ready"]["problems"]) == (False, [])
    assert "the key of the service" in found["not-ready"]["reason"]


def test_plugins_tell_how_they_are(still: Site) -> None:
    found = {p["name"]: p for p in still.http.get("/api/v1/plugins").json()}
    assert found["lab"]["status"] == "enabled"
    assert "lab.pass" in found["lab"]["steps"]
    assert found["inpaint_ghostcut"]["reason"]


def test_the_first_page(still: Site) -> None:
    answer = still.http.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "/docs" in answer.text


def test_health(site: Site, still: Site) -> None:
    for path in ("/health", "/api/v1/health"):
        answer = site.http.get(path)
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": "healthy", "services": ["db", "queue", "storage", "workers"]},
        )
    sick = still.http.get("/health")
    assert sick.status_code == 503
    assert sick.json()["status"] == "unhealthy"
    assert sick.json()["services"] == ["db", "queue", "storage"]
    assert "no worker" in sick.json()["problems"]["workers"]


@pytest.mark.parametrize("path", ["/health/db", "/health/queue", "/health/redis", "/health/storage"])
def test_health_of_one_thing(still: Site, path: str) -> None:
    answer = still.http.get(path)
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert answer.json()["latency_ms"] >= 0
