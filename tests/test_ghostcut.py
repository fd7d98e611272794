"""Text removal by GhostCut through a whole daemon: over HTTP, with callbacks. Its worst of days: test_pro_chain.py."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.conftest import wait_until
from tests.web.proxy import Proxy, proxy
from tests.web.site import API, Site, problem, serving
from vtid.media.synth import Subtitle, draw_clip
from vtid.simulators.ghostcut import GhostCut, Moods

ROOT = Path(__file__).parents[1]
PIPELINE = "remove-text-ghostcut"
BOX = {"x": 0.25, "y": 0.5, "width": 0.5, "height": 0.5}
REGION = {"type": "erasure", "coordinates": BOX}
NEVER = 3600.0
"""Seconds between looks: whatever goes on sooner was called back."""


def account(service: GhostCut, **more: Any) -> dict[str, Any]:
    """The table `[plugins.inpaint_ghostcut]`."""
    keys = {"api_url": service.url, "api_key": service.moods.key, "app_secret": service.moods.secret}
    return keys | {"settle_seconds": 2.0, "poll_seconds": 0.1, "called_poll_seconds": NEVER} | more


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=1, width=160, height=90, fps=10, subtitles=[Subtitle("words", 0, 1, size=0.2)])
    return path


@pytest.fixture(scope="module")
def outside() -> Iterator[Proxy]:
    with proxy() as made:
        yield made


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GhostCut]:
    with GhostCut(tmp_path_factory.mktemp("ghostcut")) as made:
        yield made


@pytest.fixture
def service(simulator: GhostCut) -> GhostCut:
    """With its ledger empty, and in the best of moods."""
    simulator.change({name: getattr(Moods(), name) for name in Moods.__struct_fields__} | {"seconds": 0.0})
    simulator.ledger.clear()
    simulator.workshop.deliveries.clear()
    return simulator


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, simulator: GhostCut, outside: Proxy) -> Iterator[Site]:
    settings = {
        "plugins__dirs": (ROOT / "plugins",),
        "pipelines__dirs": (ROOT / "config" / "pipelines",),
        "plugins__inpaint_ghostcut": account(simulator),
        "server__public_url": outside.url,
        "net__allow": ("127.0.0.1",),
        "rate_limits__internal_per_minute": 1_000_000,
        "rate_limits__internal_burst": 1_000_000,
    }
    with serving(tmp_path_factory.mktemp("site"), workers=True, **settings) as site:
        outside.target = lambda: site.url
        yield site


def waiting(site: Site, service: GhostCut, clip: Path, **params: Any) -> str:
    """A job whose task is held, and which has gone to sleep for an hour."""
    service.change({"hold": True})
    job_id = str(site.submit(clip, PIPELINE, params=params).json()["job_id"])

    def asleep() -> bool:
        job = site.bridge.run(site.app.jobs.get(job_id))
        return job.worker_id is None and job.wake_at is not None and job.wake_at > time.time() + NEVER / 2

    wait_until(asleep)
    return job_id


def told(service: GhostCut) -> list[int]:
    """What was answered to calls about this test's tasks; one of an earlier test may still be on its way."""
    mine = {order["task"] for order in service.ledger}
    return [status for task, status in service.workshop.deliveries if task in mine]


def luma(path: Path, at: int = 5) -> np.ndarray[Any, Any]:
    """The brightness of the region in one frame, its edges left out: codecs smear."""
    with av.open(str(path)) as container:
        picture = next(f for i, f in enumerate(container.decode(video=0)) if i == at).to_ndarray(format="gray")
    return picture[49:86, 44:116]


def test_a_video_goes_through_and_its_region_comes_back_empty(
    site: Site, service: GhostCut, clip: Path, tmp_path: Path
) -> None:
    job_id = waiting(site, service, clip, regions=[REGION])
    service.change({"hold": False})
    job = site.wait(job_id)
    assert job["status"] == "completed", job["error"]
    made = job["metadata"]["clean"]
    assert job["metadata"]["ghostcut_task_id"] == made["ghostcut_task_id"] == str(service.ledger[0]["task"])
    assert made["report"]["summary"] == "GhostCut worked on one region, for 1 point."
    result = tmp_path / "result.mp4"
    result.write_bytes(site.http.get(job["result_url"]).content)
    assert luma(clip).std() > 20
    assert luma(result).std() < 3
    assert told(service) == [200], "what woke it was acknowledged"


