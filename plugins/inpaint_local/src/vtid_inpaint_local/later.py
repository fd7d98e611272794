"""Searches that take longer than there is time for between two frames: begun at one frame or look, asked for later.

At a fixed one, so that what is found does not depend on how the threads run.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """One search at a time, on a thread of its own."""

    def __init__(self, name: str, turns: int) -> None:
        """Nothing has begun.

        Args:
            name: of the thread.
            turns: the one, frames or looks, in which the search is asked for.
        """
        self._pool, self._turns = ThreadPoolExecutor(1, name), turns
        self._begun: Future[T] | None = None
        self._waited = 0

    def begin(self, search: Callable[[], T]) -> None:
        """Begin with a search; the one before must have been asked for."""
        self._begun, self._waited = self._pool.submit(search), 0

    def found(self, *, last: bool = False) -> T | None:
        """Once for each turn: what was found, when it is time to ask; it is waited for.

        Args:
            last: there is no turn after this one.
        """
        self._waited += 1
        if self._begun is None or (self._waited < self._turns and not last):
            return None
        begun, self._begun = self._begun, None
        return begun.result()

    def close(self) -> None:
        """The film has ended."""
        self._pool.shutdown(cancel_futures=True)
