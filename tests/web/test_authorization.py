"""Who may do what: every route, asked by everybody.

A route without a row fails `test_every_route_has_a_row`; a row says what the account that owns the things gets, what
another one gets, and what an admin gets. What nobody known, an expired key, a revoked one and one without the scope
get is the same for all routes that are not open.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import PATIENCE_S
from tests.web.rights import ADMIN, CHUNKED, HOOK, HOOKS, ME, NOT_HTTP, PASSWORD, TABLE, TUS, Row, Things
from tests.web.site import PIPELINES, Site, configure, problem, serving
from vtid.accounts import Accounts, local_key, prepare
from vtid.accounts.passwords import Passwords
from vtid.accounts.tokens import hash_of, new_key
from vtid.app import App
from vtid.db import NewJob
from vtid.domain.account import ApiKey, Scope, User
from vtid.domain.artifact import Asset
from vtid.domain.job import Job, JobStatus
from vtid.domain.pipeline import Pipeline, Step
from vtid.web import create_app
from vtid.web.auth import OPEN_ROUTES
from vtid.web.given import Who


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon that does not mind being asked often."""
    often = {"rate_limits__public_per_minute": 1_000_000, "rate_limits__public_burst": 1_000_000}
    often |= {"rate_limits__login_per_minute": 1_000_000, "rate_limits__login_burst": 1_000_000}
    often |= {"rate_limits__websocket_per_minute": 1_000_000, "rate_limits__websocket_burst": 1_000_000}
    often |= {"rate_limits__internal_per_minute": 1_000_000, "rate_limits__internal_burst": 1_000_000}
    free = {"requests_per_minute": 0, "credits": 100}
    with serving(tmp_path_factory.mktemp("door"), workers=False, tiers__free=free, **often) as site:
        yield site


@pytest.fixture(scope="module")
def stored_password(door: Site) -> str:
    return door.bridge.run(Passwords().hash(PASSWORD))


