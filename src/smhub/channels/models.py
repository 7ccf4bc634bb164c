"""Where mentions come from: our own channels, listeners for what others say, and the intakes that bring both in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Date, Index, Integer, LargeBinary, UniqueConstraint, text
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
    """A saved search on a network. `words` are looked for; with a `query` they are those of its words that every match must have one of.
    `purpose` and `legal_basis` are why we may. `daily_budget`: how many mentions it may bring a day (UTC); None: as many as come."""

    __tablename__ = "core_listener"
    __table_args__ = (belongs_to_organisation(), refers_to("core_department", "department_id"))

    network: Mapped[str]
    name: Mapped[str]
    query: Mapped[str | None]
    words: Mapped[list[str]]
    languages: Mapped[list[str]]
    purpose: Mapped[str]
    legal_basis: Mapped[str]
    settings: Mapped[dict[str, Any]]
    config_version: Mapped[int] = mapped_column(Integer, default=1)
    department_id: Mapped[UUID | None]
    poll_seconds: Mapped[int | None] = mapped_column(Integer)
    daily_budget: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Intake(OrganisationRow):
    """What brings mentions in from one channel or listener: its cursor and its health.

    `state`: connecting, active, degraded, auth_required, config_error, blocked, quarantined, paused. `reason` says why in
    words, `since` from when on. `source`: webhook while its network delivers by itself, else polling; stream where it can only be heard.
    `stream_state`: None where nothing is to be heard, else connecting, open, waiting (it broke, and is opened again at `stream_next_at`),
    refused (the network or the connector does not let us; tried again rarely).
    `spent`: how many mentions it brought on the day `spent_on` (UTC), where its listener has a budget.
    """

    __tablename__ = "core_intake"
    __table_args__ = (
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        refers_to("core_listener", "listener_id", on_delete="CASCADE"),
        CheckConstraint("(channel_id is null) <> (listener_id is null)", name="one_source"),
        Index("ix_core_intake_channel", "organisation_id", "channel_id"),
        Index("ix_core_intake_listener", "organisation_id", "listener_id"),
        Index("ix_core_intake_due", "next_poll_at"),
        Index("ix_core_intake_stream_due", "stream_next_at"),
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
    source: Mapped[str] = mapped_column(default="polling", server_default="polling")
    last_delivery_at: Mapped[datetime | None]
    stream_state: Mapped[str | None]
    stream_since: Mapped[datetime | None]
    stream_reason_code: Mapped[str | None]
    stream_reason: Mapped[str | None]
    stream_failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    stream_next_at: Mapped[datetime | None]
    stream_heard_at: Mapped[datetime | None]
    stream_cursor: Mapped[dict[str, Any] | None] = mapped_column(Json)
    spent: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    spent_on: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def becomes(self, state: str, at: datetime) -> None:
        if self.state != state:
            self.state, self.since = state, at

    def stream_becomes(self, state: str, at: datetime, code: str | None = None, reason: str | None = None) -> None:
        if self.stream_state != state:
            self.stream_state, self.stream_since = state, at
        self.stream_reason_code, self.stream_reason = code, reason


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
    """An element that a connector could not read, kept for a while with its reason. `delivery_id`: the webhook's delivery it came with,
    which can be tried again."""

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
    delivery_id: Mapped[UUID | None]


class Hook(OrganisationRow):
    """The address at which a channel's network delivers. Only the hash of its last part is looked up; the part itself is sealed.

    `state`: waiting (the hub has no address that a network may call), subscribing, subscribed, by_hand (a person enters the address at the
    network), failed, ending (the network was asked to stop, and may ask back). `confirmed_until`: so long the network said that it
    delivers, where it confirms. After a rotation the old address, or the old signing secret, holds until its time is over.
    """

    __tablename__ = "core_hook"
    __table_args__ = (
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        UniqueConstraint("organisation_id", "channel_id"),
        Index("uq_core_hook_token_hash", "token_hash", unique=True),
        Index("uq_core_hook_old_token_hash", "old_token_hash", unique=True),
        Index("ix_core_hook_check", "next_check_at"),
    )

    channel_id: Mapped[UUID]
    token_hash: Mapped[str]
    old_token_hash: Mapped[str | None]
    old_token_until: Mapped[datetime | None]
    old_secret_until: Mapped[datetime | None]
    confirmed_until: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(default="subscribing")
    reason: Mapped[str | None]
    failures: Mapped[int] = mapped_column(Integer, default=0)
    checked_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
    last_delivery_at: Mapped[datetime | None]
    deliveries: Mapped[int] = mapped_column(Integer, default=0)
    refused: Mapped[int] = mapped_column(Integer, default=0)
    last_refused_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def to_be_subscribed(self, at: datetime) -> None:
        """The address or the settings are new: the network is told at once."""
        self.state, self.reason, self.failures, self.next_check_at = "subscribing", None, 0, at
        self.confirmed_until = None

    def awaits_confirmation(self, reason: str, check_at: datetime) -> None:
        """The network was asked, and has not said yet that it delivers; it is asked again when it does not."""
        self.state, self.reason, self.failures, self.next_check_at = "subscribing", reason, self.failures + 1, check_at

    def was_confirmed(self, until: datetime, at: datetime) -> None:
        """The network said that it delivers. What was waited for is written down at once; a renewal needs nothing more."""
        self.confirmed_until = until
        if self.state != "subscribed":
            self.next_check_at = at

    def is_ending(self) -> None:
        self.state, self.reason, self.next_check_at = "ending", None, None

    def is_subscribed(self, at: datetime, check_at: datetime) -> None:
        self.state, self.reason, self.failures, self.checked_at, self.next_check_at = "subscribed", None, 0, at, check_at

    def is_by_hand(self, at: datetime, check_at: datetime | None) -> None:
        self.state, self.reason, self.failures, self.checked_at, self.next_check_at = "by_hand", None, 0, at, check_at

    def waits(self, reason: str, check_at: datetime) -> None:
        self.state, self.reason, self.next_check_at = "waiting", reason, check_at

    def could_not_be_subscribed(self, reason: str, check_at: datetime) -> None:
        self.state, self.reason, self.failures, self.next_check_at = "failed", reason, self.failures + 1, check_at

    def old_address_ended(self) -> None:
        self.old_token_hash = self.old_token_until = None


class WebhookDelivery(OrganisationRow):
    """What a network delivered, as it came. `state`: new (acknowledged, to be taken in), done (its bytes are wiped), bad.

    The row stays for a while after it is done, so that the same delivery is known again by `dedupe_key`. `signed_by`: the secret that
    fitted, current or old.
    """

    __tablename__ = "core_webhook_delivery"
    __table_args__ = (
        refers_to("core_channel", "channel_id", on_delete="CASCADE"),
        refers_to("core_intake", "intake_id", on_delete="CASCADE"),
        Index("uq_core_webhook_delivery_dedupe", "organisation_id", "channel_id", "dedupe_key", unique=True),
        Index(
            "ix_core_webhook_delivery_new",
            "organisation_id",
            "channel_id",
            "next_at",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
        Index("ix_core_webhook_delivery_finished", "finished_at"),
    )

    channel_id: Mapped[UUID]
    intake_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(default="new")
    dedupe_key: Mapped[str]
    signed_by: Mapped[str]
    headers: Mapped[dict[str, Any]]
    query: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tried_at: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    def try_again(self, at: datetime) -> None:
        """Somebody asked for one more attempt."""
        self.state, self.next_at, self.finished_at = "new", at, None
