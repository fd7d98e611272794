"""Requests to process clips: a job for each, and one call when the last of them has ended.

Their tables stand here and not with the others, since nobody else knows them. What came of a clip is written down when
its job ends: jobs may be deleted, the answer stays true.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, String, Table, Text, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.rows import builtins
from vtid.db.tables import artifacts, deliveries, jobs, metadata
from vtid.domain.job import JobStatus
from vtid.domain.webhook import LINK, Delivery, HookEvent, callback_owner

clip_requests = Table(
    "clip_requests",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False, index=True),
    Column("url", Text),  # sealed; of who is told, if anybody
    Column("host", String(255)),
    Column("open", Integer, nullable=False),  # jobs that have not ended
    Column("created_at", Float, nullable=False),
    Column("completed_at", Float),
)

clip_jobs = Table(
    "clip_jobs",
    metadata,
    Column("request_id", String(36), ForeignKey("clip_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("job_id", String(36), nullable=False, index=True),
    Column("clip_id", String(200), nullable=False),
    Column("given", JSON, nullable=False),  # metadata of the client's own, given back as they came
    Column("outcome", JSON(none_as_null=True)),  # null until its job has ended
)


class ClipOf(Struct, frozen=True):
    """Which clip of a request a job is."""

    job_id: str
    clip_id: str
    given: dict[str, Any]


class Clips:
    """Requests to process clips."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def begin(self, request_id: str, user_id: str, told: tuple[str, str] | None, clips: Sequence[ClipOf]) -> None:
        """Note a request before its jobs are added, so that none can end unnoticed.

        Args:
            request_id: of the request.
            user_id: whose it is.
            told: the sealed URL and the host of who is to be told.
            clips: in order.
        """
        url, host = told or (None, None)
        row = {"id": request_id, "user_id": user_id, "url": url, "host": host, "open": len(clips)}
        rows = [builtins(one) | {"request_id": request_id, "position": at} for at, one in enumerate(clips)]
        async with self._db.write() as c:
            await c.execute(insert(clip_requests).values(row | {"created_at": self._clock()}))
            await c.execute(insert(clip_jobs), rows)

    async def forget(self, request_id: str) -> None:
        """Forget a request whose jobs could not be added."""
        async with self._db.write() as c:
            await c.execute(delete(clip_jobs).where(clip_jobs.c.request_id == request_id))
            await c.execute(delete(clip_requests).where(clip_requests.c.id == request_id))


async def clip_ended(connection: AsyncConnection, job_id: str, now: float) -> None:
    """Note that a job ended, inside the transaction in which it did; with the last of a request, its owner is told."""
    mine = clip_jobs.c.job_id == job_id
    clip = (await connection.execute(select(clip_jobs).where(mine))).mappings().one_or_none()
    if clip is None or clip["outcome"] is not None:  # of no request, or retried after it was told
        return
    whole = select(clip_requests).where(clip_requests.c.id == clip["request_id"]).with_for_update()
    request = (await connection.execute(whole)).mappings().one()
    outcome = await _outcome(connection, job_id, clip["clip_id"], clip["given"])
    await connection.execute(update(clip_jobs).where(mine).values(outcome=outcome))
    left = request["open"] - 1
    ended = {"open": left} | ({"completed_at": now} if not left else {})
    await connection.execute(update(clip_requests).where(clip_requests.c.id == request["id"]).values(ended))
    if left or not request["url"]:
        return
    rows = select(clip_jobs.c.outcome).where(clip_jobs.c.request_id == request["id"]).order_by(clip_jobs.c.position)
    results = [dict(one) for one in (await connection.execute(rows)).scalars()]
    good = sum(one["status"] == JobStatus.COMPLETED.value for one in results)
    payload = {"request_id": request["id"], "completed_at": _iso(now), "results": results}
    payload |= {"total_successful": good, "total_failed": len(results) - good}
    made = Delivery(
        id=f"msg_{uuid.uuid4().hex}",
        user_id=request["user_id"],
        webhook_id=request["id"],
        job_id=None,
        event=HookEvent.CLIPS.value,
        url=request["url"],
        host=request["host"],
        key_owner=callback_owner(request["user_id"]),
        payload=payload,
        next_at=now,
        created_at=now,
    )
    await connection.execute(insert(deliveries).values(builtins(made)))


async def _outcome(connection: AsyncConnection, job_id: str, clip_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one()
    made = select(artifacts.c.output, artifacts.c.key, artifacts.c.filename, artifacts.c.step_id)
    files = (await connection.execute(made.where(artifacts.c.job_id == job_id))).all()
    stills = [one for one in files if one.step_id == "stills"]
    first = row["results"][0] if row["results"] else None
    film = row["metadata"].get("film", {}).get("report")
    facts = row["metadata"].get("stills", {}).get("report", [])
    thumbnails = [
        fact | {"url": _link(one.key, one.filename)} for one, fact in zip(_in_order(stills), facts, strict=False)
    ]
    error = row["error"]
    return {
        "clip_id": clip_id,
        "job_id": job_id,
        "status": row["status"],
        "processed_url": _link(first["key"], first["filename"]) if first else None,
        "thumbnails": thumbnails,
        "metadata": dict(given) | ({"film": film} if film else {}),
        "error": {"code": error["code"], "message": error["message"]} if error else None,
    }


def _in_order(stills: Sequence[Any]) -> list[Any]:
    """By the numbers in the names of their outputs, `stills_1` first."""
    return sorted(stills, key=lambda one: int(one.output.rpartition("_")[2]))


def _link(key: str, filename: str) -> dict[str, Any]:
    return {LINK: {"key": key, "filename": filename}}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
