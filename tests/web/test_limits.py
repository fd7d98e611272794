"""Rate limits: the rule itself, the same in memory and in Redis, and what clients are told."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.daemon import Daemon
from tests.web.site import Site, problem, serving
from vtid.domain.account import User
from vtid.engine.bridge import Bridge
from vtid.web import limits
from vtid.web.auth import household
from vtid.web.limits import Limiter, Memory, Policy

AUTH, ME = "/api/v1/auth", "/api/v1/users/me"
SLOW = Policy("slow", per_minute=6, burst=3)
"""One every ten seconds, three at once."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


# --- the rule


def test_a_burst_then_one_at_a_time(clock: Clock) -> None:
    memory = Memory(clock)
    assert [memory.hit(SLOW, "a").remaining for _ in range(3)] == [2, 1, 0]
    refused = memory.hit(SLOW, "a")
    assert (refused.allowed, refused.retry_after_s) == (False, 10.0)
    assert memory.hit(SLOW, "b").allowed, "somebody else has a bucket of their own"
    clock.now += 9.9
    assert not memory.hit(SLOW, "a").allowed
    clock.now += 0.1
    assert memory.hit(SLOW, "a").allowed
    assert not memory.hit(SLOW, "a").allowed


def test_refusals_do_not_lengthen_the_wait(clock: Clock) -> None:
    memory = Memory(clock)
    for _ in range(3):
        memory.hit(SLOW, "a")
    assert {memory.hit(SLOW, "a").retry_after_s for _ in range(100)} == {10.0}
    clock.now += 30
    assert [memory.hit(SLOW, "a").allowed for _ in range(4)] == [True, True, True, False]


def test_over_a_long_time_the_rate_holds(clock: Clock) -> None:
    memory, passed = Memory(clock), 0
    for _ in range(6000):  # ten minutes of ten requests a second
        clock.now += 0.1
        passed += memory.hit(SLOW, "a").allowed
    assert passed == 60 + 3 - 1


def test_what_is_told(clock: Clock) -> None:
    memory = Memory(clock)
    assert memory.hit(SLOW, "a").headers() == {"RateLimit-Policy": '"slow";q=3;w=30', "RateLimit": '"slow";r=2;t=10'}
    memory.hit(SLOW, "a")
    memory.hit(SLOW, "a")
    assert memory.hit(SLOW, "a").headers()["RateLimit"] == '"slow";r=0;t=10'


def test_a_flood_of_addresses_does_not_fill_the_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KNOWN", 100)
    memory = Memory(clock)
    for i in range(1000):
        assert memory.hit(SLOW, f"{i}").allowed
    assert len(memory._empty_at) == 100


