"""Which jobs a list shows, and in which order."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_

from vtid.db.rows import JOB
from vtid.db.tables import jobs
from vtid.domain.job import JobStatus


class JobFilter(Struct, frozen=True):
    """Which jobs to list, newest first."""

    user_id: str | None = None
    status: JobStatus | None = None
    pipeline: str | None = None
    text: str | None = None
    """Part of a file name, display name or id, in any case."""
    before: tuple[float, str] | None = None
    """The `(created_at, id)` of the last job of the page before."""
    limit: int = 50
    offset: int = 0
    """So many are left out. A page far behind costs more than one that begins at `before`."""


def page_of(wanted: JobFilter) -> Select[Any]:
    """A page of jobs, newest first; the id breaks ties."""
    where = _where(wanted)
    if wanted.before:
        # As a row, which both databases look up in the index; spelt out with OR they would walk to it.
        where.append(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(*wanted.before))
    newest_first = select(*JOB).where(*where).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    return newest_first.limit(wanted.limit).offset(wanted.offset or None)


def count_of(wanted: JobFilter) -> Select[Any]:
    """How many jobs there are of those, on all pages."""
    return select(func.count()).select_from(jobs).where(*_where(wanted))


def _where(wanted: JobFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.user_id:
        where.append(jobs.c.user_id == wanted.user_id)
    if wanted.status:
        where.append(jobs.c.status == wanted.status.value)
    if wanted.pipeline:
        where.append(jobs.c.pipeline_name == wanted.pipeline)
    if wanted.text:
        columns = (jobs.c.original_filename, jobs.c.display_name, jobs.c.id)
        where.append(or_(*(c.icontains(wanted.text, autoescape=True) for c in columns)))
    return where
