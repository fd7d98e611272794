"""Accounts, keys and credits as they go over the wire."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from vtid.accounts import TokenPair
from vtid.config import Tier
from vtid.domain.account import ApiKey, Movement, Role, Scope, User
from vtid.web.schemas import JobSummary, iso

Email = Annotated[str, Meta(max_length=254, description="In any case; unique.")]
Password = Annotated[str, Meta(min_length=10, max_length=1024)]
Given = Annotated[str, Meta(max_length=1024)]
"""A password or token that somebody shows: wrong ones may have any length."""
MAX_CREDITS = 2_000_000_000


# --- out


class TokenView(Struct):
    """What a login gives."""

    access_token: str
    refresh_token: str
    expires_in: Annotated[int, Meta(description="Seconds, of the access token.")]
    token_type: str = "Bearer"  # noqa: S105 - its kind, not a password


class EmbeddedView(Struct):
    """A token for a page in somebody else's frame: for jobs only, and for minutes."""

    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - its kind, not a password


class LimitsView(Struct):
    """What a tier allows; 0 is any number, of `segments` none."""

    requests_per_minute: int
    concurrent_jobs: int
    segments: int
    quota_mb: int
    metered: Annotated[bool, Meta(description="Whether jobs cost credits.")]
    paid_steps: Annotated[bool, Meta(description="Whether jobs may use steps that cost the operator money.")]


class MeView(Struct, kw_only=True):
    """Who asks."""

    user_id: str
    email: str
    tier: str
    role: Role
    credits_remaining: Annotated[int | None, Meta(description="Null where jobs cost nothing.")]
    limits: LimitsView


class UserView(MeView, kw_only=True):
    """An account."""

    suspended: bool
    created_at: str
    last_login_at: str | None


class UserPage(Struct):
    """A page of accounts, newest first."""

    users: list[UserView]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class TierView(LimitsView, kw_only=True):
    """A tier that an account may have."""

    name: str
    credits: Annotated[int, Meta(description="Given to a new account.")]
    current: Annotated[bool, Meta(description="Whether it is the one of who asks.")]


class MovementView(Struct):
    """Credits that came (above zero) or went."""

    at: str
    kind: Annotated[str, Meta(description="`opening`, `granted`, `reserved`, `settled` or `released`.")]
    amount: int
    balance: Annotated[int, Meta(description="After it.")]
    job_id: str | None
    reason: str


class LedgerPage(Struct):
    """A page of the ledger, newest first."""

    balance: int
    movements: list[MovementView]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class SpentView(Struct):
    """Credits of an account."""

    remaining: int | None
    used: int
    reserved: Annotated[int, Meta(description="Held back for jobs that have not ended.")]


class StatsView(Struct):
    """What an account has done."""

    jobs: Annotated[dict[str, int], Meta(description="State to number.")]
    credits: SpentView


class KeyView(Struct, kw_only=True):
    """An API key; the key itself is told once, when it is made."""

    id: str
    name: str
    prefix: Annotated[str, Meta(description="Its first characters.")]
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class NewKeyView(KeyView, kw_only=True):
    """A key that was just made."""

    key: Annotated[str, Meta(description="Keep it: nobody can tell it again.")]


class LinkView(Struct):
    """A link that logs somebody in once."""

    url: str
    expires_at: str


class EstimateView(Struct):
    """What a job would probably cost."""

    estimated_credits: int
    credits_remaining: Annotated[int | None, Meta(description="Null where jobs cost nothing.")]
    sufficient: bool


class AdminStatsView(Struct):
    """The daemon in numbers."""

    users: Annotated[dict[str, int], Meta(description="Tier to number.")]
    jobs: Annotated[dict[str, int], Meta(description="State to number.")]
    workers: int
    queue_pending: int | None


class AdminJob(JobSummary, kw_only=True):
    """A job, and whose it is."""

    user_id: str


class AdminJobPage(Struct):
    """A page of everybody's jobs, newest first."""

    jobs: list[AdminJob]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class ServiceView(Struct):
    """One thing that the daemon depends on."""

    status: str
    latency_ms: float
    detail: str | None


class WorkerView(Struct):
    """A worker that has shown itself lately."""

    id: str
    host: str
    slots: int
    labels: list[str]
    started_at: str
    seen_at: str


class SystemView(Struct):
    """How the daemon and its workers are."""

    status: str
    version: str
    services: dict[str, ServiceView]
    workers: list[WorkerView]


# --- in


