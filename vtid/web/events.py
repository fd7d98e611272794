"""Following jobs. The events are rows; this only says when to look: one question to the database for all who watch.

A slow reader holds nothing but its place: each stream reads its own rows when it is ready for more.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import msgspec
import structlog
from litestar.response import ServerSentEventMessage

from vtid.db import Jobs
from vtid.domain.job import Event
from vtid.errors import VtidError

log = structlog.get_logger("vtid.events")
PERIOD_S = 0.25
HEARTBEAT_S = 15.0
PAGE = 200


class EventFeed:
    """Wakes those who watch a job when it has news.

    Args:
        jobs: to ask.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._seen: dict[str, int] = {}
        self._someone = asyncio.Event()
        self.closed = False

    def close(self) -> None:
        """End every stream: the daemon stops."""
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
                newest = await self._jobs.sequences(list(self._watchers))
            except VtidError as error:
                log.warning("cannot look for news", reason=error.message)
                newest = {}
            for job_id, seq in newest.items():
                if self._seen.get(job_id) != seq:
                    self._seen[job_id] = seq
                    for bell in self._watchers.get(job_id, ()):
                        bell.set()
            await asyncio.sleep(PERIOD_S)

    async def follow(self, job_id: str, after: int) -> AsyncIterator[Event | None]:
        """A job's events after a sequence number, until the job has ended; None is a heartbeat."""
        with self.watch(job_id) as bell:
            while not self.closed:
                bell.clear()
                events = await self._jobs.events(job_id, after, PAGE)
                for event in events:
                    after = event.seq
                    yield event
                if events:
                    continue
                job = await self._jobs.get(job_id)
                if job.status.ended and job.event_seq <= after:
                    return
                try:
                    await asyncio.wait_for(bell.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield None


async def as_messages(events: AsyncIterator[Event | None]) -> AsyncIterator[ServerSentEventMessage]:
    """Events as Server-Sent Events; the id is what `Last-Event-ID` gives back."""
    async for event in events:
        if event is None:
            yield ServerSentEventMessage(comment="still here")
            continue
        data = {"job_id": event.job_id, "seq": event.seq, "at": event.at, **event.data}
        yield ServerSentEventMessage(data=msgspec.json.encode(data).decode(), event=event.type, id=str(event.seq))
