"""Rules, the alerts that they raise, and who is told of them. What may follow on what stands in one table."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from smhub.features import (
    Conflict,
    Json,
    OrganisationRow,
    UtcDateTime,
    Versioned,
    belongs_to_organisation,
    refers_to,
)

RAISED, ACKNOWLEDGED, CLEARED = "raised", "acknowledged", "cleared"
STATES = (RAISED, ACKNOWLEDGED, CLEARED)
NEXT: dict[str, frozenset[str]] = {
    RAISED: frozenset({ACKNOWLEDGED, CLEARED}),
    ACKNOWLEDGED: frozenset({CLEARED}),
    CLEARED: frozenset(),
}
SEVERITIES = ("info", "warning", "critical")
WAITING, TOLD, FAILED = "waiting", "told", "failed"
NOTICE_STATES = (WAITING, TOLD, FAILED)


class Target(Versioned, OrganisationRow):
    """Where people look: a mailbox, a chat, a pager. Its Apprise address is a secret; `service` is its first word. `language`: de or en."""

    __tablename__ = "monitoring_target"
    __table_args__ = (belongs_to_organisation(),)

    name: Mapped[str]
    service: Mapped[str]
    language: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AlertRule(Versioned, OrganisationRow):
    """When to warn. `condition` holds a kind and its figures; `query` says which mentions count, within `department_id` and below it.

    `steps`: who is told when: [{"after_minutes": 0, "target_ids": […]}, …], in the order of time. `quiet_from` and `quiet_until` are HH:MM on the
    organisation's wall; what is not critical is told after them.
    `next_at`: when it is looked at next. `problem`: why it cannot be looked at.
    """

    __tablename__ = "monitoring_alert_rule"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_department", "department_id"),
        Index("ix_monitoring_alert_rule_next", "next_at"),
    )

    name: Mapped[str]
    condition: Mapped[dict[str, Any]] = mapped_column(Json)
    query: Mapped[str]
    department_id: Mapped[UUID | None]
    severity: Mapped[str]
    steps: Mapped[list[Any]] = mapped_column(Json)
    quiet_from: Mapped[str | None]
    quiet_until: Mapped[str | None]
    cooldown_minutes: Mapped[int] = mapped_column(Integer)
    enabled: Mapped[bool] = mapped_column(Boolean)
    problem: Mapped[str | None]
    next_at: Mapped[datetime | None]
    looked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Alert(Versioned, OrganisationRow):
    """A rule that came true. There is one for each rule at a time; it clears when the rule has not been true for a while.

    `figures` are what was measured when it was raised, `mention_ids` the mentions that caused it (the newest, some). `steps_done`: how many of
    the rule's steps were taken; `next_step_at`: when the next one is due, unless somebody acknowledges it before.
    """

    __tablename__ = "monitoring_alert"
    __table_args__ = (
        refers_to("monitoring_alert_rule", "rule_id", on_delete="CASCADE"),
        Index("ix_monitoring_alert_state", "organisation_id", "state", "id"),
        Index("ix_monitoring_alert_next_step", "next_step_at"),
        Index(
            "uq_monitoring_alert_open",
            "organisation_id",
            "rule_id",
            unique=True,
            sqlite_where=text("cleared_at is null"),
            postgresql_where=text("cleared_at is null"),
        ),
    )

    rule_id: Mapped[UUID]
    department_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(default=RAISED)
    severity: Mapped[str]
    figures: Mapped[dict[str, Any]] = mapped_column(Json)
    mention_ids: Mapped[list[Any]] = mapped_column(Json)
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    true_at: Mapped[datetime] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None]
    cleared_at: Mapped[datetime | None]
    steps_done: Mapped[int] = mapped_column(Integer, default=0)
    next_step_at: Mapped[datetime | None]

    def _becomes(self, state: str) -> None:
        if state not in NEXT[self.state]:
            raise Conflict(f"The alert is {self.state}.", f"Der Alarm ist im Zustand {self.state}.", extra={"state": self.state})
        self.state, self.next_step_at = state, None
        self.changed()

    def acknowledged(self, by: UUID, at: datetime) -> None:
        """Somebody takes care of it: nobody else is told."""
        self._becomes(ACKNOWLEDGED)
        self.acknowledged_at, self.acknowledged_by = at, by

    def cleared(self, at: datetime) -> None:
        """It is not true any more."""
        self._becomes(CLEARED)
        self.cleared_at = at

    def still_true(self, at: datetime) -> None:
        self.true_at = at


class Notice(OrganisationRow):
    """One target is told of one step of one alert, or that it is over. `what`: raised or cleared. `step`: the first is 0."""

    __tablename__ = "monitoring_notice"
    __table_args__ = (
        refers_to("monitoring_alert", "alert_id", on_delete="CASCADE"),
        refers_to("monitoring_target", "target_id", on_delete="CASCADE"),
        UniqueConstraint("organisation_id", "alert_id", "what", "step", "target_id"),
    )

    alert_id: Mapped[UUID]
    target_id: Mapped[UUID]
    what: Mapped[str]
    step: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(default=WAITING)
    reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    told_at: Mapped[datetime | None]

    def was_told(self, at: datetime) -> None:
        self.state, self.told_at, self.reason = TOLD, at, None

    def was_not_told(self, reason: str) -> None:
        """Nobody tries again."""
        self.state, self.reason = FAILED, reason
