"""Accounts, tokens and credits on SQLite, and on PostgreSQL where one answers: the same promises."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.db.test_database import Db, postgres_database
from vtid.db import Kind, Ledger, NewJob, Tokens, UserFilter, Users, Work, migrate
from vtid.domain.account import ApiKey, Role, Scope, User
from vtid.domain.artifact import Artifact
from vtid.domain.job import Failure, Job, JobStatus, Result, StepRun, StepStatus
from vtid.domain.media import MediaInfo, VideoStream
from vtid.domain.pipeline import Pipeline, Step
from vtid.engine.bridge import Bridge
from vtid.errors import Conflict, InsufficientCredits, NotFound


class Bank(Db):
    """The database with accounts in it."""

    def __init__(self, url: str, bridge: Bridge) -> None:
        super().__init__(url, bridge)
        self.users = Users(self.database, self.clock)
        self.tokens = Tokens(self.database, self.clock)
        self.ledger = Ledger(self.database, self.clock)
        self.user("root", role=Role.ADMIN)

    def user(self, name: str = "ada", opening: int = 0, **more: Any) -> str:
        """A user of that id."""
        return self.run(self.users.add(User(id=name, email=f"{name}@example.org", **more), None, opening)).id

    def job(self, user_id: str = "ada", cost: int = 0, *, metered: bool = True) -> str:
        """A job that costs so much. Raises `InsufficientCredits`."""
        self.clock.now += 0.001  # jobs come in one after another
        return self.run(self.submit(user_id, cost, metered=metered)).id

    def submit(self, user_id: str, cost: int, *, metered: bool = True) -> Coroutine[Any, Any, Job]:
        job = Job(
            id=str(uuid.uuid4()),
            user_id=user_id,
            status=JobStatus.QUEUED,
            pipeline=Pipeline("p", "P", (Step("a", "x.y"),)),
            params={},
            inputs={},
            original_filename="clip.mp4",
            estimated_credits=cost,
            metered=metered,
        )
        return self.jobs.add(NewJob(job))

    def work(self, name: str = "w1") -> Work:
        """A worker of a daemon where a second is a credit."""
        return Work(self.database, name, 30, self.clock, credits_per_second=1.0)

    def balance(self, user_id: str = "ada") -> int:
        """The balance, having looked that the ledger adds up to it."""
        rows = list(self.run(self.ledger.movements(user_id, limit=10_000)))[::-1]
        assert [r.seq for r in rows] == list(range(1, len(rows) + 1))
        sums = [sum(r.amount for r in rows[: i + 1]) for i in range(len(rows))]
        assert [r.balance for r in rows] == sums
        assert all(b >= 0 for b in sums)
        balance = self.run(self.ledger.balance(user_id))
        assert balance == (sums[-1] if sums else 0) == self.run(self.ledger.balances([user_id]))[user_id]
        return balance

    def kinds(self, user_id: str = "ada") -> list[tuple[str, int]]:
        return [(m.kind, m.amount) for m in list(self.run(self.ledger.movements(user_id)))[::-1]]


async def delivered(work: Work, job_id: str, seconds: float) -> None:
    """End a job with a video of that length, and with a report beside it."""
    picture = VideoStream(0, "h264", 64, 36, "yuv420p", 8, "1/25")
    info = MediaInfo("mp4", 1, seconds, video=(picture,))
    film = Artifact(job_id, "a", "video", "video", "f.mp4", 1, "k", 0.0, info)
    run = StepRun(step_id="a", position=0, status=StepStatus.COMPLETED)
    await work.complete_run(job_id, run, [film], job_progress=99)
    report = Result("a", "report", "k", "r.json", "file", 1)
    await work.complete(job_id, [report, Result("a", "video", "k", "f.mp4", "video", 1)], {}, "Done")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bank(request: pytest.FixtureRequest, tmp_path: Path, bridge: Bridge) -> Iterator[Bank]:
    with ExitStack() as stack:
        sqlite = f"sqlite:///{tmp_path / 'vtid.db'}"
        url = sqlite if request.param == "sqlite" else stack.enter_context(postgres_database())
        migrate(Db(url, bridge).database.url)
        bank = Bank(url, bridge)
        yield bank
        bridge.run(bank.database.close())


# --- credits


def test_a_job_holds_credits_back_and_is_charged_what_it_cost(bank: Bank) -> None:
    bank.user(opening=100)
    job_id, work = bank.job(cost=30), bank.work()
    assert bank.balance() == 70
    bank.run(work.claim(job_id))
    bank.run(delivered(work, job_id, 28))
    job = bank.run(bank.jobs.get(job_id))
    assert (job.estimated_credits, job.actual_credits_used) == (30, 28)
    assert bank.balance() == 72
    assert bank.kinds() == [("opening", 100), ("reserved", -30), ("settled", 2)]
    spending = bank.run(bank.ledger.spending("ada"))
    assert (spending.used, spending.reserved) == (28, 0)


@pytest.mark.parametrize(("seconds", "charged"), [(0.0, 0), (0.2, 1), (29.6, 30), (30.4, 30), (3600.0, 3600)])
def test_a_second_is_a_credit(bank: Bank, seconds: float, charged: int) -> None:
    bank.user(opening=5000)
    job_id, work = bank.job(cost=1), bank.work()
    bank.run(work.claim(job_id))
    bank.run(delivered(work, job_id, seconds))
    assert bank.run(bank.jobs.get(job_id)).actual_credits_used == charged
    assert bank.balance() == 5000 - charged


def test_what_costs_more_than_was_held_back_never_overdraws(bank: Bank) -> None:
    bank.user(opening=40)
    job_id, work = bank.job(cost=30), bank.work()
    bank.run(work.claim(job_id))
    bank.run(delivered(work, job_id, 90))
    assert bank.balance() == 0
    assert bank.run(bank.jobs.get(job_id)).actual_credits_used == 40


@pytest.mark.parametrize("end", ["failed", "cancelled by its worker", "cancelled while queued", "cancelled after loss"])
def test_a_job_that_gives_nothing_costs_nothing(bank: Bank, end: str) -> None:
    bank.user(opening=100)
    job_id, work = bank.job(cost=30), bank.work()
    if end != "cancelled while queued":
        bank.run(work.claim(job_id))
    if end == "failed":
        bank.run(work.fail(job_id, Failure("x", "no"), 5))
    elif end == "cancelled by its worker":
        bank.run(work.cancelled(job_id, 5))
    elif end == "cancelled while queued":
        bank.run(bank.jobs.cancel(job_id))
    else:
        bank.clock.now += 31
        bank.run(bank.jobs.cancel(job_id))
    assert bank.balance() == 100
    assert bank.kinds()[-1] == ("released", 30)
    assert bank.run(bank.jobs.get(job_id)).actual_credits_used == 0
    bank.run(bank.jobs.cancel(job_id))
    bank.run(bank.jobs.delete(job_id))
    assert bank.balance() == 100, "it is given back once"


def test_a_worker_that_lost_its_lease_moves_no_credits(bank: Bank) -> None:
    from vtid.db import LeaseLost

    bank.user(opening=100)
    job_id, first, second = bank.job(cost=30), bank.work("w1"), bank.work("w2")
    bank.run(first.claim(job_id))
    bank.clock.now += 31
    bank.run(second.claim(job_id))
    with pytest.raises(LeaseLost):
        bank.run(delivered(first, job_id, 30))
    assert bank.balance() == 70
    bank.run(second.fail(job_id, Failure("x", "no"), 5))
    assert bank.balance() == 100


def test_a_retry_holds_back_again(bank: Bank) -> None:
    bank.user(opening=50)
    job_id, work = bank.job(cost=30), bank.work()
    bank.run(work.claim(job_id))
    bank.run(work.fail(job_id, Failure("x", "no"), 5))
    bank.run(bank.jobs.retry(job_id))
    assert (bank.balance(), bank.run(bank.jobs.get(job_id)).actual_credits_used) == (20, None)
    bank.run(bank.jobs.cancel(job_id))
    bank.run(bank.ledger.grant("ada", -25, "spent elsewhere"))
    with pytest.raises(InsufficientCredits):
        bank.run(bank.jobs.retry(job_id))
    assert bank.run(bank.jobs.get(job_id)).status == "cancelled"
    assert bank.balance() == 25


def test_fifty_submits_at_once_do_not_overdraw(bank: Bank) -> None:
    bank.user(opening=100)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(bank.submit("ada", 7) for _ in range(50)), return_exceptions=True)

    answers = bank.run(all_at_once())
    taken = [a for a in answers if isinstance(a, Job)]
    assert len(taken) == 14
    assert all(isinstance(a, InsufficientCredits) for a in answers if not isinstance(a, Job))
    assert bank.balance() == 100 - 14 * 7
    assert len(bank.run(bank.jobs.sequences([j.id for j in taken]))) == 14
    assert sum(bank.run(bank.jobs.counts("ada")).values()) == 14, "what could not be paid for is not there"


def test_endings_and_submits_at_once_keep_the_ledger_whole(bank: Bank) -> None:
    bank.user(opening=1000)
    works = [bank.work(f"w{i}") for i in range(12)]
    ids = [bank.job(cost=10) for _ in works]

    async def end(work: Work, job_id: str) -> None:
        assert await work.claim(job_id) is not None
        await delivered(work, job_id, 9)

    async def all_at_once() -> list[Any]:
        ends = [end(work, job_id) for work, job_id in zip(works, ids, strict=True)]
        return await asyncio.gather(*ends, *(bank.submit("ada", 5) for _ in range(12)))

    bank.run(all_at_once())
    assert bank.balance() == 1000 - 12 * 9 - 12 * 5


def test_who_is_not_metered_moves_nothing(bank: Bank) -> None:
    bank.user()
    job_id, work = bank.job(cost=30, metered=False), bank.work()
    bank.run(work.claim(job_id))
    bank.run(delivered(work, job_id, 28))
    job = bank.run(bank.jobs.get(job_id))
    assert (job.estimated_credits, job.actual_credits_used) == (30, 28), "told, not charged"
    assert bank.kinds() == []


def test_grants(bank: Bank) -> None:
    bank.user()
    bank.run(bank.ledger.grant("ada", 50, "a gift"))
    moved = bank.run(bank.ledger.grant("ada", -20, "a mistake"))
    assert (moved.balance, moved.reason, moved.seq) == (30, "a mistake", 2)
    with pytest.raises(InsufficientCredits, match="takes 31 credits, and the account has 30"):
        bank.run(bank.ledger.grant("ada", -31, "too much"))
    with pytest.raises(NotFound):
        bank.run(bank.ledger.grant("nobody", 1, "lost"))
    page = bank.run(bank.ledger.movements("ada", before=2))
    assert [m.seq for m in page] == [1]
    assert bank.balance() == 30


# --- turns


def limited(bank: Bank, name: str, at_once: int) -> Work:
    return Work(bank.database, name, 30, bank.clock, at_once=lambda tier: at_once if tier == "free" else 0)


def test_jobs_over_the_limit_wait_their_turn_and_say_so(bank: Bank) -> None:
    bank.user()
    bank.user("bob")
    first, second, third = (bank.job() for _ in range(3))
    other, work = bank.job("bob"), limited(bank, "w1", 1)
    assert bank.run(work.claim(third)) is None, "it does not overtake"
    assert bank.run(work.claim(first)) is not None
    assert bank.run(work.claim(second)) is None
    assert bank.run(work.claim(other)) is not None, "somebody else's does not wait"
    job = bank.run(bank.jobs.get(second))
    assert job.status == "queued"
    assert job.message == "Waiting for its turn: 1 job runs at once on the tier free"
    assert bank.run(bank.jobs.events(second))[-1].data["message"] == job.message
    bank.clock.now += 20
    assert list(bank.run(work.due())) == [], "nobody rings for what waits"
    bank.run(work.complete(first, [], {}, "Done"))
    assert list(bank.run(work.due())) == [second], "the one that waits longest is next, at once"
    assert bank.run(work.claim(second)) is not None
    assert bank.run(work.claim(third)) is None


def test_a_job_that_waits_can_be_cancelled_and_passes_its_turn_on(bank: Bank) -> None:
    bank.user()
    first, second, third = (bank.job() for _ in range(3))
    work = limited(bank, "w1", 1)
    assert bank.run(work.claim(first)) is not None
    assert [bank.run(work.claim(i)) for i in (second, third)] == [None, None]
    bank.run(work.fail(first, Failure("x", "no"), 1))
    assert bank.run(bank.jobs.cancel(second)).status == "cancelled"
    bank.clock.now += 11
    assert third in bank.run(work.due())
    assert bank.run(work.claim(third)) is not None


def test_another_tier_lets_more_run(bank: Bank) -> None:
    bank.user()
    first, second = bank.job(), bank.job()
    work = limited(bank, "w1", 1)
    bank.run(work.claim(first))
    assert bank.run(work.claim(second)) is None
    bank.run(bank.users.change("ada", tier="pro"))
    assert list(bank.run(work.due())) == [second]
    assert bank.run(work.claim(second)) is not None


def test_workers_that_race_keep_the_limit(bank: Bank) -> None:
    bank.user()
    ids = [bank.job() for _ in range(10)]
    works = [limited(bank, f"w{i}", 2) for i in range(10)]

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(w.claim(i) for w, i in zip(works, ids, strict=True)))

    claims = [c for c in bank.run(all_at_once()) if c]
    assert {c.job.id for c in claims} <= set(ids[:2])
    assert bank.run(bank.jobs.counts("ada"))["processing"] == len(claims) <= 2


def test_racing_endings_and_claims_leave_nobody_asleep(bank: Bank) -> None:
    """The last of a user's jobs must get its turn whichever of ending and claiming commits first."""
    bank.user()
    for _ in range(8):
        first, second = bank.job(), bank.job()
        one, two = limited(bank, "w1", 1), limited(bank, "w2", 1)
        assert bank.run(one.claim(first)) is not None

        async def race(one: Work = one, two: Work = two, first: str = first, second: str = second) -> Any:
            return (await asyncio.gather(one.complete(first, [], {}, "Done"), two.claim(second)))[1]

        claim = bank.run(race())
        if claim is None:
            assert second in bank.run(two.due())
            assert bank.run(two.claim(second)) is not None
        bank.run(two.complete(second, [], {}, "Done"))


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
    bank.run(bank.users.remove("ada"))
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

    from vtid import config
    from vtid.accounts import local_key, prepare
    from vtid.app import App
    from vtid.db.migrate import MIGRATIONS

    (tmp_path / "vtid.toml").write_text(f'data.path = "{tmp_path}"\n')
    script = Alembic()
    script.set_main_option("script_location", str(MIGRATIONS))
    script.set_main_option("path_separator", "os")
    script.set_main_option("sqlalchemy.url", f"sqlite:///{tmp_path / 'vtid.db'}")
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
