"""The gate before every route: who is it, have they asked too often, may they do this?

Whatever is not on the list of open routes needs somebody known, also a route that somebody adds tomorrow.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import WebSocketException
from litestar.types import ASGIApp, Receive, Scope, Send

from vtid.accounts import Accounts
from vtid.config import Config
from vtid.domain.account import Principal, Role
from vtid.domain.account import Scope as KeyScope
from vtid.errors import Forbidden, RateLimited, Unauthorized, VtidError
from vtid.web.guard import SAFE_METHODS, Guard
from vtid.web.limits import Limiter, Policies, Policy

ADMIN_ROUTES = "/api/v1/admin/"
INTERNAL_ROUTES = "/internal/"
"""For the operator's own machines, with a limit of their own."""
ACCOUNT = {"scope": KeyScope.ACCOUNT}
"""What a route says of itself (`opt=ACCOUNT`) that changes the account, and not what is in it."""
TRANSFER = {"transfer": True}
"""What a route says of itself that takes a part of an upload: a file has as many as it has, and they do not count as
the requests of a tier."""
COOKIE = "vtid_session"

MIND_S = 15.0
"""How often it is asked whether whoever listens may still do so."""

OPEN_ROUTES: Mapping[str, str | None] = {
    "/": "public",
    "/docs": "public",
    "/redoc": "public",
    "/schema/openapi.json": "public",
    "/docs/assets/{name}": "internal",
    "/login": "public",  # trying costs more: the routes count attempts by themselves
    "/logout": "public",
    "/api/v1/auth/login": "public",
    "/api/v1/auth/refresh": "public",
    "/api/v1/auth/register": "public",
    "/api/v1/auth/logout": "public",
    "/health": "internal",
    "/api/v1/health": "internal",
    "/health/db": "internal",
    "/health/queue": "internal",
    "/health/redis": "internal",
    "/health/storage": "internal",
    "/ws/jobs/{job_id}": None,  # says in a message of its own why somebody may not come in, and counts who comes
    "/ws/compositions/{composition_id}": None,
    "/api/v1/ws/compositions/{composition_id}": None,
    "/callbacks/{plugin}/{token}": "internal",  # the token says for which step, the plugin whether it is genuine
    "/files/{key}": None,  # the link is the proof; a player asks for many ranges
}
"""Routes for anybody, and the limit on their address. A WebSocket that wants to say itself who may not come in stands
here too, and asks `Gate.who`."""


