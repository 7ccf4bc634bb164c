"""What is counted of each mention, the hours that are summed up of it, the files that reports become, and what is made regularly."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smhub.features import Base, Id, Json, OrganisationRow, UtcDateTime, Versioned, belongs_to_organisation, refers_to

WAITING, MADE, FAILED = "waiting", "made", "failed"
RUN_STATES = (WAITING, MADE, FAILED)


class Counted(Base):
    """One mention as reports count it. It has no text and nothing of people, and stays when the mention goes.

    `quarter`: the number of the quarter of an hour since 1970 in which it was published; every time zone begins its days with one.
    `followers`: the author's when it was counted first. `reply_seconds`: until the first reply that a person wrote was out, on the clock;
    `reply_open_seconds` within the opening hours of its department; `public_reply_seconds` the first that everybody could read.
    """

    __tablename__ = "monitoring_counted"
    __table_args__ = (belongs_to_organisation(), Index("ix_monitoring_counted_quarter", "organisation_id", "quarter"))

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    mention_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    quarter: Mapped[int] = mapped_column(Integer)
    network: Mapped[str]
    visibility: Mapped[str]
    language: Mapped[str | None]
    mood: Mapped[str | None]
    intent: Mapped[str | None]
    topic: Mapped[str | None]
    department_id: Mapped[UUID | None]
    channel_id: Mapped[UUID | None]
    listener_id: Mapped[UUID | None]
    followers: Mapped[int | None] = mapped_column(BigInteger)
    delay_seconds: Mapped[int] = mapped_column(Integer)
    deleted: Mapped[bool] = mapped_column(Boolean)
    reply_seconds: Mapped[int | None] = mapped_column(Integer)
    reply_open_seconds: Mapped[int | None] = mapped_column(Integer)
    public_reply_seconds: Mapped[int | None] = mapped_column(Integer)


class Hourly(Base):
    """Sums over the mentions published in an hour that are alike in all the rest. The rows of an hour are numbered, and made anew together."""

    __tablename__ = "monitoring_hourly"
    __table_args__ = (belongs_to_organisation(),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    network: Mapped[str]
    visibility: Mapped[str]
    language: Mapped[str | None]
    mood: Mapped[str | None]
    intent: Mapped[str | None]
    department_id: Mapped[UUID | None]
    channel_id: Mapped[UUID | None]
    listener_id: Mapped[UUID | None]
    mentions: Mapped[int] = mapped_column(Integer)
    deleted: Mapped[int] = mapped_column(Integer)
    with_followers: Mapped[int] = mapped_column(Integer)
    followers: Mapped[int] = mapped_column(BigInteger)


class Counting(Base):
    """How far the log of events has been counted, for each organisation."""

    __tablename__ = "monitoring_counting"
    __table_args__ = (belongs_to_organisation(),)

    organisation_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


class ReportFile(OrganisationRow):
    """A report that was made, as a file. `department_id`: it tells of this one and those below it, None: of all."""

    __tablename__ = "monitoring_report_file"
    __table_args__ = (belongs_to_organisation(), refers_to("core_department", "department_id", on_delete="CASCADE"))

    department_id: Mapped[UUID | None]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[UUID | None]


class ReportSchedule(Versioned, OrganisationRow):
    """A report that people get regularly. `every`: week or month; `weekday` (0: Monday) or `day` of the month, `hour` on the organisation's wall.

    `what` is what is asked, as `asking` reads it; `next_at`: when the next one is due."""

    __tablename__ = "monitoring_report_schedule"
    __table_args__ = (
        belongs_to_organisation(),
        refers_to("core_department", "department_id"),
        Index("ix_monitoring_report_schedule_next", "next_at"),
    )

    name: Mapped[str]
    what: Mapped[dict[str, Any]] = mapped_column(Json)
    department_id: Mapped[UUID | None]
    every: Mapped[str]
    weekday: Mapped[int | None] = mapped_column(Integer)
    day: Mapped[int | None] = mapped_column(Integer)
    hour: Mapped[int] = mapped_column(Integer)
    target_ids: Mapped[list[Any]] = mapped_column(Json)
    enabled: Mapped[bool] = mapped_column(Boolean)
    next_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReportRun(OrganisationRow):
    """One period of a schedule, told to one target, once. `state`: waiting, made, failed."""

    __tablename__ = "monitoring_report_run"
    __table_args__ = (
        refers_to("monitoring_report_schedule", "schedule_id", on_delete="CASCADE"),
        refers_to("monitoring_target", "target_id", on_delete="CASCADE"),
        UniqueConstraint("organisation_id", "schedule_id", "ends_at", "target_id"),
    )

    schedule_id: Mapped[UUID]
    target_id: Mapped[UUID]
    begins_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str]
    reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(Integer)
    told_at: Mapped[datetime | None]

    def was_told(self, at: datetime) -> None:
        self.state, self.told_at, self.reason = MADE, at, None

    def was_not_told(self, reason: str) -> None:
        """Nobody tries again."""
        self.state, self.reason = FAILED, reason
