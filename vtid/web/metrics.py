"""Metrics for Prometheus: requests as they were counted, jobs and workers as the database has them when asked."""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, Histogram, Info, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from vtid.app import WORKER_SEEN_S, App
from vtid.domain.watch import WatchState
from vtid.errors import VtidError
from vtid.web.events import EventFeed

QUANTILES = (0.5, 0.95)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = Histogram.DEFAULT_BUCKETS
"""Upper bounds in seconds; the last is infinity."""


class _Requests(Collector):
    """Requests by method, route and status.

    Of its own: the library's counters take a lock each, which one thread alone does not need, and two of them cost
    more than what is counted here for every request.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        """How many within each bucket, and the sum of the seconds."""

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else "other"
        counts, key = self._counts, (method, route, status)
        counts[key] = counts.get(key, 0) + 1
        if (found := self._times.get((method, route))) is None:
            found = self._times[method, route] = [0] * len(BUCKETS), [0.0]
        within, total = found
        within[bisect_left(BUCKETS, seconds)] += 1
        total[0] += seconds

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("vtid_http_requests", "HTTP requests.", labels=("method", "route", "status"))
        for (method, route, status), count in self._counts.items():
            requests.add_metric([method, route, str(status)], count)
        words, labels = "Time until an answer begins.", ("method", "route")
        times = HistogramMetricFamily("vtid_http_request_seconds", words, labels=labels)
        for (method, route), (within, total) in self._times.items():
            bounds = ["+Inf" if math.isinf(bound) else str(bound) for bound in BUCKETS]
            times.add_metric([method, route], list(zip(bounds, accumulate(within), strict=True)), total[0])
        yield requests
        yield times


class Metrics:
    """The metrics of one API process.

    Args:
        core: whose jobs and workers are counted.
        feed: whose streams are counted.
    """

    def __init__(self, core: App, feed: EventFeed) -> None:
        self._core = core
        self._registry = registry = CollectorRegistry()
        self._requests = _Requests()
        registry.register(self._requests)
        self._jobs = Gauge("vtid_jobs", "Jobs by state.", ("status",), registry=registry)
        self._workers = Gauge("vtid_workers", "Workers that showed themselves in the last minute.", registry=registry)
        self._slots = Gauge("vtid_worker_slots", "Jobs that these workers run at once.", registry=registry)
        self._watching = Gauge("vtid_watch_up", "Whether a hot folder is well.", ("watch",), registry=registry)
        self._waiting = Gauge(
            "vtid_watch_waiting", "Files in a hot folder that are not taken yet.", ("watch",), registry=registry
        )
        self._files = Gauge(
            "vtid_watch_files", "Files that a hot folder took, by state.", ("watch", "state"), registry=registry
        )
        self._starts = Gauge(
            "vtid_watch_start_seconds",
            "From when a file had settled to when a worker began on it: quantiles of the latest files.",
            ("watch", "quantile"),
            registry=registry,
        )
        self._encoders = Gauge(
            "vtid_encoder_up",
            "Whether an encoder of a card of this machine works and does not rest, as far as it was tried.",
            ("encoder", "device"),
            registry=registry,
        )
        self._failures = Gauge(
            "vtid_card_failures", "How often in a row a card of this machine failed.", ("card",), registry=registry
        )
        self._bells = Gauge("vtid_queue_pending", "Messages that no worker has heard yet.", registry=registry)
        streams = Gauge("vtid_event_streams", "Open event streams.", registry=registry)
        streams.set_function(lambda: feed.watching)
        Info("vtid", "The daemon.", registry=registry).info({"version": core.version})
        ProcessCollector(registry=registry)

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template, so that ids do not make a series each; nor do invented methods."""
        self._requests.saw(method, route, status, seconds)

    async def text(self) -> bytes:
        """All of it in Prometheus' text format; what cannot be asked now is NaN, not a number of the past."""
        try:
            for status, count in (await self._core.jobs.counts()).items():
                self._jobs.labels(status).set(count)
            workers = await self._core.jobs.workers(time.time() - WORKER_SEEN_S)
            self._workers.set(len(workers))
            self._slots.set(sum(w["slots"] for w in workers))
            await self._ask_watches()
        except VtidError:
            for gauge in (self._watching, self._waiting, self._files, self._starts):
                gauge.clear()
            self._jobs.clear()
            self._workers.set(math.nan)
            self._slots.set(math.nan)
        try:
            self._bells.set(await asyncio.to_thread(self._core.queue.pending))
        except VtidError:
            self._bells.set(math.nan)
        await asyncio.to_thread(self._ask_encoders)
        return generate_latest(self._registry)

    def _ask_encoders(self) -> None:
        self._encoders.clear()
        self._failures.clear()
        for one in self._core.encoders.standings(trying=False):
            if one.state != "untried":
                self._encoders.labels(one.candidate.encoder.name, one.candidate.device).set(one.state == "works")
        for name, card in self._core.encoders.cards().items():
            self._failures.labels(name).set(card.failures)

    async def _ask_watches(self) -> None:
        watches, counts = self._core.watches, await self._core.watches.counts()
        for record in await watches.list():
            well = record.shown(time.time()) in (WatchState.OK, WatchState.PAUSED)
            self._watching.labels(record.name).set(well)
            self._waiting.labels(record.name).set(record.waiting)
            for state, count in counts.get(record.name, {}).items():
                self._files.labels(record.name, state).set(count)
            starts = await watches.starts(record.name)
            for quantile in QUANTILES if starts else ():
                took = starts[min(len(starts) - 1, int(len(starts) * quantile))]
                self._starts.labels(record.name, str(quantile)).set(took)
