"""Pictures made ahead of the time at which they are asked for, in a thread of their own.

While the encoder takes its time over one frame, the next ones are decoded and brought to size. FFmpeg lets go of
Python's lock in both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from threading import Condition, Thread
from typing import TypeVar

T = TypeVar("T")

DEPTH = 4
"""Pictures that may wait. More would only need memory: whichever side is slower, it waits all the same."""


class Ahead(Iterator[T]):
    """What a generator gives, in its order; it begins at once.

    To be closed, after which nothing of it runs any more. What it gives is no longer touched by it.

    Args:
        source: runs in the thread from now on, and is closed there.
        depth: how much of it may wait.
    """

    def __init__(self, source: Generator[T, None, None], depth: int = DEPTH) -> None:
        self._source = source
        self._depth = depth
        self._waiting: deque[T] = deque()
        self._changed = Condition()
        self._ended = self._unwanted = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="pictures ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                self._changed.notify()
                return self._waiting.popleft()
        self._thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def close(self) -> None:
        """Drop the rest."""
        with self._changed:
            self._unwanted = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            for one in self._source:
                if not self._put(one):
                    break
            self._source.close()
        except BaseException as error:  # noqa: BLE001 - of whatever kind, it is raised where the pictures are wanted
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _put(self, one: T) -> bool:
        """False where no more is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._unwanted or len(self._waiting) < self._depth)
            if not self._unwanted:
                self._waiting.append(one)
                self._changed.notify()
            return not self._unwanted
