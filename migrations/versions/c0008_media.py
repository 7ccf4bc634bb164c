"""Files that go out with deliveries

Revision: c0008
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.types import Id, Json, UtcDateTime

revision = "c0008"
down_revision = "c0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("core_delivery", sa.Column("media", Json(), server_default="[]", nullable=False))
    op.create_table(
        "core_media",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("alternative_text", sa.Text(), nullable=False),
        sa.Column("created_by", Id(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("uploaded_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_media_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_media")),
        sa.UniqueConstraint("organisation_id", "digest", name=op.f("uq_core_media_organisation_id_digest")),
    )
    op.create_index("ix_core_media_uploaded", "core_media", ["uploaded_at"], unique=False)
    op.create_table(
        "core_media_piece",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("media_id", Id(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "media_id"],
            ["core_media.organisation_id", "core_media.id"],
            name=op.f("fk_core_media_piece_organisation_id_media_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "media_id", "number", name=op.f("pk_core_media_piece")),
    )
    op.create_table(
        "core_delivery_media",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("delivery_id", Id(), nullable=False),
        sa.Column("media_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "delivery_id"],
            ["core_delivery.organisation_id", "core_delivery.id"],
            name=op.f("fk_core_delivery_media_organisation_id_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "media_id"],
            ["core_media.organisation_id", "core_media.id"],
            name=op.f("fk_core_delivery_media_organisation_id_media_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "delivery_id", "media_id", name=op.f("pk_core_delivery_media")),
    )
    op.create_index("ix_core_delivery_media_media", "core_delivery_media", ["organisation_id", "media_id"], unique=False)


def downgrade() -> None:
    for table in ("core_delivery_media", "core_media_piece", "core_media"):
        op.drop_table(table)
    op.drop_column("core_delivery", "media")
