"""Credits, and jobs that wait for their turn, on SQLite, and on PostgreSQL where one answers: the same promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.db.bank import Bank, delivered
from vtid.db import Work
from vtid.domain.job import Failure, Job
from vtid.errors import InsufficientCredits, NotFound

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
