"""Reads that are asked for at the same time, in one statement.

The pattern is Facebook's DataLoader: while one read is under way, the keys that others ask for gather, and the next
read answers them all. Alone, a reader waits for nobody; of a crowd, each pays a share of what a statement costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
MOST = 200
"""Keys of one read: below what any database takes as parameters of a statement."""


class Gather(Generic[K, V]):
    """Finds things by their keys, many at once.

    Args:
        read: finds what there is of these keys; it begins after all of them were asked for.
    """

    def __init__(self, read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """What has this key now; None where nothing has. Raises what reading raises."""
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._reading is None:
            self._reading = asyncio.create_task(self._answer())
        return await answer

    async def _answer(self) -> None:
        try:
            while self._waiting:
                taken = {key: self._waiting.pop(key) for key in list(self._waiting)[:MOST]}
                try:
                    found = await self._read(taken.keys())
                except BaseException as error:
                    _settle(taken.values(), error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    for key, answers in taken.items():
                        _settle([answers], found.get(key))
        finally:
            self._reading = None


def _settle(waiting: Collection[list[asyncio.Future[V | None]]], outcome: V | BaseException | None) -> None:
    for answer in (a for answers in waiting for a in answers if not a.done()):  # whoever asked may have left
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
