"""Rate limits: so many requests a minute, of which so many may come at once.

The rule is GCRA (the leaky bucket that ATM networks count by): one time for each address or user says when the bucket
will be empty, so that nothing is kept per request and a refusal knows to the millisecond when to come again. With
Redis the time lies there and is moved by a script, so that several API processes count together; without it, or while
it does not answer, each process counts for itself. The libraries that there are count in windows and know no burst.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import structlog
from msgspec import Struct

from vtid.config import RateLimits

log = structlog.get_logger("vtid.limits")
MOST_KNOWN = 100_000
"""Addresses and users that one process remembers: of more, those that have been quiet for longest are forgotten."""
REDIS_S = 0.5
"""How long Redis may take to answer: a limit is not worth a slow request."""
AWAY_S = 5.0
"""How long Redis is left alone after it did not answer."""

# Time is Redis' own, so that processes on machines whose clocks differ agree.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local step, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local empty = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) + step
local wait = empty - room - now
if wait > 0.000001 then return {0, tostring(wait), tostring(empty - step - now)} end
redis.call('SET', KEYS[1], string.format('%.6f', empty), 'PX', math.ceil((empty - now) * 1000) + 1)
return {1, '0', tostring(empty - now)}
"""


ACCOUNT_ROOM = 5
"""How many times more attempts an account may see than a single address may make."""


class Policy(Struct, frozen=True):
    """A limit."""

    name: str
    per_minute: int
    burst: int

    @property
    def step_s(self) -> float:
        """By how much one request fills the bucket."""
        return 60.0 / self.per_minute

    @property
    def room_s(self) -> float:
        """How much the bucket holds."""
        return self.step_s * self.burst


class Verdict(Struct, frozen=True):
    """Whether a request may pass, and how the bucket stands."""

    policy: Policy
    allowed: bool
    retry_after_s: float
    """0 where it may pass."""
    full_s: float
    """Until the bucket is empty."""

    @property
    def remaining(self) -> int:
        """How many more may come now."""
        return max(0, math.floor((self.policy.room_s - self.full_s) / self.policy.step_s + 1e-6))

    def headers(self) -> dict[str, str]:
        """As `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) tell it."""
        policy, name = self.policy, f'"{self.policy.name}"'
        wait = math.ceil((self.full_s if self.allowed else self.retry_after_s) - 1e-6)  # a minute is 60, not 60.0000001
        return {
            "RateLimit-Policy": f"{name};q={policy.burst};w={math.ceil(policy.room_s)}",
            "RateLimit": f"{name};r={self.remaining if self.allowed else 0};t={wait}",
        }


class Memory:
    """Counts in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._empty_at: OrderedDict[str, float] = OrderedDict()
        """Those who came last are at the end."""

    def hit(self, policy: Policy, who: str) -> Verdict:
        """Count a request of somebody, unless it is one too many."""
        key, now = f"{policy.name}:{who}", self._clock()
        known = self._empty_at.pop(key, 0.0)
        empty_at = max(now, known) + policy.step_s
        wait = empty_at - policy.room_s - now
        # One who is refused is as fresh in memory as one who is let in: whoever keeps knocking is not forgotten.
        self._empty_at[key] = empty_at if wait <= 1e-6 else known
        if len(self._empty_at) > MOST_KNOWN:
            self._empty_at.popitem(last=False)
        if wait > 1e-6:
            return Verdict(policy, False, wait, empty_at - policy.step_s - now)
        return Verdict(policy, True, 0.0, empty_at - now)


class Limiter:
    """Counts in Redis where there is one, else here.

    Args:
        url: of the queue; one that is not Redis' is of no use here.
        memory: to count in where Redis is not there or does not answer.
    """

    def __init__(self, url: str, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self._url = url if url.startswith(("redis://", "rediss://", "unix://")) else None
        self._script: Any = None
        self._away_until = 0.0

    async def hit(self, policy: Policy, who: str) -> Verdict:
        """Count a request of somebody, unless it is one too many."""
        if self._url is None or time.monotonic() < self._away_until:
            return self._memory.hit(policy, who)
        try:
            allowed, wait, full = await self._ask(policy, who)
        except Exception as error:  # noqa: BLE001 - its client raises families of errors; none may cost a request
            self._away_until = time.monotonic() + AWAY_S
            log.warning("Redis does not count requests now; this process does", reason=str(error))
            return self._memory.hit(policy, who)
        return Verdict(policy, bool(allowed), float(wait), float(full))

    async def _ask(self, policy: Policy, who: str) -> Any:
        if self._script is None:
            from redis.asyncio import Redis  # noqa: PLC0415 - an extra

            client = Redis.from_url(self._url or "", socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S)
            self._script = client.register_script(_SCRIPT)
        return await self._script(keys=[f"vtid:limit:{policy.name}:{who}"], args=[policy.step_s, policy.room_s])

    async def close(self) -> None:
        """Give the connections back."""
        if self._script is not None:
            await self._script.registered_client.aclose()


class Policies:
    """The limits of the configuration."""

    def __init__(self, config: RateLimits) -> None:
        self.public = Policy("public", config.public_per_minute, config.public_burst)
        self.login = Policy("login", config.login_per_minute, config.login_burst)
        # Of all addresses together there may be more: else anybody could lock an account's owner out.
        self.account = Policy("account", ACCOUNT_ROOM * config.login_per_minute, ACCOUNT_ROOM * config.login_burst)
        self.internal = Policy("internal", config.internal_per_minute, config.internal_burst)
        self.websocket = Policy("websocket", config.websocket_per_minute, config.websocket_burst)
        self.transfer = Policy("transfer", config.transfer_per_minute, config.transfer_burst)

    @staticmethod
    @lru_cache(maxsize=256)
    def of_tier(name: str, per_minute: int) -> Policy | None:
        """Of a tier, all of whose requests of a minute may come at once; None without a limit."""
        return Policy(f"tier-{name}", per_minute, per_minute) if per_minute else None
