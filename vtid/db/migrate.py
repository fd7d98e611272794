"""Bring the database to the present schema: on start, under a lock, after a backup of the file."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from vtid.db.tables import metadata
from vtid.errors import Unavailable

HEAD = "0062"
"""The newest revision; a test keeps it equal to the versions folder. An up-to-date start then needs no Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"

LOCK = 0x76746964
"""Of PostgreSQL's advisory locks."""

_versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own, as it would make it."""


def migrate(url: str) -> str | None:
    """Apply what is missing.

    Args:
        url: SQLAlchemy's, with its async driver.

    Returns:
        The path of the backup that was made, or None where there was nothing to back up or nothing to do.
    """
    path = make_url(url).database if url.startswith("sqlite") else None
    if path is None:
        _migrate_postgres(url)
        return None
    file = Path(path)
    if _revision(file) == HEAD:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    with _lock(file.with_suffix(".migrating")):
        before = _revision(file)
        if before == HEAD:
            return None
        if not file.exists() or not file.stat().st_size:  # new, or of a start that was killed before it was done
            file.touch(mode=0o600)  # SQLite gives its other files the mode of the first
            with _transaction(url) as connection:
                _create(connection)
            return None
        backup = _backup(file, before) if before else None
        with _transaction(url) as connection:
            _upgrade(connection)
        return backup


def _migrate_postgres(url: str) -> None:
    with _transaction(url) as connection:
        # Daemon and workers may start together; the lock goes with the transaction, also where its holder is killed.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        if not inspect(connection).has_table(_versions.name):
            _create(connection)
        elif connection.execute(select(_versions.c.version_num)).scalar() != HEAD:
            _upgrade(connection)


def _create(connection: Connection) -> None:
    """Make the tables as they are now: what the migrations would come to, in a tenth of the time."""
    metadata.create_all(connection, checkfirst=False)
    _versions.create(connection)
    connection.execute(_versions.insert().values(version_num=HEAD))


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
    target.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return str(target)


def _upgrade(connection: Connection) -> None:
    # Imported here: it costs a fifth of a second, and most starts have nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextlib.contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    """One transaction for all that is done, definitions of tables too.

    SQLite's driver, left to itself, commits before each definition: a process that is killed between two of them would
    leave tables that the next start trips over, and each one would wait for the disk.
    """
    engine = create_engine(url.replace("+aiosqlite", "").replace("+asyncpg", "+psycopg"), poolclass=NullPool)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def _on_begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error.orig}") from error
