"""Encoders that would put themselves before everything else on the machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """Undo what is done in this block to the priority of this thread, and to that of threads that begin in it.

    SVT-AV1, where it may (run by root, as in most containers), makes the thread that opens it and all of its own ones
    more urgent than any other on the machine, for good, and what they start inherits it: SCHED_FIFO at 99. The API
    would not answer while a film is encoded. On systems without Linux's `/proc` nothing is done.
    """
    if not _TASKS.is_dir():
        yield
        return
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    there = _threads()
    try:
        yield
    finally:
        for thread in {0, *_threads()} - there:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(thread, policy, param)


def _threads() -> set[int]:
    return {int(task.name) for task in _TASKS.iterdir()}