class LoginJson(Struct, forbid_unknown_fields=True):
    """Who somebody says they are."""

    email: Given
    password: Given


class RefreshJson(Struct, forbid_unknown_fields=True):
    """A refresh token."""

    refresh_token: Given


class RegisterJson(Struct, forbid_unknown_fields=True):
    """An account to make for oneself."""

    email: Email
    password: Password


class PasswordJson(Struct, forbid_unknown_fields=True):
    """Another password."""

    current_password: Given
    new_password: Password


class ProfileJson(Struct, forbid_unknown_fields=True):
    """What one may change of one's own account."""

    email: Email
    current_password: Annotated[str | None, Meta(description="Where the account has a password.")] = None


class FarewellJson(Struct, forbid_unknown_fields=True):
    """Leave, for good."""

    current_password: Annotated[str | None, Meta(description="Where the account has a password.")] = None


class KeyJson(Struct, forbid_unknown_fields=True):
    """A key to make."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)] = (Scope.READ, Scope.WRITE)
    expires_in_days: Annotated[float, Meta(gt=0, le=36500)] | None = None


class NewUserJson(Struct, forbid_unknown_fields=True):
    """An account to make for somebody; without a password they get a login link."""

    email: Email
    password: Password | None = None
    role: Role = Role.USER
    tier: Annotated[str, Meta(max_length=64)] = "free"


class UserChangesJson(Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    email: Email | None = None
    role: Role | None = None
    tier: Annotated[str, Meta(max_length=64)] | None = None
    suspended: bool | None = None


class GrantJson(Struct, forbid_unknown_fields=True):
    """Credits to give, or to take where below zero."""

    amount: Annotated[int, Meta(ge=-MAX_CREDITS, le=MAX_CREDITS)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class EstimateJson(Struct, forbid_unknown_fields=True):
    """A job that might be submitted: its video by `asset_id`, or its length."""

    pipeline: Annotated[str, Meta(min_length=1, max_length=100)]
    asset_id: Annotated[str, Meta(max_length=36)] | None = None
    seconds: Annotated[float, Meta(ge=0, le=10_000_000, description="Of video.")] | None = None


class PageQuery(Struct, forbid_unknown_fields=True):
    """Which page."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=200, description="`next` of the page before.")] | None = None


class UserQuery(PageQuery, forbid_unknown_fields=True):
    """Which accounts to list."""

    text: Annotated[str, Meta(max_length=200, description="Part of the address or the id.")] | None = None
    role: Role | None = None
    tier: Annotated[str, Meta(max_length=64)] | None = None
    suspended: bool | None = None


# --- from the domain


def token_view(pair: TokenPair) -> TokenView:
    """Tokens."""
    return TokenView(pair.access_token, pair.refresh_token, pair.expires_in)


def limits_view(tier: Tier) -> LimitsView:
    """What a tier allows."""
    return LimitsView(
        tier.requests_per_minute, tier.concurrent_jobs, tier.segments, tier.quota_mb, tier.metered, tier.paid_steps
    )


def me_view(user: User, tier: Tier, balance: int) -> MeView:
    """An account, as short as the contract has it."""
    return MeView(**_me(user, tier, balance))


def user_view(user: User, tier: Tier, balance: int) -> UserView:
    """An account, whole."""
    return UserView(
        **_me(user, tier, balance),
        suspended=user.suspended,
        created_at=iso(user.created_at),
        last_login_at=_time(user.last_login_at),
    )


def movement_view(movement: Movement) -> MovementView:
    """A row of the ledger."""
    m = movement
    return MovementView(iso(m.at), m.kind, m.amount, m.balance, m.job_id, m.reason)


def key_view(key: ApiKey) -> KeyView:
    """A key, without its text."""
    return KeyView(**_key(key))


def new_key_view(key: ApiKey, text: str) -> NewKeyView:
    """A key, the only time that it is told."""
    return NewKeyView(**_key(key), key=text)


def _me(user: User, tier: Tier, balance: int) -> dict[str, Any]:
    return {
        "user_id": user.id,
        "email": user.email,
        "tier": user.tier,
        "role": user.role,
        "credits_remaining": balance if tier.metered else None,
        "limits": limits_view(tier),
    }


def _key(key: ApiKey) -> dict[str, Any]:
    plain = msgspec.structs.asdict(key)
    times = {name: _time(plain[name]) for name in ("created_at", "expires_at", "last_used_at", "revoked_at")}
    return {name: plain[name] for name in ("id", "name", "prefix")} | {"scopes": list(key.scopes)} | times


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
