"""Who may do what: members, roles, grants, keys; and what is kept of what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to


class Member(Versioned, OrganisationRow):
    """A person or a service account. `kind`: person, service_account; `state`: active, disabled."""

    __tablename__ = "core_member"
    __table_args__ = (belongs_to_organisation(), UniqueConstraint("organisation_id", "email"))

    kind: Mapped[str]
    name: Mapped[str]
    email: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="active")
    created_at: Mapped[datetime]

    def disable(self) -> None:
        """Their keys stop working with the next request."""
        self.state = "disabled"
        self.changed()

    def enable(self) -> None:
        """Let them in again."""
        self.state = "active"
        self.changed()


class Role(Versioned, OrganisationRow):
    """A set of permissions. A system role takes its permissions from the code, so that they follow an upgrade."""

    __tablename__ = "core_role"
    __table_args__ = (belongs_to_organisation(), UniqueConstraint("organisation_id", "name"))

    name: Mapped[str]
    title: Mapped[str]
    permissions: Mapped[list[str]]
    system: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


class Grant(OrganisationRow):
    """A member holds a role: in the whole organisation, or in one department and those below it, or for one channel."""

    __tablename__ = "core_grant"
    __table_args__ = (
        refers_to("core_member", "member_id", on_delete="CASCADE"),
        refers_to("core_role", "role_id"),
        refers_to("core_department", "department_id", on_delete="CASCADE"),
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        Index("ix_core_grant_member", "organisation_id", "member_id"),
    )

    member_id: Mapped[UUID]
    role_id: Mapped[UUID]
    department_id: Mapped[UUID | None]
    channel_id: Mapped[UUID | None]
    created_at: Mapped[datetime]


class ApiKey(OrganisationRow):
    """A key of a member. Its secret is kept as an HMAC only. `scopes` narrows the member's rights; None: all of them."""

    __tablename__ = "core_api_key"
    __table_args__ = (
        refers_to("core_member", "member_id", on_delete="CASCADE"),
        UniqueConstraint("id"),
        Index("ix_core_api_key_member", "organisation_id", "member_id"),
    )

    member_id: Mapped[UUID]
    name: Mapped[str]
    secret_hash: Mapped[str]
    pepper_id: Mapped[str]
    scopes: Mapped[list[str] | None] = mapped_column(Json)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    replaces_id: Mapped[UUID | None]

    def revoke(self, at: datetime) -> None:
        """It stops working with the next request; revoking twice changes nothing."""
        self.revoked_at = self.revoked_at or at


class AuditEntry(OrganisationRow):
    """Who changed what, written in the same transaction as the change. Holds ids and field names, no text of people."""

    __tablename__ = "core_audit_entry"
    __table_args__ = (belongs_to_organisation(), Index("ix_core_audit_entry_subject", "organisation_id", "subject_id"))

    at: Mapped[datetime]
    member_id: Mapped[UUID | None]
    key_id: Mapped[UUID | None]
    request_id: Mapped[str | None]
    action: Mapped[str]
    subject_type: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    details: Mapped[dict[str, Any]]


class IdempotencyRecord(Base):
    """The first answer to a POST with an Idempotency-Key, kept for a day."""

    __tablename__ = "core_idempotency"
    __table_args__ = (Index("ix_core_idempotency_created_at", "created_at"),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    member_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int] = mapped_column(Integer, default=0)
    headers: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    body: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredSecret(Base):
    """One secret at rest, encrypted for exactly this organisation, table, row and column."""

    __tablename__ = "core_secret"
    __table_args__ = (belongs_to_organisation(), Index("ix_core_secret_key_id", "key_id"))

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    owner_table: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
