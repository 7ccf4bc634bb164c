"""What is to be done later, as rows: jobs, their limits, schedules, operations to follow, and who works."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, Index, Integer, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base, Id, Json, OrganisationRow, UtcDateTime, belongs_to_organisation


class Job(Base):
    """One piece of work. `state`: ready, running, done, dead, cancelled.

    `key` limits how many run at once and how fast (JobLimit); `dedupe_key` keeps a second one from being added while the first is
    ready or running. A lease that ends makes a running job ready for somebody else; `attempt` fences the one who lost it.
    `suspect`: a worker died while it ran; it runs alone until it ended once without killing anybody.
    """

    __tablename__ = "core_job"
    __table_args__ = (
        Index("ix_core_job_claim", "state", "run_at", "priority"),
        Index("ix_core_job_key", "key", "state"),
        Index("ix_core_job_suspect", "state", sqlite_where=text("suspect"), postgresql_where=text("suspect")),
        Index("ix_core_job_organisation", "organisation_id", "id"),
        Index(
            "uq_core_job_dedupe_key",
            "dedupe_key",
            unique=True,
            sqlite_where=text("state in ('ready', 'running')"),
            postgresql_where=text("state in ('ready', 'running')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    organisation_id: Mapped[UUID | None]
    name: Mapped[str]
    key: Mapped[str | None]
    dedupe_key: Mapped[str | None]
    payload: Mapped[Any] = mapped_column(Json, nullable=True)
    state: Mapped[str] = mapped_column(default="ready")
    priority: Mapped[int] = mapped_column(Integer, default=0)
    run_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer, default=5)
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None]
    last_error: Mapped[str | None]
    suspect: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None]

    def try_again(self, at: datetime) -> None:
        # Attempts go on counting: an old attempt that still runs somewhere never becomes valid again.
        self.state, self.run_at, self.max_attempts = "ready", at, self.attempt + 5
        self.lease_until = self.worker = self.finished_at = None

    def was_cancelled(self, at: datetime) -> None:
        self.state, self.finished_at, self.lease_until = "cancelled", at, None


class JobLimit(Base):
    """How many jobs with this key may run at once, and how many may start in a second (a token bucket; None: any number)."""

    __tablename__ = "core_job_limit"

    key: Mapped[str] = mapped_column(primary_key=True)
    max_running: Mapped[int] = mapped_column(Integer, default=1)
    per_second: Mapped[float | None] = mapped_column(Float)
    burst: Mapped[float] = mapped_column(Float, default=1.0)
    tokens: Mapped[float] = mapped_column(Float, default=1.0)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Schedule(Base):
    """A job that runs regularly. Fired by a conditional update on `next_run_at`: once over all workers."""

    __tablename__ = "core_schedule"

    name: Mapped[str] = mapped_column(primary_key=True)
    every: Mapped[float | None] = mapped_column(Float)
    cron: Mapped[str | None]
    next_run_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_run_at: Mapped[datetime | None]


class Worker(Base):
    """A worker that is alive: its heartbeat is what /readyz looks at."""

    __tablename__ = "core_worker"

    id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    running: Mapped[int] = mapped_column(Integer, default=0)


class Operation(OrganisationRow):
    """Long work that somebody asked for and follows. `state`: queued, running, done, failed, cancelled.

    `done` of `total` is the progress (total None: not known). `result` or `error` (a problem) tells how it ended.
    """

    __tablename__ = "core_operation"
    __table_args__ = (belongs_to_organisation(), UniqueConstraint("organisation_id", "job_id"))

    kind: Mapped[str]
    state: Mapped[str] = mapped_column(default="queued")
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    job_id: Mapped[UUID | None]
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int | None] = mapped_column(Integer)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def began(self, at: datetime) -> None:
        self.state, self.updated_at = "running", at

    def succeeded(self, at: datetime, result: dict[str, Any]) -> None:
        self.state, self.result, self.updated_at = "done", result, at

    def failed(self, at: datetime, error: dict[str, Any]) -> None:
        self.state, self.error, self.updated_at = "failed", error, at

    def was_cancelled(self, at: datetime) -> None:
        self.state, self.updated_at = "cancelled", at

    def waits_again(self, at: datetime) -> None:
        self.state, self.error, self.updated_at = "queued", None, at
