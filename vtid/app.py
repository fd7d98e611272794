"""The composition root: configuration in, wired application out. What depends on what is written here only."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from msgspec import Struct

from vtid import __version__, pipelines, plugins
from vtid.accounts import Accounts, Seal, prepare
from vtid.config import Config
from vtid.db import (
    Assets,
    Calls,
    Clips,
    Database,
    Deliveries,
    Derived,
    Edits,
    Jobs,
    Repeats,
    Uploads,
    Watches,
    Webhooks,
    Work,
    migrate,
)
from vtid.engine.bridge import Bridge
from vtid.engine.callbacks import Callbacks, CallbackUrls
from vtid.engine.courier import Courier, Terms
from vtid.engine.delivery import Delivery
from vtid.engine.downloads import Downloads
from vtid.engine.encoders import opened as open_encoders
from vtid.engine.examining import Examiner
from vtid.engine.fetching import Fetcher
from vtid.engine.housekeeping import Housekeeping
from vtid.engine.intake import Intake
from vtid.engine.layout import Workspaces
from vtid.engine.prober import Prober, folder_in
from vtid.engine.registrar import Registrar
from vtid.engine.removal import Removal
from vtid.engine.retry import Backoff, Policy
from vtid.engine.runner import Runner
from vtid.engine.stepper import Stepper
from vtid.engine.uploading import Uploading, UploadRules
from vtid.engine.wire import Limits
from vtid.engine.worker import Worker
from vtid.errors import Unavailable, VtidError
from vtid.models import Store
from vtid.net import Limits as DownloadLimits
from vtid.net import Outbound, Reach
from vtid.sdk import Media
from vtid.sealing import Sealer
from vtid.storage import Links, LocalStorage, Room, Storage
from vtid.storage.buckets import Buckets
from vtid.storage.folder import open_folder

if TYPE_CHECKING:
    from vtid.tasks import Queue

log = structlog.get_logger("vtid.app")
OUTSIDE_S = 604_800.0
"""How long links work that services outside are given: their queues are long, and links that expire there cost weeks
of search. It is also the most that buckets grant."""
WORKER_SEEN_S = 60.0
"""A worker that has not shown itself for this long is not counted as there."""


class Check(Struct, frozen=True):
    """Whether one of the things that the daemon depends on works."""

    ok: bool
    latency_ms: float
    detail: str | None = None


class App:
    """Everything wired. The web, the workers and the command line take what they need from here.

    Args:
        config: checked.
        ring: what tells of new jobs; the queue where None.
        prober: looks at files, where one has begun already.
    """

    def __init__(self, config: Config, ring: Callable[[str], None] | None = None, prober: Prober | None = None) -> None:
        self.config = config
        self.version = __version__
        data = Path(config.data.path)
        secret = open_folder(data)
        self.plugins = plugins.load(config)
        self.pipelines = pipelines.load(config.pipelines.dirs, self.plugins)
        self.database = Database(config.database_url)
        migrate(self.database.url)
        self.jobs = Jobs(self.database)
        self.edits = Edits(self.database)
        self.accounts = Accounts(self.database, config, secret)
        self.repeats = Repeats(self.database)
        self.seal = Seal(secret, "answers to repeated requests")
        self.assets = Assets(self.database)
        self.watches = Watches(self.database)
        self.derived = Derived(self.database)
        self.clips = Clips(self.database)
        self.links = Links(secret, config.server.public_url or "")
        self.room = Room(data, config.limits.min_free_disk_mb << 20)
        self.storage = _open_storage(config, self.links)
        self.removal = Removal(self.jobs, self.assets, self.derived, self.storage)
        self.buckets = Buckets(lambda: _connect(config), config.storage.buckets)
        self.sealer = Sealer(secret)
        self.outbound = Outbound(Reach(config.net.allow))
        self.webhooks = Webhooks(self.database)
        self.deliveries = Deliveries(self.database)
        self.registrar = Registrar(self.webhooks, self.sealer, self.outbound)
        self.models = Store(config.models_path, allow_non_commercial=config.models.allow_non_commercial)
        self.encoders = open_encoders(self.plugins, config.encoders)
        probes = folder_in(data)
        self.prober = prober or Prober(probes)
        self._secret = secret
        self._ring = ring or self.queue.ring
        self.examiner = Examiner(self.assets, self.storage, self.prober, probes, self.room)
        self._callback_urls = CallbackUrls(secret, outside_url(config, self.outbound.reach))
        self.callbacks = Callbacks(self._callback_urls, Calls(self.database), self.plugins, self.ring)
        rules = UploadRules(
            config.server.max_upload_mb << 20, config.uploads.expire_hours * 3600, config.uploads.max_open
        )
        self.uploading = Uploading(Uploads(self.database), self.assets, self.storage, self.examiner, rules, self.quota)
        self.intake = Intake(
            self.jobs,
            self.assets,
            self.storage,
            self.buckets,
            rules.max_bytes,
            self.pipelines,
            self.plugins,
            self.examiner,
            self.quota,
            self.ring,
            self.models,
            self.accounts,
            self.sealer,
            self.registrar,
        )

    @cached_property
    def queue(self) -> Queue:
        """Carries the bells; whoever rings by other means has none."""
        from vtid.tasks import Queue  # noqa: PLC0415 - a fifth of a second, with the drivers that Huey looks for

        return Queue(self.config.queue_url, self._secret)

    async def quota(self, user_id: str) -> int | None:
        """Bytes that a user may have stored; None: no limit. The one place that says so."""
        tier = await self.accounts.tier_by_id(user_id)
        return (tier.quota_mb << 20) or None if tier else None

    def ring(self, job_id: str, priority: int = 0) -> None:
        """Tell the workers of a job. A queue that does not answer costs only time: the reconciler rings again."""
        try:
            self._ring(job_id) if not priority else self.queue.ring(job_id, priority)
        except Unavailable as error:
            log.warning("the queue did not hear of a job", job_id=job_id, reason=error.message)

    def runner(self, bridge: Bridge, work: Work) -> Runner:
        """What runs jobs in this process."""
        config = self.config
        workspaces = self._workspaces(work)
        limits = Limits(
            memory_bytes=config.limits.step_memory_mb << 20,
            disk_bytes=config.limits.step_disk_mb << 20,
            open_files=config.limits.step_open_files,
        )
        policy = Policy(
            Backoff(config.retry.base_seconds, config.retry.max_seconds, config.retry.jitter),
            config.limits.step_timeout_seconds,
            config.limits.progress_per_second,
            config.workers.max_lost,
            frozenset(config.workers.labels),
        )
        stepper = Stepper(
            work,
            bridge,
            self.storage,
            self.plugins,
            self.prober,
            workspaces,
            limits,
            config.workers.threads,
            self.room.require,
            lambda: _media(config.workers.threads),
            self.models,
            self._callback_urls.url,
            self._file_url,
            self.encoders,
            self.sealer,
        )
        delivery, downloads = Delivery(self.storage, self.buckets), Downloads(config.workers.downloads)
        return Runner(work, bridge, delivery, stepper, workspaces, policy, self._fetcher(bridge, work), downloads)

    def _fetcher(self, bridge: Bridge, work: Work) -> Fetcher:
        config, retry = self.config, self.config.retry
        limits = DownloadLimits(
            max_bytes=config.server.max_upload_mb << 20,
            seconds=config.net.download_seconds,
            idle_s=config.net.silence_seconds,
            least_rate=config.net.download_least_kb * 1024,
        )
        return Fetcher(
            work,
            bridge,
            self.intake,
            self.outbound,
            limits,
            Path(config.data.path) / "incoming",
            config.net.download_tries,
            Backoff(retry.base_seconds, retry.max_seconds, retry.jitter),
            self.room.require,
        )

    def _workspaces(self, work: Work) -> Workspaces:
        return Workspaces(Path(self.config.data.path) / "work", work.worker_id)

    def work(self) -> Work:
        """A fresh worker's view of the database."""
        worker_id = f"{socket.gethostname()[:60]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        lease_s, per_second = self.config.workers.lease_seconds, self.config.credits.per_second
        return Work(
            self.database,
            worker_id,
            lease_s,
            at_once=lambda tier: self.config.tier(tier).concurrent_jobs,
            credits_per_second=per_second,
        )

    def worker(self, bridge: Bridge) -> Worker:
        """A worker on the queue."""
        work, workers = self.work(), self.config.workers
        return Worker(
            self.queue,
            self.runner(bridge, work),
            work,
            self.jobs,
            bridge,
            Housekeeping(
                self.jobs,
                self.assets,
                self.uploading,
                bridge,
                self.storage,
                self._workspaces(work),
                self.prober,
                self._fetcher(bridge, work),
            ),
            self._courier(bridge),
            slots=workers.count,
            labels=workers.labels,
            tick_s=workers.tick_seconds,
            drain_s=self.config.server.drain_seconds,
        )

    def _courier(self, bridge: Bridge) -> Courier:
        hooks = self.config.webhooks
        terms = Terms(
            timeout_s=hooks.timeout_seconds,
            parallel=hooks.parallel,
            disable_after_s=hooks.disable_after_hours * 3600,
            keep_s=hooks.keep_days * 86_400,
        )
        return Courier(self.deliveries, self.registrar, self.outbound, bridge, terms, self._link)

    def _file_url(self, key: str, filename: str) -> str | None:
        """A link that services outside can use, for steps to hand on."""
        url = self.storage.signed_url(key, ttl_s=OUTSIDE_S, filename=filename)
        base = outside_url(self.config, self.outbound.reach)
        return url if url.startswith("https://") or (base and url.startswith(base)) else None

    def _link(self, key: str, filename: str) -> str:
        """A signed link for whoever is not asking over HTTP just now."""
        url = self.storage.signed_url(key, ttl_s=self.config.storage.url_ttl_seconds, filename=filename)
        server = self.config.server
        return url if url.startswith("http") else f"{server.own_url()}{url}"

    async def health(self) -> dict[str, Check]:
        """Try everything that the daemon depends on."""

        async def workers() -> None:
            if not await self.jobs.workers(time.time() - WORKER_SEEN_S):
                raise VtidError("no worker has shown itself lately; jobs wait")

        async def threaded(check: Callable[[], object]) -> None:
            await asyncio.to_thread(check)

        return {
            "db": await _timed(self.database.ping),
            "queue": await _timed(lambda: threaded(self.queue.pending)),
            "storage": await _timed(lambda: threaded(self._check_storage)),
            "workers": await _timed(workers),
        }

    def _check_storage(self) -> None:
        self.room.require()  # also where files lie in a bucket: they pass through this disk
        self.storage.check()

    async def close(self) -> None:
        """Give everything back."""
        await asyncio.to_thread(self.prober.close)
        if "queue" in vars(self):
            self.queue.close()
        await self.database.close()


