"""What runs every so often: a row for each, and the next time it is due. Whoever finds it due adds the job, once."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronsim import CronSim
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.upsert import upsert_all
from smhub.hub.runtime import Runtime
from smhub.sdk import Job as JobKind
from smhub.work.models import Schedule
from smhub.work.queue import later


async def make_known(session: AsyncSession, runtime: Runtime, now: datetime) -> None:
    """Bring the rows in line with what the plugins and the core want done regularly."""
    known = {row.name: (row.every, row.cron) for row in await session.scalars(select(Schedule))}
    regular = {job.name: job for job in runtime.hub.jobs.values() if job.every or job.cron}
    for name in known.keys() - regular.keys():
        await session.execute(delete(Schedule).where(Schedule.name == name))
    # What stands already is not touched: somebody may be firing it, and stop in the middle.
    wanted = [
        {"name": name, "every": job.every, "cron": job.cron, "next_run_at": _next(job, now, first=True)}
        for name, job in regular.items()
        if known.get(name) != (job.every, job.cron)
    ]
    if wanted:
        await upsert_all(session, Schedule, wanted, ("every", "cron"))


async def fire(runtime: Runtime) -> None:
    """Add a job for everything that is due."""
    now = runtime.clock.now()
    regular = [name for name, job in runtime.hub.jobs.items() if job.every or job.cron]
    due = select(Schedule.name).where(Schedule.next_run_at <= now, Schedule.name.in_(regular)).order_by(Schedule.name)
    async with runtime.database.read() as session:
        if (await session.execute(due.limit(1))).first() is None:
            return
    async with runtime.database.write() as session:
        # Whoever is firing one just now is not waited for: it may have been stopped in the middle.
        for name in (await session.scalars(due.with_for_update(skip_locked=True))).all():
            kind = runtime.hub.jobs[name]
            await session.execute(update(Schedule).where(Schedule.name == name).values(next_run_at=_next(kind, now), last_run_at=now))
            await later(session, kind, None, now=now, dedupe_key=f"schedule:{name}")


def _next(kind: JobKind, now: datetime, *, first: bool = False) -> datetime:
    if kind.cron:
        return next(CronSim(kind.cron, now))
    return now if first else now + timedelta(seconds=kind.every or 60.0)
