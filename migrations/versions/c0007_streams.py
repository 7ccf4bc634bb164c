"""Intakes that listen to a stream

Revision: c0007
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import Json, UtcDateTime

revision = "c0007"
down_revision = "c0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_intake", sa.Column("stream_state", sa.Text(), nullable=True))
    op.add_column("core_intake", sa.Column("stream_since", UtcDateTime(), nullable=True))
    op.add_column("core_intake", sa.Column("stream_reason_code", sa.Text(), nullable=True))
    op.add_column("core_intake", sa.Column("stream_reason", sa.Text(), nullable=True))
    op.add_column("core_intake", sa.Column("stream_failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("core_intake", sa.Column("stream_next_at", UtcDateTime(), nullable=True))
    op.add_column("core_intake", sa.Column("stream_heard_at", UtcDateTime(), nullable=True))
    op.add_column("core_intake", sa.Column("stream_cursor", Json(), nullable=True))
    op.create_index("ix_core_intake_stream_due", "core_intake", ["stream_next_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_core_intake_stream_due", table_name="core_intake")
    for name in ("cursor", "heard_at", "next_at", "failures", "reason", "reason_code", "since", "state"):
        op.drop_column("core_intake", f"stream_{name}")
