"""Following jobs. The events are rows; this only says when to look: one question to the database for all who watch.

A slow reader holds nothing but its place: each stream reads its own rows when it is ready for more.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import msgspec
import structlog

from vtid.db import Jobs
from vtid.domain.job import Event
from vtid.errors import VtidError

T = TypeVar("T")
log = structlog.get_logger("vtid.events")
PERIOD_S = 0.25
HEARTBEAT_S = 15.0
PAGE = 200
GONE = -1
"""The sequence number of a job that is not there any more."""


class EventFeed:
    """Wakes those who watch a job when it has news.

    Args:
        jobs: to ask.
        heartbeat_s: how long a stream may be silent.
    """

    def __init__(self, jobs: Jobs, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._jobs = jobs
        self._heartbeat_s = heartbeat_s
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._seen: dict[str, int] = {}
        self._someone = asyncio.Event()
        self._ends: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self.closed = False

    @property
    def watching(self) -> int:
        """How many streams are open."""
        return sum(len(bells) for bells in self._watchers.values())

    def when_closed(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have something done when the streams end."""
        self._ends.append(act)

    def close(self) -> None:
        """End every stream: the daemon stops."""
        if not self.closed:
            self._ending = {asyncio.ensure_future(act()) for act in self._ends}
        self.closed = True
        for bells in self._watchers.values():
            for bell in bells:
                bell.set()

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job has news; clear it before looking."""
        bell = asyncio.Event()
        self._watchers[job_id].add(bell)
        self._someone.set()
        try:
            yield bell
        finally:
            self._watchers[job_id].discard(bell)
            if not self._watchers[job_id]:
                del self._watchers[job_id]
                self._seen.pop(job_id, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for news while the block lasts."""
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _look(self) -> None:
        while True:
            if not self._watchers:
                self._someone.clear()
                await self._someone.wait()
            try:
                await self._ring()
            except VtidError as error:
                log.warning("cannot look for news", reason=error.message)
            except Exception:  # whoever watches depends on this loop; a bug must not end it
                log.exception("bug while looking for news")
            await asyncio.sleep(PERIOD_S)

    async def _ring(self) -> None:
        """Wake those whose job has news since they were last woken; the end of a job's existence is news too."""
        watched = list(self._watchers)
        newest = await self._jobs.sequences(watched)
        for job_id in watched:
            seq = newest.get(job_id, GONE)
            if job_id in self._watchers and self._seen.get(job_id) != seq:
                self._seen[job_id] = seq
                for bell in self._watchers[job_id]:
                    bell.set()

    async def follow(
        self, job_id: str, after: int, heartbeat_s: float | None = None
    ) -> AsyncGenerator[Event | None, None]:
        """A job's events after a sequence number, until the job has ended; None is a heartbeat.

        Where the database fails or the job is deleted, this ends as if the line had broken: the client comes back
        with `Last-Event-ID` and is told then.
        """
        with self.watch(job_id) as bell, suppress(VtidError):
            while not self.closed:
                bell.clear()
                events = await _whole(self._jobs.events(job_id, after, PAGE))
                for event in events:
                    after = event.seq
                    yield event
                if events:
                    continue
                job = await _whole(self._jobs.get(job_id))
                if job.status.ended and job.event_seq <= after:
                    return
                try:
                    # No `wait_for`: before Python 3.12 it forgets that a task was cancelled when the bell rings just
                    # then, and nobody would ever end this.
                    async with asyncio.timeout(min(self._heartbeat_s, heartbeat_s or self._heartbeat_s)):
                        await bell.wait()
                except TimeoutError:
                    yield None


async def _whole(reading: Coroutine[Any, Any, T]) -> T:
    """Read to the end, also when whoever asked leaves: a connection that is cancelled in use is lost to the pool."""
    return await asyncio.shield(asyncio.ensure_future(reading))


async def as_stream(events: AsyncGenerator[Event | None, None]) -> AsyncGenerator[bytes, None]:
    """Events as Server-Sent Events; the id is what `Last-Event-ID` gives back."""
    async with aclosing(events):
        yield b": connected\n\n"
        async for event in events:
            yield b": still here\n\n" if event is None else _message(event)


def _message(event: Event) -> bytes:
    data = msgspec.json.encode({"job_id": event.job_id, "seq": event.seq, "at": event.at, **event.data})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), data)
