"""Tokens: random ones, which the database knows by their hashes, and signed ones. The only importer of PyJWT."""

from __future__ import annotations

import hashlib
import secrets
import time
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import msgspec
from msgspec import Struct

from vtid.domain.account import EVERY_SCOPE, Scope, User
from vtid.errors import Unauthorized

KEY_PREFIX = "vtid_"
"""By it a key is known for one wherever it turns up: in a log, in a repository."""
SHOWN = 12
"""Characters of a key that are kept, for people to know it by."""
ALGORITHM = "HS256"


@cache
def _jwt() -> ModuleType:
    import jwt  # noqa: PLC0415 - see the package
    from jwt.warnings import InsecureKeyLengthWarning  # noqa: PLC0415

    # The configuration refuses a short secret where it matters, and says so in its own words.
    warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)
    return jwt


def new_key() -> str:
    """A fresh API key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_token() -> str:
    """A fresh random token."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What the database keeps. The tokens have 256 random bits: nothing slower is needed, and no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


class Claims(Struct, frozen=True):
    """What an access token says. `email`, `tier` and `role` are for its bearer to read; the database decides."""

    user_id: str
    email: str
    tier: str
    role: str
    exp: int
    iat: int
    gen: int = 0
    """The account's generation: the token ends with it."""
    scopes: tuple[Scope, ...] = tuple(EVERY_SCOPE)
    source: str = ""
    """As of a `Principal`: the token ends with the key or the session that it was made from."""
    until: float | None = None
    """When the last token that is made from this one runs out, however often that is done."""


class AccessTokens:
    """Signs and reads access tokens.

    Args:
        secret: that signs.
        ttl_s: for how long one holds.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: str | bytes, ttl_s: float, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self.ttl_s = round(ttl_s)
        self._clock = clock

    def sign(
        self,
        user: User,
        scopes: frozenset[Scope] = EVERY_SCOPE,
        ttl_s: int | None = None,
        *,
        source: str = "",
        until: float | None = None,
    ) -> str:
        """A token for a user; one for less than everything names its scopes, and what it hangs on."""
        now = int(self._clock())
        claims = {"user_id": user.id, "email": user.email, "tier": user.tier, "role": user.role.value}
        more: dict[str, Any] = {} if scopes == EVERY_SCOPE else {"scopes": sorted(scopes)}
        more |= ({"source": source} if source else {}) | ({} if until is None else {"until": until})
        times = {"iat": now, "exp": now + (ttl_s or self.ttl_s), "gen": user.generation}
        return str(_jwt().encode(claims | times | more, self._secret, algorithm=ALGORITHM))

    def read(self, token: str) -> Claims:
        """What a token says. Raises `Unauthorized` unless it is one of ours and holds now."""
        jwt = _jwt()
        try:
            # The time is looked at below, by the clock that signed.
            options = {"require": ["exp", "iat"], "verify_exp": False, "verify_iat": False}
            raw = jwt.decode(token, self._secret, algorithms=[ALGORITHM], options=options)
            claims = msgspec.convert(raw, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise Unauthorized("This token is not valid.") from error
        if claims.exp <= self._clock():
            raise Unauthorized("This token has expired.", suggestion="Refresh it, or log in again.")
        return claims
