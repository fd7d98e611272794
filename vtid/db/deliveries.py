"""Deliveries: what is due, what came of it, and the log that their owners read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.rows import builtins
from vtid.db.tables import deliveries, delivery_attempts, webhooks
from vtid.db.webhooks import give_up
from vtid.domain.webhook import Attempt, Delivery, DeliveryState, Verdict, state_after
from vtid.errors import Conflict, NotFound

LOOKED_AT = 100
"""Of what is due, how many are looked at in one round."""


class DeliveryFilter(Struct, frozen=True):
    """Which deliveries to list, newest first."""

    user_id: str
    webhook_id: str | None = None
    job_id: str | None = None
    state: DeliveryState | None = None
    before: tuple[float, str] | None = None
    limit: int = 50


class Deliveries:
    """Deliveries as couriers carry them and as their owners see them."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    # --- for couriers

    async def claim(self, most: int, lease_s: float, busy: Mapping[str, int], per_host: int) -> Sequence[Delivery]:
        """Take deliveries that are due. Of racing couriers one gets each.

        Args:
            most: how many at most.
            lease_s: after this long without a verdict they are free again.
            busy: host to the deliveries that this courier has in hand; a host that has enough gets no more for now, so
                that one slow receiver keeps nobody else waiting.
            per_host: what is enough.
        """
        now = self._clock()
        free = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)
        due = and_(deliveries.c.state == DeliveryState.PENDING.value, deliveries.c.next_at <= now, free)
        full = [host for host, count in busy.items() if count >= per_host]
        wanted = select(deliveries.c.id, deliveries.c.host).where(due, deliveries.c.host.not_in(full))
        async with self._db.read() as c:  # most of the time there is nothing, and readers wait for nobody
            found = (await c.execute(wanted.order_by(deliveries.c.next_at).limit(LOOKED_AT))).all()
        counts: Counter[str] = Counter(busy)
        chosen: list[str] = []
        for delivery_id, host in found:
            if counts[host] < per_host and len(chosen) < most:
                counts[host] += 1
                chosen.append(delivery_id)
        if not chosen:
            return []
        mine = update(deliveries).where(deliveries.c.id.in_(chosen), due).values(lease_until=now + lease_s)
        async with self._db.write() as c:
            return [to_delivery(r) for r in (await c.execute(mine.returning(deliveries))).mappings()]

    async def release(self, delivery_id: str) -> None:
        """Give one back untried."""
        async with self._db.write() as c:
            await c.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(lease_until=None))

    async def record(self, delivery: Delivery, verdict: Verdict, disable_after_s: float) -> DeliveryState:
        """Write down what came of an attempt, and what that says of the receiver.

        Args:
            delivery: that was claimed.
            verdict: on the attempt.
            disable_after_s: a webhook that failed for this long without a success between is disabled.
        """
        attempt, state = verdict.attempt, state_after(verdict)
        mine = deliveries.c.id == delivery.id
        last = select(func.coalesce(func.max(delivery_attempts.c.number), 0))
        async with self._db.write() as c:
            number = (await c.execute(last.where(delivery_attempts.c.delivery_id == delivery.id))).scalar_one() + 1
            changes = {
                "state": state.value,
                "attempts": deliveries.c.attempts + 1,
                "next_at": verdict.retry_at,
                "lease_until": None,
                "status": attempt.status,
                "error": attempt.error,
                "ended_at": None if state is DeliveryState.PENDING else self._clock(),
            }
            if not (await c.execute(update(deliveries).where(mine).values(changes))).rowcount:
                return state  # its webhook was deleted meanwhile
            row = builtins(attempt) | {"delivery_id": delivery.id, "number": number}
            await c.execute(insert(delivery_attempts).values(row))
            await self._judge(c, delivery.webhook_id, verdict, disable_after_s)
        return state

    async def _judge(self, c: AsyncConnection, webhook_id: str, verdict: Verdict, disable_after_s: float) -> None:
        mine, now = and_(webhooks.c.id == webhook_id, webhooks.c.job_id.is_(None)), self._clock()
        known = select(webhooks.c.failing_since, webhooks.c.enabled, webhooks.c.reason).where(mine)
        row = (await c.execute(known)).one_or_none()
        if row is None:
            return
        if not row.enabled:  # disabled while this one was on its way: it does not go again either
            await give_up(c, webhook_id, now, row.reason or "The webhook is disabled.")
            return
        if verdict.attempt.error is None:
            if row.failing_since is not None:
                await c.execute(update(webhooks).where(mine).values(failing_since=None))
            return
        since = row.failing_since if row.failing_since is not None else now
        why = verdict.disable
        if why is None and now - since >= disable_after_s:
            why = f"Nothing could be delivered for {(now - since) / 3600:.0f} hours; last: {verdict.attempt.error}"
        if why is None:
            await c.execute(update(webhooks).where(mine).values(failing_since=since))
            return
        changes = {"enabled": False, "reason": why, "failing_since": since, "updated_at": now}
        await c.execute(update(webhooks).where(mine).values(changes))
        await give_up(c, webhook_id, now, why)

    async def sweep(self, older_than_s: float) -> int:
        """Forget deliveries that ended so long ago. Returns how many."""
        old = and_(deliveries.c.ended_at.is_not(None), deliveries.c.ended_at < self._clock() - older_than_s)
        async with self._db.write() as c:
            return (await c.execute(delete(deliveries).where(old))).rowcount

    # --- for owners

    async def list(self, wanted: DeliveryFilter) -> Sequence[Delivery]:
        """A page of deliveries, newest first."""
        where: list[ColumnElement[bool]] = [deliveries.c.user_id == wanted.user_id]
        if wanted.webhook_id:
            where.append(deliveries.c.webhook_id == wanted.webhook_id)
        if wanted.job_id:
            where.append(deliveries.c.job_id == wanted.job_id)
        if wanted.state:
            where.append(deliveries.c.state == wanted.state.value)
        if wanted.before:
            where.append(tuple_(deliveries.c.created_at, deliveries.c.id) < tuple_(*wanted.before))
        order = (deliveries.c.created_at.desc(), deliveries.c.id.desc())
        async with self._db.read() as c:
            rows = await c.execute(select(deliveries).where(*where).order_by(*order).limit(wanted.limit))
            return [to_delivery(r) for r in rows.mappings()]

    async def get(self, delivery_id: str, user_id: str) -> tuple[Delivery, Sequence[Attempt]]:
        """One delivery and every try at it. Raises `NotFound`."""
        tries = select(delivery_attempts).where(delivery_attempts.c.delivery_id == delivery_id)
        async with self._db.read() as c:
            found = await self._get(c, delivery_id, user_id)
            rows = await c.execute(tries.order_by(delivery_attempts.c.number))
            return found, [_to_attempt(r) for r in rows.mappings()]

    async def replay(self, delivery_id: str, user_id: str) -> Delivery:
        """Send it again, from the first attempt on. Raises `Conflict` where its webhook is disabled."""
        now = self._clock()
        async with self._db.write() as c:
            found = await self._get(c, delivery_id, user_id)
            enabled = await c.execute(select(webhooks.c.enabled).where(webhooks.c.id == found.webhook_id))
            if enabled.scalar_one_or_none() is False:
                raise Conflict("Its webhook is disabled; enable it first.")
            fresh = {"state": DeliveryState.PENDING.value, "attempts": 0, "next_at": now, "ended_at": None}
            await c.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(fresh))
            return await self._get(c, delivery_id, user_id)

    async def _get(self, c: AsyncConnection, delivery_id: str, user_id: str) -> Delivery:
        mine = and_(deliveries.c.id == delivery_id, deliveries.c.user_id == user_id)
        row = (await c.execute(select(deliveries).where(mine))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no delivery {delivery_id}.")
        return to_delivery(row)


def to_delivery(row: Any) -> Delivery:
    """A row of `deliveries`."""
    return msgspec.convert({f: row[f] for f in Delivery.__struct_fields__}, Delivery)


def _to_attempt(row: Any) -> Attempt:
    return msgspec.convert({f: row[f] for f in Attempt.__struct_fields__}, Attempt)
