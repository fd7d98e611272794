"""Callbacks: a service outside says that something happened to work that a step gave it, and the waiting step wakes.

What a callback says is never believed. Its plugin has checked whose it is; then the step asks the service itself, as it
would have done a while later anyway. So a callback that is lost costs time, a repeated or late one nothing at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping

import structlog

from vtid.db import Calls
from vtid.domain.callback import Callback
from vtid.errors import NotFound
from vtid.plugins import Plugins
from vtid.sealing import derived

log = structlog.get_logger("vtid.callbacks")
LONGEST_KEY = 200
ROUSED_PER_S = 10.0
"""Services limit how often they are asked."""


class CallbackUrls:
    """Makes the URLs that steps hand out, and knows its own.

    A step's URL is the same at every attempt: services that take idempotency keys want the same request each time.

    Args:
        secret: of the installation.
        base_url: under which services reach the daemon; None: they do not.
    """

    def __init__(self, secret: bytes, base_url: str | None) -> None:
        self._key = derived(secret, "callbacks")
        self._base_url = base_url.rstrip("/") if base_url else None

    @property
    def are_given(self) -> bool:
        """Whether services can call at all."""
        return self._base_url is not None

    def url(self, plugin: str, job_id: str, step_id: str) -> str | None:
        """`…/callbacks/PLUGIN/TOKEN` of a step of a job, or None."""
        if self._base_url is None:
            return None
        return f"{self._base_url}/callbacks/{plugin}/{job_id}.{step_id}.{self._sign(plugin, job_id, step_id)}"

    def opened(self, plugin: str, token: str) -> tuple[str, str]:
        """Job and step of a token.

        Raises:
            NotFound: it is none of ours.
        """
        job_id, _, rest = token.partition(".")
        step_id, _, signature = rest.rpartition(".")
        if not hmac.compare_digest(self._sign(plugin, job_id, step_id).encode(), signature.encode()):
            raise NotFound("There is nothing to call back here.")
        return job_id, step_id

    def _sign(self, plugin: str, job_id: str, step_id: str) -> str:
        return hmac.new(self._key, f"{plugin}\n{job_id}\n{step_id}".encode(), hashlib.sha256).hexdigest()[:40]


class Callbacks:
    """Takes callbacks in.

    Args:
        urls: knows the tokens.
        calls: the database's part.
        plugins: which know what is genuine.
        ring: tells the workers of a job.
    """

    def __init__(self, urls: CallbackUrls, calls: Calls, plugins: Plugins, ring: Callable[[str], None]) -> None:
        self._urls = urls
        self._calls = calls
        self._plugins = plugins
        self._ring = ring

    async def rouse(self) -> None:
        """Have waiting steps look how their work stands, after a time when no call could come in."""
        if self._urls.are_given and (woken := await self._calls.rouse(ROUSED_PER_S)):
            log.info("steps that wait look again: calls may have been missed", steps=len(woken))

    async def take(self, plugin: str, token: str, headers: Mapping[str, str], body: bytes) -> Callback:
        """Wake the step that a genuine callback is for; returns how it is to be acknowledged.

        Args:
            plugin: whose service it is.
            token: of the URL.
            headers: names in lower case.
            body: as it came, for signatures are over bytes.

        Raises:
            NotFound: no such plugin takes callbacks, or the token is none of ours.
            Forged: the plugin does not take it for genuine.
            InvalidInput: it is not readable.
        """
        job_id, step_id = self._urls.opened(plugin, token)
        callback = await asyncio.to_thread(self._plugins.callback, plugin, headers, body)
        woken = await self._calls.note(job_id, step_id, callback.key[:LONGEST_KEY])
        log.info("callback", plugin=plugin, job_id=job_id, step_id=step_id, outcome=woken.value)
        if woken.rings:
            await asyncio.to_thread(self._ring, job_id)
        return callback
