"""Incoming webhooks: addresses, and deliveries as they came

Revision: c0005
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import Id, Json, UtcDateTime

revision = "c0005"
down_revision = "c0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "core_hook",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("channel_id", Id(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("old_token_hash", sa.Text(), nullable=True),
        sa.Column("old_token_until", UtcDateTime(), nullable=True),
        sa.Column("old_secret_until", UtcDateTime(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("next_check_at", UtcDateTime(), nullable=True),
        sa.Column("last_delivery_at", UtcDateTime(), nullable=True),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("last_refused_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_hook_organisation_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_hook")),
        sa.UniqueConstraint("organisation_id", "channel_id", name=op.f("uq_core_hook_organisation_id_channel_id")),
    )
    op.create_index("uq_core_hook_token_hash", "core_hook", ["token_hash"], unique=True)
    op.create_index("uq_core_hook_old_token_hash", "core_hook", ["old_token_hash"], unique=True)
    op.create_index("ix_core_hook_check", "core_hook", ["next_check_at"], unique=False)

    op.create_table(
        "core_webhook_delivery",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("channel_id", Id(), nullable=False),
        sa.Column("intake_id", Id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=False),
        sa.Column("headers", Json(), nullable=False),
        sa.Column("query", Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("tried_at", UtcDateTime(), nullable=True),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_webhook_delivery_organisation_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "intake_id"],
            ["core_intake.organisation_id", "core_intake.id"],
            name=op.f("fk_core_webhook_delivery_organisation_id_intake_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_webhook_delivery")),
    )
    op.create_index(
        "uq_core_webhook_delivery_dedupe", "core_webhook_delivery", ["organisation_id", "channel_id", "dedupe_key"], unique=True
    )
    op.create_index(
        "ix_core_webhook_delivery_new",
        "core_webhook_delivery",
        ["organisation_id", "channel_id", "next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index("ix_core_webhook_delivery_finished", "core_webhook_delivery", ["finished_at"], unique=False)

    op.add_column("core_bad_item", sa.Column("delivery_id", Id(), nullable=True))
    op.add_column("core_intake", sa.Column("source", sa.Text(), server_default="polling", nullable=False))
    op.add_column("core_intake", sa.Column("last_delivery_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("core_intake", "last_delivery_at")
    op.drop_column("core_intake", "source")
    op.drop_column("core_bad_item", "delivery_id")
    op.drop_table("core_webhook_delivery")
    op.drop_table("core_hook")
