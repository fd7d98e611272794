"""Logging in and staying in: tokens, sessions in a browser, one-time links, the first start."""

from __future__ import annotations

import io
import re
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import wait_until
from tests.web.daemon import Daemon
from tests.web.site import Site, problem, serving
from vtid import logs
from vtid.domain.account import Scope, User

AUTH, ME = "/api/v1/auth", "/api/v1/users/me"
PASSWORD = "correct horse battery"
OFTEN = {
    f"rate_limits__{name}_{part}": 1_000_000
    for name in ("public", "login", "internal")
    for part in ("per_minute", "burst")
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon that lets people register, and does not mind being asked often."""
    folder = tmp_path_factory.mktemp("door")
    free = {"requests_per_minute": 0}
    with serving(folder, workers=False, auth__registration=True, tiers__free=free, **OFTEN) as site:
        yield site


@pytest.fixture
def anyone(door: Site) -> Iterator[httpx.Client]:
    with door.client(anonymous=True) as client:
        yield client


def new_email() -> str:
    return f"{uuid.uuid4()}@example.org"


def register(client: httpx.Client, email: str | None = None, password: str = PASSWORD) -> dict[str, Any]:
    answer = client.post(f"{AUTH}/register", json={"email": email or new_email(), "password": password})
    assert answer.status_code == 201, answer.text
    return answer.json()


def login(client: httpx.Client, email: str, password: str = PASSWORD) -> dict[str, Any]:
    answer = client.post(f"{AUTH}/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- tokens


def test_register_log_in_and_be_somebody(anyone: httpx.Client) -> None:
    email = new_email()
    made = register(anyone, email)
    assert (made["email"], made["role"], made["tier"], made["credits_remaining"]) == (email, "user", "free", 100)
    tokens = login(anyone, email.upper())
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 1800)
    me = anyone.get(f"{AUTH}/me", headers=bearer(tokens["access_token"])).json()
    assert me == {
        "user_id": made["user_id"],
        "email": email,
        "tier": "free",
        "role": "user",
        "credits_remaining": 100,
        "limits": {
            "requests_per_minute": 0,
            "concurrent_jobs": 1,
            "segments": 0,
            "quota_mb": 0,
            "metered": True,
            "paid_steps": False,
        },
    }
    whole = anyone.get(ME, headers=bearer(tokens["access_token"])).json()
    assert whole["last_login_at"] is not None


def test_a_login_that_fails_tells_nothing(anyone: httpx.Client) -> None:
    email = new_email()
    register(anyone, email)
    bodies = []
    for who, password in ((email, "wrong password"), (new_email(), PASSWORD), ("admin@localhost", ""), ("", "")):
        answer = anyone.post(f"{AUTH}/login", json={"email": who, "password": password})
        body = problem(answer, 401, "unauthorized")
        bodies.append({k: v for k, v in body.items() if k != "request_id"})
    assert all(body == bodies[0] for body in bodies)


def test_the_work_for_a_stranger_is_the_same(door: Site, anyone: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is such an account must not show in the time: a hash is compared either way."""
    compared: list[str] = []
    passwords = door.core.accounts._passwords
    real = passwords._compare
    monkeypatch.setattr(passwords, "_compare", lambda stored, given: compared.append(stored) or real(stored, given))
    email = new_email()
    register(anyone, email)
    for who in (email, new_email(), "admin@localhost"):
        anyone.post(f"{AUTH}/login", json={"email": who, "password": "wrong password"})
    assert len(compared) == 3
    assert all(c.startswith("$argon2id$") for c in compared)
    assert len({c.split("$")[3] for c in compared}) == 1, "at the same cost"


def test_what_a_registration_must_have(anyone: httpx.Client) -> None:
    body = problem(anyone.post(f"{AUTH}/register", json={"email": "nobody", "password": PASSWORD}), 400)
    assert [e["field"] for e in body["errors"]] == ["email"]
    body = problem(anyone.post(f"{AUTH}/register", json={"email": "a@b", "password": "short", "x": 1}), 400)
    assert {e["field"] for e in body["errors"]} == {"password", "x"}
    taken = register(anyone)["email"]
    problem(anyone.post(f"{AUTH}/register", json={"email": taken, "password": PASSWORD}), 409)
    for text in ("a\nb@example.org", "a b@example.org", "@example.org", "a@", "a" * 250 + "@b.de", "a\0@b.de"):
        problem(anyone.post(f"{AUTH}/register", json={"email": text, "password": PASSWORD}), 400)


def test_a_registration_that_is_sent_twice_is_one(anyone: httpx.Client) -> None:
    body, key = {"email": new_email(), "password": PASSWORD}, {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (anyone.post(f"{AUTH}/register", json=body, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    problem(anyone.post(f"{AUTH}/register", json=body | {"password": "another password"}, headers=key), 422)


def test_refresh_tokens_rotate_and_a_replay_ends_the_login(anyone: httpx.Client) -> None:
    email = register(anyone)["email"]
    first, elsewhere = login(anyone, email), login(anyone, email)

    def refresh(token: str) -> httpx.Response:
        return anyone.post(f"{AUTH}/refresh", json={"refresh_token": token})

    second = refresh(first["refresh_token"])
    assert second.status_code == 200
    assert second.json().keys() == first.keys()
    assert second.json()["refresh_token"] != first["refresh_token"]
    assert anyone.get(ME, headers=bearer(second.json()["access_token"])).status_code == 200
    problem(refresh(first["refresh_token"]), 401)  # stolen, or sent twice
    problem(refresh(second.json()["refresh_token"]), 401)
    assert refresh(elsewhere["refresh_token"]).status_code == 200, "another login goes on"
    for nonsense in ("", "x", first["access_token"]):
        problem(refresh(nonsense), 401)


def test_logging_out(anyone: httpx.Client) -> None:
    tokens = login(anyone, register(anyone)["email"])
    assert anyone.post(f"{AUTH}/logout", json={"refresh_token": tokens["refresh_token"]}).status_code == 204
    problem(anyone.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]}), 401)
    assert anyone.post(f"{AUTH}/logout", json={"refresh_token": "x"}).status_code == 204, "it tells nothing either"


def test_another_password_ends_every_login(anyone: httpx.Client) -> None:
    email = register(anyone)["email"]
    here, there = login(anyone, email), login(anyone, email)
    change = {"current_password": PASSWORD, "new_password": "another password"}
    problem(
        anyone.post(
            f"{ME}/change-password",
            json=change | {"current_password": "wrong password"},
            headers=bearer(here["access_token"]),
        ),
        403,
    )
    fresh = anyone.post(f"{ME}/change-password", json=change, headers=bearer(here["access_token"]))
    assert fresh.status_code == 200
    assert anyone.get(ME, headers=bearer(fresh.json()["access_token"])).status_code == 200
    for old in (here, there):
        problem(anyone.get(ME, headers=bearer(old["access_token"])), 401)
        problem(anyone.post(f"{AUTH}/refresh", json={"refresh_token": old["refresh_token"]}), 401)
    problem(anyone.post(f"{AUTH}/login", json={"email": email, "password": PASSWORD}), 401)
    login(anyone, email, "another password")


def test_leaving_takes_everything_along(door: Site, anyone: httpx.Client, clip: Path) -> None:
    made = register(anyone)
    token = bearer(login(anyone, made["email"])["access_token"])
    sent = anyone.post(
        "/api/v1/jobs/submit",
        files={"file": ("clip.mp4", clip.read_bytes())},
        data={"pipeline": "copy"},
        headers=token,
    )
    job_id = sent.json()["job_id"]
    farewell = {"current_password": PASSWORD}
    problem(anyone.request("DELETE", ME, json=farewell, headers=token), 409)
    anyone.post(f"/api/v1/jobs/{job_id}/cancel", headers=token)
    problem(anyone.request("DELETE", ME, json={}, headers=token), 403)
    assert any(made["user_id"] in key for key in door.stored())
    assert anyone.request("DELETE", ME, json=farewell, headers=token).status_code == 204
    assert not any(made["user_id"] in key for key in door.stored())
    problem(anyone.get(ME, headers=token), 401)
    problem(anyone.post(f"{AUTH}/login", json={"email": made["email"], "password": PASSWORD}), 401)
    register(anyone, made["email"])  # nothing is left that would be in the way


def test_registration_is_off_where_nobody_switched_it_on(still: Site) -> None:
    with still.client(anonymous=True) as client:
        body = {"email": new_email(), "password": PASSWORD}
        problem(client.post(f"{AUTH}/register", json=body), 403, "forbidden")


def test_an_embedded_page_gets_a_token_for_little(door: Site, anyone: httpx.Client) -> None:
    tokens = login(anyone, register(anyone)["email"])
    answer = anyone.post(f"{AUTH}/embedded", headers=bearer(tokens["access_token"]))
    small = answer.json()
    assert (answer.status_code, small["expires_in"]) == (200, 600)
    assert anyone.get("/api/v1/jobs/", headers=bearer(small["access_token"])).status_code == 200
    problem(anyone.post(f"{ME}/api-keys", json={"name": "n"}, headers=bearer(small["access_token"])), 403)
    problem(
        anyone.post("/api/v1/webhooks", json={"url": "https://x.example"}, headers=bearer(small["access_token"])), 403
    )
    claims = door.app.accounts.access.read(small["access_token"])
    assert set(claims.scopes) == {Scope.READ, Scope.WRITE}
    assert claims.exp - claims.iat == 600


def test_what_comes_from_an_embedded_token_ends_with_what_that_came_from(door: Site, anyone: httpx.Client) -> None:
    tokens = login(anyone, register(anyone)["email"])
    access = door.app.accounts.access
    first = anyone.post(f"{AUTH}/embedded", headers=bearer(tokens["access_token"])).json()["access_token"]
    second = anyone.post(f"{AUTH}/embedded", headers=bearer(first)).json()["access_token"]
    assert access.read(second).until == access.read(first).until == access.read(tokens["access_token"]).exp
    wish = {"name": "n", "scopes": ["read"]}
    key = anyone.post(f"{ME}/api-keys", json=wish, headers=bearer(tokens["access_token"])).json()
    small = anyone.post(f"{AUTH}/embedded", headers=bearer(key["key"])).json()["access_token"]
    smaller = anyone.post(f"{AUTH}/embedded", headers=bearer(small)).json()["access_token"]
    assert anyone.get("/api/v1/jobs/", headers=bearer(smaller)).status_code == 200
    anyone.delete(f"{ME}/api-keys/{key['id']}", headers=bearer(tokens["access_token"]))
    for token in (small, smaller):
        wait_until(lambda token=token: anyone.get("/api/v1/jobs/", headers=bearer(token)).status_code == 401)


# --- keys


def test_a_key_is_told_once_and_gives_no_more_than_its_maker_has(door: Site, anyone: httpx.Client) -> None:
    token = bearer(login(anyone, register(anyone)["email"])["access_token"])
    made = anyone.post(f"{ME}/api-keys", json={"name": "ci", "scopes": ["account"]}, headers=token).json()
    (listed,) = anyone.get(f"{ME}/api-keys", headers=token).json()
    assert listed == {k: v for k, v in made.items() if k != "key"}
    assert listed["prefix"] == made["key"][:12]
    assert listed["last_used_at"] is None
    more = anyone.post(f"{ME}/api-keys", json={"name": "more"}, headers={"X-API-Key": made["key"]})
    assert "no scope that one lacks: read, write" in problem(more, 403)["detail"]
    above = anyone.post(f"{ME}/api-keys", json={"name": "above", "scopes": ["admin"]}, headers=token)
    assert "no scope that one lacks: admin" in problem(above, 403)["detail"], "it would work once its owner is an admin"
    same = anyone.post(
        f"{ME}/api-keys", json={"name": "same", "scopes": ["account"]}, headers={"X-API-Key": made["key"]}
    )
    assert same.status_code == 201
    used = {k["name"]: k["last_used_at"] for k in anyone.get(f"{ME}/api-keys", headers=token).json()}
    assert used["ci"] is not None


# --- a browser


@pytest.fixture
def browser(door: Site) -> Iterator[httpx.Client]:
    """Keeps cookies, and says where its requests come from, as browsers do."""
    headers = {"Origin": door.url, "Sec-Fetch-Site": "same-origin"}
    with door.client(anonymous=True, headers=headers) as client:
        yield client


def test_a_browser_logs_in_by_password(door: Site, browser: httpx.Client) -> None:
    email = register(browser)["email"]
    page = browser.get("/login")
    assert 'action="/login"' in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    wrong = browser.post("/login", data={"email": email, "password": "wrong"})
    assert (wrong.status_code, "password is wrong" in wrong.text) == (401, True)
    assert not browser.cookies
    entered = browser.post("/login", data={"email": email, "password": PASSWORD})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert browser.get(ME).json()["email"] == email
    assert browser.post(f"{ME}/api-keys", json={"name": "mine"}).status_code == 201
    first = browser.get("/").text
    assert email in first
    assert 'action="/logout"' in first
    assert browser.post("/logout").headers["location"] == "/login"
    assert 'href="/login"' in browser.get("/").text
    problem(browser.get(ME), 401)


def test_a_session_serves_this_daemons_own_pages_only(door: Site, browser: httpx.Client) -> None:
    browser.post("/login", data={"email": register(browser)["email"], "password": PASSWORD})
    cookie = f"vtid_session={browser.cookies['vtid_session']}"
    send = {"json": {"name": "stolen"}}
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({}, 403),  # an old browser, or none: it has to show a key
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": door.url}, 201),
    ):
        with door.client(anonymous=True, headers={"Cookie": cookie} | headers) as client:
            answer = client.post(f"{ME}/api-keys", **send)
            assert answer.status_code == status, headers
            assert client.get(ME, headers={"Origin": door.url}).status_code == 200


