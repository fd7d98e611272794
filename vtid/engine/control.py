"""What ends a job in hand from outside: a cancel, a lost lease, a worker that stops, a sibling that failed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum

from vtid.db import LeaseLost
from vtid.errors import Cancelled


class Reason(StrEnum):
    """Why a job has to be dropped."""

    CANCELLED = "cancelled"
    LOST = "lost"
    STOPPING = "stopping"
    ABORTED = "aborted"
    """Another step of the same job failed."""


class HandBack(BaseException):
    """This worker stops; the job goes on elsewhere."""


class Aborted(BaseException):
    """Another step of the job failed."""


_RAISES: dict[Reason, type[BaseException]] = {
    Reason.CANCELLED: Cancelled,
    Reason.LOST: LeaseLost,
    Reason.STOPPING: HandBack,
    Reason.ABORTED: Aborted,
}


class Control:
    """The stop button of one job in hand. The first reason counts, but a cancel outranks a sibling's failure."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self._reason: Reason | None = None
        self._pressed = threading.Event()

    def stop(self, reason: Reason) -> None:
        """Press it."""
        if self._reason in (None, Reason.ABORTED):
            self._reason = reason
            self._pressed.set()

    def check(self) -> None:
        """Raise what the job has to end with, if it has to."""
        if self._reason:
            raise _RAISES[self._reason](self.job_id)

    def wait(self, seconds: float) -> None:
        """Sleep, but not through a stop."""
        self._pressed.wait(seconds)
        self.check()


class Hands:
    """The jobs that this process has in hand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._controls: dict[str, Control] = {}

    @property
    def jobs(self) -> Collection[str]:
        """Their ids."""
        with self._lock:
            return list(self._controls)

    @contextmanager
    def hold(self, job_id: str) -> Iterator[Control]:
        """Have a job in hand for the length of the block."""
        control = Control(job_id)
        with self._lock:
            self._controls[job_id] = control
        try:
            yield control
        finally:
            with self._lock:
                del self._controls[job_id]

    def stop(self, job_id: str, reason: Reason) -> None:
        """Press the stop button of one of them."""
        with self._lock:
            control = self._controls.get(job_id)
        if control:
            control.stop(reason)
