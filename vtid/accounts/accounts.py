"""Accounts as the doors see them: logging in, staying in, keys, and who a request comes from."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from msgspec import Struct

from vtid.accounts.passwords import Passwords
from vtid.accounts.tokens import KEY_PREFIX, SHOWN, AccessTokens, hash_of, new_key, new_token
from vtid.config import Config, Tier
from vtid.db import Database, Kind, Ledger, Tokens, Users
from vtid.domain.account import EVERY_SCOPE, USUAL_SCOPES, ApiKey, Principal, Role, Scope, User
from vtid.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem, Unauthorized, VtidError
from vtid.sealing import derived

REMEMBERED_S = 1.0
"""How long an answer to "who is this?" is believed without asking the database again: what is revoked in another
process works on for so long here."""
MOST_REMEMBERED = 10_000
EMBEDDED_S = 600
"""How long the token of an embedded page works."""
EMBEDDED_SCOPES = frozenset({Scope.READ, Scope.WRITE})
DAY_S = 24 * 3600.0
SHORTEST_PASSWORD = 10
MOST_KEYS = 100
"""Of an account, that hold at once."""
WRONG_LOGIN = "The e-mail address or the password is wrong."


class TokenPair(Struct, frozen=True):
    """What a login gives."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds, of the access token."""


