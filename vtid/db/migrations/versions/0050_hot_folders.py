"""Hot folders, and the files that they took."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0040"


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token", sa.String(length=16), nullable=False),
        sa.Column("declared", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("rescan_at", sa.Float(), nullable=True),
        sa.Column("scanned_at", sa.Float(), nullable=True),
        sa.Column("holder", sa.String(length=100), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_watches")),
    )
    op.create_table(
        "watch_files",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("watch", sa.String(length=100), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("companions", sa.JSON(), nullable=False),
        sa.Column("targets", sa.JSON(), nullable=False),
        sa.Column("kept_at", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.Float(), nullable=False),
        sa.Column("claimed_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watch_files")),
    )
    op.create_index(op.f("ix_watch_files_job_id"), "watch_files", ["job_id"], unique=False)
    op.create_index(op.f("ix_watch_files_watch_state"), "watch_files", ["watch", "state"], unique=False)
    op.create_index(op.f("ix_watch_files_watch_sha256"), "watch_files", ["watch", "sha256"], unique=False)
    columns = ["watch", "claimed_at", "id"]
    op.create_index(op.f("ix_watch_files_watch_claimed_at_id"), "watch_files", columns, unique=False)
