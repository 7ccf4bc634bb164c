"""The core's tables

Revision: c0001
"""

import sqlalchemy as sa
from alembic import op

from smhub.db.search import POSTGRESQL_DDL, SQLITE_DDL
from smhub.db.types import Id, Json, UtcDateTime

revision = "c0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "core_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", Id(), nullable=False),
        sa.Column("actor_id", Id(), nullable=True),
        sa.Column("data", Json(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_core_event")),
    )
    op.create_index("ix_core_event_organisation", "core_event", ["organisation_id", "seq"], unique=False)

    op.create_table(
        "core_event_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_event_counter")),
    )
    op.create_table(
        "core_idempotency",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "member_id", "key", name=op.f("pk_core_idempotency")),
    )
    op.create_index("ix_core_idempotency_created_at", "core_idempotency", ["created_at"], unique=False)

    op.create_table(
        "core_job",
        sa.Column("id", Id(), nullable=False),
        sa.Column("organisation_id", Id(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("payload", Json(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("run_at", UtcDateTime(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_job")),
    )
    op.create_index("ix_core_job_claim", "core_job", ["state", "run_at", "priority"], unique=False)
    op.create_index("ix_core_job_key", "core_job", ["key", "state"], unique=False)
    op.create_index("ix_core_job_organisation", "core_job", ["organisation_id", "id"], unique=False)
    op.create_index(
        "uq_core_job_dedupe_key",
        "core_job",
        ["dedupe_key"],
        unique=True,
        sqlite_where=sa.text("state in ('ready', 'running')"),
        postgresql_where=sa.text("state in ('ready', 'running')"),
    )

    op.create_table(
        "core_job_limit",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=False),
        sa.Column("per_second", sa.Float(), nullable=True),
        sa.Column("burst", sa.Float(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_core_job_limit")),
    )
    op.create_table(
        "core_organisation",
        sa.Column("id", Id(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_organisation")),
        sa.UniqueConstraint("slug", name=op.f("uq_core_organisation_slug")),
    )
    op.create_table(
        "core_rate_budget",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("blocked_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_core_rate_budget")),
    )
    op.create_table(
        "core_schedule",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("every", sa.Float(), nullable=True),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("next_run_at", UtcDateTime(), nullable=False),
        sa.Column("last_run_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_core_schedule")),
    )
    op.create_table(
        "core_search_doc",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_core_search_doc")),
        sa.UniqueConstraint("organisation_id", "mention_id", name=op.f("uq_core_search_doc_organisation_id_mention_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "core_worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_worker")),
    )
    op.create_table(
        "core_audit_entry",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("member_id", Id(), nullable=True),
        sa.Column("key_id", Id(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=True),
        sa.Column("subject_id", Id(), nullable=True),
        sa.Column("details", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_audit_entry_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_audit_entry")),
    )
    op.create_index("ix_core_audit_entry_subject", "core_audit_entry", ["organisation_id", "subject_id"], unique=False)

    op.create_table(
        "core_department",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("parent_id", Id(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("subdivision", sa.Text(), nullable=True),
        sa.Column("opening_hours", Json(), nullable=False),
        sa.Column("closed_days", Json(), nullable=False),
        sa.Column("keywords", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "parent_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_department_organisation_id_parent_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_department_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_department")),
        sa.UniqueConstraint("organisation_id", "path", name=op.f("uq_core_department_organisation_id_path")),
    )
    op.create_index("ix_core_department_parent", "core_department", ["organisation_id", "parent_id"], unique=False)

    op.create_table(
        "core_member",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_member_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_member")),
        sa.UniqueConstraint("organisation_id", "email", name=op.f("uq_core_member_organisation_id_email")),
    )
    op.create_table(
        "core_operation",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", Id(), nullable=False),
        sa.Column("job_id", Id(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("result", Json(), nullable=True),
        sa.Column("error", Json(), nullable=True),
        sa.Column("created_by", Id(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_operation_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_operation")),
        sa.UniqueConstraint("organisation_id", "job_id", name=op.f("uq_core_operation_organisation_id_job_id")),
    )
    op.create_table(
        "core_person",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_person_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_person")),
    )
    op.create_table(
        "core_role",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("permissions", Json(), nullable=False),
        sa.Column("system", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_role_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_role")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_core_role_organisation_id_name")),
    )
    op.create_table(
        "core_secret",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("owner_table", sa.Text(), nullable=False),
        sa.Column("owner_id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_secret_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "owner_table", "owner_id", "name", name=op.f("pk_core_secret")),
    )
    op.create_index("ix_core_secret_key_id", "core_secret", ["key_id"], unique=False)

    op.create_table(
        "core_api_key",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("pepper_id", sa.Text(), nullable=False),
        sa.Column("scopes", Json(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("replaces_id", Id(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "member_id"],
            ["core_member.organisation_id", "core_member.id"],
            name=op.f("fk_core_api_key_organisation_id_member_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_api_key")),
        sa.UniqueConstraint("id", name=op.f("uq_core_api_key_id")),
    )
    op.create_index("ix_core_api_key_member", "core_api_key", ["organisation_id", "member_id"], unique=False)

    op.create_table(
        "core_author",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("avatar_url", sa.Text(), nullable=True),
        sa.Column("followers", sa.Integer(), nullable=True),
        sa.Column("person_id", Id(), nullable=True),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "person_id"],
            ["core_person.organisation_id", "core_person.id"],
            name=op.f("fk_core_author_organisation_id_person_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_author_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_author")),
        sa.UniqueConstraint(
            "organisation_id", "network", "external_id", name=op.f("uq_core_author_organisation_id_network_external_id")
        ),
    )
    op.create_index("ix_core_author_person", "core_author", ["organisation_id", "person_id"], unique=False)

    op.create_table(
        "core_channel",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("settings", Json(), nullable=False),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("account", Json(), nullable=True),
        sa.Column("poll_seconds", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_channel_organisation_id_department_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_channel_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_channel")),
    )
    op.create_table(
        "core_department_member",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_department_member_organisation_id_department_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "member_id"],
            ["core_member.organisation_id", "core_member.id"],
            name=op.f("fk_core_department_member_organisation_id_member_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "department_id", "member_id", name=op.f("pk_core_department_member")),
    )
    op.create_table(
        "core_listener",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", Json(), nullable=False),
        sa.Column("languages", Json(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("legal_basis", sa.Text(), nullable=False),
        sa.Column("settings", Json(), nullable=False),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("poll_seconds", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_listener_organisation_id_department_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_listener_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_listener")),
    )
    op.create_table(
        "core_grant",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("member_id", Id(), nullable=False),
        sa.Column("role_id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("channel_id", Id(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_grant_organisation_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_grant_organisation_id_department_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "member_id"],
            ["core_member.organisation_id", "core_member.id"],
            name=op.f("fk_core_grant_organisation_id_member_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "role_id"],
            ["core_role.organisation_id", "core_role.id"],
            name=op.f("fk_core_grant_organisation_id_role_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_grant")),
    )
    op.create_index("ix_core_grant_member", "core_grant", ["organisation_id", "member_id"], unique=False)

    op.create_table(
        "core_intake",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("channel_id", Id(), nullable=True),
        sa.Column("listener_id", Id(), nullable=True),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("cursor", Json(), nullable=True),
        sa.Column("cursor_version", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("back_off", sa.Boolean(), nullable=False),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("bad_items", sa.Integer(), nullable=False),
        sa.Column("next_poll_at", UtcDateTime(), nullable=True),
        sa.Column("last_success_at", UtcDateTime(), nullable=True),
        sa.Column("last_failure_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("(channel_id is null) <> (listener_id is null)", name=op.f("ck_core_intake_one_source")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_intake_organisation_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "listener_id"],
            ["core_listener.organisation_id", "core_listener.id"],
            name=op.f("fk_core_intake_organisation_id_listener_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_intake")),
    )
    op.create_index("ix_core_intake_channel", "core_intake", ["organisation_id", "channel_id"], unique=False)
    op.create_index("ix_core_intake_due", "core_intake", ["next_poll_at"], unique=False)
    op.create_index("ix_core_intake_listener", "core_intake", ["organisation_id", "listener_id"], unique=False)

    op.create_table(
        "core_mention",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("author_id", Id(), nullable=True),
        sa.Column("thread_id", Id(), nullable=False),
        sa.Column("root_external_id", sa.Text(), nullable=False),
        sa.Column("reply_to_external_id", sa.Text(), nullable=True),
        sa.Column("channel_id", Id(), nullable=True),
        sa.Column("listener_id", Id(), nullable=True),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("routed_by", sa.Text(), nullable=True),
        sa.Column("routing_reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("content_state", sa.Text(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("labels", Json(), nullable=False),
        sa.Column("attachments", Json(), nullable=False),
        sa.Column("annotations", Json(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("edited_at", UtcDateTime(), nullable=True),
        sa.Column("version_at", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "author_id"],
            ["core_author.organisation_id", "core_author.id"],
            name=op.f("fk_core_mention_organisation_id_author_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "channel_id"],
            ["core_channel.organisation_id", "core_channel.id"],
            name=op.f("fk_core_mention_organisation_id_channel_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "department_id"],
            ["core_department.organisation_id", "core_department.id"],
            name=op.f("fk_core_mention_organisation_id_department_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "listener_id"],
            ["core_listener.organisation_id", "core_listener.id"],
            name=op.f("fk_core_mention_organisation_id_listener_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["core_organisation.id"], name=op.f("fk_core_mention_organisation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_mention")),
        sa.UniqueConstraint(
            "organisation_id", "network", "scope", "external_id", name=op.f("uq_core_mention_organisation_id_network_scope_external_id")
        ),
    )
    op.create_index("ix_core_mention_author", "core_mention", ["organisation_id", "author_id"], unique=False)
    op.create_index("ix_core_mention_channel", "core_mention", ["organisation_id", "channel_id"], unique=False)
    op.create_index("ix_core_mention_department", "core_mention", ["organisation_id", "department_id", "id"], unique=False)
    op.create_index("ix_core_mention_listener", "core_mention", ["organisation_id", "listener_id"], unique=False)
    op.create_index("ix_core_mention_published", "core_mention", ["organisation_id", "published_at", "id"], unique=False)
    op.create_index("ix_core_mention_root", "core_mention", ["organisation_id", "network", "scope", "root_external_id"], unique=False)
    op.create_index("ix_core_mention_thread", "core_mention", ["organisation_id", "thread_id"], unique=False)

    op.create_table(
        "core_annotation",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("value", Json(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("producer_version", sa.Text(), nullable=False),
        sa.Column("human", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "mention_id"],
            ["core_mention.organisation_id", "core_mention.id"],
            name=op.f("fk_core_annotation_organisation_id_mention_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "mention_id", "key", "producer", name=op.f("pk_core_annotation")),
    )
    op.create_table(
        "core_bad_item",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("intake_id", Id(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "intake_id"],
            ["core_intake.organisation_id", "core_intake.id"],
            name=op.f("fk_core_bad_item_organisation_id_intake_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_bad_item")),
    )
    op.create_index("ix_core_bad_item_intake", "core_bad_item", ["organisation_id", "intake_id"], unique=False)

    op.create_table(
        "core_gap",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("intake_id", Id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("to_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "intake_id"],
            ["core_intake.organisation_id", "core_intake.id"],
            name=op.f("fk_core_gap_organisation_id_intake_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_core_gap")),
    )
    op.create_index("ix_core_gap_intake", "core_gap", ["organisation_id", "intake_id"], unique=False)

    op.create_table(
        "core_mention_version",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("version_at", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "mention_id"],
            ["core_mention.organisation_id", "core_mention.id"],
            name=op.f("fk_core_mention_version_organisation_id_mention_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "mention_id", "version_at", "digest", name=op.f("pk_core_mention_version")),
    )
    op.create_table(
        "core_sighting",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("mention_id", Id(), nullable=False),
        sa.Column("intake_id", Id(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "intake_id"],
            ["core_intake.organisation_id", "core_intake.id"],
            name=op.f("fk_core_sighting_organisation_id_intake_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "mention_id"],
            ["core_mention.organisation_id", "core_mention.id"],
            name=op.f("fk_core_sighting_organisation_id_mention_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "mention_id", "intake_id", name=op.f("pk_core_sighting")),
    )
    op.create_index("ix_core_sighting_intake", "core_sighting", ["organisation_id", "intake_id"], unique=False)

    op.create_table(
        "core_subscription",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_core_subscription")),
    )
    op.create_table(
        "core_plugin_settings",
        sa.Column("organisation_id", Id(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("settings", Json(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["core_organisation.id"],
            name=op.f("fk_core_plugin_settings_organisation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "plugin", name=op.f("pk_core_plugin_settings")),
    )
    for statement in SQLITE_DDL if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_DDL:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("the first tables are not taken away; delete the database instead")
