"""Alembic's entry: one connection, the tables of `vtid.db.tables`."""

from alembic import context
from sqlalchemy import create_engine, pool

from vtid.db.tables import metadata


def run() -> None:
    """Apply the migrations that were asked for."""
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
        )
        with context.begin_transaction():
            context.run_migrations()


run()
