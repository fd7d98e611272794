"""Metrics for Prometheus: requests as they were counted, jobs and workers as the database has them when asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from vtid.errors import VtidError

if TYPE_CHECKING:
    from vtid.app import App

SEEN_S = 60.0


class Metrics:
    """The metrics of one API process.

    Args:
        core: whose jobs and workers are counted.
    """

    def __init__(self, core: App) -> None:
        self._core = core
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("vtid_http_requests", "HTTP requests.", labels, registry=self._registry)
        self._seconds = Histogram(
            "vtid_http_request_seconds", "Time to answer.", ("method", "route"), registry=self._registry
        )
        self._jobs = Gauge("vtid_jobs", "Jobs by state.", ("status",), registry=self._registry)
        self._workers = Gauge(
            "vtid_workers", "Workers that showed themselves in the last minute.", registry=self._registry
        )
        self._slots = Gauge("vtid_worker_slots", "Jobs that these workers run at once.", registry=self._registry)
        self._bells = Gauge("vtid_queue_pending", "Messages that no worker has heard yet.", registry=self._registry)
        Info("vtid", "The daemon.", registry=self._registry).info({"version": core.version})

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template, so that ids do not make a series each."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def text(self) -> bytes:
        """All of it in Prometheus' text format; what cannot be asked now keeps its last value."""
        try:
            for status, count in (await self._core.jobs.counts()).items():
                self._jobs.labels(status).set(count)
            workers = await self._core.jobs.workers(time.time() - SEEN_S)
            self._workers.set(len(workers))
            self._slots.set(sum(w["slots"] for w in workers))
            self._bells.set(self._core.queue.pending())
        except VtidError:
            pass
        return generate_latest(self._registry)
