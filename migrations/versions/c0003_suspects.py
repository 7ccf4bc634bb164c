"""Jobs during which a worker died, and since when an intake has been in its state

Revision: c0003
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import UtcDateTime

revision = "c0003"
down_revision = "c0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_job", sa.Column("suspect", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_core_job_suspect",
        "core_job",
        ["state"],
        unique=False,
        sqlite_where=sa.text("suspect"),
        postgresql_where=sa.text("suspect"),
    )
    op.add_column("core_intake", sa.Column("since", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("core_intake", "since")
    op.drop_index("ix_core_job_suspect", "core_job")
    op.drop_column("core_job", "suspect")
