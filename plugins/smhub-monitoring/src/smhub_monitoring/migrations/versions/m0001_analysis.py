"""Analysis"""

import sqlalchemy as sa
from alembic import op

from smhub.features import Id, Json, UtcDateTime

revision = "m0001"
down_revision = None
branch_labels = None
depends_on = None


def _organisation(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_organisation_id")
    return sa.ForeignKeyConstraint(["organisation_id"], ["core_organisation.id"], name=name, ondelete="CASCADE")


def _mention(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id", "mention_id"],
        ["core_mention.organisation_id", "core_mention.id"],
        name=op.f(f"fk_{table}_organisation_id_mention_id"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "monitoring_rule_set",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("shipped", sa.Boolean(), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        _organisation("monitoring_rule_set"),
        sa.PrimaryKeyConstraint("organisation_id", "language", "number", name=op.f("pk_monitoring_rule_set")),
    )
    op.create_table(
        "monitoring_own_model",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("classes", Json(), nullable=False),
        sa.Column("trained_on", sa.Integer(), nullable=False),
        sa.Column("judged", Json(), nullable=False),
        sa.Column("better", sa.Boolean(), nullable=False),
        sa.Column("stored", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        _organisation("monitoring_own_model"),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_own_model")),
        sa.UniqueConstraint("organisation_id", "key", "number", name=op.f("uq_monitoring_own_model_organisation_id_key_number")),
    )
    op.create_table(
        "monitoring_choice",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("model_id", Id(), nullable=True),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("labels_seen", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _organisation("monitoring_choice"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "model_id"],
            ["monitoring_own_model.organisation_id", "monitoring_own_model.id"],
            name=op.f("fk_monitoring_choice_organisation_id_model_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "key", name=op.f("pk_monitoring_choice")),
    )
    op.create_table(
        "monitoring_cluster",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        _organisation("monitoring_cluster"),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_cluster")),
    )
    op.create_index("ix_monitoring_cluster_size", "monitoring_cluster", ["organisation_id", "size"])
    op.create_table(
        "monitoring_likeness",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("cluster_id", Id(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        _mention("monitoring_likeness"),
        sa.PrimaryKeyConstraint("organisation_id", "mention_id", name=op.f("pk_monitoring_likeness")),
    )
    op.create_index("ix_monitoring_likeness_cluster", "monitoring_likeness", ["organisation_id", "cluster_id"])
    op.create_table(
        "monitoring_band",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("mention_id", Id(), nullable=False),
        _mention("monitoring_band"),
        sa.PrimaryKeyConstraint("organisation_id", "key", "mention_id", name=op.f("pk_monitoring_band")),
    )
    op.create_index("ix_monitoring_band_mention", "monitoring_band", ["organisation_id", "mention_id"])
    op.create_table(
        "monitoring_keyword",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        _mention("monitoring_keyword"),
        sa.PrimaryKeyConstraint("organisation_id", "mention_id", "word", name=op.f("pk_monitoring_keyword")),
    )
    op.create_index("ix_monitoring_keyword_word", "monitoring_keyword", ["organisation_id", "word"])
    op.create_table(
        "monitoring_words",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("words", Json(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        _organisation("monitoring_words"),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_monitoring_words")),
    )


def downgrade() -> None:
    for table in ("words", "keyword", "band", "likeness", "cluster", "choice", "own_model", "rule_set"):
        op.drop_table(f"monitoring_{table}")
