"""Jobs that answer for the same work asked for again."""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0052"


def upgrade() -> None:
    op.create_table(
        "derived",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_derived_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_derived")),
    )
    op.create_index(op.f("ix_derived_job_id"), "derived", ["job_id"], unique=False)
    op.create_index(op.f("ix_derived_user_id_content"), "derived", ["user_id", "content"], unique=False)
