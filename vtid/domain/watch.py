"""Hot folders as data: a file on its way through one, and what is known of the folder itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class FileState(StrEnum):
    """Where a file of a hot folder is on its way; each is stored before what it names is done."""

    CLAIMED = "claimed"
    """It is about to be taken, or is taken, and no job exists yet."""
    SUBMITTED = "submitted"
    """A job works on it, or has ended and nobody has looked yet."""
    DELIVERING = "delivering"
    """Its results are on their way into the output folder."""
    LEAVING = "leaving"
    """All is decided; the file itself is being put where it belongs."""
    DONE = "done"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    CHANGED = "changed"
    """It was written to while it was worked on: put back, and taken again as what it is now."""

    @property
    def ended(self) -> bool:
        """Nothing more happens to this row; a file that is dropped again gets another."""
        return self in ENDED


ENDED = frozenset({FileState.DONE, FileState.FAILED, FileState.DUPLICATE, FileState.CHANGED})


class WatchFile(Struct, kw_only=True):
    """A file that a hot folder has taken. Times are seconds since the epoch, UTC."""

    id: str
    watch: str
    path: str
    """In the folder, with `/`."""
    size: int
    stamp: str
    """What tells this version of the file from a later one: its time of change, or its etag."""
    state: FileState
    outcome: FileState | None = None
    """What it will be once it has left."""
    sha256: str | None = None
    job_id: str | None = None
    companions: list[str] = field(default_factory=list)
    """Files that go with it: params, subtitles, sound."""
    targets: list[str] = field(default_factory=list)
    """Where the results are, in the order in which the job has them."""
    kept_at: str | None = None
    """Where the file itself lies once it has left, below the folder of vtid's own."""
    tries: int = 0
    """Attempts that failed for a reason that passes."""
    next_at: float | None = None
    reason: str | None = None
    settled_at: float = 0.0
    claimed_at: float = 0.0
    ended_at: float | None = None


class WatchState(StrEnum):
    """How a hot folder is."""

    OK = "ok"
    PAUSED = "paused"
    DEGRADED = "degraded"
    """Something outside does not work now; it is tried again by itself."""
    BROKEN = "broken"
    """Its declaration is wrong; a person must act."""
    STOPPED = "stopped"
    """No watcher runs it now."""


class WatchRecord(Struct, kw_only=True):
    """A hot folder as everybody sees it. Times are seconds since the epoch, UTC."""

    name: str
    token: str
    """Names, below the watched folder, what this database has taken; other daemons have others."""
    declared: dict[str, Any] = field(default_factory=dict)
    """Path, pipeline, output and the like, for people."""
    paused: bool = False
    state: WatchState = WatchState.STOPPED
    reason: str | None = None
    waiting: int = 0
    """Files in the folder that are not taken yet."""
    held_back: dict[str, str] = field(default_factory=dict)
    """Some of these that had their turn and were not ready: path to why."""
    rescan_at: float | None = None
    """When somebody asked for another look at the whole folder."""
    scanned_at: float | None = None
    holder: str | None = None
    lease_until: float | None = None

    def shown(self, now: float) -> WatchState:
        """How it is at that time: of one that nobody runs, no older word counts."""
        if self.lease_until is None or self.lease_until < now:
            return WatchState.STOPPED
        if self.paused and self.state is not WatchState.BROKEN:
            return WatchState.PAUSED
        return self.state
