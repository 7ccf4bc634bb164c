"""Apps, authorisations and tokens of OAuth 2

Revision: c0006
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import Id, Json, UtcDateTime

revision = "c0006"
down_revision = "c0005"
branch_labels = None
depends_on = None


def _of_channel(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id", "channel_id"],
        ["core_channel.organisation_id", "core_channel.id"],
        name=op.f(f"fk_{table}_organisation_id_channel_id"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "core_oauth_app",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_oauth_app_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_oauth_app")),
        sa.UniqueConstraint("organisation_id", "network", "server", name=op.f("uq_core_oauth_app_organisation_id_network_server")),
    )
    op.create_table(
        "core_oauth_state",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("channel_id", Id(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("api_key_id", Id(), nullable=False),
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_url", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        _of_channel("core_oauth_state"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "member_id"],
            ["core_member.organisation_id", "core_member.id"],
            name=op.f("fk_core_oauth_state_organisation_id_member_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_oauth_state")),
        sa.UniqueConstraint("id", name=op.f("uq_core_oauth_state_id")),
    )
    op.create_index("ix_core_oauth_state_expires_at", "core_oauth_state", ["expires_at"], unique=False)
    op.create_table(
        "core_oauth_token",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("channel_id", Id(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("token_url", sa.Text(), nullable=False),
        sa.Column("revoke_url", sa.Text(), nullable=True),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("scopes", Json(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("obtained_at", UtcDateTime(), nullable=False),
        sa.Column("renew_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("refresh_id", Id(), nullable=True),
        sa.Column("refreshing_until", UtcDateTime(), nullable=True),
        sa.Column("unclear", sa.Boolean(), nullable=False),
        sa.Column("on_trial", sa.Boolean(), nullable=False),
        _of_channel("core_oauth_token"),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_oauth_token")),
    )
    op.create_index("ix_core_oauth_token_channel", "core_oauth_token", ["organisation_id", "channel_id"], unique=False)


def downgrade() -> None:
    op.drop_table("core_oauth_token")
    op.drop_table("core_oauth_state")
    op.drop_table("core_oauth_app")
    op.execute("delete from core_secret where owner_table in ('core_oauth_app', 'core_oauth_token')")
