"""The daemon that a command is meant for."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vtid.cli.local import load_config
from vtid.client import ENDED, Client, Event, Job
from vtid.client.talk import Asked, Following, Silence, decoded
from vtid.errors import Conflict, NotFound

__all__ = ["ENDED", "Event", "Job", "Remote", "connect", "url_option"]

QUIET_S, REPLAY_S = 1.0, 3.0
"""After so long without an event, or so long in all, a listener has been told what there was to tell."""
SHORTEST_PREFIX = 4
ID_LENGTH = 36


def url_option(command: Any) -> Any:
    """`--url`, before or after the name of a sub-command."""

    def keep(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value:
            ctx.find_root().obj["url"] = value

    words = "The daemon's address. Default: VTID_URL, or host and port of vtid.toml."
    return click.option("--url", expose_value=False, callback=keep, help=words)(command)


def connect(ctx: click.Context) -> Remote:
    """The daemon that this command is meant for; closed when the command ends."""
    config = load_config(ctx)
    url = ctx.find_root().obj.get("url") or os.environ.get("VTID_URL") or config.server.own_url()
    return ctx.with_resource(Remote(url, data=Path(config.data.path)))


class Remote(Client):
    """A daemon, and what commands need beside the client that everybody uses."""

    def __enter__(self) -> Remote:
        return self

    def get(self, path: str, **query: str | None) -> Any:
        """What is at a path of the API. Raises as every call does."""
        return decoded(self._ask(Asked("GET", path, params={k: v for k, v in query.items() if v is not None})))

    def post(self, path: str) -> Any:
        """What a path of the API answers that is asked to act, and where it does no harm to ask twice."""
        return decoded(self._ask(Asked("POST", path)))

    def resolve(self, prefix: str) -> str:
        """The id of the one job that begins so.

        Raises:
            NotFound: no job does, or the prefix is too short to mean one.
            Conflict: several do.
        """
        if len(prefix) >= ID_LENGTH:
            return prefix
        if len(prefix) < SHORTEST_PREFIX:
            raise NotFound(f'"{prefix}" is too short for a job; give at least {SHORTEST_PREFIX} characters of its id.')
        prefix = prefix.lower()
        found = [job["job_id"] for job in self.jobs(text=prefix, limit=100) if job["job_id"].startswith(prefix)]
        if not found:
            raise NotFound(f"There is no job {prefix}….", suggestion="List the jobs with: vtid jobs")
        if len(found) > 1:
            raise Conflict(f"Several jobs begin with {prefix}: {', '.join(found)}. Give more of the id.")
        return str(found[0])

    def events(self, job_id: str) -> Iterator[Event]:
        """What has happened to a job up to now: what a new listener is told before it grows quiet."""
        self.job(job_id)
        deadline = time.monotonic() + REPLAY_S
        with contextlib.suppress(Silence):
            for event in self._events(Following("0", self.url).listen(job_id), QUIET_S):
                yield event
                if time.monotonic() > deadline:
                    return
