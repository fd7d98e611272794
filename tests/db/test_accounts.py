"""Accounts and tokens on SQLite, and on PostgreSQL where one answers: the same promises."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.db.bank import Bank, delivered
from vtid.db import Kind, Upload, Uploads, UserFilter, Webhooks
from vtid.domain.account import ApiKey, Role, Scope, User
from vtid.domain.webhook import Webhook
from vtid.engine.bridge import Bridge
from vtid.errors import Conflict, NotFound

# --- accounts


def test_addresses_are_unique_in_any_case(bank: Bank) -> None:
    bank.user()
    with pytest.raises(Conflict, match=r"account for ADA@Example\.org already"):
        bank.run(bank.users.add(User(id="other", email="ADA@Example.org"), None, 0))
    found = bank.run(bank.users.by_email(" aDa@example.ORG "))
    assert found is not None
    assert found[0].id == "ada"
    bank.user("bob")
    with pytest.raises(Conflict):
        bank.run(bank.users.change("bob", email="Ada@example.org"))


def test_pages_of_accounts(bank: Bank) -> None:
    for i in range(7):
        bank.clock.now += i % 3
        bank.user(f"u{i}", tier="pro" if i % 2 else "free")
    seen: list[str] = []
    before = None
    while page := bank.run(bank.users.list(UserFilter(before=before, limit=3))):
        seen += [u.id for u in page]
        before = (page[-1].created_at, page[-1].id)
    assert sorted(seen) == sorted(["root", *(f"u{i}" for i in range(7))])
    assert {u.id for u in bank.run(bank.users.list(UserFilter(tier="pro")))} == {"u1", "u3", "u5"}
    assert [u.id for u in bank.run(bank.users.list(UserFilter(text="U3@")))] == ["u3"]
    assert bank.run(bank.users.counts()) == {"free": 5, "pro": 3}


def test_the_last_admin_stays(bank: Bank) -> None:
    for attempt in (
        lambda: bank.users.change("root", role="user"),
        lambda: bank.users.change("root", suspended=True),
        lambda: bank.users.remove("root"),
    ):
        with pytest.raises(Conflict, match="last admin"):
            bank.run(attempt())
    assert bank.run(bank.users.get("root")).role is Role.ADMIN
    bank.user("second", role=Role.ADMIN)
    bank.run(bank.users.remove("root"))


def test_two_admins_cannot_remove_each_other_at_once(bank: Bank) -> None:
    bank.user("second", role=Role.ADMIN)

    async def race() -> list[Any]:
        each = (bank.users.change(name, role="user") for name in ("root", "second"))
        return await asyncio.gather(*each, return_exceptions=True)

    outcomes = bank.run(race())
    assert sum(isinstance(o, Conflict) for o in outcomes) == 1, outcomes
    assert [u.id for u in bank.run(bank.users.list(UserFilter(role="admin")))] != []


def test_many_credits_fit(bank: Bank) -> None:
    bank.user()
    for _ in range(3):
        bank.run(bank.ledger.grant("ada", 2_000_000_000, "a fortune"))
    assert bank.balance() == 6_000_000_000


def test_an_account_goes_with_all_that_is_its_own(bank: Bank) -> None:
    bank.user(opening=100)
    job_id = bank.job(cost=10)
    bank.run(bank.tokens.add("t" * 64, Kind.SESSION, "ada", 60))
    with pytest.raises(Conflict, match="not ended"):
        bank.run(bank.users.remove("ada"))
    bank.run(bank.jobs.cancel(job_id))
    waiting = Upload(id=str(uuid.uuid4()), user_id="ada", protocol="tus", filename="f", size=1, expires_at=1e12)
    bank.run(Uploads(bank.database, bank.clock).begin(waiting, quota=None, most=9))
    hook = Webhook(id=str(uuid.uuid4()), user_id="ada", url="sealed", host="h.example", events=["job.completed"])
    bank.run(Webhooks(bank.database, bank.clock).add(hook, "sealed"))
    bank.run(bank.repeats.reserve("ada", "key", "h" * 64))
    assert bank.tables_with("ada") >= {"jobs", "uploads", "webhooks", "signing_keys", "idempotency", "ledger", "tokens"}
    bank.run(bank.users.remove("ada"))
    assert bank.tables_with("ada") == {"uploads"}, "housekeeping knows where its parts lie"
    (left,) = bank.run(Uploads(bank.database, bank.clock).expired())
    assert left.id == waiting.id
    for gone in (bank.users.get("ada"), bank.jobs.get(job_id)):
        with pytest.raises(NotFound):
            bank.run(gone)
    assert bank.run(bank.ledger.movements("ada")) == []
    assert bank.run(bank.tokens.find("t" * 64, Kind.SESSION)) is None


def test_keys(bank: Bank) -> None:
    bank.user()
    key = ApiKey(
        id=str(uuid.uuid4()),
        user_id="ada",
        name="n",
        prefix="vtid_abc",
        scopes=(Scope.READ,),
        created_at=0,
        expires_at=2000.0,
    )
    bank.run(bank.users.add_key(key, "h" * 64))
    found = bank.run(bank.users.by_key("h" * 64))
    assert found is not None
    assert (found[0].id, found[0].scopes, found[1].id) == (key.id, (Scope.READ,), "ada")
    assert (found[0].holds(1999), found[0].holds(2000)) == (True, False)
    with pytest.raises(NotFound):
        bank.run(bank.users.revoke_key(key.id, "root"))
    bank.run(bank.users.touch_key(found[0]))
    revoked = bank.run(bank.users.revoke_key(key.id, "ada"))
    assert (revoked.revoked_at, revoked.last_used_at, revoked.holds(1500)) == (1000.0, 1000.0, False)
    bank.clock.now += 5
    assert bank.run(bank.users.revoke_key(key.id)).revoked_at == 1000.0


# --- tokens


def test_a_refresh_token_works_once_and_a_replay_ends_its_family(bank: Bank) -> None:
    bank.user()
    a, b, c, stranger = ("a" * 64, "b" * 64, "c" * 64, "s" * 64)
    bank.run(bank.tokens.add(a, Kind.REFRESH, "ada", 60))
    bank.run(bank.tokens.add(stranger, Kind.REFRESH, "ada", 60))
    assert bank.run(bank.tokens.use(a, Kind.REFRESH, b, 60)) is not None
    assert bank.run(bank.tokens.use(b, Kind.SESSION)) is None, "of another kind"
    assert bank.run(bank.tokens.use(a, Kind.REFRESH, c, 60)) is None, "a replay"
    assert bank.run(bank.tokens.use(b, Kind.REFRESH, c, 60)) is None, "what came from it has ended too"
    assert bank.run(bank.tokens.use(stranger, Kind.REFRESH, c, 60)) is not None, "another login has not"


def test_of_two_who_use_one_token_at_once_one_gets_in_at_most(bank: Bank) -> None:
    bank.user()
    bank.run(bank.tokens.add("a" * 64, Kind.REFRESH, "ada", 60))

    async def race() -> list[Any]:
        return await asyncio.gather(*(bank.tokens.use("a" * 64, Kind.REFRESH, f"{i}" * 64, 60) for i in range(4)))

    assert len([u for u in bank.run(race()) if u]) == 1


def test_tokens_run_out(bank: Bank) -> None:
    bank.user()
    bank.run(bank.tokens.add("a" * 64, Kind.SESSION, "ada", 60))
    assert bank.run(bank.tokens.find("a" * 64, Kind.SESSION)) is not None
    bank.clock.now += 60
    assert bank.run(bank.tokens.find("a" * 64, Kind.SESSION)) is None
    assert bank.run(bank.tokens.use("a" * 64, Kind.SESSION)) is None


def test_ending_a_login_ends_its_family(bank: Bank) -> None:
    bank.user()
    bank.run(bank.tokens.add("a" * 64, Kind.REFRESH, "ada", 60))
    bank.run(bank.tokens.use("a" * 64, Kind.REFRESH, "b" * 64, 60))
    bank.run(bank.tokens.end_family("a" * 64))
    assert bank.run(bank.tokens.use("b" * 64, Kind.REFRESH)) is None
    bank.run(bank.tokens.end_family("nothing"))


def test_a_changed_account_ends_its_tokens(bank: Bank) -> None:
    bank.user()
    bank.run(bank.tokens.add("a" * 64, Kind.SESSION, "ada", 60))
    before = bank.run(bank.users.get("ada")).generation
    bank.run(bank.users.change("ada", end_tokens=True, password_hash="x"))
    assert bank.run(bank.tokens.find("a" * 64, Kind.SESSION)) is None
    assert bank.run(bank.users.get("ada")).generation == before + 1


def test_of_many_that_reserve_a_key_at_once_one_is_the_first(bank: Bank) -> None:
    async def race() -> list[Any]:
        tries = (bank.repeats.reserve("ada", "key", "h") for _ in range(8))
        return await asyncio.gather(*tries, return_exceptions=True)

    answers = bank.run(race())
    assert answers.count(None) == 1
    assert all(isinstance(a, Conflict) for a in answers if a is not None), answers


def test_what_failed_is_told_without_its_values(bank: Bank) -> None:
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError

    from vtid.db.tables import users

    async def twice() -> None:
        row = {"id": "root", "email": "e", "email_key": "e", "role": "user", "tier": "t", "created_at": 0.0}
        async with bank.database.write() as c:
            await c.execute(insert(users).values(row | {"password_hash": "hush"}))

    with pytest.raises(IntegrityError) as caught:
        bank.run(twice())
    assert "hush" not in str(caught.value)


# --- from before


def test_jobs_of_before_there_were_accounts_belong_to_the_first_admin(tmp_path: Path, bridge: Bridge) -> None:
    import sqlite3

    from alembic import command
    from alembic.config import Config as Alembic
    from sqlalchemy import create_engine

    from vtid import config
    from vtid.accounts import local_key, prepare
    from vtid.app import App
    from vtid.db.migrate import MIGRATIONS

    (tmp_path / "vtid.toml").write_text(f'data.path = "{tmp_path}"\n')
    script = Alembic()
    script.set_main_option("script_location", str(MIGRATIONS))
    script.set_main_option("path_separator", "os")
    with create_engine(f"sqlite:///{tmp_path / 'vtid.db'}").begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, "0001")
    pipeline = '{"name": "p", "title": "P", "steps": [{"id": "a", "uses": "x.y"}]}'
    with sqlite3.connect(tmp_path / "vtid.db") as old:
        old.execute(
            "INSERT INTO jobs (id, user_id, status, pipeline_name, pipeline, params, inputs, original_filename, progress,"
            " message, results, metadata, created_at, updated_at, cancel_requested, event_seq)"
            " VALUES ('j', 'local', 'queued', 'p', ?, '{}', '{}', 'old.mp4', 0, 'm', '[]', '{}', 1, 1, 0, 0)",
            (pipeline,),
        )
    old.close()
    app = App(config.load(tmp_path / "vtid.toml", {}), ring=lambda _: None)
    first = bridge.run(prepare(app.accounts, tmp_path))
    assert first is not None
    assert bridge.run(prepare(app.accounts, tmp_path)) is None, "once"
    who = bridge.run(app.accounts.principal(local_key(tmp_path) or ""))
    job = bridge.run(app.jobs.get("j", who.user_id))
    assert (job.original_filename, job.metered, job.estimated_credits) == ("old.mp4", False, None)
    work = app.work()
    assert bridge.run(work.claim("j")) is not None
    bridge.run(delivered(work, "j", 3))
    assert bridge.run(app.accounts.ledger.movements(who.user_id)) == []
    bridge.run(app.close())