class Accounts:
    """Everything about accounts but their routes.

    Args:
        database: where they are.
        config: tiers, and how long things hold.
        secret: of the data folder; signs access tokens where the configuration names no other.
        clock: seconds since the epoch.
    """

    def __init__(
        self, database: Database, config: Config, secret: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        self.users = Users(database, clock)
        self.ledger = Ledger(database, clock)
        self.config = config
        self._tokens = Tokens(database, clock)
        self._passwords = Passwords()
        signing = config.auth.jwt_secret_key or derived(secret, "access tokens")
        self.access = AccessTokens(signing, config.auth.access_token_minutes * 60, clock)
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Principal]] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[Principal]] = {}

    def tier_of(self, user: User) -> Tier:
        """What a user's tier allows."""
        return self.config.tier(user.tier)

    async def tier_by_id(self, user_id: str) -> Tier | None:
        """What a user's tier allows; None for who has no account (`vtid run` on this machine)."""
        try:
            return self.tier_of(await self.users.get(user_id))
        except NotFound:
            return None

    async def is_metered(self, user_id: str) -> bool:
        """Whether a user pays for jobs."""
        tier = await self.tier_by_id(user_id)
        return tier is not None and tier.metered

    # --- who is this?

    async def principal(self, credential: str) -> Principal:
        """Who shows an access token or an API key. Raises `Unauthorized`, or `Forbidden` of a suspended account."""
        if credential.startswith(KEY_PREFIX):
            return await self._remembered("key", credential, self._by_key)
        return await self._remembered("token", credential, self._by_token)

    async def session(self, cookie: str) -> Principal:
        """Who shows a session's cookie. Raises as `principal` does."""
        return await self._remembered("session", cookie, self._by_session)

    async def _remembered(
        self, kind: str, shown: str, ask: Callable[[str], Coroutine[Any, Any, Principal]]
    ) -> Principal:
        mark = (kind, hash_of(shown))
        until, known = self._known.get(mark, (0.0, None))
        if known is not None and until > time.monotonic():
            return known
        # One question for all who wait for the same answer: of a crowd, each would ask anew every second.
        asking = self._asking.get(mark)
        if asking is None:
            asking = self._asking[mark] = asyncio.create_task(self._ask(mark, shown, ask))
        return await asyncio.shield(asking)  # one who leaves does not take the answer away from the others

    async def _ask(
        self, mark: tuple[str, str], shown: str, ask: Callable[[str], Coroutine[Any, Any, Principal]]
    ) -> Principal:
        me = asyncio.current_task()
        try:
            principal = await ask(shown)
            if principal.user.suspended:
                raise Forbidden("This account is suspended.")
            if self._asking.get(mark) is me:  # else something was changed meanwhile: the answer may be of before
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[mark] = (time.monotonic() + REMEMBERED_S, principal)
            return principal
        finally:
            if self._asking.get(mark) is me:
                del self._asking[mark]

    def forget(self) -> None:
        """Ask the database again about everybody: something was changed."""
        self._known.clear()
        self._asking.clear()

    async def _by_key(self, text: str) -> Principal:
        found = await self.users.by_key(hash_of(text))
        if found is None or not found[0].holds(self._clock()):
            raise Unauthorized("This key is not valid.")
        key, user = found
        with contextlib.suppress(VtidError):  # a full disk must not shut out who could make room
            await self.users.touch_key(key)
        return Principal(user, frozenset(key.scopes), f"key:{key.id}", key.expires_at)

    async def _by_token(self, text: str) -> Principal:
        claims = self.access.read(text)
        try:
            user = await self.users.get(claims.user_id)
        except NotFound as error:
            raise Unauthorized("This token is not valid.") from error
        if user.generation != claims.gen or not await self._stands(claims.source):
            raise Unauthorized("This token has been revoked.", suggestion="Log in again.")
        return Principal(user, frozenset(claims.scopes), claims.source, claims.until or claims.exp)

    async def _by_session(self, text: str) -> Principal:
        user = await self._tokens.find(hash_of(text), Kind.SESSION)
        if user is None:
            raise Unauthorized("This login has ended.", suggestion="Log in again.")
        return Principal(user, EVERY_SCOPE, f"session:{hash_of(text)}")

    async def _stands(self, source: str) -> bool:
        """Whether the key or the session is still good that something hangs on."""
        kind, _, name = source.partition(":")
        if kind == "key":
            key = await self.users.key(name)
            return key is not None and key.holds(self._clock())
        return kind != "session" or await self._tokens.find(name, Kind.SESSION) is not None

    async def still(self, principal: Principal) -> bool:
        """Whether somebody who came in earlier, and whose connection stays open, would still be let in."""
        try:
            user = await self.users.get(principal.user_id)
        except NotFound:
            return False
        same = user.generation == principal.user.generation and not user.suspended
        return same and await self._stands(principal.source)

    # --- logging in

    async def login(self, email: str, password: str) -> User:
        """Who has this address and password. Raises `Unauthorized` in the same words and time for either mistake."""
        found = await self.users.by_email(email)
        user, stored = found or (None, None)
        if not await self._passwords.holds(stored, password) or user is None:
            raise Unauthorized(WRONG_LOGIN)
        if user.suspended:  # told only to whoever knows the password
            raise Forbidden("This account is suspended.")
        changes: dict[str, Any] = {"last_login_at": self._clock()}
        if stored and self._passwords.outdated(stored):
            changes["password_hash"] = await self._passwords.hash(password)
        return await self.users.change(user.id, **changes)

    async def token_pair(self, user: User) -> TokenPair:
        """Tokens for somebody who just proved who they are."""
        refresh = new_token()
        await self._tokens.add(hash_of(refresh), Kind.REFRESH, user.id, self._login_s)
        return TokenPair(self.access.sign(user), refresh, self.access.ttl_s)

    async def refresh(self, token: str) -> TokenPair:
        """New tokens for a refresh token, which does not work again. Raises `Unauthorized`."""
        fresh = new_token()
        user = await self._tokens.use(hash_of(token), Kind.REFRESH, hash_of(fresh), self._login_s)
        if user is None or user.suspended:
            raise Unauthorized("This refresh token is not valid.", suggestion="Log in again.")
        return TokenPair(self.access.sign(user), fresh, self.access.ttl_s)

    async def logout(self, token: str) -> None:
        """End whatever came from the login that this token (of refreshing, of a session) came from."""
        await self._tokens.end_family(hash_of(token))
        self.forget()

    async def open_session(self, user: User) -> str:
        """A session for the web application; what is returned is its cookie."""
        token = new_token()
        await self._tokens.add(hash_of(token), Kind.SESSION, user.id, self._login_s)
        return token

    def embedded(self, principal: Principal) -> tuple[str, int]:
        """A token for jobs only, and for how many seconds: what a page in somebody else's frame may hold.

        It ends with what it was made from, and so does every one that is made from it.
        """
        left = EMBEDDED_S if principal.until is None else principal.until - self._clock()
        ttl_s = max(1, min(EMBEDDED_S, int(left)))
        scopes, source, until = principal.scopes & EMBEDDED_SCOPES, principal.source, principal.until
        return self.access.sign(principal.user, scopes, ttl_s, source=source, until=until), ttl_s

    @property
    def _login_s(self) -> float:
        return self.config.auth.refresh_token_days * DAY_S

    # --- one-time links

    async def login_link(self, user_id: str) -> str:
        """A token that logs somebody in once, and lets them choose a password."""
        token = new_token()
        await self._tokens.add(hash_of(token), Kind.LOGIN, user_id, self.config.auth.login_link_hours * 3600.0)
        return token

    async def is_login_link(self, token: str) -> User | None:
        """Whose link it is, where it holds; it is not used up."""
        return await self._tokens.find(hash_of(token), Kind.LOGIN)

    async def use_login_link(self, token: str, password: str | None = None) -> User:
        """Log in by a link, and choose a password where one is given. Raises `Unauthorized`."""
        if password is not None:
            check_password(password)
        user = await self._tokens.use(hash_of(token), Kind.LOGIN)
        if user is None or user.suspended:
            raise Unauthorized("This link is not valid any more.", suggestion="Ask for another: vtid users login-link")
        if password is not None:
            return await self.set_password(user.id, password)
        return await self.users.change(user.id, last_login_at=self._clock())

    # --- accounts

    async def create(
        self, email: str, *, role: Role = Role.USER, tier: str = "free", password: str | None = None, id_: str = ""
    ) -> User:
        """Make an account with its tier's first credits.

        Raises:
            InvalidInput: about address, tier and password, with every problem.
            Conflict: the address is taken.
        """
        problems = [*_email_problems(email), *self._tier_problems(tier), *password_problems(password)]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)
        stored = None if password is None else await self._passwords.hash(password)
        user = User(id=id_ or str(uuid.uuid4()), email=email.strip(), role=role, tier=tier)
        return await self.users.add(user, stored, self.config.tier(tier).credits)

    async def change(
        self,
        user_id: str,
        *,
        email: str | None = None,
        role: Role | None = None,
        tier: str | None = None,
        suspended: bool | None = None,
    ) -> User:
        """Change what is not None. Suspending ends every token; so does another role.

        Raises:
            InvalidInput, Conflict, NotFound: as they do elsewhere.
        """
        given = {"email": email and email.strip(), "role": role, "tier": tier, "suspended": suspended}
        changes = {name: value for name, value in given.items() if value is not None}
        problems = [
            *(_email_problems(email) if email is not None else ()),
            *(self._tier_problems(tier) if tier else ()),
        ]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)
        user = await self.users.change(user_id, end_tokens=bool(suspended) or role is not None, **changes)
        self.forget()
        return user

    async def set_password(self, user_id: str, password: str) -> User:
        """Choose a password; whoever else was logged in is so no more."""
        check_password(password)
        stored = await self._passwords.hash(password)
        user = await self.users.change(user_id, end_tokens=True, password_hash=stored)
        self.forget()
        return user

    async def check_own_password(self, user: User, password: str) -> None:
        """Make sure that somebody logged in is who they were then. Raises `Forbidden`."""
        if not await self._passwords.holds(await self.users.password_hash(user.id), password):
            raise Forbidden("The present password is wrong.")

    def _tier_problems(self, tier: str) -> Iterable[Problem]:
        if tier not in self.config.tiers.tables:
            yield Problem(
                "tier", f"there is no tier {tier}; there are: {', '.join(self.config.tiers.tables)}", "unknown"
            )

    # --- keys

    async def make_key(
        self, user_id: str, name: str, scopes: Iterable[Scope] = USUAL_SCOPES, expires_in_days: float | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which nobody can tell again.

        Raises:
            Conflict: there are too many that hold.
        """
        text = new_key()
        now = self._clock()
        if sum(key.holds(now) for key in await self.users.keys(user_id)) >= MOST_KEYS:
            raise Conflict(f"This account has {MOST_KEYS} keys.", suggestion="Revoke those that nobody uses.")
        key = ApiKey(
            id=str(uuid.uuid4()),
            user_id=user_id,
            name=name,
            prefix=text[:SHOWN],
            scopes=tuple(sorted(set(scopes))),
            created_at=now,
            expires_at=None if expires_in_days is None else now + expires_in_days * DAY_S,
        )
        return await self.users.add_key(key, hash_of(text)), text

    async def revoke_key(self, key_id: str, user_id: str | None = None) -> ApiKey:
        """End a key. Raises `NotFound`."""
        key = await self.users.revoke_key(key_id, user_id)
        self.forget()
        return key

    async def remove(self, user_id: str) -> None:
        """Remove an account with all that is its own but its files. Raises as `Users.remove` does."""
        await self.users.remove(user_id)
        self.forget()


def password_problems(password: str | None, field: str = "password") -> Iterable[Problem]:
    """What is wrong with a new password."""
    if password is not None and len(password) < SHORTEST_PASSWORD:
        yield Problem(field, f"needs {SHORTEST_PASSWORD} characters", "too_short")


def check_password(password: str, field: str = "password") -> None:
    """Raise `InvalidInput` unless it may be somebody's password."""
    for problem in password_problems(password, field):
        raise InvalidInput(str(problem), problems=[problem])


def _email_problems(email: str) -> Iterable[Problem]:
    """The least that every address has; whether it exists, only a letter to it could tell."""
    name, _, host = email.strip().rpartition("@")
    if not name or not host or len(email) > 254 or any(c.isspace() or not c.isprintable() for c in email.strip()):
        yield Problem("email", "must be an e-mail address, such as ada@example.org", "invalid")
