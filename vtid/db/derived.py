"""Jobs whose outcome depends on the content of one file alone: asked for again, the first one answers.

The table stands here and not with the others, since nobody else knows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Column, ForeignKey, Index, String, Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.ledger import lock_user
from vtid.db.tables import jobs, metadata
from vtid.domain.artifact import Asset
from vtid.domain.job import JobStatus
from vtid.errors import AlreadyMade

derived = Table(
    "derived",
    metadata,
    Column("user_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),  # of the content, the pipeline and the params
    Column("content", String(64), nullable=False),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Index(None, "user_id", "content"),
)

_GONE_WRONG = (JobStatus.FAILED.value, JobStatus.CANCELLED.value)


class Derivation(Struct, frozen=True):
    """What a job makes of what."""

    digest: str
    content: str

    @classmethod
    def of(cls, asset: Asset, pipeline: str, version: str, params: Mapping[str, Any]) -> Derivation:
        """What a pipeline, in a version of vtid, makes of a file with these params."""
        content = content_of(asset)
        whole = msgspec.json.encode([content, pipeline, version, params], order="deterministic")
        return cls(hashlib.sha256(whole).hexdigest(), content)


def content_of(asset: Asset) -> str:
    """What two files with the same bytes share: their hash; of files that were never hashed, where the bytes lie."""
    return asset.sha256 or hashlib.sha256(asset.key.encode()).hexdigest()


class Derived:
    """What was made already."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def find(self, user_id: str, wanted: Derivation) -> str | None:
        """The id of the job that made it, or is at it; None where there is none, or it went wrong."""
        async with self._db.read() as c:
            return await _standing(c, user_id, wanted)

    async def jobs_of(self, user_id: str, content: str) -> Sequence[str]:
        """The jobs that made something of this content."""
        async with self._db.read() as c:
            mine = select(derived.c.job_id).where(derived.c.user_id == user_id, derived.c.content == content)
            return [str(job_id) for job_id in (await c.execute(mine)).scalars()]


async def note_derived(connection: AsyncConnection, user_id: str, job_id: str, made: Derivation) -> None:
    """Note what a new job makes, in the transaction that adds it.

    Raises:
        AlreadyMade: another job makes the same.
    """
    await lock_user(connection, user_id)  # of two requests at once, one is the first
    if known := await _standing(connection, user_id, made):
        raise AlreadyMade(known)
    mine = (derived.c.user_id == user_id, derived.c.digest == made.digest)
    await connection.execute(delete(derived).where(*mine))
    row = {"user_id": user_id, "digest": made.digest, "content": made.content, "job_id": job_id}
    await connection.execute(insert(derived).values(row))


async def _standing(connection: AsyncConnection, user_id: str, wanted: Derivation) -> str | None:
    found = (
        select(derived.c.job_id)
        .join(jobs, jobs.c.id == derived.c.job_id)
        .where(derived.c.user_id == user_id, derived.c.digest == wanted.digest, jobs.c.status.not_in(_GONE_WRONG))
    )
    return (await connection.execute(found)).scalar_one_or_none()
