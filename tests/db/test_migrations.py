"""The tables: made anew, brought up to date, never left half done."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.db.test_database import postgres_database
from vtid.db import migrate


def before_the_first(path: Path) -> str:
    """The URL of a database to which every migration has still to come."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    return f"sqlite+aiosqlite:///{path}"


def shape(path: Path) -> dict[str, Any]:
    """Every table's columns, keys and indexes, as sets."""
    with contextlib.closing(sqlite3.connect(path)) as connection:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        names = [name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
        # But for the defaults: they were for the rows that were there when a column came.
        columns = {n: {(*row[1:4], row[5]) for row in ask(f"PRAGMA table_xinfo({n})")} for n in names}
        keys = {name: {row[2:] for row in ask(f"PRAGMA foreign_key_list({name})")} for name in names}
        indexes = {" ".join(sql.split()) for (sql,) in ask("SELECT sql FROM sqlite_master WHERE type = 'index'") if sql}
        version = ask("SELECT version_num FROM alembic_version")
    return {"columns": columns, "keys": keys, "indexes": indexes, "version": version}


def test_the_tables_are_what_the_migrations_make(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from vtid.db.tables import metadata

    migrate(before_the_first(tmp_path / "old.db"))
    with create_engine(f"sqlite:///{tmp_path / 'old.db'}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    migrate(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")
    assert shape(tmp_path / "new.db") == shape(tmp_path / "old.db")


def test_a_start_that_breaks_off_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fail(_: object) -> None:
        raise KeyboardInterrupt

    url, fresh = before_the_first(tmp_path / "old.db"), f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    with monkeypatch.context() as patch:
        patch.setattr(op, "execute", fail)  # of one of the last migrations
        with pytest.raises(KeyboardInterrupt):
            migrate(url)
    assert list(shape(tmp_path / "old.db")["columns"]) == ["alembic_version"]
    module = importlib.import_module(migrate.__module__)
    with monkeypatch.context() as patch:
        patch.setattr(module._versions, "create", fail)
        with pytest.raises(KeyboardInterrupt):
            migrate(fresh)
    assert (tmp_path / "new.db").stat().st_size == 0
    assert migrate(url) is None
    assert migrate(fresh) is None
    assert shape(tmp_path / "new.db") == shape(tmp_path / "old.db")


def test_head_is_the_newest_revision() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from vtid.db.migrate import HEAD, MIGRATIONS

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_an_older_database_is_backed_up_before_it_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(migrate.__module__)
    path = tmp_path / "x.db"
    url = f"sqlite+aiosqlite:///{path}"
    assert migrate(url) is None, "a fresh database needs no backup"
    assert migrate(url) is None, "nothing to do"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.execute("INSERT INTO workers VALUES ('w', 'h', 1, 1, '[]', 0, 0)")
        connection.commit()
    upgraded: list[str] = []
    monkeypatch.setattr(module, "_upgrade", upgraded.append)
    backup = migrate(url)
    assert backup is not None
    assert len(upgraded) == 1
    with contextlib.closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT id FROM workers").fetchall() == [("w",)]


def start_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(migrate, url) for _ in range(4)]:
            future.result()


def test_daemon_and_workers_may_start_at_once(tmp_path: Path) -> None:
    start_at_once(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


@pytest.mark.postgres
@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_in_postgresql_too(old: bool) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine, text

    from vtid.db.migrate import HEAD
    from vtid.db.tables import metadata

    with postgres_database() as url:
        engine = create_engine(url.replace("postgresql", "postgresql+psycopg"))
        if old:
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        start_at_once(url.replace("postgresql", "postgresql+asyncpg"))
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(HEAD,)]
        engine.dispose()
