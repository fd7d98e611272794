"""One's own account: profile, password, keys, credits."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.params import FromPath

from vtid.app import App
from vtid.domain.account import Principal, Role, Scope, User
from vtid.errors import Forbidden
from vtid.web import openapi, paging, reading
from vtid.web.account_schemas import (
    FarewellJson,
    KeyJson,
    KeyView,
    LedgerPage,
    NewKeyView,
    PageQuery,
    PasswordJson,
    ProfileJson,
    SpentView,
    StatsView,
    TierView,
    TokenView,
    UserView,
    key_view,
    limits_view,
    movement_view,
    new_key_view,
    token_view,
    user_view,
)
from vtid.web.auth import ACCOUNT, Gate
from vtid.web.given import Core, Door, Who
from vtid.web.given import User as UserId
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.routes.auth import TOKENS, USER

TAGS = ["account"]
ROOT = "/api/v1/users/me"
AnyRequest = Request[Any, Any, Any]
KEY = {
    "id": "0b1f3c52-88a4-4d1f-9a36-0d1f0e6f9b11",
    "name": "render farm",
    "prefix": "vtid_Jr3x0Ab",
    "scopes": ["read", "write"],
    "created_at": "2025-12-01T10:30:00.000Z",
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
}
MOVEMENT = {
    "at": "2025-12-01T10:30:00.000Z",
    "kind": "reserved",
    "amount": -30,
    "balance": 970,
    "job_id": openapi.JOB_ID,
    "reason": "",
}
TIER = {
    "name": "pro",
    "credits": 1000,
    "requests_per_minute": 60,
    "concurrent_jobs": 3,
    "segments": 5,
    "quota_mb": 0,
    "metered": True,
    "paid_steps": True,
    "current": True,
}
STATS = {"jobs": {"completed": 3, "queued": 1}, "credits": {"remaining": 970, "used": 81, "reserved": 30}}


async def whole(core: App, user: User) -> UserView:
    """An account with its credits and limits."""
    return user_view(user, core.accounts.tier_of(user), await core.accounts.ledger.balance(user.id))


async def ledger_page(core: App, request: AnyRequest, user_id: str) -> LedgerPage:
    """A page of a user's ledger, as the query asks."""
    wanted = reading.query(request, PageQuery)
    place = paging.position(wanted.cursor)
    ledger = core.accounts.ledger
    before = None if place is None else max(0, min(int(place[0]), 2**31 - 1))
    found = await ledger.movements(user_id, before, wanted.limit + 1)
    page = found[: wanted.limit]
    following = paging.cursor(page[-1].seq, "") if len(found) > wanted.limit else None
    return LedgerPage(await ledger.balance(user_id), [movement_view(m) for m in page], following)


async def _confirm(core: App, gate: Gate, request: AnyRequest, who: Principal, password: str | None) -> None:
    """Ask for the password again, where the account has one, before what cannot be undone."""
    if password is None and await core.accounts.users.password_hash(who.user_id) is None:
        return
    if password is None:
        raise Forbidden("This needs the present password: current_password.")
    await gate.count_login(request.scope, who.user.email)
    await core.accounts.check_own_password(who.user, password)


@get(
    ROOT,
    tags=TAGS,
    summary="My account",
    responses={200: openapi.answer(UserView, USER, "The account"), **openapi.problems(503)},
)
async def get_me(core: Core, who: Who) -> UserView:
    """The account that the credential belongs to."""
    return await whole(core, await core.accounts.users.get(who.user_id))


@put(
    ROOT,
    tags=TAGS,
    summary="Change my account",
    opt=ACCOUNT,
    operation_class=openapi.operation(body={"application/json": openapi.schema(ProfileJson)}),
    responses={200: openapi.answer(UserView, USER, "The account"), **openapi.problems(409, 413, 503)},
)
async def put_me(core: Core, gate: Door, request: AnyRequest, who: Who) -> UserView:
    """Take another e-mail address."""
    given = await reading.body(request, ProfileJson)
    await _confirm(core, gate, request, who, given.current_password)
    return await whole(core, await core.accounts.change(who.user_id, email=given.email))


@delete(
    ROOT,
    tags=TAGS,
    summary="Delete my account",
    opt=ACCOUNT,
    operation_class=openapi.operation(body={"application/json": openapi.schema(FarewellJson)}),
    responses=openapi.problems(409, 413, 503),
)
async def delete_me(core: Core, gate: Door, request: AnyRequest, who: Who) -> None:
    """Remove the account with its jobs, files, keys and credits. Jobs that have not ended stand in the way."""
    given = await reading.body(request, FarewellJson, empty=True)
    await _confirm(core, gate, request, who, given.current_password)
    await remove(core, who.user_id)


async def remove(core: App, user_id: str) -> None:
    """Remove an account and its files. The rows go first: a row without its file would be a lie."""
    await core.accounts.remove(user_id)
    await asyncio.to_thread(core.storage.delete_prefix, f"users/{user_id}/")


