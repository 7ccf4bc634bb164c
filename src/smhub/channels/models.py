"""Where mentions come from: our own channels, listeners for what others say, and the intakes that bring both in."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to


class Channel(Versioned, OrganisationRow):
    """An owned presence on a network. Secrets lie in core_secret, never in `settings`. `account` is what verify found."""

    __tablename__ = "core_channel"
    __table_args__ = (belongs_to_organisation(), refers_to("core_department", "department_id"))

    network: Mapped[str]
    name: Mapped[str]
    settings: Mapped[dict[str, Any]]
    config_version: Mapped[int] = mapped_column(Integer, default=1)
    department_id: Mapped[UUID | None]
    account: Mapped[dict[str, Any] | None] = mapped_column(Json)
    poll_seconds: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Listener(Versioned, OrganisationRow):
    """A saved search on a network. `words` are looked for; `purpose` and `legal_basis` are why we may."""

    __tablename__ = "core_listener"
    __table_args__ = (belongs_to_organisation(), refers_to("core_department", "department_id"))

    network: Mapped[str]
    name: Mapped[str]
    words: Mapped[list[str]]
    languages: Mapped[list[str]]
    purpose: Mapped[str]
    legal_basis: Mapped[str]
    settings: Mapped[dict[str, Any]]
    config_version: Mapped[int] = mapped_column(Integer, default=1)
    department_id: Mapped[UUID | None]
    poll_seconds: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Intake(OrganisationRow):
    """What brings mentions in from one channel or listener: its cursor and its health.

    `state`: connecting, active, degraded, auth_required, config_error, blocked, quarantined, paused. `reason` says why in
    words, `since` from when on.
    """

    __tablename__ = "core_intake"
    __table_args__ = (
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        refers_to("core_listener", "listener_id", on_delete="CASCADE"),
        CheckConstraint("(channel_id is null) <> (listener_id is null)", name="one_source"),
        Index("ix_core_intake_channel", "organisation_id", "channel_id"),
        Index("ix_core_intake_listener", "organisation_id", "listener_id"),
        Index("ix_core_intake_due", "next_poll_at"),
    )

    channel_id: Mapped[UUID | None]
    listener_id: Mapped[UUID | None]
    network: Mapped[str]
    state: Mapped[str] = mapped_column(default="connecting")
    since: Mapped[datetime | None]
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    cursor: Mapped[dict[str, Any] | None] = mapped_column(Json)
    cursor_version: Mapped[int] = mapped_column(Integer, default=1)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    back_off: Mapped[bool] = mapped_column(Boolean, default=False)
    mentions: Mapped[int] = mapped_column(Integer, default=0)
    bad_items: Mapped[int] = mapped_column(Integer, default=0)
    next_poll_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_failure_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def becomes(self, state: str, at: datetime) -> None:
        if self.state != state:
            self.state, self.since = state, at


class Gap(OrganisationRow):
    """A time in which an intake may have missed something. `state`: open, filling, closed, closed_partial.

    `proof` says why we know that nothing is missing; `closed_partial` keeps `reason` instead.
    """

    __tablename__ = "core_gap"
    __table_args__ = (
        refers_to("core_intake", "intake_id", on_delete="CASCADE"),
        Index("ix_core_gap_intake", "organisation_id", "intake_id"),
    )

    intake_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(default="open")
    cause: Mapped[str]
    from_at: Mapped[datetime]
    to_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    proof: Mapped[str | None]
    found: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    def ended(self, at: datetime) -> None:
        """The intake is well again; what was missed until now is to be filled."""
        self.to_at = self.to_at or at

    def is_filling(self) -> None:
        self.state = "filling"

    def could_not_be_filled(self, reason: str) -> None:
        """The back-fill was given up; the gap stays open."""
        self.state, self.reason = "open", reason

    def closed(self, at: datetime, proof: str) -> None:
        self.state, self.proof, self.closed_at = "closed", proof, at

    def closed_in_part(self, at: datetime, reason: str) -> None:
        self.state, self.reason, self.closed_at = "closed_partial", reason, at


class BadItem(OrganisationRow):
    """An element that a connector could not read, kept for a while with its reason."""

    __tablename__ = "core_bad_item"
    __table_args__ = (
        refers_to("core_intake", "intake_id", on_delete="CASCADE"),
        Index("ix_core_bad_item_intake", "organisation_id", "intake_id"),
    )

    intake_id: Mapped[UUID]
    digest: Mapped[str]
    error: Mapped[str]
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    seen_at: Mapped[datetime]
