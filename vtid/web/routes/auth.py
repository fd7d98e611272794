"""Logging in over the API: tokens for a password, fresh ones for a refresh token."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post

from vtid.accounts.accounts import EMBEDDED_S
from vtid.domain.account import Scope
from vtid.errors import Forbidden
from vtid.web import openapi, reading
from vtid.web.account_schemas import (
    EmbeddedView,
    LoginJson,
    MeView,
    RefreshJson,
    RegisterJson,
    TokenView,
    UserView,
    me_view,
    token_view,
    user_view,
)
from vtid.web.given import Core, Door, Who
from vtid.web.idempotency import IdempotencyKey, once

TAGS = ["auth"]
ROOT = "/api/v1/auth"
AnyRequest = Request[Any, Any, Any]
NOBODY = ""
"""Whose `Idempotency-Key` it is that comes with a registration."""
TOKENS = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…",
    "refresh_token": "Jr3…",
    "expires_in": 1800,
    "token_type": "Bearer",
}
ME: dict[str, Any] = {
    "user_id": "5f0c…",
    "email": "ada@example.org",
    "tier": "pro",
    "role": "user",
    "credits_remaining": 970,
    "limits": {"requests_per_minute": 60, "concurrent_jobs": 3, "segments": 5, "quota_mb": 0, "metered": True},
}
USER = ME | {"suspended": False, "created_at": "2025-12-01T10:30:00.000Z", "last_login_at": None}


@post(
    f"{ROOT}/login",
    tags=TAGS,
    status_code=200,
    summary="Log in",
    operation_class=openapi.operation(body={"application/json": openapi.schema(LoginJson)}),
    responses={200: openapi.answer(TokenView, TOKENS, "Logged in"), **openapi.problems(401, 403, 413, 429, 503)},
)
async def login(core: Core, gate: Door, request: AnyRequest) -> TokenView:
    """An access token and a refresh token for an address and its password."""
    given = await reading.body(request, LoginJson)
    await gate.count_login(request.scope, given.email)
    return token_view(await core.accounts.token_pair(await core.accounts.login(given.email, given.password)))


@post(
    f"{ROOT}/refresh",
    tags=TAGS,
    status_code=200,
    summary="Refresh tokens",
    operation_class=openapi.operation(body={"application/json": openapi.schema(RefreshJson)}),
    responses={200: openapi.answer(TokenView, TOKENS, "Fresh ones"), **openapi.problems(401, 413, 429, 503)},
)
async def refresh(core: Core, request: AnyRequest) -> TokenView:
    """Fresh tokens for a refresh token, which works once: one that comes again ends all that came from its login."""
    given = await reading.body(request, RefreshJson)
    return token_view(await core.accounts.refresh(given.refresh_token))


@post(
    f"{ROOT}/register",
    tags=TAGS,
    summary="Register",
    operation_class=openapi.operation(body={"application/json": openapi.schema(RegisterJson)}),
    responses={201: openapi.answer(UserView, USER, "The account"), **openapi.problems(403, 409, 413, 422, 429, 503)},
)
async def register(
    core: Core, gate: Door, request: AnyRequest, idempotency_key: IdempotencyKey = None
) -> Response[UserView]:
    """Make an account for oneself, where the operator allows it (`auth.registration`)."""
    given = await reading.body(request, RegisterJson)
    if not core.config.auth.registration:
        raise Forbidden("Registration is switched off here.", suggestion="Ask an admin for an account.")
    await gate.count_login(request.scope)

    async def make() -> Response[UserView]:
        accounts, tier = core.accounts, core.config.auth.registration_tier
        user = await accounts.create(given.email, tier=tier, password=given.password)
        view = user_view(user, accounts.tier_of(user), await accounts.ledger.balance(user.id))
        return Response(view, status_code=201)

    return await once(core, request, NOBODY, idempotency_key, msgspec.to_builtins(given), make)


@post(
    f"{ROOT}/logout",
    tags=TAGS,
    status_code=204,
    summary="Log out",
    operation_class=openapi.operation(body={"application/json": openapi.schema(RefreshJson)}),
    responses=openapi.problems(413, 429, 503),
)
async def logout(core: Core, request: AnyRequest) -> None:
    """End all refresh tokens of a login. Its access token runs out by itself, within minutes."""
    given = await reading.body(request, RefreshJson)
    await core.accounts.logout(given.refresh_token)


@get(
    f"{ROOT}/me",
    tags=TAGS,
    summary="Who am I?",
    responses={200: openapi.answer(MeView, ME, "Who asks"), **openapi.problems(503)},
)
async def me(core: Core, who: Who) -> MeView:
    """The account that the credential belongs to, and what its tier allows."""
    balance = await core.accounts.ledger.balance(who.user_id)
    return me_view(who.user, core.accounts.tier_of(who.user), balance)


@post(
    f"{ROOT}/embedded",
    tags=TAGS,
    status_code=200,
    summary="A token for an embedded page",
    opt={"scope": Scope.READ},
    responses={
        200: openapi.answer(EmbeddedView, TOKENS | {"expires_in": EMBEDDED_S}, "The token"),
        **openapi.problems(503),
    },
)
async def embedded(core: Core, who: Who) -> EmbeddedView:
    """Exchange what came in an address (`/editor/pro?token=…`) for a token that works for minutes, and for jobs only.

    The page does so at once, and drops the other one: addresses are kept in histories and logs.
    """
    token, seconds = core.accounts.embedded(who)
    return EmbeddedView(token, seconds)


handlers = (login, refresh, register, logout, me, embedded)
