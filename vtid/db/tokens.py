"""Tokens that the database knows by their hashes: refresh tokens, sessions of the web application, one-time links.

All that came from one login is a family, which ends as a whole.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from enum import StrEnum

from sqlalchemy import delete, insert, select, update

from vtid.db.connect import Database
from vtid.db.tables import tokens, users
from vtid.db.users import to_user
from vtid.domain.account import User


class Kind(StrEnum):
    """What a token is for."""

    REFRESH = "refresh"
    """Once: for an access token and the next refresh token."""
    SESSION = "session"
    """Again and again, as a cookie."""
    LOGIN = "login"
    """Once: for a session."""


class Tokens:
    """Tokens in the database."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def add(self, hash_: str, kind: Kind, user_id: str, ttl_s: float, family: str | None = None) -> None:
        """Store a token, of a family of its own where none is named; those that ran out go."""
        now = self._clock()
        row = {"hash": hash_, "kind": kind.value, "user_id": user_id, "family": family or str(uuid.uuid4())}
        async with self._db.write() as c:
            await c.execute(delete(tokens).where(tokens.c.expires_at < now))
            await c.execute(insert(tokens).values(row | {"created_at": now, "expires_at": now + ttl_s}))

    async def find(self, hash_: str, kind: Kind) -> User | None:
        """Whose token it is, where it holds."""
        holds = (tokens.c.hash == hash_, tokens.c.kind == kind.value, tokens.c.expires_at > self._clock())
        query = select(users).join(tokens, tokens.c.user_id == users.c.id).where(*holds, tokens.c.used_at.is_(None))
        row = await self._db.snapshot(lambda c: c.execute(query).mappings().one_or_none())
        return None if row is None else to_user(row)

    async def use(self, hash_: str, kind: Kind, successor: str | None = None, ttl_s: float = 0.0) -> User | None:
        """Use a token that works once.

        Args:
            hash_: of the token.
            kind: that it must be of.
            successor: hash of the one that takes its place in the family.
            ttl_s: for how long that one holds.

        Returns:
            Whose it was; None where it does not hold. One that was used before was stolen by somebody, from whom or by
            whom nobody can tell: its whole family ends.
        """
        now = self._clock()
        mine = (tokens.c.hash == hash_, tokens.c.kind == kind.value, tokens.c.expires_at > now)
        async with self._db.write(durable=True) as c:
            row = (await c.execute(select(tokens).where(*mine).with_for_update())).mappings().one_or_none()
            if row is None:
                return None
            if row["used_at"] is not None:
                await c.execute(delete(tokens).where(tokens.c.family == row["family"]))
                return None
            await c.execute(update(tokens).where(tokens.c.hash == hash_).values(used_at=now))
            if successor:
                fresh = {"hash": successor, "kind": kind.value, "created_at": now, "expires_at": now + ttl_s}
                await c.execute(insert(tokens).values(fresh | {"user_id": row["user_id"], "family": row["family"]}))
            user = (await c.execute(select(users).where(users.c.id == row["user_id"]))).mappings().one()
            return to_user(user)

    async def end_family(self, hash_: str) -> None:
        """End whatever came from the same login as this token."""
        async with self._db.write(durable=True) as c:
            family = select(tokens.c.family).where(tokens.c.hash == hash_).scalar_subquery()
            await c.execute(delete(tokens).where(tokens.c.family == family))
