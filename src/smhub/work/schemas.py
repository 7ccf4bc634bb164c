"""Wire types: operations, jobs, schedules."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from smhub.hub.web import Moment, known
from smhub.work.models import Job, Operation, Schedule

OPERATION_STATES = ("queued", "running", "done", "failed", "cancelled")
JOB_STATES = ("ready", "running", "done", "dead", "cancelled")


class OperationProblem(msgspec.Struct, kw_only=True):
    """Why it failed."""

    code: Annotated[str, known("job_failed")]
    detail: str = ""
    field: Annotated[str | None, Meta(description="Which setting is meant.", examples=["settings.account"])] = None


class OperationInfo(msgspec.Struct, kw_only=True):
    """Long work that somebody asked for."""

    id: UUID
    kind: Annotated[str, Meta(examples=["gap.fill"])]
    state: Annotated[str, known(*OPERATION_STATES)]
    subject_type: Annotated[str, known("gap", "channel", "listener", "intake")]
    subject_id: UUID
    job_id: UUID | None
    done: Annotated[int, Meta(ge=0, description="How much of `total`.")]
    total: Annotated[int | None, Meta(description="null: not known.")]
    result: Annotated[dict[str, Any] | None, Meta(description="What came of it, once it is done.")]
    error: OperationProblem | None
    created_by: UUID | None
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, row: Operation) -> OperationInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Operations(msgspec.Struct, kw_only=True):
    """A page of operations, the newest first."""

    items: list[OperationInfo]
    next_cursor: str | None


class JobInfo(msgspec.Struct, kw_only=True):
    """A piece of work. What it is about is not shown."""

    id: UUID
    organisation_id: Annotated[UUID | None, Meta(description="null: the hub's own.")]
    name: Annotated[str, Meta(examples=["intake.poll"])]
    key: Annotated[str | None, Meta(description="What limits count by.")]
    state: Annotated[str, known(*JOB_STATES)]
    priority: int
    run_at: Moment
    attempt: int
    max_attempts: int
    last_error: str | None
    suspect: Annotated[bool, Meta(description="A worker died while it ran; until it has ended well once it runs alone.")]
    created_at: Moment
    finished_at: Moment | None

    @classmethod
    def of(cls, row: Job) -> JobInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Jobs(msgspec.Struct, kw_only=True):
    """A page of jobs, the newest first."""

    items: list[JobInfo]
    next_cursor: str | None


class ScheduleInfo(msgspec.Struct, kw_only=True):
    """Work that comes by itself, once over all workers."""

    name: Annotated[str, Meta(examples=["work.prune"])]
    every: Annotated[float | None, Meta(description="Seconds; null: by `cron`.")]
    cron: Annotated[str | None, Meta(description="In UTC; null: by `every`.")]
    next_run_at: Moment
    last_run_at: Moment | None

    @classmethod
    def of(cls, row: Schedule) -> ScheduleInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Schedules(msgspec.Struct, kw_only=True):
    """All schedules, by name."""

    items: list[ScheduleInfo]