class Gate:
    """Lets requests through to their routes.

    Args:
        accounts: who there is.
        limiter: counts.
        config: limits.
        guard: knows the daemon's own pages.
    """

    def __init__(self, accounts: Accounts, limiter: Limiter, config: Config, guard: Guard) -> None:
        self.accounts = accounts
        self._limiter = limiter
        self._policies = Policies(config.rate_limits)
        self._guard = guard

    def before(self, app: ASGIApp) -> ASGIApp:
        """A middleware of Litestar's, which runs when the route is known.

        It has guards for this, which copy the route for every request, at more than what is done here.
        """

        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            await self.let_through(scope)
            await app(scope, receive, send)

        return gated

    async def let_through(self, scope: Scope) -> None:
        """Return, with the principal in the connection's state, or raise what the client is to read.

        Raises:
            Unauthorized: nobody known.
            Forbidden: not they, or not with this credential.
            RateLimited: too often.
            WebSocketException: any of these, of a WebSocket, which is closed with 4000 and the status.
        """
        try:
            await self._pass(scope)
        except VtidError as error:
            if scope["type"] != ScopeType.WEBSOCKET:
                raise
            raise WebSocketException(detail=error.message, code=4000 + error.status) from error

    async def _pass(self, scope: Scope) -> None:
        route = str(scope.get("path_template") or "")
        if route in OPEN_ROUTES:
            await self._count(scope, self._open_policy(OPEN_ROUTES[route]), f"ip:{address(scope)}")
            return
        try:
            principal = await self._principal(scope)
        except Unauthorized:
            await self.count_stranger(scope)
            raise
        scope["state"]["principal"] = principal
        opt = scope["route_handler"].opt
        policy = self._policy_of(principal, transfer=bool(opt.get("transfer")))
        if route.startswith(INTERNAL_ROUTES):
            policy = self._policies.internal
        await self._count(scope, policy, f"user:{principal.user_id}")
        check(principal, demanded(scope, opt), admin=route.startswith(ADMIN_ROUTES) or opt.get("role") is Role.ADMIN)

    async def who(self, token: str | None, headers: Mapping[str, str], *, looks: bool = False) -> Principal:
        """Who shows these; for connections, also those that are no request of a route (Socket.IO).

        Args:
            token: that came with it in any other way than in its headers.
            headers: of the request or the handshake, names in lower case.
            looks: whether it can change nothing; a connection that stays open can.

        Raises:
            Unauthorized: nobody known.
            Forbidden: a suspended account, or a login in a browser that a page of another site uses.
        """
        if shown := _bearer(headers) or token:
            return await self.accounts.principal(shown)
        if cookie := _cookie(headers):
            # A browser sends it with whatever any page makes it send; only our own pages may change something.
            if not looks and not self._guard.is_own_page(headers):
                raise Forbidden("A login in a browser works for this daemon's own pages only.")
            return await self.accounts.session(cookie)
        raise Unauthorized("Nobody is logged in here.", suggestion=HOW)

    async def count_login(self, scope: Scope, email: str = "") -> None:
        """Count an attempt to show a password: of an address, and on an account. Raises `RateLimited`."""
        await self._count(scope, self._policies.login, f"ip:{address(scope)}")
        if email:
            await self._count(scope, self._policies.account, f"email:{email.strip().casefold()[:254]}")

    async def revoked(self, principal: Principal) -> None:
        """Return once somebody whose connection stays open would not be let in any more."""
        while True:
            if not await self.accounts.still(principal):
                return
            await asyncio.sleep(MIND_S)

    async def _principal(self, scope: Scope) -> Principal:
        if scope["type"] == ScopeType.WEBSOCKET:  # browsers send no headers of ours with these
            return await self.who(ASGIConnection(scope).query_params.get("token"), headers_of(scope))
        return await self.who(None, headers_of(scope), looks=scope.get("method") in SAFE_METHODS)

    def _open_policy(self, name: str | None) -> Policy | None:
        policies = self._policies
        known = {"public": policies.public, "internal": policies.internal, "websocket": policies.websocket}
        return known[name] if name else None

    def _policy_of(self, principal: Principal, *, transfer: bool = False) -> Policy | None:
        per_minute = self.accounts.tier_of(principal.user).requests_per_minute
        if per_minute and transfer:
            return self._policies.transfer
        return self._policies.of_tier(principal.user.tier, per_minute)

    async def count_line(self, principal: Principal) -> None:
        """Count a connection that somebody known opens and keeps, as a request of theirs. Raises `RateLimited`."""
        await self._count(None, self._policy_of(principal), f"user:{principal.user_id}")

    async def count_stranger(self, scope: Scope) -> None:
        """Count a request of nobody known, by its address. Raises `RateLimited`."""
        opens = scope["type"] == ScopeType.WEBSOCKET
        policy = self._policies.websocket if opens else self._policies.public
        await self._count(scope, policy, f"ip:{address(scope)}")

    async def _count(self, scope: Scope | None, policy: Policy | None, who: str) -> None:
        if policy is None:
            return
        verdict = await self._limiter.hit(policy, who)
        if scope is not None:
            scope["state"]["rate_limit"] = verdict.headers()
        if not verdict.allowed:
            wait = max(1, round(verdict.retry_after_s))
            raise RateLimited(f"Too many requests; try again in {wait} s.", verdict.retry_after_s)


HOW = "Send `Authorization: Bearer …` with an access token or an API key (`vtid keys create` makes one), or log in."


def demanded(scope: Scope, opt: Mapping[str, Any]) -> KeyScope:
    """The scope of keys that a request needs: what its route says (`opt`), else by whether it only looks."""
    if str(scope.get("path_template") or "").startswith(ADMIN_ROUTES):
        return KeyScope.ADMIN
    said: KeyScope | None = opt.get("scope")
    looks = scope["type"] == ScopeType.WEBSOCKET or scope.get("method") in SAFE_METHODS
    return said or (KeyScope.READ if looks else KeyScope.WRITE)


def check(principal: Principal, scope: KeyScope, *, admin: bool) -> None:
    """Raise `Forbidden` unless somebody may do what needs this scope and, where so, an admin."""
    if admin and principal.user.role is not Role.ADMIN:
        raise Forbidden("Only an admin may do this.")
    if scope not in principal.scopes:
        raise Forbidden(f"This key is not for that: it lacks the scope {scope}.")


def address(scope: Scope) -> str:
    """Where a connection comes from, as far as it says who that is."""
    client = scope.get("client")
    return household(client[0]) if client else "nowhere"


def headers_of(scope: Scope) -> dict[str, str]:
    """What came with a request or a handshake, names in lower case; made once."""
    state = scope["state"]
    if (found := state.get("headers")) is None:
        found = state["headers"] = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    return cast("dict[str, str]", found)


def household(host: str) -> str:
    """Of an IPv6 address the network: whoever has one has all 2^64 of them, and would have a limit for each."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _cookie(headers: Mapping[str, str]) -> str | None:
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), None) or None


def _bearer(headers: Mapping[str, str]) -> str | None:
    """The credential in a request's headers."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind:
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthorized("This kind of Authorization is not known.", suggestion=HOW)
        return token.strip()
    return headers.get("x-api-key") or None
