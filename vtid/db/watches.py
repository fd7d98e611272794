"""Hot folders and the files that they took: what survives a watcher that is killed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.rows import builtins, emit
from vtid.db.tables import jobs, watch_files, watches
from vtid.domain.job import JobStatus
from vtid.domain.watch import ENDED, FileState, WatchFile, WatchRecord
from vtid.errors import Conflict, NotFound

_OVER = [state.value for state in ENDED]
_JOB_OVER = [status.value for status in JobStatus if status.ended]
RECENT = 200
"""Files by which it is judged how fast a hot folder is."""
_RECORDS = select(watches)
_ON_THEIR_WAY = (
    select(watch_files, jobs.c.status.label("job_status"))
    .select_from(watch_files.outerjoin(jobs, jobs.c.id == watch_files.c.job_id))
    .where(watch_files.c.state.not_in(_OVER))
    .order_by(watch_files.c.claimed_at, watch_files.c.id)
)


class WatchFileFilter(Struct, frozen=True):
    """Which files of a hot folder to list, newest first."""

    watch: str
    state: FileState | None = None
    before: tuple[float, str] | None = None
    """The `(claimed_at, id)` of the last file of the page before."""
    limit: int = 50


class Standing(Struct, frozen=True):
    """What a hot folder has on its way."""

    going: int = 0
    held_up: int = 0
    """Files that wait for something to pass."""
    reason: str | None = None
    """For which."""


class Overview(Struct, frozen=True):
    """All hot folders at one moment, by name."""

    records: dict[str, WatchRecord]
    standing: dict[str, Standing]
    ready: dict[str, list[WatchFile]]
    """Files on their way with something to do now: their job has ended or is gone, or there never was one. Oldest
    first."""


class Watches:
    """Hot folders. One watcher at a time holds one; what it writes about files needs no more guard than that.

    Args:
        database: the truth.
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    # --- the folders

    async def hold(self, name: str, declared: dict[str, Any], holder: str, lease_s: float) -> WatchRecord | None:
        """Take a hot folder, or keep it; None where another watcher has it. The first time makes its row."""
        now = self._clock()
        free = or_(watches.c.holder == holder, watches.c.lease_until.is_(None), watches.c.lease_until < now)
        async with self._db.write() as c:
            if (await c.execute(select(watches.c.name).where(watches.c.name == name))).first() is None:
                fresh = {"name": name, "token": secrets.token_hex(4), "paused": False, "state": "ok", "waiting": 0}
                try:
                    await c.execute(insert(watches).values(fresh | {"declared": declared}))
                except IntegrityError:  # another watcher was faster, and has it
                    return None
            taken = {"holder": holder, "lease_until": now + lease_s, "declared": declared}
            if not (await c.execute(update(watches).where(watches.c.name == name, free).values(taken))).rowcount:
                return None
            row = (await c.execute(select(watches).where(watches.c.name == name))).mappings().one()
            return _to_watch(row)

    async def report(self, name: str, holder: str, **changes: Any) -> bool:
        """Say how a hot folder is. False where another watcher has it by now."""
        mine = and_(watches.c.name == name, watches.c.holder == holder)
        async with self._db.write() as c:
            return bool((await c.execute(update(watches).where(mine).values(changes))).rowcount)

    async def release(self, holder: str, name: str | None = None) -> None:
        """Let go of a hot folder that a watcher holds; without a name, of all."""
        mine = watches.c.holder == holder if name is None else and_(watches.c.holder == holder, watches.c.name == name)
        async with self._db.write() as c:
            await c.execute(update(watches).where(mine).values(holder=None, lease_until=None))

    async def list(self) -> Sequence[WatchRecord]:
        """Every hot folder that was ever run, by name."""
        async with self._db.read() as c:
            return [_to_watch(r) for r in (await c.execute(select(watches).order_by(watches.c.name))).mappings()]

    async def get(self, name: str) -> WatchRecord:
        """One hot folder. Raises `NotFound`."""
        async with self._db.read() as c:
            return await _get(c, name)

    async def overview(self) -> Overview:
        """What a watcher has to know for a round, of one moment; asked several times a second."""
        now = self._clock()
        records, rows = await self._db.snapshot(
            lambda c: (c.execute(_RECORDS).mappings().all(), c.execute(_ON_THEIR_WAY).mappings().all())
        )
        open_: dict[str, list[WatchFile]] = {}
        ready: dict[str, list[WatchFile]] = {}
        for row in rows:
            file = _to_file({k: v for k, v in row.items() if k != "job_status"})
            open_.setdefault(file.watch, []).append(file)
            works = row["job_status"] is not None and row["job_status"] not in _JOB_OVER
            if not works and (file.next_at is None or file.next_at <= now):
                ready.setdefault(file.watch, []).append(file)
        standing = {}
        for name, files in open_.items():
            stuck = [file.reason for file in files if file.tries]
            standing[name] = Standing(len(files) - len(stuck), len(stuck), stuck[0] if stuck else None)
        return Overview({r["name"]: _to_watch(r) for r in records}, standing, ready)

    async def pause(self, name: str, *, paused: bool) -> WatchRecord:
        """Have no new files taken, or have them taken again. Raises `NotFound`."""
        async with self._db.write() as c:
            await c.execute(update(watches).where(watches.c.name == name).values(paused=paused))
            return await _get(c, name)

    async def ask_rescan(self, name: str) -> WatchRecord:
        """Have the whole folder looked through at once. Raises `NotFound`."""
        async with self._db.write() as c:
            await c.execute(update(watches).where(watches.c.name == name).values(rescan_at=self._clock()))
            return await _get(c, name)

    # --- the files

    async def add(self, file: WatchFile) -> None:
        """Store a file that is about to be taken."""
        async with self._db.write() as c:
            await c.execute(insert(watch_files).values(builtins(file)))

    async def change(self, file: WatchFile, **changes: Any) -> WatchFile:
        """Store what is new about a file. Returns it as it is then."""
        async with self._db.write() as c:
            await c.execute(update(watch_files).where(watch_files.c.id == file.id).values(builtins(changes)))
        return msgspec.structs.replace(file, **changes)

    async def tell(self, file: WatchFile, event: str, **fields: Any) -> None:
        """Note in the events of a file's job what happened to the file, for whoever follows the job."""
        if file.job_id:
            data = {"level": "info", "event": event, "watch": file.watch, "path": file.path, **fields}
            async with self._db.write() as c:
                await emit(c, file.job_id, self._clock(), "log", data)

    async def forget(self, file_id: str) -> None:
        """Remove the row of a file that was not taken after all."""
        async with self._db.write() as c:
            await c.execute(delete(watch_files).where(watch_files.c.id == file_id))

    async def file(self, file_id: str) -> WatchFile:
        """One file. Raises `NotFound`."""
        async with self._db.read() as c:
            row = (await c.execute(select(watch_files).where(watch_files.c.id == file_id))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no file {file_id} of a hot folder.")
        return _to_file(row)

    async def open(self, name: str) -> Sequence[WatchFile]:
        """The files of a hot folder that are on their way, oldest first."""
        mine = and_(watch_files.c.watch == name, watch_files.c.state.not_in(_OVER))
        query = select(watch_files).where(mine).order_by(watch_files.c.claimed_at, watch_files.c.id)
        return [_to_file(r) for r in await self._db.snapshot(lambda c: c.execute(query).mappings().all())]

    async def remembered(self, name: str, *, keeps: bool) -> dict[str, tuple[int, str]]:
        """What lies in the folder and is not to be taken again: path to size and stamp.

        Args:
            name: of the hot folder.
            keeps: whether its files stay there; else only duplicates that were left alone do.
        """
        columns = watch_files.c
        left = and_(columns.state == FileState.DUPLICATE.value, columns.kept_at.is_(None))
        over = columns.state.in_([s.value for s in (FileState.DONE, FileState.FAILED, FileState.DUPLICATE)])
        query = select(columns.path, columns.size, columns.stamp).where(columns.watch == name, over if keeps else left)
        rows = await self._db.snapshot(lambda c: c.execute(query.order_by(columns.claimed_at)).all())
        return {path: (size, stamp) for path, size, stamp in rows}

    async def owner_of(self, name: str, sha256: str, apart_from: str) -> str | None:
        """The path of another file of the folder with these bytes, that was taken and did not fail."""
        columns = watch_files.c
        same = and_(columns.watch == name, columns.sha256 == sha256, columns.id != apart_from)
        counts = columns.state.not_in(("failed", "duplicate", "changed"))
        async with self._db.read() as c:
            found = select(columns.path).where(same, counts).order_by(columns.claimed_at).limit(1)
            return (await c.execute(found)).scalar_one_or_none()

    async def files(self, wanted: WatchFileFilter) -> Sequence[WatchFile]:
        """A page of files, newest first."""
        where = [watch_files.c.watch == wanted.watch]
        if wanted.state:
            where.append(watch_files.c.state == wanted.state.value)
        if wanted.before:
            where.append(tuple_(watch_files.c.claimed_at, watch_files.c.id) < tuple_(*wanted.before))
        order = (watch_files.c.claimed_at.desc(), watch_files.c.id.desc())
        async with self._db.read() as c:
            rows = await c.execute(select(watch_files).where(*where).order_by(*order).limit(wanted.limit))
            return [_to_file(r) for r in rows.mappings()]

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many files of each hot folder are in each state."""
        query = select(watch_files.c.watch, watch_files.c.state, func.count()).group_by(
            watch_files.c.watch, watch_files.c.state
        )
        found: dict[str, dict[str, int]] = {}
        for name, state, count in await self._db.snapshot(lambda c: c.execute(query).all()):
            found.setdefault(name, {s.value: 0 for s in FileState})[state] = count
        return found

    async def starts(self, name: str) -> Sequence[float]:
        """Of the latest files: seconds from when they had settled to when a worker began on them, in order of size."""
        joined = watch_files.join(jobs, jobs.c.id == watch_files.c.job_id)
        took = jobs.c.started_at - watch_files.c.settled_at
        query = select(took).select_from(joined).where(watch_files.c.watch == name, jobs.c.started_at.is_not(None))
        query = query.order_by(watch_files.c.claimed_at.desc()).limit(RECENT)
        return sorted(float(s) for s in await self._db.snapshot(lambda c: c.execute(query).scalars().all()))

    async def prune(self, name: str, older_than_s: float) -> int:
        """Forget files that ended so long ago. Returns how many."""
        old = and_(watch_files.c.watch == name, watch_files.c.ended_at < self._clock() - older_than_s)
        async with self._db.write() as c:
            return (await c.execute(delete(watch_files).where(old))).rowcount


async def become(c: AsyncConnection, file_id: str, job_id: str) -> None:
    """Note in a job's own transaction which file of a hot folder it is of: a file becomes one job, or none.

    Raises:
        Conflict: it has become another already.
    """
    mine = and_(watch_files.c.id == file_id, watch_files.c.job_id.is_(None))
    change = {"job_id": job_id, "state": FileState.SUBMITTED.value, "next_at": None, "reason": None, "tries": 0}
    if not (await c.execute(update(watch_files).where(mine).values(change))).rowcount:
        raise Conflict("This file of a hot folder has become a job already.")


async def _get(c: AsyncConnection, name: str) -> WatchRecord:
    row = (await c.execute(select(watches).where(watches.c.name == name))).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no hot folder {name}.", suggestion="List them with: vtid watch list")
    return _to_watch(row)


def _to_watch(row: Any) -> WatchRecord:
    return msgspec.convert({str(k): v for k, v in row.items()}, WatchRecord)


def _to_file(row: Any) -> WatchFile:
    return msgspec.convert({str(k): v for k, v in row.items()}, WatchFile)
