"""The pro editor's chain with both services simulated: what comes out, what is told, what is paid, and what goes wrong."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.conftest import wait_until
from tests.web.proxy import Proxy, proxy
from tests.web.site import API, events, problem
from tests.web.studio import BOTTOM, ERASE, Studio, duration_at, lines, studio_in
from vtid.domain.account import User
from vtid.simulators.ghostcut import GhostCut
from vtid.simulators.ghostcut import Moods as GhostCutMoods
from vtid.simulators.syncso import Moods, SyncSo

NEVER = 3600.0
"""Seconds between looks: whatever goes on sooner was called back."""


class Both(NamedTuple):
    """A studio, and the service that cleans beside the one that dubs."""

    studio: Studio
    cleaner: GhostCut


def account(cleaner: GhostCut, **more: Any) -> dict[str, Any]:
    """The table `[plugins.inpaint_ghostcut]`."""
    keys = {"api_url": cleaner.url, "api_key": cleaner.moods.key, "app_secret": cleaner.moods.secret}
    return keys | {"settle_seconds": 2.0, "poll_seconds": 0.1} | more


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    with (
        SyncSo(folder / "dubs") as dubber,
        GhostCut(folder / "cleans") as cleaner,
        studio_in(folder, dubber, plugins__inpaint_ghostcut=account(cleaner)) as studio,  # type: ignore[arg-type]
    ):
        yield Both(studio, cleaner)  # type: ignore[arg-type]


@pytest.fixture
def cleaner(both: Both) -> GhostCut:
    """With its ledger empty, and in the best of moods."""
    best = GhostCutMoods()
    both.cleaner.change({name: getattr(best, name) for name in best.__struct_fields__} | {"seconds": 0.1})
    both.cleaner.ledger.clear()
    return both.cleaner


@pytest.fixture
def studio(both: Both, cleaner: GhostCut) -> Studio:
    """The same of the service that dubs."""
    best = Moods()
    both.studio.service.change({name: getattr(best, name) for name in best.__struct_fields__} | {"seconds": 0.1})
    both.studio.service.ledger.clear()
    return both.studio


@pytest.fixture
def result(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def fetch(job: dict[str, Any]) -> Path:
        path = tmp_path / "result.mp4"
        path.write_bytes(httpx.get(job["result_url"], trust_env=False).content)
        return path

    return fetch


def test_three_effects(studio: Studio, cleaner: GhostCut, result: Callable[[dict[str, Any]], Path]) -> None:
    """Two erasures, which would take all of the text, and a protection over a part of them."""
    effects = [
        {"type": "erasure", "coordinates": BOTTOM},
        {
            "type": "erasure",
            "startTime": 0.0,
            "endTime": 3.0,
            "coordinates": {"x": 0, "y": 0, "width": 320, "height": 40},
        },
        {"type": "protection", "coordinates": {"x": 0.0, "y": 0.0, "width": 1.0, "height": 0.25}},
    ]
    job = studio.done(studio.send(effects=effects))
    assert job["status"] == "completed", job["error"]
    before, after = lines(studio.video), lines(result(job))
    assert after["bottom"] < 0.35 * before["bottom"]
    assert after["top"] > 0.8 * before["top"], "protected"
    assert (len(studio.service.ledger), len(cleaner.ledger)) == (1, 1)
    assert job["metadata"]["sync_generation_id"] == studio.service.ledger[0]["id"]
    assert job["metadata"]["ghostcut_task_id"] == str(cleaner.ledger[0]["task"])
    assert job["pipeline"] == "pro-sync-ghostcut", "its keys are set"


@pytest.mark.parametrize("status", ["/api/v1/video-editors/pro-job/{}/status", "/api/v1/sync/pro-job/{}/status"])
def test_how_a_pro_job_stands(studio: Studio, status: str) -> None:
    job_id = studio.send(
        effects=[{"type": "text", "coordinates": {"x": 32, "y": 18, "width": 64, "height": 36}}]
    ).json()["job_id"]
    studio.site.wait(job_id)
    found = studio.http.get(status.format(job_id)).json()
    assert (found["job_id"], found["status"], found["progress"]) == (job_id, "completed", 100)
    assert [(s["startTime"], s["audioInput"], s["label"]) for s in found["segments"]] == [
        (0.0, {"refId": "audio-1"}, "Segment 1"),
        (1.5, {"refId": "audio-2"}, "Segment 2"),
    ]
    box = found["effects"][0]["coordinates"]
    assert box == {
        "x": pytest.approx(0.1),
        "y": pytest.approx(0.1),
        "width": pytest.approx(0.2),
        "height": pytest.approx(0.2),
    }
    assert duration_at(found["output_url"]) == pytest.approx(3.0, abs=0.1)
    assert duration_at(found["intermediate_url"]) == pytest.approx(3.0, abs=0.1)
    other = studio.site.submit(studio.video, "copy").json()["job_id"]
    problem(studio.http.get(status.format(other)), 404)
    problem(studio.http.get(status.format(uuid.uuid4())), 404)


def test_its_stages_are_those_of_the_contract(studio: Studio, cleaner: GhostCut) -> None:
    studio.service.change({"seconds": 0.5})
    cleaner.change({"seconds": 0.5})
    job_id = studio.send(effects=[ERASE]).json()["job_id"]
    with studio.http.stream("GET", f"{API}/{job_id}/events") as stream:
        raw = [json.loads(event["data"]) for event in events(stream.iter_lines()) if "data" in event]
    told = [(data["progress"], data["message"]) for data in raw if data.get("message") and "progress" in data]
    # What the plugin says of itself in between may come too soon after another message to be told.
    assert list(dict.fromkeys(message for _, message in told if message != "Fetching the result")) == [
        "Waiting for a worker", "Started", "Uploading files...", "Lip-sync processing...", "Lip-sync completed",
        "Starting text inpainting...", "Text inpainting in progress...",
        "Pro video processing completed (lip-sync + text inpainting)",
    ]  # fmt: skip
    ranges = {
        "Uploading files...": (0, 10),
        "Lip-sync processing...": (10, 50),
        "Lip-sync completed": (50, 60),
        "Starting text inpainting...": (60, 70),
        "Text inpainting in progress...": (60, 95),
        "Fetching the result": (70, 95),
    }
    for percent, message in told:
        low, high = ranges.get(message, (0, 100))
        assert low <= percent <= high, (percent, message)


# --- when something fails


def test_when_lip_sync_fails_no_text_is_removed(studio: Studio, cleaner: GhostCut) -> None:
    studio.service.change({"outcome": "FAILED"})
    job = studio.done(studio.send(effects=[ERASE]))
    assert job["status"] == "failed"
    assert "generation_pipeline_failed" in job["error"]["message"]
    assert {s["id"]: s["status"] for s in job["steps"]} == {"dub": "failed", "clean": "skipped"}
    assert job["metadata"]["sync_generation_id"] == studio.service.ledger[0]["id"], "known, though it failed"
    assert job["progress"] <= 50, "no further than it came"
    assert not cleaner.ledger


def test_when_text_removal_fails_the_lip_synced_video_stays(studio: Studio, cleaner: GhostCut) -> None:
    cleaner.change({"ends_with": 20})
    job = studio.done(studio.send(effects=[ERASE]))
    assert job["status"] == "failed"
    assert job["error"]["message"].startswith("Text inpainting failed: ")
    assert "status 20" in job["error"]["message"]
    assert job["metadata"]["sync_generation_id"] == studio.service.ledger[0]["id"]
    assert job["metadata"]["ghostcut_task_id"] == str(cleaner.ledger[0]["task"])
    assert 60 <= job["progress"] <= 95
    found = studio.http.get(f"/api/v1/video-editors/pro-job/{job['job_id']}/status").json()
    assert found["output_url"] is None
    assert duration_at(found["intermediate_url"]) == pytest.approx(3.0, abs=0.1)
    cleaner.change({"ends_with": 1})
    studio.http.post(f"{API}/{job['job_id']}/retry")
    assert studio.site.wait(job["job_id"])["status"] == "completed"
    assert len(studio.service.ledger) == 1, "a retry goes on from the step that failed"


def test_who_may_not_spend_has_text_removed_here(studio: Studio, cleaner: GhostCut) -> None:
    site = studio.site
    somebody = User(id=str(uuid.uuid4()), email=f"{uuid.uuid4()}@example.org")
    user = site.bridge.run(site.app.accounts.users.add(somebody, None, 100))
    files = {"file": ("v.mp4", studio.video.read_bytes())}
    with site.client(
        anonymous=True, headers={"Authorization": f"Bearer {site.app.accounts.access.sign(user)}"}
    ) as http:
        body = problem(http.post(f"{API}/submit", files=files, data={"pipeline": "remove-text-ghostcut"}), 403)
        assert body["suggested_action"] == "Ask for a tier with paid_steps."
        job = http.post("/api/v1/video-editors/ghostcut/simple-inpaint", files=files).json()
        http.post(f"{API}/{job['job_id']}/cancel")
    assert job["pipeline"] == "remove-text"
    assert not cleaner.ledger


# --- webhooks


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, Proxy]]:
    """A studio that services can call and fetch files from, and which asks by itself once an hour."""
    folder = tmp_path_factory.mktemp("called")
    with proxy() as outside, SyncSo(folder / "dubs", seconds=0.1) as dubber:
        hooks = {"webhook_secret": dubber.moods.secret, "called_poll_seconds": NEVER, "send": "link"}
        reach = {"server__public_url": outside.url, "net__allow": ("127.0.0.1",)}
        with studio_in(folder, dubber, account=hooks, **reach) as studio:  # type: ignore[arg-type]
            outside.target = lambda: studio.site.url
            yield studio, outside


@pytest.mark.parametrize("mood", ["once", "twice"])
def test_a_webhook_ends_the_wait(called: tuple[Studio, Proxy], mood: str) -> None:
    studio, _ = called
    studio.service.change({"webhook": mood, "hold": False})
    studio.service.ledger.clear()
    job = studio.done(studio.send())
    assert job["status"] == "completed", job["error"]
    assert len(studio.service.ledger) == 1


def test_links_and_tokens_that_services_get_are_stored_nowhere_in_the_clear(called: tuple[Studio, Proxy]) -> None:
    studio, outside = called
    studio.service.change({"webhook": "once", "hold": True})
    studio.service.ledger.clear()
    job_id = studio.send().json()["job_id"]
    wait_until(lambda: studio.site.job(job_id)["message"] == "Lip-sync processing...")
    begun = [*studio.service.generations.all.values()][-1]
    link, token = begun.body["input"][0]["url"], begun.body["webhookUrl"].rpartition(".")[2]
    assert link.startswith(f"{outside.url}/files/")
    assert len(token) == 40

    def found(secret: str) -> list[str]:
        names = []
        for path in studio.site.app.config.data.path.rglob("*"):
            with suppress(FileNotFoundError):  # steps of other jobs come and go meanwhile
                if path.is_file() and secret.encode() in path.read_bytes():
                    names.append(path.name)
        return names

    signature = parse_qs(urlsplit(link).query)["signature"][0]
    assert found(job_id), "the look finds what is there"
    assert (found(signature), found(token)) == ([], [])
    studio.service.change({"hold": False})
    assert studio.site.wait(job_id)["status"] == "completed"
    assert (found(signature), found(token)) == ([], [])


@pytest.mark.parametrize("mood", ["forged", "old"])
def test_a_webhook_that_is_not_genuine_wakes_nobody(called: tuple[Studio, Proxy], mood: str) -> None:
    studio, outside = called
    studio.service.change({"webhook": mood, "hold": True})
    job_id = studio.send().json()["job_id"]
    # Only then does nobody ask by itself any more.
    wait_until(lambda: {s["id"]: s["status"] for s in studio.site.job(job_id)["steps"]}["dub"] == "waiting")
    outside.statuses.clear()
    studio.service.change({"hold": False})
    wait_until(lambda: 400 in outside.statuses)
    assert studio.site.job(job_id)["status"] == "processing"
    studio.http.post(f"{API}/{job_id}/cancel")
    assert studio.site.wait(job_id)["status"] == "cancelled"


def test_a_late_webhook_of_a_cancelled_job_is_acknowledged(called: tuple[Studio, Proxy]) -> None:
    studio, outside = called
    studio.service.change({"webhook": "once", "hold": True})
    job_id = studio.send().json()["job_id"]
    wait_until(lambda: studio.site.job(job_id)["message"] == "Lip-sync processing...")
    studio.http.post(f"{API}/{job_id}/cancel")
    assert studio.site.wait(job_id)["status"] == "cancelled"
    assert studio.site.job(job_id)["metadata"]["sync_generation_id"] == studio.service.ledger[-1]["id"]
    outside.statuses.clear()
    studio.service.change({"hold": False})
    wait_until(lambda: outside.statuses == [200])
    assert studio.site.job(job_id)["status"] == "cancelled"
