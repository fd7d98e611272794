"""Requests to process clips."""

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    op.create_table(
        "clip_requests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("completed_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clip_requests")),
    )
    op.create_index(op.f("ix_clip_requests_user_id"), "clip_requests", ["user_id"], unique=False)
    op.create_table(
        "clip_jobs",
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("clip_id", sa.String(length=200), nullable=False),
        sa.Column("given", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["clip_requests.id"], name=op.f("fk_clip_jobs_request_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("request_id", "position", name=op.f("pk_clip_jobs")),
    )
    op.create_index(op.f("ix_clip_jobs_job_id"), "clip_jobs", ["job_id"], unique=False)
