"""The database with accounts in it, on SQLite, and on PostgreSQL where one answers."""

from __future__ import annotations

import uuid
from collections.abc import Coroutine
from typing import Any

from sqlalchemy import Connection, or_, select

from tests.db.test_database import Db
from vtid.db import Ledger, NewJob, Tokens, Users, Work
from vtid.db.tables import metadata
from vtid.db.tables import webhooks as table_of_webhooks
from vtid.domain.account import Role, User
from vtid.domain.artifact import Artifact
from vtid.domain.job import Job, JobStatus, Result, StepRun, StepStatus
from vtid.domain.media import MediaInfo, VideoStream
from vtid.domain.pipeline import Pipeline, Step
from vtid.engine.bridge import Bridge


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

    def tables_with(self, user_id: str) -> set[str]:
        """Every table that knows of a user, by whatever column says whose a row is."""

        def read(connection: Connection) -> set[str]:
            found = set()
            for table in metadata.sorted_tables:
                owner = table.c.get("user_id", table.c.get("owner"))
                webhooks = select(table_of_webhooks.c.id).where(table_of_webhooks.c.user_id == user_id)
                if (
                    owner is not None
                    and connection.execute(
                        select(owner).where(or_(owner.in_([user_id, f"user:{user_id}"]), owner.in_(webhooks)))
                    ).first()
                ):
                    found.add(table.name)
            return found

        return self.run(self.database.snapshot(read))

    def kinds(self, user_id: str = "ada") -> list[tuple[str, int]]:
        return [(m.kind, m.amount) for m in list(self.run(self.ledger.movements(user_id)))[::-1]]


async def delivered(work: Work, job_id: str, seconds: float) -> None:
    """End a job with a video of that length, and with a report beside it."""
    picture = VideoStream(0, "h264", 64, 36, "yuv420p", 8, "1/25")
    info = MediaInfo("mp4", 1, seconds, video=(picture,))
    film = Artifact(job_id, "a", "video", "video", "f.mp4", 1, "k", 0.0, info)
    run = StepRun(step_id="a", position=0, status=StepStatus.COMPLETED)
    await work.complete_run(job_id, run, [film], job_progress=99, metadata={})
    report = Result("a", "report", "k", "r.json", "file", 1)
    await work.complete(job_id, [report, Result("a", "video", "k", "f.mp4", "video", 1)], {}, "Done")
