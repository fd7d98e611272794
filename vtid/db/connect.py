"""Connections: SQLite set up so that concurrent writers queue instead of failing, or PostgreSQL as it comes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from vtid.errors import DiskFull, Unavailable

BUSY_TIMEOUT_MS = 15_000
READERS = 4
"""Threads that read SQLite: more would wait for each other in Python."""
T = TypeVar("T")


def normalise_url(url: str) -> str:
    """Accept `postgres://`, `postgresql://` and `sqlite:///` without the driver's name."""
    parsed = make_url(url)
    driver = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return parsed.set(drivername=driver.get(parsed.drivername, parsed.drivername)).render_as_string(hide_password=False)


class Database:
    """A pool of connections and the two kinds of transaction.

    Args:
        url: SQLAlchemy's, with or without a driver.
    """

    def __init__(self, url: str) -> None:
        self.url = normalise_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self._engine = create_async_engine(
            self.url,
            json_serializer=lambda v: msgspec.json.encode(v).decode(),
            json_deserializer=msgspec.json.decode,
            pool_pre_ping=not self.is_sqlite,
            # Every transaction below ends in a commit or a rollback: one more rollback would only cost time.
            pool_reset_on_return=None,
            hide_parameters=True,  # of a statement that failed: its values are in no log
        )
        self._reader = self._writer = None
        if self.is_sqlite:
            _prepare_sqlite(self._engine.sync_engine)
            if self.path is not None:
                self._reader = _Threads(self.path, READERS, vtid_readonly=True)
                self._writer = _Threads(self.path, 1)

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database, None otherwise."""
        name = make_url(self.url).database
        return Path(name) if self.is_sqlite and name else None

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write. On SQLite it takes the write lock at once, so that it never fails half-way.

        Args:
            durable: on the disk before it returns, so that a power cut cannot take it back; costs a flush on SQLite.
                A killed process takes nothing back either way.
        """
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(vtid_durable=durable)
                async with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise _translated(error) from error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads: never waits for a writer."""
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(vtid_readonly=True)
                async with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise _translated(error) from error

    async def snapshot(self, read: Callable[[Connection], T]) -> T:
        """Run a function that only reads, on one state of the database.

        For what is asked often: on SQLite the function goes to a thread once, where `read` goes there for every step of
        every statement, which costs several times what the database does.
        """
        try:
            if self._reader is not None:
                return await self._reader.run(read)
            async with self._engine.connect() as connection, connection.begin():
                return await connection.run_sync(read)
        except DBAPIError as error:
            raise _translated(error) from error

    async def change(self, change: Callable[[Connection], T], *, durable: bool = False) -> T:
        """Run a function that may write, as one transaction: beside `write` what `snapshot` is beside `read`.

        Args:
            change: what to do; nothing of it stays where it raises.
            durable: as `write` has it.
        """
        try:
            if self._writer is not None:
                return await self._writer.run(change, vtid_durable=durable)
            async with self._engine.connect() as connection, connection.begin():
                return await connection.run_sync(change)
        except DBAPIError as error:
            raise _translated(error) from error

    async def ping(self) -> None:
        """Raise `Unavailable` unless the database answers."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give every connection back."""
        await self._engine.dispose()
        for threads in (self._reader, self._writer):
            if threads is not None:
                await asyncio.to_thread(threads.close)


class _Threads:
    """Threads that use SQLite, with connections of their own.

    Args:
        path: of the file.
        count: of threads.
        options: of execution, for all that they do.
    """

    def __init__(self, path: Path, count: int, **options: Any) -> None:
        url = URL.create("sqlite", database=str(path))
        self._engine = create_engine(
            url,
            execution_options=options,
            json_deserializer=msgspec.json.decode,
            pool_reset_on_return=None,
            pool_size=count,
            connect_args={"check_same_thread": False},
        )
        _prepare_sqlite(self._engine)
        self._threads = ThreadPoolExecutor(count, "vtid-db")

    async def run(self, work: Callable[[Connection], T], **options: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work, options)

    def _run(self, work: Callable[[Connection], T], options: dict[str, Any]) -> T:
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            return work(connection)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        self._engine.dispose()


def _prepare_sqlite(engine: Any) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling defers the write lock, which makes concurrent
        # read-modify-write fail or, worse, lose updates; we begin transactions ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON", "synchronous=NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        options = connection.get_execution_options()
        wanted = "FULL" if options.get("vtid_durable") else "NORMAL"
        if connection.info.get("synchronous", "NORMAL") != wanted:
            connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
            connection.info["synchronous"] = wanted
        connection.exec_driver_sql("BEGIN" if options.get("vtid_readonly") else "BEGIN IMMEDIATE")


def _translated(error: DBAPIError) -> Exception:
    """What the database's failure means for the person who reads it; programming errors stay as they are."""
    cause = error.orig
    words = str(cause)
    if "disk is full" in words or "disk I/O error" in words:
        return DiskFull("The disk that holds the database is full.", suggestion="Free some space; nothing was lost.")
    if isinstance(cause, sqlite3.OperationalError) or error.connection_invalidated or "Connect" in type(cause).__name__:
        return Unavailable(f"The database does not answer: {words}")
    return error