def test_limits_are_told_before_anything_is_sent(site: Site, service: GhostCut, clip: Path) -> None:
    body = problem(site.submit(clip, PIPELINE, params={"tier": "lite", "regions": [REGION]}), 400)
    assert [e["field"] for e in body["errors"]] == ["clean.regions[0].type"]
    assert "the tier lite takes only text regions" in json.dumps(body)
    assert not service.ledger


def test_forged_and_repeated_callbacks_do_no_harm(site: Site, service: GhostCut, clip: Path) -> None:
    service.change({"forged_callbacks": 3, "callbacks": 4})
    job_id = waiting(site, service, clip)
    service.change({"hold": False})
    assert site.wait(job_id)["status"] == "completed"
    wait_until(lambda: len(told(service)) == 7)
    assert sorted(told(service)) == [200] * 4 + [400] * 3
    assert len(service.ledger) == 1


def test_a_forged_callback_wakes_nobody(site: Site, service: GhostCut, clip: Path) -> None:
    service.change({"forged_callbacks": 1, "callbacks": 0})
    job_id = waiting(site, service, clip)
    before = site.bridge.run(site.app.jobs.get(job_id)).wake_at
    service.change({"hold": False})
    wait_until(lambda: told(service))
    assert told(service)[0] == 400
    assert site.bridge.run(site.app.jobs.get(job_id)).wake_at == before
    assert site.job(job_id)["status"] == "processing"
    site.http.post(f"{API}/{job_id}/cancel")
    assert site.wait(job_id)["status"] == "cancelled"


def test_a_callback_that_nobody_heard_comes_again(site: Site, service: GhostCut, outside: Proxy, clip: Path) -> None:
    service.change({"callback_retry_s": 0.1})
    job_id = waiting(site, service, clip)
    there, outside.target = outside.target, lambda: None
    service.change({"hold": False})
    try:
        wait_until(lambda: len(told(service)) >= 2)
        assert set(told(service)) == {502}
    finally:
        outside.target = there
    assert site.wait(job_id)["status"] == "completed"


def test_one_that_comes_after_a_cancel_is_acknowledged(site: Site, service: GhostCut, clip: Path) -> None:
    job_id = waiting(site, service, clip)
    site.http.post(f"{API}/{job_id}/cancel")
    assert site.wait(job_id)["status"] == "cancelled"
    service.change({"hold": False})
    wait_until(lambda: told(service))
    assert told(service)[0] == 200
    assert site.job(job_id)["status"] == "cancelled"


def test_without_points_a_person_is_asked_and_a_retry_goes_on(site: Site, service: GhostCut, clip: Path) -> None:
    service.change({"points": 0})
    job = site.done(clip, PIPELINE)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "needs_attention"
    assert job["metadata"]["ghostcut_task_id"] in job["error"]["message"]
    assert "not enough points, and the task was not started (status 73: not enough points)" in job["error"]["message"]
    service.change({"points": 5})
    site.http.post(f"{API}/{job['job_id']}/retry")
    assert site.wait(job["job_id"])["status"] == "completed"
    assert service.moods.points == 4


def test_its_secrets_are_shown_nowhere(site: Site, service: GhostCut, clip: Path) -> None:
    job_id = site.done(clip, PIPELINE)["job_id"]
    seen = "".join(
        site.http.get(path).text
        for path in (f"{API}/{job_id}", f"{API}/{job_id}/logs", "/api/v1/plugins", "/api/v1/pipelines")
    )
    assert "GhostCut" in seen
    assert service.moods.secret not in seen
    assert service.moods.key not in seen


def test_without_keys_it_is_unavailable_and_says_which_to_set(tmp_path: Path, clip: Path) -> None:
    settings = {"plugins__dirs": (ROOT / "plugins",), "pipelines__dirs": (ROOT / "config" / "pipelines",)}
    with serving(tmp_path, workers=False, **settings) as site:
        found = {p["name"]: p for p in site.http.get("/api/v1/pipelines").json()}[PIPELINE]
        assert not found["ready"]
        assert "set GHOSTCUT_API_KEY and GHOSTCUT_APP_SECRET" in found["reason"]
        body = problem(site.submit(clip, PIPELINE), 503)
        assert "set GHOSTCUT_API_KEY" in body["detail"]
