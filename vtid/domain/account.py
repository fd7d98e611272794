"""Who somebody is, what they may do, and what it costs: pure data and the rules over it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What an account is for."""

    USER = "user"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a credential may be used for; each route names the one that it asks for."""

    READ = "read"
    """Look at what is one's own."""
    WRITE = "write"
    """Make, change and remove jobs and files of one's own."""
    ACCOUNT = "account"
    """Change the account itself: its password, its keys, where it has things told."""
    ADMIN = "admin"
    """The routes of admins; it makes nobody an admin."""
    INTERNAL = "internal"
    """The routes for the operator's own machines."""


EVERY_SCOPE = frozenset(Scope)
USUAL_SCOPES = (Scope.READ, Scope.WRITE)
"""Of a key for which nobody said otherwise."""


class User(Struct, frozen=True, kw_only=True):
    """An account. Times are seconds since the epoch, UTC."""

    id: str
    email: str
    role: Role = Role.USER
    tier: str = "free"
    suspended: bool = False
    generation: int = 0
    """Counts up when every token given out so far has to stop working."""
    created_at: float = 0.0
    last_login_at: float | None = None


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key for a machine. The key itself is told once; only its hash is kept."""

    id: str
    user_id: str
    name: str
    prefix: str
    """Its first characters, by which a person knows it again."""
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None

    def holds(self, now: float) -> bool:
        """Whether it works at that time."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Movement(Struct, frozen=True, kw_only=True):
    """A row of the ledger: credits that came (above zero) or went (below)."""

    user_id: str
    seq: int
    """Counts from 1 for each user."""
    at: float
    kind: str
    """`opening`, `granted`, `reserved`, `settled`, `released`."""
    amount: int
    balance: int
    """After it: the sum of all amounts up to this one."""
    job_id: str | None = None
    reason: str = ""


class Principal(Struct, frozen=True):
    """Who makes a request, and what they may do with what they showed."""

    user: User
    scopes: frozenset[Scope]
    source: str = ""
    """What it hangs on: `key:ID` or `session:HASH`; empty for a login of their own, which hangs on the account."""
    until: float | None = None
    """When what they showed runs out, and whatever is made from it; in seconds since the epoch."""

    @property
    def user_id(self) -> str:
        """Of the account."""
        return self.user.id


def credits_for(seconds: float, per_second: float) -> int:
    """What so many seconds of output video cost: whole credits, at least one where there is any video.

    Rounded to the nearest: a film of thirty seconds whose sound is a packet longer costs thirty.
    """
    return max(1, round(seconds * per_second)) if seconds > 0 and per_second > 0 else 0
