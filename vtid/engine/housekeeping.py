"""What crashes leave behind, removed: scratch folders, half uploads, files of jobs that never came to be."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import structlog

from vtid.db import Jobs
from vtid.engine.bridge import Bridge
from vtid.engine.fetching import Fetcher
from vtid.engine.layout import Workspaces, job_prefix
from vtid.engine.prober import Prober
from vtid.errors import NotFound
from vtid.storage import LocalStorage

log = structlog.get_logger("vtid.housekeeping")
UPLOAD_S = 24 * 3600.0
"""How long an upload may take; what is older in the staging folder is nobody's."""
PROBE_S = 3600.0
"""How long a file may be looked at."""
DRAFT_S = 24 * 3600.0
"""How long a job's files may be there before the job is."""


class Housekeeping:
    """Sweeps when a worker starts, and now and then.

    Args:
        jobs: who says what is somebody's.
        bridge: to the database.
        storage: of files.
        workspaces: of this machine.
        prober: of this machine.
        fetcher: of this machine.
    """

    def __init__(
        self,
        jobs: Jobs,
        bridge: Bridge,
        storage: LocalStorage,
        workspaces: Workspaces,
        prober: Prober,
        fetcher: Fetcher,
    ) -> None:
        self._jobs = jobs
        self._bridge = bridge
        self._storage = storage
        self._workspaces = workspaces
        self._prober = prober
        self._fetcher = fetcher

    def sweep(self) -> None:
        """Remove what nobody can want any more."""
        swept = {
            "workspaces": self._workspaces.sweep(self._in_hand()),
            "probes": self._prober.sweep(PROBE_S),
            "downloads": self._fetcher.sweep(),
            "staged": self._storage.sweep(UPLOAD_S),
            "drafts": sum(self._sweep_draft(folder) for folder in self._old_drafts()),
        }
        if any(swept.values()):
            log.info("swept", **swept)

    def _in_hand(self) -> Collection[str]:
        """The jobs with a scratch folder that some worker may be working in."""
        root = self._workspaces.root
        names = [p.name for p in root.iterdir()] if root.is_dir() else []
        leases = self._bridge.run(self._jobs.leases(names))
        return [job_id for job_id, until in leases.items() if until and until > time.time()]

    def _old_drafts(self) -> Collection[Path]:
        folders = self._storage.root.glob("users/*/jobs/*")
        return [f for f in folders if f.stat().st_mtime < time.time() - DRAFT_S]

    def _sweep_draft(self, folder: Path) -> bool:
        try:
            self._bridge.run(self._jobs.get(folder.name))
        except NotFound:
            self._storage.delete_prefix(job_prefix(folder.parent.parent.name, folder.name))
            return True
        return False