def test_behind_a_flood_of_addresses_the_limit_still_holds(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who have been quiet for longest are forgotten, never those who are only now making themselves heard."""
    monkeypatch.setattr(limits, "MOST_KNOWN", 100)
    memory = Memory(clock)
    for i in range(1000):
        memory.hit(SLOW, f"{i}")
    assert [memory.hit(SLOW, "late").allowed for _ in range(4)] == [True, True, True, False]
    for i in range(1000):
        memory.hit(SLOW, f"again {i}")
        assert not memory.hit(SLOW, "late").allowed, "it kept knocking"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::7", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.1", "203.0.113.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("somewhere", "somewhere", True),
    ],
)
def test_who_shares_a_limit(one: str, other: str, same: bool) -> None:
    assert (household(one) == household(other)) is same


# --- in Redis


@pytest.mark.redis
def test_several_processes_count_together(redis_url: str) -> None:
    policy, who = Policy("together", per_minute=60, burst=20), str(uuid.uuid4())

    async def one_process() -> list[bool]:
        limiter = Limiter(redis_url)
        verdicts = [await limiter.hit(policy, who) for _ in range(10)]
        await limiter.close()
        return [v.allowed for v in verdicts]

    passed: list[bool] = []
    threads = [threading.Thread(target=lambda: passed.extend(asyncio.run(one_process()))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 60
    assert 20 <= sum(passed) <= 24, "the burst, and what a few seconds let through"


@pytest.mark.redis
def test_redis_says_what_memory_says(redis_url: str, bridge: Bridge, clock: Clock) -> None:
    slow, memory, limiter = Policy("same", per_minute=1, burst=3), Memory(clock), Limiter(redis_url)
    who = str(uuid.uuid4())
    for _ in range(5):
        here, there = memory.hit(slow, who), bridge.run(limiter.hit(slow, who))
        assert (there.allowed, there.remaining) == (here.allowed, here.remaining)
        assert there.retry_after_s == pytest.approx(here.retry_after_s, abs=5)
        assert there.full_s == pytest.approx(here.full_s, abs=5)
    bridge.run(limiter.close())


@pytest.mark.redis
def test_nothing_stays_in_redis(redis_url: str, bridge: Bridge) -> None:
    import redis

    limiter = Limiter(redis_url)
    bridge.run(limiter.hit(Policy("gone", per_minute=60, burst=2), "a"))
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys("vtid:limit:*")
        assert 0 < client.pttl(key) <= 1001
    bridge.run(limiter.close())


def test_a_redis_that_is_away_costs_no_request(bridge: Bridge, clock: Clock) -> None:
    pytest.importorskip("redis", reason="the extra vtid[redis] is not installed")
    limiter = Limiter("redis://127.0.0.1:1/0", Memory(clock))
    assert [bridge.run(limiter.hit(SLOW, "a")).allowed for _ in range(4)] == [True, True, True, False]
    bridge.run(limiter.close())


# --- over HTTP


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Any]:
    return lambda **settings: serving(tmp_path, workers=False, **settings)


def test_strangers_are_counted_by_address(serve: Callable[..., Any]) -> None:
    with serve(rate_limits__public_per_minute=1, rate_limits__public_burst=4) as site:
        with site.client(anonymous=True) as stranger:
            first = stranger.get("/docs")
            assert first.headers["ratelimit-policy"] == '"public";q=4;w=240'
            assert first.headers["ratelimit"] == '"public";r=3;t=60'
            problem(stranger.get(ME), 401)  # trying counts too
            problem(stranger.get(ME, headers={"X-API-Key": "vtid_guess"}), 401)
            problem(stranger.post(f"{AUTH}/refresh", json={"refresh_token": "x"}), 401)
            for path in (ME, "/docs", "/login"):
                refused = stranger.get(path)
                body = problem(refused, 429, "rate_limited")
                assert 55 <= int(refused.headers["retry-after"]) <= 60
                assert "try again in" in body["detail"]
                assert refused.headers["ratelimit"].startswith('"public";r=0;t=')
            assert stranger.get("/health/db").status_code == 200, "what machines ask has a limit of its own"
            assert stranger.get(ME, headers=site.auth).status_code == 200, "who is known is counted by themselves"
        assert site.http.get(ME).status_code == 200


def user(site: Site, tier: str) -> dict[str, str]:
    found = site.bridge.run(
        site.app.accounts.users.add(User(id=str(uuid.uuid4()), email=f"{uuid.uuid4()}@x.org", tier=tier), None, 0)
    )
    return {"Authorization": f"Bearer {site.app.accounts.access.sign(found)}"}


def test_users_are_counted_by_tier(serve: Callable[..., Any]) -> None:
    with serve(tiers__free={"requests_per_minute": 5}, tiers__pro={"requests_per_minute": 7}) as site:
        free, other, pro = user(site, "free"), user(site, "free"), user(site, "pro")
        with site.client(anonymous=True) as client:

            def passed(headers: dict[str, str]) -> int:
                return sum(client.get(ME, headers=headers).status_code == 200 for _ in range(9))

            first = client.get(ME, headers=free)
            assert first.headers["ratelimit-policy"] == '"tier-free";q=5;w=60'
            assert passed(free) == 4
            assert passed(other) == 5, "another one has not asked yet"
            assert passed(pro) == 7
            problem(client.get(ME, headers=free), 429)
        assert "ratelimit" not in site.http.get(ME).headers, "the owner's tier has none"


def test_the_parts_of_a_file_do_not_count_as_requests(serve: Callable[..., Any]) -> None:
    chunked = "/api/v1/chunked-upload"
    with serve(
        tiers__free={"requests_per_minute": 4}, rate_limits__transfer_per_minute=1, rate_limits__transfer_burst=20
    ) as site:
        headers = user(site, "free")
        with site.client(anonymous=True) as client:
            wish = {"filename": "a.mp4", "total_size": 21, "chunk_size": 1}
            upload = client.post(f"{chunked}/init", json=wish, headers=headers).json()["upload_id"]
            sent = [
                client.post(
                    f"{chunked}/chunk/{upload}",
                    files=[("chunk_index", (None, str(i))), ("chunk", ("c", b"x"))],
                    headers=headers,
                )
                for i in range(21)
            ]
            assert [a.status_code for a in sent] == [200] * 20 + [429]
            assert sent[0].headers["ratelimit-policy"].startswith('"transfer";q=20')
            assert client.get(ME, headers=headers).headers["ratelimit"].startswith('"tier-free";r=2')


def test_lines_of_socket_io_are_counted_by_address_and_by_user(serve: Callable[..., Any]) -> None:
    limits = {"rate_limits__public_burst": 4, "tiers__free": {"requests_per_minute": 1}}
    with serve(**limits) as site, site.client(anonymous=True) as client:
        opened = [client.get("/socket.io/?EIO=4&transport=polling") for _ in range(5)]
        assert [a.status_code for a in opened] == [200] * 4 + [429]
        problem(opened[4], 429)
        assert int(opened[4].headers["retry-after"]) >= 1
        free = user(site, "free")
        said = [_joined(client, opened[n], who) for n, who in enumerate((free, free, site.auth, site.auth))]
        assert [text[:2] for text in said] == ["40", "44", "40", "40"], "the owner's tier has no limit"
        assert "rate_limited" in said[1]


def _joined(client: httpx.Client, opened: httpx.Response, who: dict[str, str]) -> str:
    """What the daemon says to a client that shows a token on its line."""
    line = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
    client.post(line, content=f'40{{"token":"{who["Authorization"].partition(" ")[2]}"}}')
    return client.get(line).text


def test_attempts_to_log_in_are_counted_harder(serve: Callable[..., Any]) -> None:
    often = {"rate_limits__public_per_minute": 100_000, "rate_limits__public_burst": 100_000}
    harder = {"rate_limits__login_per_minute": 1, "rate_limits__login_burst": 3}
    with serve(**harder, **often) as site, site.client(anonymous=True) as client:
        guesses = [client.post(f"{AUTH}/login", json={"email": f"{i}@x.org", "password": "guess"}) for i in range(4)]
        assert [g.status_code for g in guesses] == [401, 401, 401, 429]
        assert int(guesses[-1].headers["retry-after"]) > 50
        problem(client.post("/login", data={"email": "a@x.org", "password": "guess"}), 429)
        problem(client.post("/login", data={"token": "guess"}), 429)


def login_from(daemon: Daemon, address: str, email: str) -> int:
    body = {"email": email, "password": "guess"}
    headers = {"X-Forwarded-For": address}
    return daemon.http.post(f"{AUTH}/login", json=body, headers=headers).status_code


@pytest.mark.parametrize("trusted", [False, True])
def test_what_a_proxy_says_counts_where_it_is_trusted(tmp_path: Path, trusted: bool) -> None:
    settings = {"server__trusted_proxies": ["127.0.0.1"]} if trusted else {}
    limits = {"rate_limits__login_per_minute": 1, "rate_limits__login_burst": 2}
    with Daemon(tmp_path, {}, workers=False, **limits, **settings) as daemon:
        said = [login_from(daemon, f"203.0.113.{i}", f"{i}@x.org") for i in range(4)]
        assert said == ([401] * 4 if trusted else [401, 401, 429, 429])
        if trusted:  # one account, guessed at from everywhere
            said = [login_from(daemon, f"198.51.100.{i}", "ada@x.org") for i in range(12)]
            assert said == [401] * 10 + [429] * 2, "more than from one address, lest a stranger shuts its owner out"
        assert daemon.terminate() == 0
