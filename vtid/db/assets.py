"""What the doors do with files that came in: keep, find again by content, list, count, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, text, union
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.rows import builtins, to_asset
from vtid.db.tables import artifacts, assets, jobs, uploads
from vtid.domain.artifact import Asset
from vtid.domain.job import JobStatus
from vtid.errors import Conflict, NotFound, QuotaExceeded

OPEN = (JobStatus.QUEUED.value, JobStatus.PROCESSING.value)


class AssetFilter(Struct, frozen=True):
    """Which assets to list, newest first."""

    user_id: str
    kind: str | None = None
    text: str | None = None
    """Part of the file name, in any case."""
    before: tuple[float, str] | None = None
    """The `(created_at, id)` of the last asset of the page before."""
    limit: int = 50


class Usage(Struct, frozen=True):
    """What a user has stored, in bytes; what several files share is counted once."""

    assets: int
    asset_count: int
    artifacts: int
    """What steps made."""
    uploads: int
    """What unfinished uploads will take."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.assets + self.artifacts + self.uploads


class Assets:
    """Files that came in, as their owners see them. Another user's file is not there."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def get(self, asset_id: str, user_id: str | None = None) -> Asset:
        """One file. Raises `NotFound`."""
        where = [assets.c.id == asset_id] + ([assets.c.user_id == user_id] if user_id else [])
        async with self._db.read() as c:
            row = (await c.execute(select(assets).where(*where))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no asset {asset_id}.")
        return to_asset(row)

    async def of(self, asset_ids: Iterable[str]) -> dict[str, Asset]:
        """Those of these files that are still there, by their ids."""
        async with self._db.read() as c:
            rows = await c.execute(select(assets).where(assets.c.id.in_([*asset_ids])))
            return {asset.id: asset for asset in map(to_asset, rows.mappings())}

    async def of_job(self, job_id: str) -> tuple[Asset, ...]:
        """Those that came in with a job, and go with it."""
        async with self._db.read() as c:
            rows = await c.execute(select(assets).where(assets.c.job_id == job_id))
            return tuple(map(to_asset, rows.mappings()))

    async def list(self, wanted: AssetFilter) -> Sequence[Asset]:
        """A page of files, newest first; each page costs the same however many there are."""
        where: list[ColumnElement[bool]] = [assets.c.user_id == wanted.user_id]
        if wanted.kind:
            where.append(assets.c.kind == wanted.kind)
        if wanted.text:
            where.append(assets.c.filename.icontains(wanted.text, autoescape=True))
        if wanted.before:
            at, last = wanted.before
            where.append(or_(assets.c.created_at < at, and_(assets.c.created_at == at, assets.c.id < last)))
        query = select(assets).where(*where).order_by(assets.c.created_at.desc(), assets.c.id.desc())
        async with self._db.read() as c:
            return [to_asset(r) for r in (await c.execute(query.limit(wanted.limit))).mappings()]

    async def twin(self, user_id: str, sha256: str, size: int) -> Asset | None:
        """A file of the same user with the same content."""
        same = and_(assets.c.user_id == user_id, assets.c.sha256 == sha256, assets.c.size == size)
        async with self._db.read() as c:
            row = (await c.execute(select(assets).where(same).limit(1))).mappings().one_or_none()
        return to_asset(row) if row else None

    async def usage(self, user_id: str) -> Usage:
        """What a user has stored."""
        async with self._db.read() as c:
            return await usage(c, user_id)

    async def delete(self, asset_id: str, user_id: str) -> str | None:
        """Remove a file's row.

        Returns:
            The storage key, which is the caller's to remove; None where something else still refers to it.

        Raises:
            NotFound: no such file.
            Conflict: a job that has not ended works on it.
        """
        async with self._db.write() as c:
            mine = and_(assets.c.id == asset_id, assets.c.user_id == user_id)
            key = (await c.execute(select(assets.c.key).where(mine))).scalar_one_or_none()
            if key is None:
                raise NotFound(f"There is no asset {asset_id}.")
            await require_unused(c, user_id, {asset_id})
            await c.execute(delete(assets).where(mine))
            return None if await still_referred(c, [key]) else str(key)

    async def known(self, ids: Collection[str]) -> set[str]:
        """Of these ids, those that an asset or an upload has."""
        async with self._db.read() as c:
            found = await c.execute(
                union(
                    select(assets.c.id).where(assets.c.id.in_(ids)), select(uploads.c.id).where(uploads.c.id.in_(ids))
                )
            )
            return set(found.scalars())

    async def referred(self, keys: Sequence[str]) -> set[str]:
        """Of these storage keys, those that something refers to."""
        async with self._db.read() as c:
            return await still_referred(c, keys)


async def keep(c: AsyncConnection, asset: Asset, user_id: str, job_id: str | None, now: float, *, shares: bool) -> None:
    """Store a file's row inside a transaction.

    Args:
        c: the connection.
        asset: to store.
        user_id: whose it is.
        job_id: of the job that it came with, and goes with.
        now: seconds since the epoch.
        shares: its bytes are those of an earlier asset.

    Raises:
        Conflict: that one was deleted in the meantime.
    """
    if shares:
        other = select(assets.c.id).where(assets.c.key == asset.key).limit(1).with_for_update(read=True)
        if (await c.execute(other)).first() is None:
            raise Conflict(f"{asset.filename} was stored before, and was deleted this very moment; send it again.")
    await c.execute(insert(assets).values(builtins(asset) | {"user_id": user_id, "job_id": job_id, "created_at": now}))


async def still_referred(c: AsyncConnection, keys: Sequence[str]) -> set[str]:
    """Of these storage keys, those that an asset has, or an artifact: a step may give back what it got."""
    found: set[str] = set()
    for at in range(0, len(keys), 500):
        some = keys[at : at + 500]
        rows = union(
            select(assets.c.key).where(assets.c.key.in_(some)), select(artifacts.c.key).where(artifacts.c.key.in_(some))
        )
        found |= set((await c.execute(rows)).scalars())
    return found


async def require_unused(c: AsyncConnection, user_id: str, ids: Collection[str]) -> None:
    """Raise `Conflict` where a job that has not ended works on one of these files."""
    open_ = and_(jobs.c.user_id == user_id, jobs.c.status.in_(OPEN))
    for job_id, inputs in await c.execute(select(jobs.c.id, jobs.c.inputs).where(open_)):
        if set(ids) & set(inputs.values()):
            raise Conflict(f"The job {job_id} still works on this file; wait for its end, or cancel it.")


def require_quota(used: int, more: int, quota: int) -> None:
    """Raise `QuotaExceeded` where `more` bytes do not fit beside those that are used."""
    if used + more > quota:
        raise QuotaExceeded(
            f"You have {used >> 20} MB stored and may have {quota >> 20} MB; {more >> 20} MB more do not fit.",
            suggestion="Delete files or jobs that you no longer need.",
        )


async def take_room(c: AsyncConnection, user_id: str, more: int, quota: int | None) -> None:
    """See to it that so many bytes more fit, inside the transaction that adds them.

    Of a user's additions at once, one counts the others; SQLite has one writer at a time anyway.

    Raises:
        QuotaExceeded: they do not fit.
    """
    if quota is None or more <= 0:
        return
    if c.dialect.name == "postgresql":
        await c.execute(text("SELECT pg_advisory_xact_lock(hashtext(:user))"), {"user": user_id})
    require_quota((await usage(c, user_id)).total, more, quota)


async def usage(c: AsyncConnection, user_id: str) -> Usage:
    """What a user has stored, inside a transaction."""
    came = select(assets.c.key, assets.c.size).where(assets.c.user_id == user_id)
    made = select(artifacts.c.key, artifacts.c.size).join(jobs, jobs.c.id == artifacts.c.job_id)
    made = made.where(
        jobs.c.user_id == user_id, artifacts.c.key.not_in(select(assets.c.key).where(assets.c.user_id == user_id))
    )
    going = select(func.coalesce(func.sum(uploads.c.size), 0)).where(
        uploads.c.user_id == user_id, uploads.c.finished.is_(False)
    )
    count = select(func.count()).select_from(assets).where(assets.c.user_id == user_id)
    return Usage(
        assets=await _sum(c, came),
        asset_count=int((await c.execute(count)).scalar_one()),
        artifacts=await _sum(c, made),
        uploads=int((await c.execute(going)).scalar_one()),
    )


async def _sum(c: AsyncConnection, rows: Select[tuple[str, int]]) -> int:
    distinct = rows.distinct().subquery()
    return int((await c.execute(select(func.coalesce(func.sum(distinct.c.size), 0)))).scalar_one())
