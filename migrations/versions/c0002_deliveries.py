"""Deliveries, attempts, holds

Revision: c0002, after c0001
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import Id, Json, UtcDateTime

revision = "c0002"
down_revision = "c0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "core_hold",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("channel_id", Id(), nullable=True),
        sa.Column("created_by", Id(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("released_by", Id(), nullable=True),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("channel_version", sa.Integer(), nullable=True),
        sa.Column("probe_at", UtcDateTime(), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_hold_organisation_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_hold_organisation_id_department_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_hold_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_hold")),
    )
    op.create_index("ix_core_hold_active", "core_hold", ["organisation_id", "released_at"], unique=False)

    op.create_table(
        "core_delivery",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel_id", Id(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("mention_id", Id(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("sensitive", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("max_lateness", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("envelope", sa.Text(), nullable=True),
        sa.Column("connector_version", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempt_id", Id(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_sent_at", UtcDateTime(), nullable=True),
        sa.Column("pending", Json(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("created_by", Id(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_delivery_organisation_id_channel_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_delivery_organisation_id_department_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "mention_id"],
            ["core_mention.organisation_id", "core_mention.id"],
            name=op.f("fk_core_delivery_organisation_id_mention_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_delivery_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_delivery")),
    )
    op.create_index("ix_core_delivery_channel", "core_delivery", ["organisation_id", "channel_id", "id"], unique=False)
    op.create_index("ix_core_delivery_mention", "core_delivery", ["organisation_id", "mention_id", "id"], unique=False)
    op.create_index("ix_core_delivery_next", "core_delivery", ["next_at"], unique=False)
    op.create_index("ix_core_delivery_state", "core_delivery", ["organisation_id", "state", "id"], unique=False)

    op.create_table(
        "core_attempt",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("delivery_id", Id(), nullable=False),
        sa.Column("channel_id", Id(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("safety", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("connector_version", sa.Text(), nullable=False),
        sa.Column("job_id", Id(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("acted", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "delivery_id"],
            ["core_delivery.organisation_id", "core_delivery.id"],
            name=op.f("fk_core_attempt_organisation_id_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_attempt")),
    )
    op.create_index("ix_core_attempt_channel", "core_attempt", ["organisation_id", "channel_id", "id"], unique=False)
    op.create_index("ix_core_attempt_delivery", "core_attempt", ["organisation_id", "delivery_id", "number"], unique=False)


def downgrade() -> None:
    for table in ("core_attempt", "core_delivery", "core_hold"):
        op.drop_table(table)
