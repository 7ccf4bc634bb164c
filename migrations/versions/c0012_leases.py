"""Subscriptions that the network confirms, for a time

Revision: c0012
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import UtcDateTime

revision = "c0012"
down_revision = "c0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_hook", sa.Column("confirmed_until", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("core_hook", "confirmed_until")
