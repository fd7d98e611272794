"""Callbacks of services outside, which wake the steps that wait for them."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0030"


def upgrade() -> None:
    op.create_table(
        "callbacks",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("step_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("heard", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_callbacks_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "step_id", "key", name=op.f("pk_callbacks")),
    )
