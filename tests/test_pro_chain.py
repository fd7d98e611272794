"""The pro editor's chain on the worst of days, by processes as people start them: paid once, and many at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import PATIENCE_S, WAITING, wait_until
from tests.simulators.sounds import chirp, write_sound
from tests.web.daemon import Daemon
from tests.web.mishaps import all_completed, kill_again_and_again
from tests.web.proxy import Proxy, proxy
from tests.web.site import API
from vtid.media.synth import draw_clip
from vtid.simulators.ghostcut import GhostCut
from vtid.simulators.ghostcut import Moods as GhostCutMoods
from vtid.simulators.syncso import SyncSo

NEVER = 3600.0
"""Seconds between looks: whatever goes on sooner was called, or roused."""
PATH = "/api/v1/video-editors/sync/pro-sync-process"
SEGMENTS = [
    {"startTime": 0.0, "endTime": 0.5, "audioInput": {"refId": "audio-1", "startTime": 0.0, "endTime": 0.5}},
    {"startTime": 0.5, "endTime": 1.0, "audioInput": {"refId": "audio-1", "startTime": 0.5, "endTime": 1.0}},
]
ERASE = [{"type": "erasure", "coordinates": {"x": 0.25, "y": 0.5, "width": 0.5, "height": 0.5}}]
FREE = {
    "plugins__dirs": [],
    "pipelines__dirs": [],
    "net__allow": ["127.0.0.1"],
    "rate_limits__internal_per_minute": 1_000_000,
    "rate_limits__internal_burst": 1_000_000,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, tuple[str, bytes]]]:
    folder = tmp_path_factory.mktemp("files")
    draw_clip(folder / "clip.mp4", seconds=1, width=160, height=90, fps=10)
    voice = write_sound(folder / "voice.wav", chirp(1.0, 300, 900))
    return [
        ("file", ("clip.mp4", (folder / "clip.mp4").read_bytes())),
        ("audio_files", ("voice.wav", voice.read_bytes())),
    ]


@pytest.fixture(scope="module")
def outside() -> Iterator[Proxy]:
    with proxy() as made:
        yield made


def syncso(service: SyncSo, **more: Any) -> dict[str, Any]:
    """The table `[plugins.lipsync_syncso]`, as flat settings."""
    keys = {"api_url": service.url, "api_key": service.moods.key, "webhook_secret": service.moods.secret}
    return {f"plugins__lipsync_syncso__{k}": v for k, v in (keys | {"busy_seconds": 0.3} | more).items()}


def ghostcut(service: GhostCut, **more: Any) -> dict[str, Any]:
    """The same of `[plugins.inpaint_ghostcut]`."""
    keys = {"api_url": service.url, "api_key": service.moods.key, "app_secret": service.moods.secret}
    return {f"plugins__inpaint_ghostcut__{k}": v for k, v in (keys | {"settle_seconds": 2.0} | more).items()}


def submit(http: httpx.Client, files: Any, **more: Any) -> str:
    data = {"segments_data": json.dumps(SEGMENTS)} | {k: json.dumps(v) for k, v in more.items()}
    answer = http.post(PATH, files=files, data=data)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


@pytest.mark.slow
def test_whatever_is_killed_each_step_is_paid_once(tmp_path: Path, files: Any, outside: Proxy) -> None:
    """Workers and the daemon die by SIGKILL, answers are lost, fail or say that nobody knows, transfers break off, and
    webhooks come twice, forged, or just as nobody listens: nothing is asked but for them."""
    chains, cleans = 8, 5
    dubs = {
        "lost_answers": 0.2,
        "failing_answers": 0.2,
        "unknown_outcomes": 0.2,
        "name_unknown": False,
        "webhook": "twice",
    }
    dubs |= {"seconds": 0.7, "concurrency": 6, "retry_after_s": 0.3, "slow_s": 0.05, "render": False}
    misfortunes = {"lost_answers": 0.25, "callbacks": 3, "forged_callbacks": 1, "lose_uploads": 3, "cut_downloads": 3}
    misfortunes |= {"seconds": 0.7, "slow_s": 0.05, "render": False}
    with (
        SyncSo(tmp_path / "dubs", **dubs) as dubber,
        GhostCut(tmp_path / "cleans", **misfortunes) as cleaner,  # type: ignore[arg-type]
    ):
        services = syncso(dubber, called_poll_seconds=NEVER) | ghostcut(
            cleaner, called_poll_seconds=NEVER, poll_seconds=0.3
        )  # type: ignore[arg-type]
        settings = FREE | {"server__public_url": outside.url, "workers__count": 4} | services
        with Daemon(tmp_path, {}, **settings) as daemon:
            outside.target = lambda: str(daemon.http.base_url)
            daemon.ready()
            ids = [submit(daemon.http, files, effects=ERASE) for _ in range(chains)]
            clean = {"files": files[:1], "data": {"pipeline": "remove-text-ghostcut"}}
            ids += [daemon.http.post(f"{API}/submit", **clean).json()["job_id"] for _ in range(cleans)]
            kill_again_and_again(daemon, ["worker", "worker", "daemon"] * 2, seed=3)
            found = [j["metadata"] for j in all_completed(daemon, ids)]
            dubbed = sorted(row["id"] for row in dubber.ledger)
            assert sorted(facts["sync_generation_id"] for facts in found[:chains]) == dubbed, (
                "each has paid for its own"
            )
            cleaned = sorted(str(row["task"]) for row in cleaner.ledger)  # type: ignore[attr-defined]
            assert sorted(facts["ghostcut_task_id"] for facts in found) == cleaned
            assert cleaner.moods.points == GhostCutMoods().points - len(ids)


@pytest.mark.slow
def test_many_jobs_wait_at_once_in_little_memory(tmp_path: Path, files: Any) -> None:
    many, most_mb = WAITING, 400
    with SyncSo(tmp_path / "dubs", seconds=0.5, hold=True, render=False) as dubber:
        settings = (
            FREE | {"plugins__inpaint_ghostcut__send": "upload"} | syncso(dubber, poll_seconds=max(2.0, many / 30))
        )  # type: ignore[arg-type]
        with Daemon(tmp_path, {}, **settings, workers__count=2) as daemon:
            daemon.ready()
            first = submit(daemon.http, files)
            assets = daemon.http.get(f"{API}/{first}").json()["metadata"]["assets"]
            video, voice = (assets[name].split("/")[-2] for name in ("video", "audio-1"))  # sent once, for all of them
            known = [("asset_id", (None, video)), ("audio_asset_ids", (None, voice))]
            ids = {first, *(submit(daemon.http, known) for _ in range(many - 1))}
            wait_until(lambda: len(dubber.ledger) == many, PATIENCE_S + many, every=0.2)
            worker = daemon.worker()
            assert worker
            counted = [psutil.Process(daemon.process.pid), worker]
            resident = [p.memory_info().rss >> 20 for p in counted]
            assert max(resident) < most_mb, resident
            health = daemon.http.get("/health")
            assert health.status_code == 200, health.text
            dubber.change({"hold": False})

            def open_() -> int:
                found = daemon.http.get("/api/v1/admin/stats").json()["jobs"]
                return int(found["queued"] + found["processing"])

            wait_until(lambda: open_() == 0, PATIENCE_S + many, every=0.2)
            found = [daemon.http.get(f"{API}/{i}").json() for i in ids]
            assert {j["status"] for j in found} == {"completed"}
            assert len({j["metadata"]["sync_generation_id"] for j in found}) == len(dubber.ledger) == many
