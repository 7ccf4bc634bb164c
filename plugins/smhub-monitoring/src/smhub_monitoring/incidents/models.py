"""An incident, its mentions and its timeline. What may follow on what stands in one table."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from smhub.features import Base, Conflict, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to

WATCH, ACTIVE, REVIEW, CLOSED = "watch", "active", "review", "closed"
STATES = (WATCH, ACTIVE, REVIEW, CLOSED)
NEXT: dict[str, frozenset[str]] = {
    WATCH: frozenset({ACTIVE, CLOSED}),
    ACTIVE: frozenset({REVIEW}),
    REVIEW: frozenset({ACTIVE, CLOSED}),
    CLOSED: frozenset(),
}
GATHERING = frozenset({WATCH, ACTIVE})


class Incident(Versioned, OrganisationRow):
    """One storm. `query` says which mentions belong to it, from `since` on; what came in until `seen_at` was looked at.

    `holding_answer` is what may be said until more is known. While it is active `hold_id` keeps posts back, of `department_id` and those below it or
    of the whole organisation. `review` is what was learned; without it an incident that was active is not closed.
    """

    __tablename__ = "monitoring_incident"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_department", "department_id"),
        Index("ix_monitoring_incident_state", "organisation_id", "state", "id"),
    )

    name: Mapped[str]
    query: Mapped[str]
    department_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(default=WATCH)
    holding_answer: Mapped[str | None]
    review: Mapped[str | None]
    alert_id: Mapped[UUID | None]
    hold_id: Mapped[UUID | None]
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None]
    mentions: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_by: Mapped[UUID | None]
    active_at: Mapped[datetime | None]
    calm_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    def _becomes(self, state: str) -> None:
        if state not in NEXT[self.state]:
            raise Conflict(f"The incident is {self.state}.", f"Der Vorfall ist im Zustand {self.state}.", extra={"state": self.state})
        self.state = state
        self.changed()

    def escalated(self, hold_id: UUID | None, at: datetime) -> None:
        """It is a storm: posts are held from now on."""
        self._becomes(ACTIVE)
        self.hold_id, self.active_at, self.calm_at = hold_id, self.active_at or at, None

    def calmed(self, at: datetime) -> None:
        """It is over; what is to be learned of it?"""
        self._becomes(REVIEW)
        self.hold_id, self.calm_at = None, at

    def closed(self, review: str | None, at: datetime) -> None:
        """Nothing more is done. A storm is not closed without its review."""
        if self.active_at is not None and not (review or self.review):
            raise Conflict("Write down what was learned, then close it: review.", "Erst aufschreiben, was gelernt wurde: review.")
        self._becomes(CLOSED)
        self.review, self.closed_at = review or self.review, at


class IncidentMention(Base):
    """A mention that belongs to an incident."""

    __tablename__ = "monitoring_incident_mention"
    __table_args__ = (
        refers_to("monitoring_incident", "incident_id", on_delete="CASCADE"),
        refers_to("core_mention", "mention_id", on_delete="CASCADE"),
        Index("ix_monitoring_incident_mention", "organisation_id", "mention_id"),
    )

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)


class IncidentEntry(OrganisationRow):
    """A line of the timeline. `what`: opened, escalated, calmed, closed, changed, note, alert. `data` holds what else there is to know."""

    __tablename__ = "monitoring_incident_entry"
    __table_args__ = (
        refers_to("monitoring_incident", "incident_id", on_delete="CASCADE"),
        Index("ix_monitoring_incident_entry", "organisation_id", "incident_id", "id"),
    )

    incident_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    what: Mapped[str]
    text: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    member_id: Mapped[UUID | None]
