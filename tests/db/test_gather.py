"""Reads asked for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from vtid.db.gather import MOST, Gather


class Shelf:
    """Something to read, whose reads wait until they may go on."""

    def __init__(self) -> None:
        self.things = {n: str(n) for n in range(1000)}
        self.reads: list[set[int]] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, keys: Collection[int]) -> dict[int, str]:
        wanted = set(keys)
        self.reads.append(wanted)
        await self.open.wait()
        if self.error:
            raise self.error
        return {k: self.things[k] for k in wanted if k in self.things}


async def begun(shelf: Shelf, gather: Gather[int, str]) -> asyncio.Task[str | None]:
    """A read of 0 that is under way."""
    first = asyncio.create_task(gather.get(0))
    while not shelf.reads:
        await asyncio.sleep(0)
    return first


def test_what_is_asked_for_during_a_read_is_read_together_after_it() -> None:
    async def go() -> None:
        shelf = Shelf()
        gather = Gather(shelf.read)
        first = await begun(shelf, gather)
        others = [asyncio.create_task(gather.get(k)) for k in (0, 1, 2, 2, 5000)]
        await asyncio.sleep(0)
        shelf.things[0] = "changed since"
        shelf.open.set()
        assert await asyncio.gather(*others) == ["changed since", "1", "2", "2", None]
        assert shelf.reads == [{0}, {0, 1, 2, 5000}]
        await first
        assert await gather.get(7) == "7"

    asyncio.run(go())


def test_a_crowd_is_read_in_parts() -> None:
    async def go() -> None:
        shelf = Shelf()
        shelf.open.set()
        gather = Gather(shelf.read)
        count = 2 * MOST + 1
        assert await asyncio.gather(*map(gather.get, range(count))) == [str(n) for n in range(count)]
        assert [len(r) for r in shelf.reads] == [MOST, MOST, 1]

    asyncio.run(go())


def test_who_leaves_takes_nothing_from_the_others() -> None:
    async def go() -> None:
        shelf = Shelf()
        gather = Gather(shelf.read)
        first, second = await begun(shelf, gather), asyncio.create_task(gather.get(1))
        first.cancel()
        shelf.open.set()
        assert await second == "1"
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(go())


def test_a_read_that_fails_fails_for_those_who_wait_and_not_for_the_next() -> None:
    async def go() -> None:
        shelf = Shelf()
        shelf.error = OSError("the disk is gone")
        shelf.open.set()
        gather = Gather(shelf.read)
        both = await asyncio.gather(gather.get(1), gather.get(2), return_exceptions=True)
        assert [str(e) for e in both] == ["the disk is gone"] * 2
        shelf.error = None
        assert await gather.get(1) == "1"

    asyncio.run(go())
