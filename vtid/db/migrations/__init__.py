"""Alembic's folder; `vtid.db.migrate` applies what is in `versions`."""
