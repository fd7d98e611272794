"""Alembic's entry: the connection that `vtid.db.migrate` opened, the tables of `vtid.db.tables`."""

from alembic import context

from vtid.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,  # Alembic thinks that SQLite cannot; the connection's transaction holds all
)
context.run_migrations()
