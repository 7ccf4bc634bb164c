"""Alerts and incidents

Revision: m0002
"""

import sqlalchemy as sa
from alembic import op

from smhub.features import Id, Json, UtcDateTime

revision = "m0002"
down_revision = "m0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitoring_target",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_target_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_target")),
    )
    op.create_table(
        "monitoring_alert_rule",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("condition", Json(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("steps", Json(), nullable=False),
        sa.Column("quiet_from", sa.Text(), nullable=True),
        sa.Column("quiet_until", sa.Text(), nullable=True),
        sa.Column("cooldown_minutes", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("looked_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_monitoring_alert_rule_organisation_id_department_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_alert_rule_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_alert_rule")),
    )
    op.create_index("ix_monitoring_alert_rule_next", "monitoring_alert_rule", ["next_at"], unique=False)
    op.create_table(
        "monitoring_incident",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holding_answer", sa.Text(), nullable=True),
        sa.Column("review", sa.Text(), nullable=True),
        sa.Column("alert_id", Id(), nullable=True),
        sa.Column("hold_id", Id(), nullable=True),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("opened_by", Id(), nullable=True),
        sa.Column("active_at", UtcDateTime(), nullable=True),
        sa.Column("calm_at", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_monitoring_incident_organisation_id_department_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_monitoring_incident_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_incident")),
    )
    op.create_index("ix_monitoring_incident_state", "monitoring_incident", ["organisation_id", "state", "id"], unique=False)
    op.create_table(
        "monitoring_alert",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("rule_id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("figures", Json(), nullable=False),
        sa.Column("mention_ids", Json(), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("true_at", UtcDateTime(), nullable=False),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", Id(), nullable=True),
        sa.Column("cleared_at", UtcDateTime(), nullable=True),
        sa.Column("steps_done", sa.Integer(), nullable=False),
        sa.Column("next_step_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "rule_id"],
            ["monitoring_alert_rule.organisation_id", "monitoring_alert_rule.id"],
            name=op.f("fk_monitoring_alert_organisation_id_rule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_alert")),
    )
    op.create_index("ix_monitoring_alert_next_step", "monitoring_alert", ["next_step_at"], unique=False)
    op.create_index("ix_monitoring_alert_state", "monitoring_alert", ["organisation_id", "state", "id"], unique=False)
    op.create_index(
        "uq_monitoring_alert_open",
        "monitoring_alert",
        ["organisation_id", "rule_id"],
        unique=True,
        sqlite_where=sa.text("cleared_at is null"),
        postgresql_where=sa.text("cleared_at is null"),
    )
    op.create_table(
        "monitoring_incident_entry",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("incident_id", Id(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.Column("member_id", Id(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "incident_id"],
            ["monitoring_incident.organisation_id", "monitoring_incident.id"],
            name=op.f("fk_monitoring_incident_entry_organisation_id_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_incident_entry")),
    )
    op.create_index("ix_monitoring_incident_entry", "monitoring_incident_entry", ["organisation_id", "incident_id", "id"], unique=False)
    op.create_table(
        "monitoring_incident_mention",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("incident_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "incident_id"],
            ["monitoring_incident.organisation_id", "monitoring_incident.id"],
            name=op.f("fk_monitoring_incident_mention_organisation_id_incident_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "mention_id"],
            ["core_mention.organisation_id", "core_mention.id"],
            name=op.f("fk_monitoring_incident_mention_organisation_id_mention_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "incident_id", "mention_id", name=op.f("pk_monitoring_incident_mention")),
    )
    op.create_index("ix_monitoring_incident_mention", "monitoring_incident_mention", ["organisation_id", "mention_id"], unique=False)
    op.create_table(
        "monitoring_notice",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("target_id", Id(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "alert_id"],
            ["monitoring_alert.organisation_id", "monitoring_alert.id"],
            name=op.f("fk_monitoring_notice_organisation_id_alert_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "target_id"],
            ["monitoring_target.organisation_id", "monitoring_target.id"],
            name=op.f("fk_monitoring_notice_organisation_id_target_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_monitoring_notice")),
        sa.UniqueConstraint(
            "organisation_id",
            "alert_id",
            "what",
            "step",
            "target_id",
            name=op.f("uq_monitoring_notice_organisation_id_alert_id_what_step_target_id"),
        ),
    )


def downgrade() -> None:
    op.drop_table("monitoring_notice")
    op.drop_table("monitoring_incident_mention")
    op.drop_table("monitoring_incident_entry")
    op.drop_table("monitoring_alert")
    op.drop_table("monitoring_incident")
    op.drop_table("monitoring_alert_rule")
    op.drop_table("monitoring_target")
