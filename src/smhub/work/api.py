"""How one follows operations and jobs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter
from sqlalchemy import select

from smhub.access import audit
from smhub.db import paging
from smhub.errors import Conflict, NotFound
from smhub.hub.web import Asking, Cursor, Limit, PathId, Process, Session, does, reads
from smhub.work import actions, schemas
from smhub.work.models import Job, Operation, Schedule

TAG = "work"
OperationState = Annotated[
    str | None, QueryParameter(name="state", max_length=20, description="Only those in this state, for example running.")
]
OfSubject = Annotated[UUID | None, QueryParameter(description="Only those about this.")]
JobState = Annotated[str | None, QueryParameter(name="state", max_length=20, description="Only those in this state, for example dead.")]
JobName = Annotated[str | None, QueryParameter(max_length=100, description="Only those of this name, for example intake.poll.")]


@reads("/v1/operations", "operations:read", tag=TAG)
async def list_operations(
    caller: Asking,
    session: Session,
    runtime: Process,
    in_state: OperationState = None,
    subject_id: OfSubject = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Operations:
    """Long work, the newest first: the organisation's, or one's own where the permission holds in a part of it only."""
    statement = select(Operation).where(*actions.own(caller, "operations:read"))
    if in_state is not None:
        statement = statement.where(Operation.state == in_state)
    if subject_id is not None:
        statement = statement.where(Operation.subject_id == subject_id)
    rows, more = await paging.page(
        session,
        statement,
        cursors=runtime.cursors,
        purpose=f"operations {in_state} {subject_id}",
        organisation_id=caller.organisation_id,
        order=[Operation.id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.Operations(items=[schemas.OperationInfo.of(row) for row in rows], next_cursor=more)


@reads("/v1/operations/{operation_id:uuid}", "operations:read", NotFound, tag=TAG)
async def get_operation(caller: Asking, session: Session, operation_id: PathId) -> schemas.OperationInfo:
    """How far long work is, and what came of it."""
    return schemas.OperationInfo.of(await actions.operation(session, caller, operation_id, "operations:read"))


@does("/v1/operations/{operation_id:uuid}/cancel", "operations:write", NotFound, Conflict, tag=TAG)
async def cancel_operation(caller: Asking, session: Session, runtime: Process, operation_id: PathId) -> schemas.OperationInfo:
    """Cancel long work that has not begun."""
    row = await actions.operation(session, caller, operation_id, "operations:write")
    await actions.cancel_operation(session, row, runtime.clock.now())
    audit.note(session, "operation", row.id)
    return schemas.OperationInfo.of(row)


@reads("/v1/jobs", "jobs:read", tag=TAG)
async def list_jobs(
    caller: Asking,
    session: Session,
    runtime: Process,
    in_state: JobState = None,
    name: JobName = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Jobs:
    """Work for later, the newest first.

    The hub's own jobs are shown to its operator only."""
    statement = select(Job).where(actions.visible(caller, "jobs:read"))
    if in_state is not None:
        statement = statement.where(Job.state == in_state)
    if name is not None:
        statement = statement.where(Job.name == name)
    rows, more = await paging.page(
        session,
        statement,
        cursors=runtime.cursors,
        purpose=f"jobs {in_state} {name}",
        organisation_id=caller.organisation_id,
        order=[Job.id],
        cursor=cursor,
        limit=limit,
    )
    return schemas.Jobs(items=[schemas.JobInfo.of(row) for row in rows], next_cursor=more)


@reads("/v1/jobs/{job_id:uuid}", "jobs:read", NotFound, tag=TAG)
async def get_job(caller: Asking, session: Session, job_id: PathId) -> schemas.JobInfo:
    """One job."""
    return schemas.JobInfo.of(await actions.job(session, caller, job_id, "jobs:read"))


@does("/v1/jobs/{job_id:uuid}/retry", "jobs:write", NotFound, Conflict, tag=TAG)
async def retry_job(caller: Asking, session: Session, runtime: Process, job_id: PathId) -> schemas.JobInfo:
    """Try a job again that is dead or cancelled."""
    row = await actions.job(session, caller, job_id, "jobs:write", to_change=True)
    await actions.retry_job(session, row, runtime.clock.now())
    audit.note(session, "job", row.id)
    return schemas.JobInfo.of(row)


@does("/v1/jobs/{job_id:uuid}/cancel", "jobs:write", NotFound, Conflict, tag=TAG)
async def cancel_job(caller: Asking, session: Session, runtime: Process, job_id: PathId) -> schemas.JobInfo:
    """Cancel a job that waits, or give up one that is dead."""
    row = await actions.job(session, caller, job_id, "jobs:write", to_change=True)
    await actions.cancel_job(session, row, runtime.clock.now())
    audit.note(session, "job", row.id)
    return schemas.JobInfo.of(row)


@reads("/v1/schedules", "jobs:read", tag=TAG)
async def list_schedules(caller: Asking, session: Session) -> schemas.Schedules:
    """What the hub does by itself, and when next."""
    caller.need_everywhere("jobs:read")
    rows = (await session.scalars(select(Schedule).order_by(Schedule.name))).all()
    return schemas.Schedules(items=[schemas.ScheduleInfo.of(row) for row in rows])


ROUTES = [
    list_operations,
    get_operation,
    cancel_operation,
    list_jobs,
    get_job,
    retry_job,
    cancel_job,
    list_schedules,
]