def test_a_site_that_may_call_the_api_may_not_use_a_session(tmp_path: Path) -> None:
    friend = "https://front.example"
    with serving(tmp_path, workers=False, server__cors_origins=(friend,), **OFTEN) as site:
        session = site.bridge.run(site.app.accounts.open_session(site.bridge.run(site.app.accounts.users.get("local"))))
        headers = {"Origin": friend, "Cookie": f"vtid_session={session}"}
        with site.client(anonymous=True, headers=headers) as client:
            problem(client.post(f"{ME}/api-keys", json={"name": "n"}), 403)
            assert client.post(f"{ME}/api-keys", json={"name": "n"}, headers=site.auth).status_code == 201


def test_over_https_the_cookie_stays_there(tmp_path: Path) -> None:
    with serving(tmp_path, workers=False, server__public_url="https://media.example", **OFTEN) as site:
        accounts, run = site.app.accounts, site.bridge.run
        with site.client(anonymous=True, headers={"Host": "media.example"}) as client:
            token = run(accounts.login_link("local"))
            entered = client.post("/login", data={"token": token})
            assert "Secure" in entered.headers["set-cookie"]
            assert entered.headers["strict-transport-security"].startswith("max-age=")


# --- one-time links


def test_a_link_logs_in_once_and_lets_choose_a_password(door: Site, browser: httpx.Client) -> None:
    made = door.http.post("/api/v1/admin/users", json={"email": new_email(), "tier": "pro"}).json()
    link = door.http.post(f"/api/v1/admin/users/{made['user_id']}/login-link").json()["url"]
    assert link.startswith(f"{door.url}/login?token=")
    for _ in range(2):  # what only looks at a link does not use it up
        page = browser.get(link)
        assert made["email"] in page.text
    token = link.partition("token=")[2]
    short = browser.post("/login", data={"token": token, "password": "short"})
    assert (short.status_code, "needs 10 characters" in short.text) == (400, True)
    entered = browser.post("/login", data={"token": token, "password": PASSWORD})
    assert entered.status_code == 303
    assert browser.get(ME).json()["email"] == made["email"]
    assert browser.post("/login", data={"token": token}).status_code == 401
    assert "not valid any more" in browser.get(link).text
    login(browser, made["email"])


