"""Figures, brand sets, reports

Revision: m0003
"""

import sqlalchemy as sa
from alembic import op

from smhub.features import Id, Json, UtcDateTime

revision = "m0003"
down_revision = "m0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitoring_brand_set",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("members", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_brand_set_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_brand_set")),
    )
    op.create_table(
        "monitoring_counted",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("quarter", sa.Integer(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("mood", sa.Text(), nullable=True),
        sa.Column("intent", sa.Text(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("channel_id", Id(), nullable=True),
        sa.Column("listener_id", Id(), nullable=True),
        sa.Column("followers", sa.BigInteger(), nullable=True),
        sa.Column("delay_seconds", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("reply_seconds", sa.Integer(), nullable=True),
        sa.Column("reply_open_seconds", sa.Integer(), nullable=True),
        sa.Column("public_reply_seconds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_counted_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "mention_id", name=op.f("pk_monitoring_counted")),
    )
    op.create_index("ix_monitoring_counted_quarter", "monitoring_counted", ["organisation_id", "quarter"], unique=False)
    op.create_table(
        "monitoring_hourly",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("mood", sa.Text(), nullable=True),
        sa.Column("intent", sa.Text(), nullable=True),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("channel_id", Id(), nullable=True),
        sa.Column("listener_id", Id(), nullable=True),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.Column("with_followers", sa.Integer(), nullable=False),
        sa.Column("followers", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_hourly_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "hour", "number", name=op.f("pk_monitoring_hourly")),
    )
    op.create_table(
        "monitoring_counting",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_counting_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_monitoring_counting")),
    )
    op.create_table(
        "monitoring_report_file",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("made_by", Id(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_report_file_organisation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_monitoring_report_file_organisation_id_department_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_report_file")),
    )
    op.create_table(
        "monitoring_report_schedule",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("what", Json(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=True),
        sa.Column("day", sa.Integer(), nullable=True),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("target_ids", Json(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["core_organisation.id"],
            name=op.f("fk_monitoring_report_schedule_organisation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_monitoring_report_schedule_organisation_id_department_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_report_schedule")),
    )
    op.create_index("ix_monitoring_report_schedule_next", "monitoring_report_schedule", ["next_at"], unique=False)
    op.create_table(
        "monitoring_report_run",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("schedule_id", Id(), nullable=False),
        sa.Column("target_id", Id(), nullable=False),
        sa.Column("begins_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "schedule_id"],
            ["monitoring_report_schedule.organisation_id", "monitoring_report_schedule.id"],
            name=op.f("fk_monitoring_report_run_organisation_id_schedule_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "target_id"],
            ["monitoring_target.organisation_id", "monitoring_target.id"],
            name=op.f("fk_monitoring_report_run_organisation_id_target_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_report_run")),
        sa.UniqueConstraint(
            "organisation_id",
            "schedule_id",
            "ends_at",
            "target_id",
            name=op.f("uq_monitoring_report_run_organisation_id_schedule_id_ends_at_target_id"),
        ),
    )


def downgrade() -> None:
    op.drop_table("monitoring_report_run")
    op.drop_table("monitoring_report_schedule")
    op.drop_table("monitoring_report_file")
    op.drop_table("monitoring_counting")
    op.drop_table("monitoring_hourly")
    op.drop_table("monitoring_counted")
    op.drop_table("monitoring_brand_set")
