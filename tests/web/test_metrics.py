"""What the metrics say of now, and what they do when they cannot know."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import wait_until
from tests.web.site import API, Site
from vtid.errors import Unavailable


def values(site: Site) -> dict[str, float]:
    families = text_string_to_metric_families(site.http.get("/metrics").text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_open_streams_are_counted(still: Site, clip: Path) -> None:
    job_id = still.submit(clip).json()["job_id"]
    with still.http.stream("GET", f"{API}/{job_id}/events"):
        wait_until(lambda: values(still)["vtid_event_streams"] >= 1)
    wait_until(lambda: values(still)["vtid_event_streams"] == 0)


def test_what_cannot_be_asked_is_no_number_of_the_past(
    still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("away")

    def silent() -> int:
        raise Unavailable("silent")

    still.submit(clip)
    before = values(still)
    assert before["vtid_queue_pending"] >= 1
    assert "vtid_jobs" in before
    monkeypatch.setattr(still.core.jobs, "counts", away)
    monkeypatch.setattr(still.core.queue, "pending", silent)
    after = values(still)
    assert "vtid_jobs" not in after
    assert math.isnan(after["vtid_workers"])
    assert math.isnan(after["vtid_queue_pending"])
