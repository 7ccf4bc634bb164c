"""Listeners with a query and a budget

Revision: c0010
"""

import sqlalchemy as sa
from alembic import op

revision = "c0010"
down_revision = "c0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_listener", sa.Column("query", sa.Text(), nullable=True))
    op.add_column("core_listener", sa.Column("daily_budget", sa.Integer(), nullable=True))
    op.add_column("core_intake", sa.Column("spent", sa.Integer(), server_default="0", nullable=False))
    op.add_column("core_intake", sa.Column("spent_on", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("core_intake", "spent_on")
    op.drop_column("core_intake", "spent")
    op.drop_column("core_listener", "daily_budget")
    op.drop_column("core_listener", "query")
