"""A process that takes one turn at one job, for tests that kill it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.conftest import LAB
from vtid import config
from vtid.app import App
from vtid.engine.bridge import Bridge


def main(folder: str, job_id: str) -> None:
    root = Path(folder)
    loaded = config.load(
        root / "no.toml",
        {},
        overrides={
            "data.path": root / "data",
            "plugins.dirs": (LAB,),
            "pipelines.dirs": (root / "pipelines",),
            "limits.min_free_disk_mb": 1,
            "workers.lease_seconds": 2.0,
            "net.allow": ("127.0.0.1",),
        },
    )
    bridge = Bridge()
    app = App(loaded, ring=lambda _: None)
    runner = app.runner(bridge, app.work())
    runner.run(job_id)
    while runner.active:  # a file that comes comes beside
        time.sleep(0.02)