def test_pages_write_nothing_of_a_stranger_unescaped(door: Site, browser: httpx.Client) -> None:
    nasty = '"><script>alert(1)</script>'
    run, accounts = door.bridge.run, door.app.accounts
    user = run(accounts.users.add(User(id=str(uuid.uuid4()), email=f"<b>{uuid.uuid4()}@x"), None, 0))
    page = browser.get("/login", params={"token": run(accounts.login_link(user.id))})
    assert "<b>" not in page.text
    assert nasty not in browser.get("/login", params={"token": nasty}).text
    assert nasty not in browser.post("/login", data={"email": nasty, "password": nasty}).text


@pytest.mark.parametrize(
    "body", [b"a=" + b"x" * 20_000, b"&".join(b"a=1" for _ in range(50)), b"\xff=\xff", b"email=a%00b&password=x"]
)
def test_odd_forms_are_refused(browser: httpx.Client, body: bytes) -> None:
    answer = browser.post("/login", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (400, 401, 413)


# --- the first start


def test_the_first_start(tmp_path: Path) -> None:
    with Daemon(tmp_path, {}, workers=False) as daemon:
        told = daemon.log.read_text()
        link = re.search(r"^    (http://127\.0\.0\.1:\d+/login\?token=[\w-]{43})$", told, re.MULTILINE)
        assert link, told
        token = link[1].partition("token=")[2]
        assert not any(token in str(line) for line in daemon.lines()), "printed, and in no line of the log"
        with httpx.Client(trust_env=False) as browser:
            problem(browser.get(f"{daemon.http.base_url}/api/v1/jobs/"), 401)
            assert browser.post(link[1].partition("?")[0], data={"token": token}).status_code == 303
            me = browser.get(f"{daemon.http.base_url}{ME}").json()
        assert (me["user_id"], me["role"], me["credits_remaining"]) == ("local", "admin", None)
        key = daemon.data / "local.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert daemon.http.get(ME).json()["user_id"] == "local"
        text = key.read_text()
        assert daemon.terminate() == 0
        daemon.start()
        assert "login?token=" not in daemon.log.read_text(), "the first start is over"
        assert key.read_text() == text
        assert daemon.terminate() == 0


def test_the_network_is_let_in_to_log_in(tmp_path: Path) -> None:
    with Daemon(tmp_path, {}, workers=False, server__host="0.0.0.0") as daemon:
        address = f"http://127.0.0.1:{daemon.http.base_url.port}"
        with httpx.Client(trust_env=False) as stranger:
            problem(stranger.get(f"{address}/api/v1/jobs/"), 401)
            problem(stranger.get(f"{address}/api/v1/jobs/", headers={"Host": "evil.example"}), 403, "forbidden_origin")
            problem(stranger.get(f"{address}/api/v1/jobs/", headers={"Host": "192.168.1.5:8750"}), 401)
            assert stranger.get(f"{address}/login", headers={"Host": "[fe80::1]:8750"}).status_code == 200
        assert daemon.terminate() == 0


# --- secrets


def test_no_secret_is_logged(door: Site, anyone: httpx.Client) -> None:
    stream = io.StringIO()
    logs.configure("debug", "json", service="test", stream=stream)
    try:
        email = new_email()
        register(anyone, email, "hush hush hush")
        tokens = login(anyone, email, "hush hush hush")
        anyone.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})
        key = anyone.post(f"{ME}/api-keys", json={"name": "n"}, headers=bearer(tokens["access_token"])).json()["key"]
        anyone.get(ME, headers={"X-API-Key": key})
        anyone.get("/login?token=hush")
        anyone.post("/login", data={"email": email, "password": "hush hush"})
        wait_until(lambda: stream.getvalue().count('"request"') >= 7)
    finally:
        logs.configure("error", "json", service="test")
    told = stream.getvalue()
    assert '"user_id"' in told
    for secret in ("hush", key, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in told


def test_what_browsers_are_told_with_every_answer(door: Site, anyone: httpx.Client) -> None:
    for path in ("/", "/login", "/docs", "/nowhere", ME, "/health/db"):
        headers = anyone.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert "strict-transport-security" not in headers, path
    for path in ("/", "/login", "/docs"):
        headers = anyone.get(path).headers
        assert headers["referrer-policy"] == "same-origin", path
        assert headers["cross-origin-opener-policy"] == "same-origin", path
    for path in ("/", "/login"):
        assert "style-src 'unsafe-inline'" in anyone.get(path).headers["content-security-policy"], "they have a style"
    assert door.http.get(ME).headers["cache-control"] == "no-store"