class World:
    """Accounts, things and keys, made where no route is asked."""

    def __init__(self, site: Site, stored_password: str) -> None:
        self.site = site
        self.accounts: Accounts = site.app.accounts
        self.run = site.bridge.run
        self._stored = stored_password

    def user(self, password: str | None = None) -> User:
        user = User(id=str(uuid.uuid4()), email=f"{uuid.uuid4()}@example.org")
        return self.run(self.accounts.users.add(user, password, 100))

    def _job(self, user_id: str, job_id: str, pipeline: str = "copy") -> Job:
        frozen = Pipeline(pipeline, "P", (Step("look", "lab.pass"),))
        return Job(
            id=job_id, user_id=user_id, status=JobStatus.QUEUED, pipeline=frozen, params={}, inputs={},
            original_filename="clip.mp4",
        )  # fmt: skip

    def job(self, user_id: str, pipeline: str = "copy") -> str:
        return self.run(self.site.app.jobs.add(NewJob(self._job(user_id, str(uuid.uuid4()), pipeline)))).id

    def ended(self, user_id: str) -> str:
        return self.run(self.site.app.jobs.cancel(self.job(user_id))).id

    def key(self, user_id: str, *scopes: Scope, **more: Any) -> tuple[str, str]:
        """A key's id and its text."""
        text = new_key()
        key = ApiKey(
            id=str(uuid.uuid4()), user_id=user_id, name="n", prefix=text[:12], scopes=scopes or tuple(Scope), created_at=0
        )  # fmt: skip
        self.run(self.accounts.users.add_key(msgspec.structs.replace(key, **more), hash_of(text)))
        return key.id, text

    def things(self) -> Things:
        owner, other = self.user(self._stored), self.user()
        return Things(
            owner, other, self.job(owner.id), self.ended(owner.id), self.job(owner.id, "preview-text"),
            self.key(owner.id)[0], self.job("local"), cache(lambda what: self.made(what, owner)),
        )  # fmt: skip

    def made(self, what: str, owner: User) -> str:
        """Something of the owner's, made as a client makes it."""
        if pipeline := {"pro": "pro-sync", "film": "compose"}.get(what):
            return self.job(owner.id, pipeline)
        headers = {"Authorization": f"Bearer {self.key(owner.id)[1]}"}
        with self.site.client(anonymous=True, headers=headers) as client:

            def post(path: str, **sent: Any) -> httpx.Response:
                answer = client.post(path, **sent)
                assert answer.status_code in (200, 201, 202), answer.text
                return answer

            if what == "webhook":
                return str(post(HOOKS, json={"url": HOOK}).json()["webhook_id"])
            if what == "delivery":
                return str(post(f"{HOOKS}/{self.made('webhook', owner)}/test").json()["delivery_id"])
            if what == "tus":
                sent = TABLE["POST", TUS].send(None)  # type: ignore[arg-type]
                return post(TUS, **sent).headers["location"].rpartition("/")[2]
            if what == "chunked":
                return str(post(f"{CHUNKED}/init", json={"filename": "a.mp4", "total_size": 9}).json()["upload_id"])
        job, key = str(uuid.uuid4()), f"users/{owner.id}/assets/{uuid.uuid4()}/a.mp4"
        with self.site.app.storage.writer(key) as writer:
            writer.write(b"whatever")
        asset = Asset(id=str(uuid.uuid4()), kind="video", filename="a.mp4", size=8, key=key, created_at=0)
        self.run(self.site.app.jobs.add(NewJob(self._job(owner.id, job), [asset])))
        self.run(self.site.app.jobs.cancel(job))
        return asset.id

    def ask(self, row: Row, route: tuple[str, str], things: Things, credential: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        sent = row.send(things)
        headers |= sent.pop("headers", {}) if "headers" in (sent := dict(sent)) else {}
        path = row.path(things) if row.path else route[1]
        with self.site.client(anonymous=True, headers=headers) as client:
            return client.request(route[0], path, **sent)


@pytest.fixture(scope="module")
def world(door: Site, stored_password: str) -> World:
    return World(door, stored_password)


IDS = [f"{method} {path}" for method, path in TABLE]


@pytest.mark.parametrize("route", TABLE, ids=IDS)
def test_a_route_lets_in_whom_it_should(world: World, route: tuple[str, str]) -> None:
    row, things = TABLE[route], world.things()
    owner = things.owner.id
    token = world.accounts.access.sign(things.owner)
    rights = {
        "nobody": (None, 401),
        "nonsense": ("nonsense", 401),
        "expired key": (world.key(owner, expires_at=time.time() - 1)[1], 401),
        "revoked key": (world.key(owner, revoked_at=time.time() - 1)[1], 401),
        "expired token": (world.accounts.access.sign(things.owner, ttl_s=-5), 401),
        "key without the scope": (world.key("local" if row.admins_only else owner, *without(row.scope))[1], 403),
        "another's key": (world.key(things.other.id)[1], row.other),
        "an admin's key": (world.site.key, row.admin),
        "the account's token": (token, row.owner),
    }
    for name, (credential, status) in rights.items():
        answer = world.ask(row, route, things, credential)
        wanted = row.owner if row.scope is None else status
        assert answer.status_code == wanted, f"{name}: {answer.status_code} {answer.text[:300]}"
        if wanted in (401, 403) and "login" not in route[1] and route[0] != "HEAD":
            body = problem(answer, wanted)
            assert things.owner.email not in answer.text
            if wanted == 401 and row.scope is not None:
                assert answer.headers["www-authenticate"] == "Bearer", name
                assert name != "nobody" or "Authorization" in body["suggested_action"]
    again = world.things()
    answer = world.ask(row, route, again, world.key(again.owner.id)[1])
    assert answer.status_code == row.owner, f"the account's key: {answer.text[:300]}"


def without(scope: Scope | None) -> tuple[Scope, ...]:
    """Every scope but one."""
    return tuple(s for s in Scope if s is not scope)


def routes(site: Site) -> set[tuple[str, str]]:
    return {
        (str(method), handler.paths and route.path_format)
        for route in site.web.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    }


def test_every_route_has_a_row(door: Site) -> None:
    there = routes(door)
    assert len(there) > 50
    assert there - TABLE.keys() == set(), "a new route: say in TABLE who may use it"
    assert TABLE.keys() - there == set(), "a row of a route that is no more"


def test_every_way_in_that_is_not_http_is_watched(door: Site) -> None:
    others = {r.path for r in door.web.routes if not isinstance(r, HTTPRoute)}
    assert others == NOT_HTTP.keys(), "a new WebSocket or mounted application: name the test that shows who gets in"


def test_the_open_routes_are_those_of_the_table() -> None:
    sockets = {path.replace(":str}", "}") for path in NOT_HTTP}
    assert {path for (_, path), row in TABLE.items() if row.scope is None} | sockets == OPEN_ROUTES.keys()


def test_the_table_would_notice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a route that is opened by mistake is seen."""
    from vtid.web import auth

    route = ("GET", "/api/v1/plugins")
    monkeypatch.setattr(auth, "OPEN_ROUTES", {**OPEN_ROUTES, "/api/v1/plugins": None})
    with pytest.raises(AssertionError, match="nobody: 200"):
        test_a_route_lets_in_whom_it_should(world, route)


# --- what the table cannot say


def test_a_suspended_account_is_shut_out_at_once(world: World) -> None:
    user = world.user()
    token, key = world.accounts.access.sign(user), world.key(user.id)[1]
    with world.site.client(anonymous=True, headers={"X-API-Key": key}) as client:
        assert client.get(ME).status_code == 200
        answer = world.site.http.patch(f"{ADMIN}/users/{user.id}", json={"suspended": True})
        assert (answer.status_code, answer.json()["suspended"]) == (200, True)
        problem(client.get(ME), 403, "forbidden")
        problem(client.get(ME, headers={"Authorization": f"Bearer {token}"}), 401)
        world.site.http.patch(f"{ADMIN}/users/{user.id}", json={"suspended": False})
        assert client.get(ME).status_code == 200, "a key works again"
        problem(client.get(ME, headers={"Authorization": f"Bearer {token}"}), 401)


def test_a_revoked_key_ends_at_once(world: World) -> None:
    user = world.user()
    key_id, key = world.key(user.id)
    with world.site.client(anonymous=True, headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.delete(f"{ME}/api-keys/{key_id}").status_code == 204
        problem(client.get(ME), 401)


@pytest.mark.parametrize("odd", ["%00", "%ff", "x" * 300, "a%0ab", "%F0%9F%8E%AC"])
def test_odd_ids_are_not_there(world: World, odd: str) -> None:
    for method, path in (("GET", f"{ADMIN}/users/{odd}"), ("DELETE", f"{ADMIN}/users/{odd}")):
        problem(world.site.http.request(method, path), 404)
    problem(world.site.http.patch(f"{ADMIN}/users/{odd}", json={"tier": "pro"}), 404)
    problem(world.site.http.post(f"{ADMIN}/users/{odd}/credits", json={"amount": 1, "reason": "r"}), 404)
    problem(world.site.http.delete(f"{ME}/api-keys/{odd}"), 404)


@pytest.mark.parametrize("header", ["Basic YWRhOng=", "Bearer", "vtid_x", "Bearer a.b.c", "Bearer \x7f"])
def test_odd_headers_let_nobody_in(world: World, header: str) -> None:
    with world.site.client(anonymous=True, headers={"Authorization": header}) as client:
        problem(client.get(ME), 401, "unauthorized")


def test_a_token_that_another_secret_signed_is_none_of_ours(world: World) -> None:
    import jwt

    user = world.user()
    claims = jwt.decode(world.accounts.access.sign(user), options={"verify_signature": False})
    assert claims.keys() == {"user_id", "email", "tier", "role", "exp", "iat", "gen"}
    assert claims["exp"] - claims["iat"] == 1800
    forged = [
        jwt.encode(claims, "x" * 64, algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, world.accounts.access._secret * 2, algorithm="HS512"),
        jwt.encode({k: v for k, v in claims.items() if k != "exp"}, world.accounts.access._secret, algorithm="HS256"),
        jwt.encode(claims | {"user_id": "nobody"}, world.accounts.access._secret, algorithm="HS256"),
        jwt.encode(claims | {"gen": 7}, world.accounts.access._secret, algorithm="HS256"),
    ]
    for token in forged:
        with world.site.client(anonymous=True, headers={"Authorization": f"Bearer {token}"}) as client:
            problem(client.get(ME), 401, "unauthorized")
    grown = jwt.encode(claims | {"role": "admin"}, world.accounts.access._secret, algorithm="HS256")
    with world.site.client(anonymous=True, headers={"Authorization": f"Bearer {grown}"}) as client:
        problem(client.get(f"{ADMIN}/stats"), 403, "forbidden")  # the database says who is an admin


# --- WebSockets


@pytest.mark.parametrize("template", list(NOT_HTTP))
def test_a_connection_lets_in_whom_it_should(world: World, template: str) -> None:
    things = world.things()
    owner = things.owner.id
    path = re.sub(r"{.*}", things.job, template)
    for credential, code in (
        (None, 4401),
        ("nonsense", 4401),
        (world.key(owner, expires_at=time.time() - 1)[1], 4401),
        (world.key(owner, revoked_at=time.time() - 1)[1], 4401),
        (world.key(owner, *without(Scope.READ))[1], 4403),
        (world.key(things.other.id)[1], 4404),
        (world.site.key, 4404),
        (world.key(owner)[1], None),
        (world.accounts.access.sign(things.owner), None),
    ):
        url = f"{world.site.url.replace('http', 'ws', 1)}{path}" + (f"?token={credential}" if credential else "")
        with connect(url, proxy=None) as line:
            first = msgspec.json.decode(line.recv(timeout=PATIENCE_S))
            if code is None:
                assert first["type"] == "connected"
                continue
            assert first["type"] == "error"
            with pytest.raises(ConnectionClosed):
                line.recv(timeout=PATIENCE_S)
            assert line.close_code == code


@websocket("/ws/test")
async def hello(socket: WebSocket[Any, Any, Any], who: Who) -> None:
    await socket.accept()
    await socket.send_text(who.user_id)
    await socket.close()


@websocket("/ws/open")
async def anybody(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient[Any], App]]:
    """An application with two WebSocket routes, within the test's process."""
    from vtid.web import auth

    monkeypatch.setattr(auth, "OPEN_ROUTES", {**OPEN_ROUTES, "/ws/open": "websocket"})
    core = App(configure(tmp_path, PIPELINES))
    web = create_app(core)
    web.register(hello)
    web.register(anybody)
    with TestClient(web, base_url="http://127.0.0.1:8750") as client:
        client.blocking_portal.call(prepare, core.accounts, tmp_path / "data")
        yield client, core
        client.blocking_portal.call(core.close)


def test_a_websocket_lets_in_whom_it_knows(sockets: tuple[TestClient[Any], App], tmp_path: Path) -> None:
    client, core = sockets
    key = local_key(tmp_path / "data") or ""
    local = client.blocking_portal.call(core.accounts.users.get, "local")
    token = core.accounts.access.sign(local)
    cookie = f"vtid_session={client.blocking_portal.call(core.accounts.open_session, local)}"
    own = {"Origin": "http://127.0.0.1:8750", "Host": "127.0.0.1:8750"}
    for headers, query in (
        ({"Authorization": f"Bearer {key}"}, ""),
        ({"X-API-Key": key}, ""),
        ({}, f"?token={token}"),  # a browser cannot send headers of its own
        ({"Cookie": f"a=b; {cookie}"} | own, ""),
    ):
        with client.websocket_connect(f"/ws/test{query}", headers=headers) as line:
            assert line.receive_text() == "local"
    for headers, query, code in (
        ({}, "", 4401),
        ({}, "?token=nonsense", 4401),
        ({"Cookie": cookie}, "", 4403),
        ({"Cookie": cookie, "Origin": "https://evil.example"}, "", 1008),  # before anybody asks who it is
    ):
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect(f"/ws/test{query}", headers=headers) as line,
        ):
            line.receive_text()
        assert closed.value.code == code


def test_opening_websockets_is_counted(sockets: tuple[TestClient[Any], App], tmp_path: Path) -> None:
    client, core = sockets
    user = client.blocking_portal.call(core.accounts.users.add, User(id="ada", email="ada@example.org"), None, 0)
    token = core.accounts.access.sign(user)
    for path, most in (("/ws/open", 2), (f"/ws/test?token={token}", core.accounts.tier_of(user).requests_per_minute)):
        for _ in range(most):
            with client.websocket_connect(path):
                pass
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(path):
            pass
        assert closed.value.code == 4429, path
