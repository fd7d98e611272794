"""Files that jobs were given by their URLs, as the worker that fetches them stores how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct
from sqlalchemy import and_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.assets import keep, take_room
from vtid.db.connect import Database
from vtid.db.ledger import reserve_more
from vtid.db.tables import fetches
from vtid.domain.artifact import Asset
from vtid.domain.job import Job


class Fetch(Struct, frozen=True):
    """A file that a job was given by its URL and that is not there yet."""

    source: str
    url: str
    """Sealed."""
    filename: str
    tries: int
    """How many attempts in a row brought nothing."""


class Emit(Protocol):
    """Tells of a job inside a transaction, and only while this worker holds it."""

    async def __call__(self, c: AsyncConnection, job_id: str, type_: str, data: dict[str, Any], **changes: Any) -> None:
        """Raise `LeaseLost` where the job is not this worker's any more."""


class Fetches:
    """The downloads of a worker's jobs.

    Args:
        database: the truth.
        clock: seconds since the epoch.
        emit: of the worker.
    """

    def __init__(self, database: Database, clock: Callable[[], float], emit: Emit) -> None:
        self._db = database
        self._clock = clock
        self._emit = emit

    async def going_on(self, job_id: str, source: str, fraction: float | None, message: str, progress: int) -> None:
        """Store how far a download is; the caller keeps the rate down."""
        data: dict[str, Any] = {"stage": "downloading", "source": source, "progress": progress, "message": message}
        if fraction is not None:
            data["stage_progress"] = round(fraction, 4)
        async with self._db.write() as c:
            await self._emit(c, job_id, "progress", data, message=message)

    async def broke(self, job_id: str, source: str, tries: int) -> None:
        """Store how many attempts in a row brought nothing."""
        mine = and_(fetches.c.job_id == job_id, fetches.c.source == source)
        async with self._db.write() as c:
            await c.execute(update(fetches).where(mine).values(tries=tries))

    async def done(self, job: Job, source: str, asset: Asset, message: str, estimate: int, quota: int | None) -> None:
        """A file has come: it is an asset of the job now, and its URL is forgotten.

        Args:
            job: with the asset among its inputs.
            source: which of its files it is.
            asset: the file.
            message: to tell.
            estimate: credits that the job is to hold back, now that the length of the file is known.
            quota: bytes that its owner may have stored.

        Raises:
            InsufficientCredits, QuotaExceeded: its owner has fewer, or no room.
        """
        mine = and_(fetches.c.job_id == job.id, fetches.c.source == source)
        inputs = job.inputs | {source: asset.id}
        told = {"status": "processing", "progress": job.progress, "message": message}
        async with self._db.write(durable=True) as c:
            changes = {"inputs": inputs, "original_filename": job.original_filename, "message": message}
            await take_room(c, job.user_id, asset.size, quota)
            await self._emit(c, job.id, "status", told, **changes)
            await keep(c, asset, job.user_id, job.id, self._clock(), shares=False)
            await reserve_more(c, job.user_id, job.id, estimate, self._clock())
            await c.execute(update(fetches).where(mine).values(asset_id=asset.id, url=""))
