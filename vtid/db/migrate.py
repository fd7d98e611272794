"""Bring the database to the present schema: on start, under a lock, after a backup of the file."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from vtid.errors import Unavailable

HEAD = "0030"
"""The newest revision; a test keeps it equal to the versions folder. An up-to-date start then needs no Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str) -> str | None:
    """Apply what is missing.

    Args:
        url: SQLAlchemy's, with its async driver.

    Returns:
        The path of the backup that was made, or None where there was nothing to back up or nothing to do.
    """
    path = make_url(url).database if url.startswith("sqlite") else None
    if path is None:
        _upgrade(_sync(url))
        return None
    file = Path(path)
    if _revision(file) == HEAD:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    with _lock(file.with_suffix(".migrating")):
        before = _revision(file)
        if before == HEAD:
            return None
        backup = _backup(file, before) if before else None
        _upgrade(_sync(url))
        return backup


def _sync(url: str) -> str:
    return url.replace("+aiosqlite", "").replace("+asyncpg", "+psycopg")


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Daemon and workers may start together; one of them migrates."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _revision(file: Path) -> str | None:
    if not file.exists():
        return None
    with contextlib.closing(sqlite3.connect(file)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return str(row[0]) if row else None


def _backup(file: Path, revision: str) -> str:
    """SQLite's own online copy: sound even while somebody writes."""
    target = file.with_name(f"{file.name}.before-{HEAD}-from-{revision}")
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return str(target)


def _upgrade(url: str) -> None:
    # Imported here: it costs a fifth of a second, and most starts have nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error.orig}") from error
