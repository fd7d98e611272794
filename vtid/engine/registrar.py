"""Receivers of webhooks: registered, and their secrets kept."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from vtid.db import Webhooks
from vtid.domain.webhook import JOB_EVENTS, Webhook, callback_owner
from vtid.net import Outbound, check_url
from vtid.net.signing import new_secret
from vtid.sealing import Sealer

OVERLAP_S = 24 * 3600.0
"""How long the secret before the last one stays valid: time to tell the receiver the new one."""


class _Secret(Struct):
    secret: str
    until: float | None = None
    """None: the newest."""


class Registrar:
    """Registers receivers.

    Args:
        rows: the database's side.
        sealer: keeps secrets and URLs.
        outbound: judges where URLs lead.
        clock: seconds since the epoch.
    """

    def __init__(
        self, rows: Webhooks, sealer: Sealer, outbound: Outbound, clock: Callable[[], float] = time.time
    ) -> None:
        self.rows = rows
        self.sealer = sealer
        self._outbound = outbound
        self._clock = clock

    async def add(self, user_id: str, url: str, events: Sequence[str], description: str) -> tuple[Webhook, str]:
        """A new webhook, and its secret, which is not told again.

        Raises:
            InvalidInput: the URL is none, or leads where none may lead.
        """
        sealed, host = await self.judged(url)
        made = Webhook(
            id=str(uuid.uuid4()),
            user_id=user_id,
            url=sealed,
            host=host,
            events=list(events),
            description=description,
        )
        secret = new_secret()
        return await self.rows.add(made, self._sealed([_Secret(secret)])), secret

    async def judged(self, url: str) -> tuple[str, str]:
        """A URL sealed, and its host. Raises `InvalidInput` where it leads nowhere that may be reached now."""
        good = check_url(url, "url", self._outbound.reach)
        await asyncio.to_thread(self._outbound.judge, good, "url")
        return self.sealer.seal(str(good)), good.host

    def callback(self, user_id: str, job_id: str, url: str) -> Webhook:
        """What a job calls back when it has ended. Where its host's name leads is judged then.

        Raises:
            InvalidInput: the URL is none, or names an address that must not be reached.
        """
        good = check_url(url, "callback_url", self._outbound.reach)
        return Webhook(
            id=str(uuid.uuid4()),
            user_id=user_id,
            job_id=job_id,
            url=self.sealer.seal(str(good)),
            host=good.host,
            events=[event.value for event in JOB_EVENTS],
        )

    async def rotate(self, webhook: Webhook) -> str:
        """A new secret for a webhook; the one before stays valid for a day."""
        return await self._rotate(webhook.id)

    async def rotate_callbacks(self, user_id: str) -> str:
        """A new secret for what a user's jobs call back; the one before stays valid for a day."""
        return await self._rotate(callback_owner(user_id))

    async def secrets(self, owner: str) -> list[str]:
        """The valid secrets of an owner, the newest first; where there is none yet, one is made."""
        sealed = await self.rows.key(owner)
        if sealed is None:
            sealed = await self.rows.change_key(owner, lambda known: known or self._sealed([_Secret(new_secret())]))
        return [one.secret for one in self._valid(sealed)]

    async def _rotate(self, owner: str) -> str:
        secret, now = new_secret(), self._clock()

        def change(sealed: str | None) -> str:
            before = [_Secret(one.secret, one.until or now + OVERLAP_S) for one in self._valid(sealed)]
            return self._sealed([_Secret(secret), *before[:1]])

        await self.rows.change_key(owner, change)
        return secret

    def _sealed(self, secrets: list[_Secret]) -> str:
        return self.sealer.seal(msgspec.json.encode(secrets).decode())

    def _valid(self, sealed: str | None) -> list[_Secret]:
        known = msgspec.json.decode(self.sealer.open(sealed), type=list[_Secret]) if sealed else []
        return [one for one in known if one.until is None or one.until > self._clock()]
