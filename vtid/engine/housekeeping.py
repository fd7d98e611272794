"""What crashes leave behind, removed: scratch folders, half uploads, files of jobs and assets that never came to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any

import structlog

from vtid.db import Assets, Jobs
from vtid.engine.bridge import Bridge
from vtid.engine.fetching import Fetcher
from vtid.engine.layout import CHUNKS, Workspaces
from vtid.engine.prober import Prober
from vtid.engine.uploading import Uploading
from vtid.errors import NotFound
from vtid.storage import Storage

log = structlog.get_logger("vtid.housekeeping")
STAGED_S = 24 * 3600.0
"""How long one request may take; what is older in the staging folder is nobody's."""
PROBE_S = 3600.0
"""How long a file may be looked at."""
DRAFT_S = 24 * 3600.0
"""How long files may be there before the row that they are for is."""
BATCH = 500


class Housekeeping:
    """Sweeps when a worker starts, and now and then.

    Args:
        jobs: who says what is somebody's.
        assets: the same of files that came in.
        uploading: knows what has expired.
        bridge: to the database.
        storage: of files.
        workspaces: of this machine.
        prober: of this machine.
        fetcher: of this machine.
    """

    def __init__(
        self,
        jobs: Jobs,
        assets: Assets,
        uploading: Uploading,
        bridge: Bridge,
        storage: Storage,
        workspaces: Workspaces,
        prober: Prober,
        fetcher: Fetcher,
    ) -> None:
        self._jobs = jobs
        self._assets = assets
        self._uploading = uploading
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
            "uploads": self._bridge.run(self._uploading.expire()),
            "downloads": self._fetcher.sweep(),
            "staged": self._storage.sweep(max(STAGED_S, self._uploading.rules.expire_s)),
            "drafts": sum(self._sweep_folder(prefix) for prefix in self._orphans()),
        }
        if any(swept.values()):
            log.info("swept", **swept)

    def _in_hand(self) -> Collection[str]:
        """The jobs with a scratch folder that some worker may be working in."""
        root = self._workspaces.root
        names = [p.name for p in root.iterdir()] if root.is_dir() else []
        leases = self._bridge.run(self._jobs.leases(names))
        return [job_id for job_id, until in leases.items() if until and until > time.time()]

    def _orphans(self) -> Iterator[str]:
        """Folders of jobs, assets and uploads that the database does not know (yet, or any more)."""
        for user in self._storage.folders("users/"):
            yield from self._unknown(f"users/{user}/jobs/", self._jobs.leases)
            yield from self._unknown(f"users/{user}/assets/", self._assets.known)
        yield from self._unknown(CHUNKS, self._assets.known)

    def _unknown(
        self, parent: str, known: Callable[[list[str]], Coroutine[Any, Any, Collection[str]]]
    ) -> Iterator[str]:
        names = list(self._storage.folders(parent))
        for at in range(0, len(names), BATCH):
            batch = names[at : at + BATCH]
            there = self._bridge.run(known(batch))
            yield from (f"{parent}{name}/" for name in batch if name not in there)

    def _sweep_folder(self, prefix: str) -> bool:
        """Remove a folder, unless it is young; of what else refers to files in it, those files stay."""
        keys, limit = list(self._storage.list(prefix)), time.time() - DRAFT_S
        keep = self._bridge.run(self._assets.referred(keys)) if keys else set()
        doomed = [key for key in keys if key not in keep]
        try:
            if not doomed or max(self._storage.stat(key).modified_at for key in doomed) > limit:
                return False
        except NotFound:
            return False  # somebody is at it this moment
        return self._storage.delete_prefix(prefix, keep) > 0
