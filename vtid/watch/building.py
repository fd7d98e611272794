"""A hot folder put together: from its declaration to something that can be turned."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vtid.app import App
from vtid.db import Watches
from vtid.domain.watch import WatchRecord
from vtid.engine.bridge import Bridge
from vtid.engine.retry import Backoff
from vtid.watch.bucket import Bucket
from vtid.watch.declaration import Declared
from vtid.watch.folder import Folder
from vtid.watch.hot import Hot
from vtid.watch.looking import Lookout
from vtid.watch.outbox import Outbox
from vtid.watch.place import Place
from vtid.watch.putting_away import PuttingAway
from vtid.watch.returning import Returning
from vtid.watch.taking import Taking


def build(
    app: App,
    bridge: Bridge,
    watches: Watches,
    declared: Declared,
    record: WatchRecord,
    owner: str,
    wake: threading.Event,
    clock: Callable[[], float],
    steady: Callable[[], float],
) -> Hot:
    """Wire a hot folder.

    Args:
        app: the application.
        bridge: to its database.
        watches: the rows.
        declared: what it is to do; without problems.
        record: its row.
        owner: id of the account that its jobs are of.
        wake: set when there is something to do.
        clock: seconds since the epoch.
        steady: seconds that nobody sets back.
    """
    watch, settings, retry = declared.watch, app.config.watches, app.config.retry
    assert watch
    place = _place(app, bridge, watches, declared, record, owner)
    outbox = Outbox(declared.output, watch.collision)
    backoff = Backoff(retry.base_seconds, retry.max_seconds, retry.jitter)
    away = PuttingAway(declared, place, watches, bridge, backoff, clock)
    taking = Taking(app, declared, place, owner, watches, bridge, away, settings.stalled_seconds, clock, steady)
    returning = Returning(app, declared, place, outbox, watches, bridge, taking, away)
    rescan_s = watch.poll_seconds if watch.bucket else settings.rescan_seconds
    lookout = Lookout(declared, place, taking.sources, outbox.sweep, watches, bridge, rescan_s, wake, clock, steady)
    return Hot(declared, lookout, outbox, taking, returning, watches, bridge, wake, steady)


def _place(app: App, bridge: Bridge, watches: Watches, declared: Declared, record: WatchRecord, owner: str) -> Place:
    watch = declared.watch
    assert watch
    keeps = watch.on_done == "keep"
    if watch.bucket:

        def earlier(digest: str, file_id: str) -> str | None:
            return bridge.run(watches.owner_of(declared.name, digest, file_id))

        return Bucket(app.buckets, watch.path, owner, recursive=watch.recursive, keeps=keeps, earlier=earlier)
    return Folder(declared.folder, declared.work, record.token, recursive=watch.recursive, keeps=keeps)