@get(
    f"{ROOT}/stats",
    tags=TAGS,
    summary="My numbers",
    responses={200: openapi.answer(StatsView, STATS, "The numbers"), **openapi.problems(503)},
)
async def stats(core: Core, who: Who) -> StatsView:
    """Jobs by state, and credits."""
    spent = await core.accounts.ledger.spending(who.user_id)
    metered = core.accounts.tier_of(who.user).metered
    remaining = await core.accounts.ledger.balance(who.user_id) if metered else None
    return StatsView(await core.jobs.counts(who.user_id), SpentView(remaining, spent.used, spent.reserved))


@get(
    f"{ROOT}/credits",
    tags=TAGS,
    summary="My credits",
    operation_class=openapi.operation(query=PageQuery),
    responses={
        200: openapi.answer(LedgerPage, {"balance": 970, "movements": [MOVEMENT], "next": None}, "A page"),
        **openapi.problems(503),
    },
)
async def credits(core: Core, request: AnyRequest, user_id: UserId) -> LedgerPage:  # noqa: A001 - named as its route is
    """Every movement, newest first."""
    return await ledger_page(core, request, user_id)


@post(
    f"{ROOT}/change-password",
    tags=TAGS,
    status_code=200,
    summary="Change my password",
    opt=ACCOUNT,
    operation_class=openapi.operation(body={"application/json": openapi.schema(PasswordJson)}),
    responses={200: openapi.answer(TokenView, TOKENS, "Fresh tokens"), **openapi.problems(413, 503)},
)
async def change_password(core: Core, gate: Door, request: AnyRequest, who: Who) -> TokenView:
    """Choose another password. Every token and login there was ends; here are fresh ones. Keys go on working."""
    given = await reading.body(request, PasswordJson)
    await gate.count_login(request.scope, who.user.email)
    await core.accounts.check_own_password(who.user, given.current_password)
    user = await core.accounts.set_password(who.user_id, given.new_password)
    return token_view(await core.accounts.token_pair(user))


# --- keys


@get(
    f"{ROOT}/api-keys",
    tags=TAGS,
    summary="My keys",
    opt=ACCOUNT,
    responses={200: openapi.answer(list[KeyView], [KEY], "The keys"), **openapi.problems(503)},
)
async def keys(core: Core, user_id: UserId) -> list[KeyView]:
    """Every key, newest first, also those that were revoked."""
    return [key_view(k) for k in await core.accounts.users.keys(user_id)]


@post(
    f"{ROOT}/api-keys",
    tags=TAGS,
    summary="Make a key",
    opt=ACCOUNT,
    operation_class=openapi.operation(body={"application/json": openapi.schema(KeyJson)}),
    responses={
        201: openapi.answer(NewKeyView, KEY | {"key": "vtid_Jr3x0Ab…"}, "The key"),
        **openapi.problems(409, 413, 422, 503),
    },
)
async def make_key(
    core: Core, request: AnyRequest, who: Who, idempotency_key: IdempotencyKey = None
) -> Response[NewKeyView]:
    """A key for a machine. It is told this once. It cannot do more than what it is made with."""
    given = await reading.body(request, KeyJson)
    mine = who.scopes if who.user.role is Role.ADMIN else who.scopes - {Scope.ADMIN}
    if beyond := set(given.scopes) - mine:
        raise Forbidden(f"A key gives no scope that one lacks: {', '.join(sorted(beyond))}.")

    async def make() -> Response[NewKeyView]:
        key, text = await core.accounts.make_key(who.user_id, given.name, given.scopes, given.expires_in_days)
        return Response(new_key_view(key, text), status_code=201)

    return await once(core, request, who.user_id, idempotency_key, msgspec.to_builtins(given), make)


@delete(
    f"{ROOT}/api-keys/{{key_id:str}}",
    tags=TAGS,
    summary="Revoke a key",
    opt=ACCOUNT,
    responses=openapi.problems(404, 503),
)
async def revoke_key(core: Core, user_id: UserId, key_id: FromPath[str]) -> None:
    """End a key, at once."""
    await core.accounts.revoke_key(reading.plain_id(key_id), user_id)


@get(
    "/api/v1/users/subscription-tiers",
    tags=TAGS,
    summary="Tiers",
    responses={200: openapi.answer(list[TierView], [TIER], "The tiers"), **openapi.problems(503)},
)
async def tiers(core: Core, who: Who) -> list[TierView]:
    """What accounts of each tier may do."""
    return [
        TierView(
            **msgspec.structs.asdict(limits_view(tier)),
            name=name,
            credits=tier.credits,
            current=name == who.user.tier,
        )
        for name, tier in core.config.tiers.tables.items()
    ]


handlers = (get_me, put_me, delete_me, stats, credits, change_password, keys, make_key, revoke_key, tiers)
