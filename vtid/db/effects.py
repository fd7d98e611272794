"""What steps do once: the intent on the disk before the call goes out, its value before the step goes on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.tables import effects
from vtid.sdk import Recorded


class Effects:
    """What the steps of a worker's jobs did once.

    Values are sealed where they are made: links that somebody signed are among them. They go with their job, and
    when it has ended well.

    Args:
        database: the truth.
        clock: seconds since the epoch.
        hold: raises `LeaseLost` where a job is not this worker's any more.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        hold: Callable[[AsyncConnection, str], Coroutine[Any, Any, None]],
    ) -> None:
        self._db = database
        self._clock = clock
        self._hold = hold

    async def begin(self, job_id: str, step_id: str, key: str) -> tuple[Recorded, str | None]:
        """Store the intent of a call, or say what is known of an earlier one; its value comes sealed, beside."""
        async with self._db.read() as c:  # most often a step that polls asks for what is done; readers wait for nobody
            row = (await c.execute(select(effects).where(_one(job_id, step_id, key)))).mappings().one_or_none()
            if row is not None:
                token, done = row["token"], row["done"]
                return Recorded(token, done, row["value"], doubtful=not done, began_at=row["began_at"]), row["sealed"]
        async with self._db.write(durable=True) as c:
            await self._hold(c, job_id)
            fresh = Recorded(str(uuid.uuid4()), began_at=self._clock())
            place = {"job_id": job_id, "step_id": step_id, "key": key}
            await c.execute(insert(effects).values(token=fresh.token, began_at=fresh.began_at, done=False, **place))
            return fresh, None

    async def end(self, job_id: str, step_id: str, key: str, sealed: str) -> None:
        """Store a call's value. Not guarded by the lease: the call happened, whoever has the job now."""
        done = {"done": True, "sealed": sealed, "ended_at": self._clock()}
        async with self._db.write(durable=True) as c:
            await c.execute(update(effects).where(_one(job_id, step_id, key)).values(done))

    async def forget(self, job_id: str, step_id: str, key: str) -> None:
        """Remove a call's record, so that it may be made again."""
        async with self._db.write() as c:
            await c.execute(delete(effects).where(_one(job_id, step_id, key)))


async def drop_effects(connection: AsyncConnection, job_id: str) -> None:
    """Remove all that a job's steps did once: it has ended well, and nobody retries it."""
    await connection.execute(delete(effects).where(effects.c.job_id == job_id))


def _one(job_id: str, step_id: str, key: str) -> ColumnElement[bool]:
    return and_(effects.c.job_id == job_id, effects.c.step_id == step_id, effects.c.key == key)
