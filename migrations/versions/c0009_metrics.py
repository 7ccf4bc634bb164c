"""Figures of what was published

Revision: c0009
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import Id, Json, UtcDateTime

revision = "c0009"
down_revision = "c0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_delivery", sa.Column("metrics_at", UtcDateTime(), nullable=True))
    op.create_index("ix_core_delivery_metrics", "core_delivery", ["metrics_at"], unique=False)
    op.create_table(
        "core_delivery_figures",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("delivery_id", Id(), nullable=False),
        sa.Column("observed_at", UtcDateTime(), nullable=False),
        sa.Column("counts", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "delivery_id"],
            ["core_delivery.organisation_id", "core_delivery.id"],
            name=op.f("fk_core_delivery_figures_organisation_id_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_delivery_figures")),
    )
    op.create_index(
        "ix_core_delivery_figures_delivery", "core_delivery_figures", ["organisation_id", "delivery_id", "observed_at"], unique=False
    )


def downgrade() -> None:
    op.drop_table("core_delivery_figures")
    op.drop_index("ix_core_delivery_metrics", table_name="core_delivery")
    op.drop_column("core_delivery", "metrics_at")
