"""Metrics for Prometheus: requests as they were counted, jobs and workers as the database has them when asked."""

from __future__ import annotations

import asyncio
import math
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from vtid.app import WORKER_SEEN_S, App
from vtid.errors import VtidError
from vtid.web.events import EventFeed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one API process.

    Args:
        core: whose jobs and workers are counted.
        feed: whose streams are counted.
    """

    def __init__(self, core: App, feed: EventFeed) -> None:
        self._core = core
        self._registry = registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("vtid_http_requests", "HTTP requests.", labels, registry=registry)
        self._seconds = Histogram(
            "vtid_http_request_seconds", "Time until an answer begins.", ("method", "route"), registry=registry
        )
        self._jobs = Gauge("vtid_jobs", "Jobs by state.", ("status",), registry=registry)
        self._workers = Gauge("vtid_workers", "Workers that showed themselves in the last minute.", registry=registry)
        self._slots = Gauge("vtid_worker_slots", "Jobs that these workers run at once.", registry=registry)
        self._bells = Gauge("vtid_queue_pending", "Messages that no worker has heard yet.", registry=registry)
        streams = Gauge("vtid_event_streams", "Open event streams.", registry=registry)
        streams.set_function(lambda: feed.watching)
        Info("vtid", "The daemon.", registry=registry).info({"version": core.version})
        ProcessCollector(registry=registry)

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template, so that ids do not make a series each; nor do invented methods."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def text(self) -> bytes:
        """All of it in Prometheus' text format; what cannot be asked now is NaN, not a number of the past."""
        try:
            for status, count in (await self._core.jobs.counts()).items():
                self._jobs.labels(status).set(count)
            workers = await self._core.jobs.workers(time.time() - WORKER_SEEN_S)
            self._workers.set(len(workers))
            self._slots.set(sum(w["slots"] for w in workers))
        except VtidError:
            self._jobs.clear()
            self._workers.set(math.nan)
            self._slots.set(math.nan)
        try:
            self._bells.set(await asyncio.to_thread(self._core.queue.pending))
        except VtidError:
            self._bells.set(math.nan)
        return generate_latest(self._registry)
