"""Accounts and their keys. Passwords and keys come in hashed; nothing here could tell them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.ledger import append, lock_user
from vtid.db.tables import (
    api_keys,
    assets,
    deliveries,
    idempotency,
    jobs,
    signing_keys,
    tokens,
    uploads,
    users,
    webhooks,
)
from vtid.domain.account import ApiKey, Role, User
from vtid.domain.job import JobStatus
from vtid.domain.webhook import callback_owner
from vtid.errors import Conflict, NotFound

TOUCH_S = 60.0
"""How exactly it is noted when a key was last used: a row for each request would cost more than it tells."""
_USER_FIELDS = tuple(f.name for f in msgspec.structs.fields(User))
_KEY_FIELDS = tuple(f.name for f in msgspec.structs.fields(ApiKey))


class UserFilter(Struct, frozen=True):
    """Which accounts to list, newest first."""

    text: str | None = None
    """Part of the e-mail address or the id."""
    role: str | None = None
    tier: str | None = None
    suspended: bool | None = None
    before: tuple[float, str] | None = None
    """The `(created_at, id)` of the last one of the page before."""
    limit: int = 50


class Users:
    """Accounts and keys in the database."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    # --- accounts

    async def add(self, user: User, password_hash: str | None, opening: int) -> User:
        """Store an account with its first credits. Raises `Conflict` where the address is taken."""
        now = self._clock()
        row = msgspec.structs.asdict(user) | {"created_at": now, "email_key": email_key(user.email)}
        try:
            async with self._db.write(durable=True) as c:
                await c.execute(insert(users).values(row | {"password_hash": password_hash}))
                if opening:
                    await append(c, user.id, opening, "opening", now, reason=f"tier {user.tier}")
        except IntegrityError as error:
            raise Conflict(f"There is an account for {user.email} already.") from error
        return msgspec.structs.replace(user, created_at=now)

    async def get(self, user_id: str) -> User:
        """One account. Raises `NotFound`."""
        query = select(users).where(users.c.id == user_id)
        row = await self._db.snapshot(lambda c: c.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(f"There is no user {user_id}.")
        return to_user(row)

    async def by_email(self, email: str) -> tuple[User, str | None] | None:
        """The account with an address, and the hash of its password; None where there is none."""
        async with self._db.read() as c:
            found = await c.execute(select(users).where(users.c.email_key == email_key(email)))
            row = found.mappings().one_or_none()
        return None if row is None else (to_user(row), row["password_hash"])

    async def password_hash(self, user_id: str) -> str | None:
        """Of an account; None where no password was chosen."""
        async with self._db.read() as c:
            found = await c.execute(select(users.c.password_hash).where(users.c.id == user_id))
            value = found.scalar_one_or_none()
        return None if value is None else str(value)

    async def list(self, wanted: UserFilter) -> Sequence[User]:
        """A page of accounts, newest first."""
        where: list[ColumnElement[bool]] = []
        if wanted.text:
            where.append(or_(*(c.icontains(wanted.text, autoescape=True) for c in (users.c.email, users.c.id))))
        where += [
            users.c[name] == v for name in ("role", "tier", "suspended") if (v := getattr(wanted, name)) is not None
        ]
        if wanted.before:
            at, last = wanted.before
            where.append(or_(users.c.created_at < at, and_(users.c.created_at == at, users.c.id < last)))
        query = select(users).where(*where).order_by(users.c.created_at.desc(), users.c.id.desc()).limit(wanted.limit)
        async with self._db.read() as c:
            return [to_user(r) for r in (await c.execute(query)).mappings()]

    async def counts(self) -> dict[str, int]:
        """How many accounts each tier has."""
        async with self._db.read() as c:
            rows = await c.execute(select(users.c.tier, func.count()).group_by(users.c.tier))
            return {str(t): int(n) for t, n in rows}

    async def change(self, user_id: str, *, end_tokens: bool = False, **changes: Any) -> User:
        """Change an account.

        Args:
            user_id: whose.
            end_tokens: every token given out so far stops working.
            changes: columns.

        Raises:
            NotFound: there is no such user.
            Conflict: the address is taken, or no admin would be left.
        """
        if "email" in changes:
            changes["email_key"] = email_key(changes["email"])
        if end_tokens:
            changes["generation"] = users.c.generation + 1
        try:
            async with self._db.write(durable=True) as c, _an_admin_left(c, changes.keys() & {"role", "suspended"}):
                if await lock_user(c, user_id) is None:
                    raise NotFound(f"There is no user {user_id}.")
                if changes:
                    await c.execute(update(users).where(users.c.id == user_id).values(changes))
                if end_tokens:
                    await c.execute(delete(tokens).where(tokens.c.user_id == user_id))
        except IntegrityError as error:
            raise Conflict(f"There is an account for {changes.get('email')} already.") from error
        if "tier" in changes:  # what waited for its turn may have it now
            held = and_(jobs.c.user_id == user_id, jobs.c.status == JobStatus.QUEUED.value)
            async with self._db.write() as c:
                await c.execute(update(jobs).where(held).values(wake_at=None, rung_at=None))
        return await self.get(user_id)

    async def remove(self, user_id: str) -> None:
        """Remove an account with all that is its own: credits, keys, jobs, webhooks, what is known of its files.

        Uploads that are on their way expire at once: where their parts lie, housekeeping knows.

        Raises:
            NotFound: there is no such user.
            Conflict: one of its jobs has not ended, or no admin would be left.
        """
        open_ = jobs.c.status.in_((JobStatus.QUEUED.value, JobStatus.PROCESSING.value))
        async with self._db.write(durable=True) as c, _an_admin_left(c):
            if await lock_user(c, user_id) is None:
                raise NotFound(f"There is no user {user_id}.")
            if (await c.execute(select(jobs.c.id).where(jobs.c.user_id == user_id, open_).limit(1))).first():
                raise Conflict("This account has jobs that have not ended; cancel them first.")
            await c.execute(delete(jobs).where(jobs.c.user_id == user_id))
            hooks = select(webhooks.c.id).where(webhooks.c.user_id == user_id)
            owners = signing_keys.c.owner
            await c.execute(delete(signing_keys).where(or_(owners.in_(hooks), owners == callback_owner(user_id))))
            for table in (webhooks, deliveries, idempotency, assets):
                await c.execute(delete(table).where(table.c.user_id == user_id))
            await c.execute(update(uploads).where(uploads.c.user_id == user_id).values(expires_at=0.0))
            await c.execute(delete(users).where(users.c.id == user_id))

    async def is_empty(self) -> bool:
        """Whether nobody has an account yet."""
        async with self._db.read() as c:
            return (await c.execute(select(users.c.id).limit(1))).first() is None

    # --- keys

    async def add_key(self, key: ApiKey, hash_: str) -> ApiKey:
        """Store a key."""
        row = msgspec.to_builtins(key) | {"hash": hash_, "created_at": self._clock()}
        async with self._db.write(durable=True) as c:
            await c.execute(insert(api_keys).values(row))
        return msgspec.structs.replace(key, created_at=row["created_at"])

    async def keys(self, user_id: str) -> Sequence[ApiKey]:
        """A user's keys, newest first, revoked ones too."""
        query = select(api_keys).where(api_keys.c.user_id == user_id).order_by(api_keys.c.created_at.desc())
        async with self._db.read() as c:
            return [to_key(r) for r in (await c.execute(query)).mappings()]

    async def key(self, key_id: str) -> ApiKey | None:
        """One key; None where there is none."""
        query = select(api_keys).where(api_keys.c.id == key_id)
        row = await self._db.snapshot(lambda c: c.execute(query).mappings().one_or_none())
        return None if row is None else to_key(row)

    async def by_key(self, hash_: str) -> tuple[ApiKey, User] | None:
        """The key with a hash, and whose it is."""
        columns = [api_keys.c[n].label(f"key_{n}") for n in _KEY_FIELDS] + [users.c[n] for n in _USER_FIELDS]
        query = select(*columns).join(users, users.c.id == api_keys.c.user_id).where(api_keys.c.hash == hash_)
        row = await self._db.snapshot(lambda c: c.execute(query).mappings().one_or_none())
        return None if row is None else (to_key({n: row[f"key_{n}"] for n in _KEY_FIELDS}), to_user(row))

    async def revoke_key(self, key_id: str, user_id: str | None = None) -> ApiKey:
        """End a key; one that has ended stays as it is. Raises `NotFound`."""
        where = [api_keys.c.id == key_id] + ([api_keys.c.user_id == user_id] if user_id else [])
        async with self._db.write(durable=True) as c:
            unrevoked = update(api_keys).where(*where, api_keys.c.revoked_at.is_(None))
            await c.execute(unrevoked.values(revoked_at=self._clock()))
            row = (await c.execute(select(api_keys).where(*where))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no key {key_id}.")
        return to_key(row)

    async def touch_key(self, key: ApiKey) -> None:
        """Note that a key was used."""
        now = self._clock()
        if key.last_used_at is None or now - key.last_used_at > TOUCH_S:
            async with self._db.write() as c:
                await c.execute(update(api_keys).where(api_keys.c.id == key.id).values(last_used_at=now))


@asynccontextmanager
async def _an_admin_left(connection: AsyncConnection, touched: object = True) -> AsyncIterator[None]:
    """Raise `Conflict` where the block leaves nobody who could let anybody in again; if it touches such things at all.

    The admins are held meanwhile, in order, so that two of them cannot remove each other at once.
    """
    able = select(users.c.id).where(users.c.role == Role.ADMIN.value, users.c.suspended.is_(False))
    if touched:
        await connection.execute(able.order_by(users.c.id).with_for_update())
    yield
    if touched and (await connection.execute(able.limit(1))).first() is None:
        raise Conflict("This is the last admin; make another one first.")


def email_key(email: str) -> str:
    """What is the same for two ways to write an address."""
    return email.strip().casefold()


def to_user(row: Mapping[Any, Any]) -> User:
    """A row of `users`."""
    return msgspec.convert({n: row[n] for n in _USER_FIELDS}, User)


def to_key(row: Mapping[Any, Any]) -> ApiKey:
    """A row of `api_keys`."""
    return msgspec.convert({n: row[n] for n in _KEY_FIELDS}, ApiKey)
