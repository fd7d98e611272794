"""Who somebody is, asked by many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from vtid.accounts import Accounts, local_key, prepare
from vtid.config import load
from vtid.db import Database, migrate
from vtid.errors import Unauthorized


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[tuple[Accounts, str, list[str], asyncio.Event]]:
    """Accounts, a key, the questions that reach the database, and what lets them through."""
    database = Database(f"sqlite:///{folder / 'vtid.db'}")
    migrate(database.url)
    accounts = Accounts(database, load(None, {"VTID_CONFIG": ""}), b"x" * 32)
    await prepare(accounts, folder)
    ask, questions, through = accounts.users.by_key, [], asyncio.Event()

    async def slowly(hash_: str) -> Any:
        questions.append(hash_)
        found = await ask(hash_)
        await through.wait()
        return found

    accounts.users.by_key = slowly  # type: ignore[method-assign]
    try:
        yield accounts, local_key(folder) or "", questions, through
    finally:
        await database.close()


def test_a_crowd_asks_once(tmp_path: Path) -> None:
    async def go() -> None:
        async with asked(tmp_path) as (accounts, key, questions, through):
            crowd = [asyncio.create_task(accounts.principal(key)) for _ in range(20)]
            await asyncio.sleep(0)
            crowd[0].cancel()
            through.set()
            found = await asyncio.gather(*crowd[1:])
            assert len({p.user_id for p in found}) == len(questions) == 1

    asyncio.run(go())


def test_an_answer_of_before_a_change_is_not_remembered(tmp_path: Path) -> None:
    async def go() -> None:
        async with asked(tmp_path) as (accounts, key, questions, through):
            early = asyncio.create_task(accounts.principal(key))
            while not questions:
                await asyncio.sleep(0)
            user = (await accounts.users.by_email("admin@localhost") or ())[0]
            (mine,) = await accounts.users.keys(user.id)
            await accounts.users.revoke_key(mine.id)
            accounts.forget()
            through.set()
            await early  # asked while the key still held
            with pytest.raises(Unauthorized):
                await accounts.principal(key)

    asyncio.run(go())
