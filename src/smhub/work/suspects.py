"""A worker died: which of its jobs may have killed it, and what becomes of the one that did.

Whoever watches a worker calls `release` when it died: its jobs are ready again at once, and those that may have killed it are suspects.
Suspects run in workers of their own, each alone. If such a worker dies, the job that it ran is guilty, and `convict` ends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.hub.runtime import Runtime
from smhub.work.models import Job, Operation, Worker

Why = Literal["crashed", "hung", "memory"]


class Guilt(msgspec.Struct, frozen=True, kw_only=True):
    """What a job did to the worker that ran it alone: why it died, and how, in words for people."""

    why: Why
    words: str


OnGuilty = Callable[[Runtime, AsyncSession, UUID | None, Any, Guilt], Awaitable[None]]
"""What else happens when a job of a kind is guilty, in the transaction that buries it: (runtime, session, organisation, payload, guilt)."""


async def due(session: AsyncSession, now: datetime, most: int) -> int:
    """How many suspects wait to be run, counted up to `most`."""
    waiting = or_(and_(Job.state == "ready", Job.run_at <= now), and_(Job.state == "running", Job.lease_until < now))
    return len((await session.execute(select(Job.id).where(Job.suspect, waiting).limit(most))).all())


async def release(session: AsyncSession, runtime: Runtime, worker: str, named: UUID | None = None) -> int:
    """The worker is dead: its jobs are ready again. `named` is the one that it was stuck in; without it all may have killed it, except the
    hub's own, in which there is no plugin. Returns how many are suspects now."""
    session.info["woke"] = True
    await session.execute(delete(Worker).where(Worker.id == worker))
    running = select(Job.id, Job.name, Job.organisation_id).where(Job.worker == worker, Job.state == "running")
    found = (await session.execute(running.with_for_update())).all()
    suspects = {id_ for id_, name, of in found if of is not None or name.partition(".")[0] in runtime.hub.records}
    if named in suspects:
        suspects = {named}
    for ids, suspect in ((suspects, True), ({row[0] for row in found} - suspects, False)):
        # The attempt was not theirs to lose, but it goes on counting, for it fences.
        again = {"state": "ready", "suspect": suspect, "lease_until": None, "worker": None, "run_at": runtime.clock.now()}
        statement = update(Job).where(Job.id.in_(ids)).values(**again, max_attempts=Job.max_attempts + 1)
        await session.execute(statement.execution_options(synchronize_session=False))
    return len(suspects)


async def release_all(session: AsyncSession, runtime: Runtime) -> None:
    """Nobody works here: what is said to be running was cut off, by the machine or by an operator, and goes on without suspicion."""
    await session.execute(delete(Worker))
    again = {"state": "ready", "lease_until": None, "worker": None, "run_at": runtime.clock.now()}
    statement = update(Job).where(Job.state == "running").values(**again, max_attempts=Job.max_attempts + 1)
    await session.execute(statement.execution_options(synchronize_session=False))


async def convict(session: AsyncSession, runtime: Runtime, worker: str, guilt: Guilt) -> bool:
    """The worker ran one suspect alone and died, so that one is guilty: it is dead, and its kind says what else happens. False: it ran
    nothing."""
    row = (await session.scalars(select(Job).where(Job.worker == worker, Job.state == "running").with_for_update())).first()
    if row is None:
        return False
    hook, kind = runtime.hub.on_guilty.get(row.name), runtime.hub.jobs.get(row.name)
    if hook is not None and kind is not None:
        # It ran, so its payload fits.
        payload = row.payload if kind.payload is None else msgspec.convert(row.payload, kind.payload)
        await hook(runtime, session, row.organisation_id, payload, guilt)
    await bury(session, row.id, runtime.clock.now(), guilt.words)
    return True


async def bury(session: AsyncSession, job_id: UUID, now: datetime, error: str) -> None:
    """No more attempts: the job is dead, and the operation that followed it has failed."""
    await session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(state="dead", lease_until=None, finished_at=now, last_error=error)
        .execution_options(synchronize_session=False)
    )
    operation = (await session.scalars(select(Operation).where(Operation.job_id == job_id))).one_or_none()
    if operation is not None and operation.state in ("queued", "running"):
        operation.failed(now, {"code": "job_failed", "detail": error})
