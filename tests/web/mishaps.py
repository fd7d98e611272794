"""The worst of days: a daemon's processes die by SIGKILL at moments that nobody chose, while its jobs run."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any

from tests.conftest import wait_until
from tests.web.daemon import Daemon
from tests.web.site import API


def kill_again_and_again(daemon: Daemon, victims: Sequence[str], seed: int) -> None:
    """Kill `worker` or `daemon`, one after another; the daemon is started again, and starts workers by itself.

    Each has got to work before it dies: kills that only hit processes which are starting would find nothing.

    Args:
        daemon: that runs, with jobs.
        victims: in order.
        seed: of the moments.
    """
    pick = random.Random(seed)

    def standing() -> dict[str, Any]:
        return {job["job_id"]: job["updated_at"] for job in daemon.http.get(f"{API}/?limit=100").json()["jobs"]}

    for victim in victims:
        before = standing()
        wait_until(lambda before=before: standing() != before, every=0.1)  # type: ignore[misc]
        threading.Event().wait(pick.uniform(0.0, 0.5))  # the moments of the kills are what is random here
        if victim == "daemon":
            daemon.kill()
            daemon.start()
        elif worker := daemon.worker():
            worker.kill()


def all_completed(daemon: Daemon, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The jobs once all of them have ended, which they must have done well."""

    def ended() -> list[dict[str, Any]] | None:
        found = [daemon.http.get(f"{API}/{i}").json() for i in ids]
        return found if all(j["status"] in ("completed", "failed") for j in found) else None

    found = wait_until(ended, every=0.2)
    assert {j["status"] for j in found} == {"completed"}, [j["error"] for j in found if j["error"]]
    return found
