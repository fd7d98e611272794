"""The database on SQLite, and on PostgreSQL where one answers: the same promises."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vtid.db import Assets, Calls, Database, JobFilter, Jobs, Kept, LeaseLost, NewJob, Repeats, Work, migrate
from vtid.domain.artifact import Asset
from vtid.domain.job import Failure, Job, JobStatus, StepStatus
from vtid.domain.pipeline import Pipeline, Step
from vtid.engine.bridge import Bridge
from vtid.errors import Conflict, InvalidInput, NotFound

POSTGRES = "postgresql://postgres@127.0.0.1:5432"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Db:
    def __init__(self, url: str, bridge: Bridge) -> None:
        self.database = Database(url)
        self.clock = Clock()
        self.jobs = Jobs(self.database, self.clock)
        self.repeats = Repeats(self.database, self.clock)
        self.assets = Assets(self.database, self.clock)
        self.run = bridge.run

    def work(self, name: str = "w1") -> Work:
        return Work(self.database, name, 30, self.clock)

    def add(self, **changes: Any) -> str:
        job = Job(
            id=str(uuid.uuid4()),
            status=JobStatus.QUEUED,
            pipeline=Pipeline("p", "P", (Step("a", "x.y"), Step("b", "x.y"))),
            params={},
            inputs={},
            original_filename="clip.mp4",
            **changes,
        )
        self.run(self.jobs.add(NewJob(job)))
        return job.id


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    psycopg = pytest.importorskip("psycopg", reason="the extra vtid[postgres] is not installed")
    name = f"vtid_test_{uuid.uuid4().hex[:12]}"
    try:
        admin = psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432")
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{POSTGRES}/{name}"
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def db(request: pytest.FixtureRequest, tmp_path: Path, bridge: Bridge) -> Iterator[Db]:
    with contextlib.ExitStack() as stack:
        url = (
            f"sqlite:///{tmp_path / 'vtid.db'}"
            if request.param == "sqlite"
            else stack.enter_context(postgres_database())
        )
        db = Db(url, bridge)
        migrate(db.database.url)
        yield db
        bridge.run(db.database.close())


def test_a_job_goes_through_its_life(db: Db) -> None:
    job_id, work = db.add(), db.work()
    claim = db.run(work.claim(job_id))
    assert claim is not None
    job = claim.job
    assert (job.status, job.worker_id, job.lease_until) == ("processing", "w1", 1030.0)
    assert db.run(db.work("w2").claim(job_id)) is None
    db.run(work.progress(job_id, "a", 0.5, job_progress=25, message="half"))
    db.run(work.complete(job_id, [], {"k": 1}, "Done"))
    job = db.run(db.jobs.get(job_id))
    assert (job.status, job.progress, job.metadata, job.worker_id) == ("completed", 100, {"k": 1}, None)
    events = db.run(db.jobs.events(job_id))
    assert [e.type for e in events] == ["status", "status", "status"], "progress is not kept after the end"
    assert events[-1].data["status"] == "completed"
    assert [e.seq for e in db.run(db.jobs.events(job_id, after=events[1].seq))] == [events[2].seq]


def test_an_expired_lease_passes_on_and_counts_as_lost(db: Db) -> None:
    job_id, first, second = db.add(), db.work("w1"), db.work("w2")
    db.run(first.claim(job_id))
    run = db.run(db.jobs.runs(job_id))[0]
    run.status = StepStatus.RUNNING
    db.run(first.save_run(job_id, run, job_progress=1))
    db.clock.now += 31
    assert list(db.run(second.due())) == [job_id]
    assert db.run(second.claim(job_id)) is not None
    assert [(r.status, r.lost) for r in db.run(db.jobs.runs(job_id))] == [("pending", 1), ("pending", 0)]
    for late in (
        first.progress(job_id, "a", 0.9, job_progress=90, message="late"),
        first.fail(job_id, Failure("x", "late"), 1),
        first.effects.begin(job_id, "a", "pay"),
        first.hand_back(job_id),
        first.suspend(job_id, 0, [], job_progress=1, message=None),
    ):
        with pytest.raises(LeaseLost):
            db.run(late)
    assert db.run(first.orphaned([job_id])) == {job_id}
    assert db.run(second.orphaned([job_id])) == set()


def test_renewing_keeps_a_job(db: Db) -> None:
    job_id, work = db.add(), db.work()
    db.run(work.claim(job_id))
    for _ in range(3):
        db.clock.now += 20
        db.run(work.renew([job_id], host="h", pid=1, slots=2, labels=["gpu"]))
    assert db.run(db.work("w2").claim(job_id)) is None
    assert [w["labels"] for w in db.run(db.jobs.workers(0))] == [["gpu"]]
    db.run(work.retire())
    assert db.run(db.jobs.workers(0)) == []


def test_a_suspended_job_wakes_when_it_is_due(db: Db) -> None:
    job_id, work = db.add(), db.work()
    db.run(work.claim(job_id))
    db.run(work.suspend(job_id, db.clock.now + 60, [], job_progress=10, message="waiting"))
    db.clock.now += 59
    assert (list(db.run(work.due())), db.run(work.claim(job_id))) == ([], None)
    db.clock.now += 2
    assert list(db.run(work.due())) == [job_id]
    assert db.run(work.claim(job_id)) is not None


def test_steps_that_wait_are_roused_one_after_another(db: Db) -> None:
    failure = Failure("step_crashed", "the disk was full")
    waits = {"later": None, "again": failure, "soon": None}
    ids = {name: db.add() for name in waits}
    for at, (name, error) in enumerate(waits.items()):
        work = db.work(f"w{at}")
        db.run(work.claim(ids[name]))
        run = db.run(db.jobs.runs(ids[name]))[0]
        run.status, run.error, run.wake_at = StepStatus.WAITING, error, db.clock.now + (5 if name == "soon" else 3600)
        db.run(work.suspend(ids[name], run.wake_at, [run], job_progress=1, message="waiting"))
    assert list(db.run(Calls(db.database, db.clock).rouse(per_second=0.1))) == [ids["soon"], ids["later"]]
    wakes = {name: (db.run(db.jobs.get(i)).wake_at or 0) - db.clock.now for name, i in ids.items()}
    assert wakes == {"soon": 0, "later": 10, "again": 3600}
    assert db.run(db.jobs.runs(ids["later"]))[0].wake_at == db.clock.now + 10


def test_what_once_knows(db: Db) -> None:
    job_id, work = db.add(), db.work()
    db.run(work.claim(job_id))
    once = work.effects
    first, _ = db.run(once.begin(job_id, "a", "pay"))
    assert (first.done, first.doubtful) == (False, False)
    again, _ = db.run(once.begin(job_id, "a", "pay"))
    assert (again.token, again.doubtful) == (first.token, True)
    db.run(once.end(job_id, "a", "pay", "sealed text"))
    done, sealed = db.run(once.begin(job_id, "a", "pay"))
    assert (done.done, sealed, done.doubtful) == (True, "sealed text", False)
    assert db.run(once.begin(job_id, "b", "pay"))[0].token != first.token
    db.run(once.forget(job_id, "a", "pay"))
    assert db.run(once.begin(job_id, "a", "pay"))[0].token != first.token


def test_cancel_and_retry(db: Db) -> None:
    job_id, work = db.add(), db.work()
    assert db.run(db.jobs.cancel(job_id)).status == "cancelled"
    assert db.run(db.jobs.cancel(job_id)).status == "cancelled"
    assert db.run(work.claim(job_id)) is None
    assert db.run(db.jobs.retry(job_id)).status == "queued"
    db.run(work.claim(job_id))
    assert db.run(db.jobs.cancel(job_id)).cancel_requested
    assert db.run(work.orphaned([job_id])) == {job_id}
    db.run(work.cancelled(job_id, 10))
    db.run(db.jobs.retry(job_id))
    with pytest.raises(Conflict):
        db.run(db.jobs.retry(job_id))
    with pytest.raises(Conflict, match="cancel it first"):
        db.run(db.jobs.delete(job_id))


def test_a_worker_that_died_while_it_was_to_cancel(db: Db) -> None:
    job_id = db.add()
    db.run(db.work("w1").claim(job_id))
    db.run(db.jobs.cancel(job_id))
    db.clock.now += 31
    assert db.run(db.work("w2").claim(job_id)) is None
    assert db.run(db.jobs.get(job_id)).status == "cancelled"


def test_the_dead_of_this_machine_are_buried_at_once(db: Db) -> None:
    job_id, dead, living = db.add(), db.work("dead"), db.work("living")
    db.run(dead.claim(job_id))
    db.run(dead.renew([job_id], host="here", pid=11, slots=1, labels=[]))
    db.run(db.work("far").renew([], host="there", pid=11, slots=1, labels=[]))
    assert db.run(living.bury("here", lambda pid, _: pid != 11)) == ["dead"]
    assert db.run(living.claim(job_id)) is not None
    assert [w["id"] for w in db.run(db.jobs.workers(0))] == ["far"]


def test_pages_filters_and_other_peoples_jobs(db: Db) -> None:
    ids = []
    for i in range(5):
        db.clock.now += i % 2  # two jobs of one moment: the id breaks the tie
        ids.append(db.add(display_name=f"Film {i}"))
    other = db.add(user_id="somebody")
    seen: list[str] = []
    before = None
    while page := db.run(db.jobs.list(JobFilter(user_id="local", before=before, limit=2))):
        seen += [j.id for j in page]
        before = (page[-1].created_at, page[-1].id)
    assert sorted(seen) == sorted(ids)
    assert len(seen) == 5
    assert [j.id for j in db.run(db.jobs.list(JobFilter(text="film 3")))] == [ids[3]]
    assert db.run(db.jobs.list(JobFilter(text="%"))) == []
    assert db.run(db.jobs.list(JobFilter(status=JobStatus.FAILED))) == []
    assert db.run(db.jobs.counts())["queued"] == 6
    with pytest.raises(NotFound):
        db.run(db.jobs.get(other, "local"))
    with pytest.raises(NotFound):
        db.run(db.jobs.cancel(other, "local"))


def test_deleting_takes_everything_along(db: Db) -> None:
    job_id = str(uuid.uuid4())
    asset = Asset(str(uuid.uuid4()), "video", "c.mp4", 5_000_000_000, "k", 0.0)
    job = Job(
        id=job_id,
        status=JobStatus.QUEUED,
        pipeline=Pipeline("p", "P", (Step("a", "x.y"),)),
        params={},
        inputs={"video": asset.id},
        original_filename="c",
    )
    db.run(db.jobs.add(NewJob(job, [asset])))
    assert db.run(db.assets.get(asset.id)).size == 5_000_000_000
    db.run(db.jobs.cancel(job_id))
    assert db.run(db.jobs.delete(job_id)) == (["k"], set())
    for gone in (db.jobs.get(job_id), db.assets.get(asset.id)):
        with pytest.raises(NotFound):
            db.run(gone)


def test_only_jobs_in_hand_are_kept(db: Db) -> None:
    slipped, held, work = db.add(), db.add(), db.work()
    for job_id in (slipped, held):
        db.run(work.claim(job_id))
    db.clock.now += 20
    db.run(work.renew([held], host="h", pid=1, slots=1, labels=[]))
    db.clock.now += 20
    assert db.run(db.work("w2").claim(held)) is None
    assert db.run(db.work("w2").claim(slipped)) is not None


def test_a_file_that_another_job_works_on_stays(db: Db) -> None:
    first = str(uuid.uuid4())
    asset = Asset(str(uuid.uuid4()), "video", "c.mp4", 5, "k", 0.0)
    pipeline = Pipeline("p", "P", (Step("a", "x.y"),))
    made = {"status": JobStatus.QUEUED, "pipeline": pipeline, "params": {}, "inputs": {"video": asset.id}}
    db.run(db.jobs.add(NewJob(Job(id=first, original_filename="c", **made), [asset])))
    db.run(db.jobs.cancel(first))
    second = Job(id=str(uuid.uuid4()), original_filename="c", **made)
    db.run(db.jobs.add(NewJob(second)))
    with pytest.raises(Conflict, match=second.id):
        db.run(db.jobs.delete(first))
    db.run(db.jobs.cancel(second.id))
    assert db.run(db.jobs.delete(first)) == (["k"], set())
    db.run(db.jobs.retry(second.id))
    claim = db.run(db.work().claim(second.id))
    assert claim is not None
    assert claim.assets == {}, "its turn then fails in words"


def test_idempotency_keys(db: Db) -> None:
    assert db.run(db.repeats.reserve("u", "k", "h1")) is None
    with pytest.raises(Conflict, match="still being taken in"):
        db.run(db.repeats.reserve("u", "k", "h1"))
    with pytest.raises(InvalidInput, match="another request"):
        db.run(db.repeats.reserve("u", "k", "h2"))
    assert db.run(db.repeats.reserve("v", "k", "h2")) is None
    db.run(db.repeats.forget("u", "k"))
    assert db.run(db.repeats.reserve("local", "k", "h")) is None
    job = Job(
        id=str(uuid.uuid4()),
        status=JobStatus.QUEUED,
        pipeline=Pipeline("p", "P", (Step("a", "x.y"),)),
        params={},
        inputs={},
        original_filename="c",
    )
    db.run(db.jobs.add(NewJob(job, idempotency_key="k")))
    assert db.run(db.repeats.reserve("local", "k", "h")) == Kept(job.id, None)


def test_many_writers_lose_nothing(db: Db) -> None:
    job_id, work = db.add(), db.work()
    db.run(work.claim(job_id))

    async def storm() -> None:
        await asyncio.gather(*(work.log(job_id, "a", "info", f"line {i}", {}) for i in range(50)))

    db.run(storm())
    events = db.run(db.jobs.events(job_id))
    assert [e.seq for e in events] == list(range(1, 53))
    assert len({e.data["event"] for e in events if e.type == "log"}) == 50


def test_what_must_not_be_repeated_is_on_the_disk_at_once(tmp_path: Path, bridge: Bridge) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")

    async def levels() -> list[int]:
        found = []
        for durable in (False, True, False):
            async with database.write(durable=durable) as c:
                found.append((await c.exec_driver_sql("PRAGMA synchronous")).scalar_one())
        await database.close()
        return found

    assert bridge.run(levels()) == [1, 2, 1], "1 is NORMAL, 2 is FULL"
