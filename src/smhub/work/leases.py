"""A job that runs is leased to its worker. `attempt` fences: whoever lost the lease writes nothing any more."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.work.models import Job
from smhub.work.queue import JobContext

LEASE = timedelta(seconds=30)


class LeaseLost(Exception):
    """Somebody else has the job now: stop, and write nothing."""


async def renew(session: AsyncSession, context: JobContext) -> None:
    """As still_ours, and the lease lasts its whole time from now on."""
    ours = (Job.id == context.job_id, Job.attempt == context.attempt, Job.state == "running")
    again = (
        update(Job).where(*ours).values(lease_until=context.runtime.clock.now() + LEASE).execution_options(synchronize_session=False)
    )
    if (await session.execute(again)).rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(f"job {context.job_id} is no longer ours")


async def still_ours(session: AsyncSession, context: JobContext) -> None:
    """In the transaction that is about to write: raise LeaseLost when the job was claimed by somebody else meanwhile."""
    ours = select(Job.id).where(Job.id == context.job_id, Job.attempt == context.attempt, Job.state == "running").with_for_update()
    if (await session.execute(ours)).first() is None:
        raise LeaseLost(f"job {context.job_id} is no longer ours")
