"""Deliveries, each try at one, and what holds them back. What may follow on what stands in one table."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to
from smhub.errors import Conflict
from smhub.text import clean_text

DRAFT, QUEUED, HELD, SENDING, PENDING = "draft", "queued", "held", "sending", "pending"
PUBLISHED, REFUSED, UNKNOWN = "published", "refused", "unknown"
CANCELLED, EXPIRED, ABANDONED, DELETED = "cancelled", "expired", "abandoned", "deleted"
STATES = (DRAFT, QUEUED, HELD, SENDING, PENDING, PUBLISHED, REFUSED, UNKNOWN, CANCELLED, EXPIRED, ABANDONED, DELETED)

NEXT: dict[str, frozenset[str]] = {
    DRAFT: frozenset({QUEUED, CANCELLED}),
    QUEUED: frozenset({SENDING, HELD, EXPIRED, REFUSED, CANCELLED, UNKNOWN}),
    HELD: frozenset({QUEUED, EXPIRED, CANCELLED, UNKNOWN}),
    SENDING: frozenset({PUBLISHED, REFUSED, PENDING, UNKNOWN, QUEUED, HELD}),
    PENDING: frozenset({PUBLISHED, REFUSED, UNKNOWN}),
    UNKNOWN: frozenset({SENDING, PENDING, PUBLISHED, REFUSED, QUEUED, ABANDONED}),
    REFUSED: frozenset({QUEUED, ABANDONED}),
    EXPIRED: frozenset({QUEUED, ABANDONED}),
    PUBLISHED: frozenset({DELETED}),
    CANCELLED: frozenset(),
    ABANDONED: frozenset(),
    DELETED: frozenset(),
}
"""What may follow on what. People cause: queued (from draft, refused, expired, unknown), cancelled, abandoned, and published from
unknown. All the rest is caused by the one job that holds the delivery, and unknown also by a restore."""

CHANGEABLE = frozenset({DRAFT, QUEUED, HELD, REFUSED, EXPIRED})
"""Nothing of it is out, and nothing is on its way."""
OPEN = frozenset({DRAFT, QUEUED, HELD, SENDING, PENDING, UNKNOWN})
"""It may still go out, or may be out."""
LONGEST_REASON = 1000
FIRST_FIGURES = timedelta(minutes=15)
"""After this time the network is asked for the first time how often it was seen and liked."""
RESTORED = "restored"


class Delivery(Versioned, OrganisationRow):
    """One reply or post that goes out through one channel.

    `key` and `digest` are of the frozen `envelope`, which is written before the first byte leaves and never changed while anything of
    it may be out. `next_at` is when the hub itself looks at it next; None: it waits for a person, or is at rest. `settled_by` says
    what made an unclear outcome clear: key, container, lookup or person. `restored_from`: when the backup was made out of which it
    came, until it is clear what became of it since then. `media` describes its files, `media_models.File` each.
    `metrics_at`: when the network is asked next what became of it; None: never again.
    """

    __tablename__ = "core_delivery"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_channel", "channel_id"),
        refers_to("core_department", "department_id"),
        refers_to("core_mention", "mention_id"),
        Index("ix_core_delivery_channel", "organisation_id", "channel_id", "id"),
        Index("ix_core_delivery_mention", "organisation_id", "mention_id", "id"),
        Index("ix_core_delivery_state", "organisation_id", "state", "id"),
        Index("ix_core_delivery_next", "next_at"),
        Index("ix_core_delivery_metrics", "metrics_at"),
    )

    kind: Mapped[str]
    channel_id: Mapped[UUID]
    network: Mapped[str]
    department_id: Mapped[UUID | None]
    mention_id: Mapped[UUID | None]
    text: Mapped[str]
    visibility: Mapped[str | None]
    language: Mapped[str | None]
    sensitive: Mapped[str | None]
    media: Mapped[list[Any]] = mapped_column(Json, default=list)
    state: Mapped[str] = mapped_column(default=DRAFT)
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    due_at: Mapped[datetime | None]
    max_lateness: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime | None]
    key: Mapped[str | None]
    digest: Mapped[str | None]
    envelope: Mapped[str | None] = mapped_column(Text)
    connector_version: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    attempt_id: Mapped[UUID | None]
    tries: Mapped[int] = mapped_column(Integer, default=0)
    first_sent_at: Mapped[datetime | None]
    pending: Mapped[dict[str, Any] | None] = mapped_column(Json)
    external_id: Mapped[str | None]
    url: Mapped[str | None]
    published_at: Mapped[datetime | None]
    metrics_at: Mapped[datetime | None]
    settled_by: Mapped[str | None]
    restored_from: Mapped[datetime | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def becomes(self, state: str, at: datetime, *, code: str | None = None, reason: str | None = None) -> None:
        """The one way from state to state; Conflict when it does not follow on the present one."""
        if state not in NEXT[self.state]:
            raise Conflict(
                f"The delivery is {self.state}.", f"Die Auslieferung ist im Zustand {self.state}.", extra={"state": self.state}
            )
        self.state, self.updated_at = state, at
        self.reason_code, self.reason = code, clean_text(reason, LONGEST_REASON) if reason else None
        self.next_at = None
        self.metrics_at = at + FIRST_FIGURES if state == PUBLISHED else None
        if state not in (UNKNOWN, SENDING, PENDING):
            self.restored_from = None
        self.changed()

    def was_restored(self, backup_at: datetime, at: datetime, reason: str) -> None:
        """It came out of a backup: whatever is known of it ends with that, and a look before that counts no more."""
        if self.state != UNKNOWN:
            self.becomes(UNKNOWN, at)
        self.reason_code, self.reason, self.updated_at = RESTORED, reason, at
        self.restored_from, self.first_sent_at, self.tries = backup_at, self.first_sent_at or backup_at, 0
        self.changed()

    def thaw(self) -> None:
        """Nothing of it is out: the next try freezes it anew, under a new key when its words changed."""
        self.envelope = self.digest = self.key = self.connector_version = self.pending = None
        self.first_sent_at = None


class Attempt(OrganisationRow):
    """One try at a delivery. Its row is committed before the first byte leaves.

    `action`: publish, check, find, edit, delete. `state`: sending, published, pending, refused, unknown, not_sent, found, not_found,
    done. `acted`: a write went out whole, so the network may have acted on it.
    """

    __tablename__ = "core_attempt"
    __table_args__ = (
        refers_to("core_delivery", "delivery_id", on_delete="CASCADE"),
        Index("ix_core_attempt_delivery", "organisation_id", "delivery_id", "number"),
        Index("ix_core_attempt_channel", "organisation_id", "channel_id", "id"),
    )

    delivery_id: Mapped[UUID]
    channel_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    action: Mapped[str]
    state: Mapped[str]
    safety: Mapped[str]
    key: Mapped[str]
    digest: Mapped[str]
    connector_version: Mapped[str]
    job_id: Mapped[UUID]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None]
    acted: Mapped[bool] = mapped_column(Boolean, default=False)
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    status: Mapped[int | None] = mapped_column(Integer)
    external_id: Mapped[str | None]
    url: Mapped[str | None]


class Figures(OrganisationRow):
    """What the network counted for a delivery at one moment: absolute counts, never differences."""

    __tablename__ = "core_delivery_figures"
    __table_args__ = (
        refers_to("core_delivery", "delivery_id", on_delete="CASCADE"),
        Index("ix_core_delivery_figures_delivery", "organisation_id", "delivery_id", "observed_at"),
    )

    delivery_id: Mapped[UUID]
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    counts: Mapped[dict[str, Any]] = mapped_column(Json)


class Hold(OrganisationRow):
    """What keeps deliveries back: of a channel, a department with those below it, or (both None) of the whole organisation. `kind`: post or
    reply, where only these are held.

    `cause`: person, or what the hub itself met: auth_expired, config_invalid, permission_missing, connector_bug. `probe_at`: when one
    delivery is let through to see whether it is over. `channel_version`: what the hub held back goes on once the channel is another.
    """

    __tablename__ = "core_hold"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        refers_to("core_department", "department_id", on_delete="CASCADE"),
        Index("ix_core_hold_active", "organisation_id", "released_at"),
    )

    cause: Mapped[str]
    reason: Mapped[str]
    kind: Mapped[str | None]
    department_id: Mapped[UUID | None]
    channel_id: Mapped[UUID | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    released_by: Mapped[UUID | None]
    released_at: Mapped[datetime | None]
    channel_version: Mapped[int | None] = mapped_column(Integer)
    probe_at: Mapped[datetime | None]
    probes: Mapped[int] = mapped_column(Integer, default=0)

    def released(self, at: datetime, by: UUID | None) -> None:
        self.released_at, self.released_by, self.probe_at = at, by, None
