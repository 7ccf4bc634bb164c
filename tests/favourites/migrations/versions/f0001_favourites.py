"""Favourites"""

import sqlalchemy as sa
from alembic import op

from smhub.features import Id, UtcDateTime

revision = "f0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "favourites_favourite",
        sa.Column("organisation_id", Id(), primary_key=True),
        sa.Column("mention_id", Id(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "mention_id"], ["core_mention.organisation_id", "core_mention.id"], ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("favourites_favourite")
