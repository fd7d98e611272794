"""Working ahead: one thread makes what another takes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
_LOOK_S = 0.1
"""Seconds after which a thread that waits for room looks whether anybody still wants anything."""


def ahead(items: Iterable[T], room: int) -> Iterator[T]:
    """The same items, made by a thread of their own, at most `room` of them before they are asked for.

    What making them raises is raised here. A generator that is closed early stops the thread before it returns.
    """
    queue: Queue[tuple[bool, T | BaseException | None]] = Queue(room)
    stop = threading.Event()

    def put(more: bool, item: T | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(Full):
                queue.put((more, item), timeout=_LOOK_S)
                return

    def make() -> None:
        try:
            for item in items:
                put(True, item)
                if stop.is_set():
                    return
            put(False, None)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is looked for
            put(False, error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = queue.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return
    finally:
        stop.set()
        with suppress(Empty):
            queue.get_nowait()
        thread.join()
