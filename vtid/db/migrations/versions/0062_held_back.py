"""Why files in a hot folder are not taken yet."""

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0061"


def upgrade() -> None:
    op.add_column("watches", sa.Column("held_back", sa.JSON(), server_default="{}", nullable=False))
