"""Passwords: argon2id, at a cost that does not fit many at a time. The only importer of argon2."""

from __future__ import annotations

import asyncio
import secrets
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE = 2
"""A hash takes 64 MiB and a core for a while: more of them at once would only be a way to bring the daemon down."""


class Passwords:
    """Hashes and compares passwords, in threads."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobodys: str | None = None

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # noqa: PLC0415 - see the package

        return PasswordHasher()

    async def hash(self, password: str) -> str:
        """What is stored."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def holds(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one that was stored.

        Where nothing is stored it takes as long and is false: the time must not tell which accounts there are.
        """
        if stored is None and self._nobodys is None:
            self._nobodys = await self.hash(secrets.token_urlsafe())
        async with self._turns:
            right = await asyncio.to_thread(self._compare, stored or self._nobodys or "", password)
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with weaker settings than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _compare(self, stored: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