def outside_url(config: Config, reach: Reach) -> str | None:
    """The public address, if services outside may be told of it: by https, or within a network that is allowed."""
    url = config.server.public_url or ""
    parts = urlsplit(url)
    private = parts.scheme == "http" and reach.names(parts.hostname or "")
    return url if parts.scheme == "https" or private else None


def _open_storage(config: Config, links: Links) -> Storage:
    if not config.storage.is_s3:
        return LocalStorage(config.data.path / "files", links, min_free_bytes=config.limits.min_free_disk_mb << 20)
    from vtid.storage.opening import open_bucket  # noqa: PLC0415 - its library is loaded by those who need it

    return open_bucket(config.storage, links)


def _connect(config: Config) -> Any:
    from vtid.storage.opening import client  # noqa: PLC0415

    return client(config.storage)


def _media(threads: int) -> Media:
    # Imported when a step that runs in place first asks: most workers never need it, and it is heavy.
    from vtid.media import PyAVMedia  # noqa: PLC0415

    return PyAVMedia(threads=threads)


async def _timed(check: Callable[[], object]) -> Check:
    started = time.perf_counter()
    try:
        await check()  # type: ignore[misc]
    except VtidError as error:
        return Check(False, _ms(started), error.message)
    return Check(True, _ms(started))


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


@asynccontextmanager
async def accounts_of(config: Config) -> AsyncIterator[Accounts]:
    """The accounts alone, for who needs nothing else; the first admin is there afterwards."""
    secret = open_folder(Path(config.data.path))
    database = Database(config.database_url)
    migrate(database.url)
    try:
        accounts = Accounts(database, config, secret)
        await prepare(accounts, Path(config.data.path))
        yield accounts
    finally:
        await database.close()


def build(config: Config, ring: Callable[[str], None] | None = None, prober: Prober | None = None) -> App:
    """Wire an application; see `App`."""
    return App(config, ring, prober)
