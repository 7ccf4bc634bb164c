"""What one does with jobs and operations: follow, cancel, try again, clear away."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.errors import Conflict, NotFound
from smhub.sdk import Job as JobKind
from smhub.work.leases import still_ours
from smhub.work.models import Job, Operation
from smhub.work.queue import JobContext

JOBS_KEPT = timedelta(days=1)
OPERATIONS_KEPT = timedelta(days=30)
BATCH = 1000


async def progress(context: JobContext, done: int, total: int | None = None) -> None:
    """Tell who follows the operation of this job how far it is; raises LeaseLost when the job is somebody else's now."""
    async with context.runtime.database.write() as session:
        operation = await _followed(session, context)
        if operation is not None:
            operation.began(context.runtime.clock.now())
            operation.done, operation.total = done, total


async def finished(context: JobContext, result: dict[str, Any]) -> None:
    """The operation of this job is done; raises LeaseLost when the job is somebody else's now."""
    async with context.runtime.database.write() as session:
        operation = await _followed(session, context)
        if operation is not None:
            operation.succeeded(context.runtime.clock.now(), result)


async def failed(context: JobContext, error: dict[str, Any]) -> None:
    """The operation of this job came to nothing, for good; `error` has a code and a detail."""
    async with context.runtime.database.write() as session:
        operation = await _followed(session, context)
        if operation is not None:
            operation.failed(context.runtime.clock.now(), error)


async def _followed(session: AsyncSession, context: JobContext) -> Operation | None:
    """The operation that follows this job, while the job is ours."""
    await still_ours(session, context)
    return await _following(session, context.job_id)


async def _following(session: AsyncSession, job_id: UUID) -> Operation | None:
    return (await session.scalars(select(Operation).where(Operation.job_id == job_id).with_for_update())).one_or_none()


def own(caller: Caller, permission: str) -> list[ColumnElement[bool]]:
    """The operations that one may see: all of the organisation's, or else those that one asked for."""
    mine = [Operation.organisation_id == caller.organisation_id]
    return mine if caller.scope(permission).everywhere else [*mine, Operation.created_by == caller.member_id]


async def operation(session: AsyncSession, caller: Caller, id_: UUID, permission: str) -> Operation:
    """An operation in the scope of the permission; NotFound otherwise."""
    row = (await session.scalars(select(Operation).where(*own(caller, permission), Operation.id == id_))).one_or_none()
    if row is None:
        raise NotFound(what="operation")
    return row


async def cancel_operation(session: AsyncSession, row: Operation, now: datetime) -> None:
    """Cancel what has not begun, and its job. Whoever changes the job first, the worker or we, decides."""
    if row.state != "queued":
        raise _begun()
    if row.job_id is not None:
        waiting = update(Job).where(Job.id == row.job_id, Job.state == "ready").values(state="cancelled", finished_at=now)
        cancelled = await session.execute(waiting.execution_options(synchronize_session=False))
        if not cancelled.rowcount:  # type: ignore[attr-defined]
            raise _begun()
    row.was_cancelled(now)


def _begun() -> Conflict:
    return Conflict("It has begun or ended already.", "Es hat schon begonnen oder ist beendet.")


def visible(caller: Caller, permission: str) -> ColumnElement[bool]:
    """The jobs that the permission is about: the organisation's, and the hub's own for its operator."""
    caller.need_everywhere(permission)
    own_jobs = Job.organisation_id == caller.organisation_id
    return or_(own_jobs, Job.organisation_id.is_(None)) if caller.scope("organisations:read").everywhere else own_jobs


async def job(session: AsyncSession, caller: Caller, id_: UUID, permission: str, *, to_change: bool = False) -> Job:
    """A job that the permission is about; NotFound otherwise."""
    statement = select(Job).where(visible(caller, permission), Job.id == id_)
    row = (await session.scalars(statement.with_for_update() if to_change else statement)).one_or_none()
    if row is None:
        raise NotFound(what="job")
    return row


async def retry_job(session: AsyncSession, row: Job, now: datetime) -> None:
    """Try again what is dead or cancelled; the operation that follows it waits again too."""
    if row.state not in ("dead", "cancelled"):
        raise Conflict(f"The job is {row.state}.", f"Der Job ist im Zustand {row.state}.")
    if row.dedupe_key is not None:
        same = select(Job.id).where(Job.dedupe_key == row.dedupe_key, Job.state.in_(("ready", "running"))).limit(1)
        if (await session.execute(same)).first():
            raise _there_already()
    operation = await _following(session, row.id)
    row.try_again(now)
    if operation is not None:
        operation.waits_again(now)
    try:
        await session.flush()
    except IntegrityError as error:
        raise _there_already() from error
    session.info["woke"] = True


def _there_already() -> Conflict:
    return Conflict("The same work is waiting or running already.", "Die gleiche Arbeit wartet oder läuft schon.")


async def cancel_job(session: AsyncSession, row: Job, now: datetime) -> None:
    """Cancel what waits or is dead; the operation that follows it is cancelled too."""
    if row.state not in ("ready", "dead"):
        raise Conflict(f"The job is {row.state}.", f"Der Job ist im Zustand {row.state}.")
    operation = await _following(session, row.id)
    row.was_cancelled(now)
    if operation is not None and operation.state in ("queued", "running"):
        operation.was_cancelled(now)
    await session.flush()


async def prune(context: JobContext, _: None) -> None:
    """Clear away what ended long ago, a batch in each transaction."""
    now = context.runtime.clock.now()
    jobs = (Job.state.in_(("done", "cancelled")), Job.finished_at < now - JOBS_KEPT)
    operations = (Operation.state.in_(("done", "failed", "cancelled")), Operation.updated_at < now - OPERATIONS_KEPT)
    for model, old in ((Job, jobs), (Operation, operations)):
        gone = BATCH
        while gone == BATCH:
            async with context.runtime.database.write() as session:
                some = select(model.id).where(*old).limit(BATCH)
                statement = delete(model).where(*old, model.id.in_(some)).execution_options(synchronize_session=False)
                gone = (await session.execute(statement)).rowcount  # type: ignore[attr-defined]


PRUNE = JobKind(name="work.prune", handler=prune, timeout=300.0, max_attempts=1, every=3600.0)
