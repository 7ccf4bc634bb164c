"""Epochs, and what of a delivery became unclear by a restore

Revision: c0004
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from smhub.db.types import UtcDateTime

revision = "c0004"
down_revision = "c0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    epochs = op.create_table(
        "core_epoch",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("backup_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_core_epoch")),
    )
    # A hub that is older than this table began with its first organisation.
    began = op.get_bind().execute(
        sa.select(sa.func.min(sa.column("created_at", UtcDateTime()))).select_from(sa.table("core_organisation"))
    )
    first = {"number": 1, "began_at": began.scalar_one() or datetime.now(UTC), "reason": "begun"}
    op.bulk_insert(epochs, [first])
    op.add_column("core_delivery", sa.Column("restored_from", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("core_delivery", "restored_from")
    op.drop_table("core_epoch")
