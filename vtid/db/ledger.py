"""Credits: rows that are added and never changed, each with the balance after it.

Every function that moves credits does so inside the caller's transaction, so that a job and what it costs are stored
together or not at all, and holds the user's row meanwhile: of racing transactions each sees what the one before left.
Who holds a job's row and the user's at once takes them in that order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.tables import jobs, ledger, users
from vtid.domain.account import Movement
from vtid.errors import InsufficientCredits, NotFound


class Spending(Struct, frozen=True):
    """What a user's jobs have cost so far, and what is held back for those that have not ended."""

    used: int
    reserved: int


class Ledger:
    """The ledger as accounts and admins see it."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def balance(self, user_id: str) -> int:
        """What a user has."""
        async with self._db.read() as c:
            return (await _newest(c, user_id))[1]

    async def balances(self, user_ids: Sequence[str]) -> dict[str, int]:
        """User to what they have."""
        newest = (
            select(ledger.c.user_id, func.max(ledger.c.seq).label("seq"))
            .where(ledger.c.user_id.in_(user_ids))
            .group_by(ledger.c.user_id)
            .subquery()
        )
        same = (ledger.c.user_id == newest.c.user_id) & (ledger.c.seq == newest.c.seq)
        async with self._db.read() as c:
            rows = await c.execute(select(ledger.c.user_id, ledger.c.balance).join(newest, same))
            return dict.fromkeys(user_ids, 0) | {str(i): int(b) for i, b in rows}

    async def movements(self, user_id: str, before: int | None = None, limit: int = 50) -> Sequence[Movement]:
        """A page of a user's movements, newest first; `before` is the `seq` of the last one of the page before."""
        where = [ledger.c.user_id == user_id] + ([ledger.c.seq < before] if before else [])
        async with self._db.read() as c:
            rows = await c.execute(select(ledger).where(*where).order_by(ledger.c.seq.desc()).limit(limit))
            return [to_movement(r) for r in rows.mappings()]

    async def grant(self, user_id: str, amount: int, reason: str) -> Movement:
        """Give credits, or take some where `amount` is below zero.

        Raises:
            NotFound: there is no such user.
            InsufficientCredits: more would be taken than there is.
        """
        async with self._db.write(durable=True) as c:
            return await append(c, user_id, amount, "granted", self._clock(), reason=reason)

    async def spending(self, user_id: str) -> Spending:
        """What a user's jobs cost and hold back."""
        mine = jobs.c.user_id == user_id
        used, reserved = func.sum(jobs.c.actual_credits_used), func.sum(jobs.c.reserved_credits)
        async with self._db.read() as c:
            row = (await c.execute(select(used, reserved).where(mine))).one()
            return Spending(int(row[0] or 0), int(row[1] or 0))


async def lock_user(connection: AsyncConnection, user_id: str) -> Mapping[str, Any] | None:
    """Hold a user's row until the transaction ends; None where there is no such user."""
    row = (await connection.execute(select(users).where(users.c.id == user_id).with_for_update())).mappings()
    found = row.one_or_none()
    return None if found is None else {str(k): v for k, v in found.items()}


async def append(
    connection: AsyncConnection,
    user_id: str,
    amount: int,
    kind: str,
    now: float,
    *,
    job_id: str | None = None,
    reason: str = "",
) -> Movement:
    """Add a row.

    Raises:
        NotFound: there is no such user.
        InsufficientCredits: the balance would be below zero.
    """
    if await lock_user(connection, user_id) is None:
        raise NotFound(f"There is no user {user_id}.")
    seq, balance = await _newest(connection, user_id)
    if amount < 0 and balance + amount < 0:
        raise InsufficientCredits(
            f"This takes {-amount} credits, and the account has {balance}.",
            suggestion="Ask an admin for more, or take a shorter video.",
        )
    movement = Movement(
        user_id=user_id,
        seq=seq + 1,
        at=now,
        kind=kind,
        amount=amount,
        balance=balance + amount,
        job_id=job_id,
        reason=reason,
    )
    await connection.execute(insert(ledger).values(msgspec.structs.asdict(movement)))
    return movement


async def reserve(connection: AsyncConnection, user_id: str, job_id: str, amount: int, now: float) -> None:
    """Hold credits back for a job that is stored already. Raises `InsufficientCredits`."""
    if amount:
        await append(connection, user_id, -amount, "reserved", now, job_id=job_id)
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(reserved_credits=amount))


async def reserve_more(connection: AsyncConnection, user_id: str, job_id: str, amount: int, now: float) -> None:
    """Hold back up to so much for a job, of which less was known before. Raises `InsufficientCredits`."""
    row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one()
    missing = amount - row["reserved_credits"]
    if missing <= 0:
        return
    changes: dict[str, int] = {"estimated_credits": amount}
    if row["metered"]:
        await append(connection, user_id, -missing, "reserved", now, job_id=job_id)
        changes["reserved_credits"] = amount
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(changes))


async def settle(connection: AsyncConnection, job_id: str, used: int, now: float) -> None:
    """Charge a job that has ended, and give back what was held for it beyond that.

    Args:
        connection: inside the transaction that ends the job.
        job_id: of the job.
        used: what it costs: 0 where it failed or was cancelled.
        now: seconds since the epoch.

    What a job costs beyond its reservation is charged as far as the balance goes, never further.
    """
    row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one()
    held = row["reserved_credits"]
    if row["metered"] and await lock_user(connection, row["user_id"]) is not None:
        balance = (await _newest(connection, row["user_id"]))[1]
        used = min(used, held + balance)
        if used != held:
            kind = "settled" if used else "released"
            await append(connection, row["user_id"], held - used, kind, now, job_id=job_id)
    changes = {"reserved_credits": 0, "actual_credits_used": used}
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(changes))


async def _newest(connection: AsyncConnection, user_id: str) -> tuple[int, int]:
    """The number of a user's newest row and the balance after it; zeros where there is none."""
    newest = select(ledger.c.seq, ledger.c.balance).where(ledger.c.user_id == user_id)
    row = (await connection.execute(newest.order_by(ledger.c.seq.desc()).limit(1))).one_or_none()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def to_movement(row: Mapping[Any, Any]) -> Movement:
    """A row of `ledger`."""
    return msgspec.convert({str(k): v for k, v in row.items()}, Movement)
