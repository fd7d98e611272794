"""The gate before every route: who is it, have they asked too often, may they do this?

Whatever is not on the list of open routes needs somebody known, also a route that somebody adds tomorrow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import WebSocketException
from litestar.handlers.base import BaseRouteHandler

from vtid.accounts import Accounts
from vtid.config import Config
from vtid.domain.account import Principal, Role, Scope
from vtid.errors import Forbidden, RateLimited, Unauthorized, VtidError
from vtid.web.guard import SAFE_METHODS, Guard
from vtid.web.limits import Limiter, Policies, Policy

Connection = ASGIConnection[Any, Any, Any, Any]
ADMIN_ROUTES = "/api/v1/admin/"
ACCOUNT = {"scope": Scope.ACCOUNT}
"""What a route says of itself (`opt=ACCOUNT`) that changes the account, and not what is in it."""
COOKIE = "vtid_session"

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
    "/ws/jobs/{job_id}": "websocket",  # says in a message of its own why somebody may not come in
    "/ws/compositions/{composition_id}": "websocket",
    "/api/v1/ws/compositions/{composition_id}": "websocket",
    "/files/{key}": None,  # the link is the proof; a player asks for many ranges
}
"""Routes for anybody, and the limit on their address. A WebSocket that wants to say itself who may not come in stands
here too, and asks `Gate.who`."""


class Gate:
    """Lets requests through to their routes; a guard in Litestar's sense.

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

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Let through, with the principal in the connection's state, or raise what the client is to read.

        Raises:
            Unauthorized: nobody known.
            Forbidden: not they, or not with this credential.
            RateLimited: too often.
            WebSocketException: any of these, of a WebSocket, which is closed with 4000 and the status.
        """
        try:
            await self._pass(connection, handler)
        except VtidError as error:
            if connection.scope["type"] != ScopeType.WEBSOCKET:
                raise
            raise WebSocketException(detail=error.message, code=4000 + error.status) from error

    async def _pass(self, connection: Connection, handler: BaseRouteHandler) -> None:
        route = str(connection.scope.get("path_template") or "")
        if route in OPEN_ROUTES:
            await self._count(connection, self._open_policy(OPEN_ROUTES[route]), f"ip:{address(connection)}")
            return
        try:
            principal = await self._principal(connection)
        except Unauthorized:
            await self._count(connection, self._policies.public, f"ip:{address(connection)}")
            raise
        connection.state.principal = principal
        await self._count(connection, self._policy_of(connection, principal), f"user:{principal.user_id}")
        check(principal, demanded(connection, handler), admin=route.startswith(ADMIN_ROUTES) or _admin(handler))

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

    async def count_login(self, connection: Connection, email: str = "") -> None:
        """Count an attempt to log in: of an address, and on an account. Raises `RateLimited`."""
        await self._count(connection, self._policies.login, f"ip:{address(connection)}")
        if email:
            await self._count(connection, self._policies.login, f"email:{email.strip().casefold()[:254]}")

    async def _principal(self, connection: Connection) -> Principal:
        if connection.scope["type"] == ScopeType.WEBSOCKET:  # browsers send no headers of ours with these
            return await self.who(connection.query_params.get("token"), connection.headers)
        return await self.who(None, connection.headers, looks=connection.scope.get("method") in SAFE_METHODS)

    def _open_policy(self, name: str | None) -> Policy | None:
        policies = self._policies
        known = {"public": policies.public, "internal": policies.internal, "websocket": policies.websocket}
        return known[name] if name else None

    def _policy_of(self, connection: Connection, principal: Principal) -> Policy | None:
        tier = self.accounts.tier_of(principal.user)
        if connection.scope["type"] == ScopeType.WEBSOCKET and tier.requests_per_minute:
            return self._policies.websocket
        return self._policies.of_tier(principal.user.tier, tier.requests_per_minute)

    async def _count(self, connection: Connection, policy: Policy | None, who: str) -> None:
        if policy is None:
            return
        verdict = await self._limiter.hit(policy, who)
        connection.state.rate_limit = verdict.headers()
        if not verdict.allowed:
            wait = max(1, round(verdict.retry_after_s))
            raise RateLimited(f"Too many requests; try again in {wait} s.", verdict.retry_after_s)


HOW = "Send `Authorization: Bearer …` with an access token or an API key (`vtid keys create` makes one), or log in."


def demanded(connection: Connection, handler: BaseRouteHandler) -> Scope:
    """The scope that a request needs: what its route says, else by whether it only looks."""
    if str(connection.scope.get("path_template") or "").startswith(ADMIN_ROUTES):
        return Scope.ADMIN
    said: Scope | None = handler.opt.get("scope")
    looks = connection.scope["type"] == ScopeType.WEBSOCKET or connection.scope.get("method") in SAFE_METHODS
    return said or (Scope.READ if looks else Scope.WRITE)


def check(principal: Principal, scope: Scope, *, admin: bool) -> None:
    """Raise `Forbidden` unless somebody may do what needs this scope and, where so, an admin."""
    if admin and principal.user.role is not Role.ADMIN:
        raise Forbidden("Only an admin may do this.")
    if scope not in principal.scopes:
        raise Forbidden(f"This key is not for that: it lacks the scope {scope}.")


def address(connection: Connection) -> str:
    """Where a connection comes from, as far as it says who that is."""
    return household(connection.client.host) if connection.client else "nowhere"


def household(host: str) -> str:
    """Of an IPv6 address the network: whoever has one has all 2^64 of them, and would have a limit for each."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _admin(handler: BaseRouteHandler) -> bool:
    return handler.opt.get("role") is Role.ADMIN


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
