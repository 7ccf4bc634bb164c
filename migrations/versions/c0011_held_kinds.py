"""Holds of posts alone, or of replies alone

Revision: c0011
"""

import sqlalchemy as sa
from alembic import op

revision = "c0011"
down_revision = "c0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_hold", sa.Column("kind", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("core_hold", "kind")
