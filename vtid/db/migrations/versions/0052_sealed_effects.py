"""What steps did once is sealed, and forgotten when the job went well."""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    op.add_column("effects", sa.Column("sealed", sa.Text(), nullable=True))
    op.execute("DELETE FROM effects WHERE job_id IN (SELECT id FROM jobs WHERE status = 'completed')")
