"""Repeated requests: which one was the first with its `Idempotency-Key`, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from vtid.db.connect import Database
from vtid.db.tables import idempotency
from vtid.errors import Conflict, InvalidInput

KEPT_S = 7 * 24 * 3600
RESERVED_S = 600.0
"""A key with no answer after this long was reserved by a daemon that died; taking a request in takes seconds."""


class Kept(Struct, frozen=True):
    """What the first request made: a job, or an answer that was sealed."""

    job_id: str | None
    answer: bytes | None


class Repeats:
    """Keys in the database. `Jobs.add` notes by itself which job a key made."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def reserve(self, user_id: str, key: str, request_hash: str) -> Kept | None:
        """Reserve a key.

        Returns:
            None when the caller is the first and must go on (and `forget` the key if it fails), or what the first
            request made.

        Raises:
            InvalidInput: the key was used for another request.
            Conflict: the first request is still on its way.
        """
        try:
            row = await self._first(user_id, key, request_hash)
        except IntegrityError:  # on PostgreSQL two may find nothing and both go on: one of them is the first
            row = await self._first(user_id, key, request_hash)
        if row is None:
            return None
        if row["request_hash"] != request_hash:
            raise InvalidInput("This Idempotency-Key was used for another request; take a new one.")
        if row["job_id"] is None and row["answer"] is None:
            raise Conflict(
                "The first request with this Idempotency-Key is still being taken in; try again in a moment."
            )
        return Kept(row["job_id"], row["answer"])

    async def _first(self, user_id: str, key: str, request_hash: str) -> RowMapping | None:
        """What is known of the key; None where nothing was, and it is the caller's now."""
        now = self._clock()
        unanswered = and_(idempotency.c.job_id.is_(None), idempotency.c.answer.is_(None))
        abandoned = and_(unanswered, idempotency.c.created_at < now - RESERVED_S)
        async with self._db.write() as c:
            await c.execute(delete(idempotency).where(or_(idempotency.c.created_at < now - KEPT_S, abandoned)))
            found = await c.execute(select(idempotency).where(*_mine(user_id, key)))
            row = found.mappings().one_or_none()
            if row is None:
                fresh = {"user_id": user_id, "key": key, "request_hash": request_hash, "created_at": now}
                await c.execute(insert(idempotency).values(fresh))
            return row

    async def keep(self, user_id: str, key: str, answer: bytes) -> None:
        """Store what the first request was answered."""
        async with self._db.write() as c:
            await c.execute(update(idempotency).where(*_mine(user_id, key)).values(answer=answer))

    async def forget(self, user_id: str, key: str) -> None:
        """Free a key whose request failed."""
        unanswered = (idempotency.c.job_id.is_(None), idempotency.c.answer.is_(None))
        async with self._db.write() as c:
            await c.execute(delete(idempotency).where(*_mine(user_id, key), *unanswered))


def _mine(user_id: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (idempotency.c.user_id == user_id, idempotency.c.key == key)
