"""Webhooks and their secrets, and the one place where an event becomes deliveries."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.rows import builtins
from vtid.db.tables import deliveries, jobs, signing_keys, webhooks
from vtid.domain.job import JobStatus
from vtid.domain.webhook import Delivery, DeliveryState, HookEvent, Webhook
from vtid.errors import Conflict, NotFound

MOST = 50
"""Webhooks of one user."""


class Webhooks:
    """Webhooks as their owners see them: not those of other users, nor what single jobs call back."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def add(self, webhook: Webhook, sealed_key: str) -> Webhook:
        """Store a webhook with its secrets. Raises `Conflict` where its owner has too many."""
        now = self._clock()
        stored = msgspec.structs.replace(webhook, created_at=now, updated_at=now)
        async with self._db.write() as c:
            count = select(func.count()).where(webhooks.c.user_id == webhook.user_id, webhooks.c.job_id.is_(None))
            if (await c.execute(count)).scalar_one() >= MOST:
                raise Conflict(f"There are {MOST} webhooks already; delete one first.")
            await c.execute(insert(webhooks).values(builtins(stored)))
            await c.execute(insert(signing_keys).values(owner=webhook.id, sealed=sealed_key, updated_at=now))
        return stored

    async def list(self, user_id: str) -> Sequence[Webhook]:
        """A user's webhooks, oldest first."""
        wanted = select(webhooks).where(webhooks.c.user_id == user_id, webhooks.c.job_id.is_(None))
        async with self._db.read() as c:
            rows = await c.execute(wanted.order_by(webhooks.c.created_at, webhooks.c.id))
            return [to_webhook(r) for r in rows.mappings()]

    async def get(self, webhook_id: str, user_id: str) -> Webhook:
        """One webhook. Raises `NotFound`."""
        async with self._db.read() as c:
            return await self._get(c, webhook_id, user_id)

    async def change(self, webhook_id: str, user_id: str, **changes: Any) -> Webhook:
        """Change a webhook. To enable it makes a clean start; to disable it gives up what is on its way."""
        if changes.get("enabled"):
            changes |= {"reason": None, "failing_since": None}
        async with self._db.write() as c:
            await self._get(c, webhook_id, user_id)
            changed = update(webhooks).where(webhooks.c.id == webhook_id)
            await c.execute(changed.values(updated_at=self._clock(), **changes))
            if changes.get("enabled") is False:
                await give_up(c, webhook_id, self._clock(), "The webhook was disabled.")
            return await self._get(c, webhook_id, user_id)

    async def delete(self, webhook_id: str, user_id: str) -> None:
        """Remove a webhook, its secrets and its deliveries."""
        async with self._db.write() as c:
            await self._get(c, webhook_id, user_id)
            await c.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))
            await c.execute(delete(signing_keys).where(signing_keys.c.owner == webhook_id))
            await c.execute(delete(webhooks).where(webhooks.c.id == webhook_id))

    async def test(self, webhook_id: str, user_id: str) -> Delivery:
        """Put an event on its way that says nothing but that it can. Raises `Conflict` where it is disabled."""
        now = self._clock()
        async with self._db.write() as c:
            webhook = await self._get(c, webhook_id, user_id)
            if not webhook.enabled:
                raise Conflict("This webhook is disabled; enable it first.")
            made = _delivery(webhook, HookEvent.TEST, None, now, {"webhook_id": webhook_id})
            await c.execute(insert(deliveries).values(builtins(made)))
        return made

    async def key(self, owner: str) -> str | None:
        """The sealed secrets of an owner, if there are any."""
        async with self._db.read() as c:
            found = await c.execute(select(signing_keys.c.sealed).where(signing_keys.c.owner == owner))
            return found.scalar_one_or_none()

    async def change_key(self, owner: str, change: Callable[[str | None], str]) -> str:
        """Replace an owner's sealed secrets by what `change` makes of them. Of several at once, each sees the last."""
        mine = signing_keys.c.owner == owner
        async with self._db.write(durable=True) as c:
            known = await c.execute(select(signing_keys.c.sealed).where(mine).with_for_update())
            before = known.scalar_one_or_none()
            values = {"sealed": change(before), "updated_at": self._clock()}
            if before is None:
                await c.execute(insert(signing_keys).values(owner=owner, **values))
            else:
                await c.execute(update(signing_keys).where(mine).values(values))
            return str(values["sealed"])

    async def _get(self, c: AsyncConnection, webhook_id: str, user_id: str) -> Webhook:
        mine = and_(webhooks.c.id == webhook_id, webhooks.c.user_id == user_id, webhooks.c.job_id.is_(None))
        row = (await c.execute(select(webhooks).where(mine))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no webhook {webhook_id}.")
        return to_webhook(row)


async def enqueue(connection: AsyncConnection, job_id: str, now: float) -> None:
    """Have it told that a job ended, inside the transaction in which it did: to all who want to hear of it."""
    columns = [getattr(jobs.c, name) for name in _TOLD]
    wanted = and_(webhooks.c.enabled, or_(webhooks.c.job_id.is_(None), webhooks.c.job_id == job_id))
    joined = webhooks.join(jobs, and_(jobs.c.id == job_id, jobs.c.user_id == webhooks.c.user_id))
    rows = await connection.execute(
        select(webhooks, *(c.label(f"job__{c.name}") for c in columns)).select_from(joined).where(wanted)
    )
    made = []
    for row in rows.mappings():
        job = {name: row[f"job__{name}"] for name in _TOLD}
        event, webhook = HookEvent.of(JobStatus(job["status"])), to_webhook(row)
        if event in webhook.events:
            made.append(builtins(_delivery(webhook, event, job_id, now, _data(job), _result(job))))
    if made:
        await connection.execute(insert(deliveries), made)


async def give_up(connection: AsyncConnection, webhook_id: str, now: float, why: str) -> None:
    """End what is on its way to a webhook."""
    mine: ColumnElement[bool] = and_(
        deliveries.c.webhook_id == webhook_id, deliveries.c.state == DeliveryState.PENDING.value
    )
    ended = {"state": DeliveryState.FAILED.value, "error": why, "ended_at": now, "next_at": None, "lease_until": None}
    await connection.execute(update(deliveries).where(mine).values(ended))


def to_webhook(row: Any) -> Webhook:
    """A row of `webhooks`, with or without more beside it."""
    return msgspec.convert({f: row[f] for f in Webhook.__struct_fields__}, Webhook)


_TOLD = (
    "id",
    "status",
    "progress",
    "message",
    "error",
    "pipeline_name",
    "original_filename",
    "display_name",
    "created_at",
    "completed_at",
    "metadata",
    "results",
)


def _delivery(
    webhook: Webhook, event: HookEvent, job_id: str | None, now: float, data: dict[str, Any], result: Any = None
) -> Delivery:
    payload = {"type": event.value, "timestamp": _iso(now), "data": data}
    return Delivery(
        id=f"msg_{uuid.uuid4().hex}",
        user_id=webhook.user_id,
        webhook_id=webhook.id,
        job_id=job_id,
        event=event.value,
        url=webhook.url,
        host=webhook.host,
        key_owner=webhook.key_owner,
        payload=payload | ({"result": result} if result else {}),
        next_at=now,
        created_at=now,
    )


def _data(job: dict[str, Any]) -> dict[str, Any]:
    """What is told of a job: as it was when it ended, and whatever becomes of it."""
    plain = ("status", "progress", "message", "error", "original_filename", "display_name", "metadata")
    times = {name: _iso(job[name]) for name in ("created_at", "completed_at")}
    return {"job_id": job["id"], "pipeline": job["pipeline_name"]} | {name: job[name] for name in plain} | times


def _result(job: dict[str, Any]) -> dict[str, Any] | None:
    """Where the result lies, for a link that is made when it is sent: links expire sooner than deliveries do."""
    results = job["results"]
    return {"key": results[0]["key"], "filename": results[0]["filename"]} if results else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
