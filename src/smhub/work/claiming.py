"""How a worker takes due jobs: by priority and age, within the limits of each key, and so that two workers never take the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, case, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from smhub.hub.runtime import Runtime
from smhub.work import leases
from smhub.work.models import Job, JobLimit
from smhub.work.suspects import bury

WINDOW = 8
_OTHER = aliased(Job)
_PROVEN = case((select(_OTHER.id).where(_OTHER.key == Job.key, _OTHER.state == "done").exists(), 1), else_=0)
"""Of suspects, those come first of whose kind and subject one has ended well before: they are most likely innocent."""


class Claimed(msgspec.Struct, frozen=True):
    """A job that is ours until its lease ends."""

    id: UUID
    organisation_id: UUID | None
    name: str
    payload: Any
    attempt: int
    max_attempts: int


async def claim(
    session: AsyncSession, runtime: Runtime, worker: str, *, names: Collection[str], free: int, urgent: bool, suspects: bool
) -> list[Claimed]:
    """At most `free` due jobs of these names, made this worker's; with `urgent` only those that have priority, with `suspects` only those."""
    now = runtime.clock.now()
    alive = and_(Job.state == "running", Job.lease_until >= now)
    counted = select(Job.key, func.count()).where(alive, Job.key.is_not(None)).group_by(Job.key)
    running: Counter[str] = Counter(dict((await session.execute(counted)).all()))  # type: ignore[arg-type]
    full = await _full(session, running, now)
    due = or_(and_(Job.state == "ready", Job.run_at <= now), and_(Job.state == "running", Job.lease_until < now))
    open_: ColumnElement[bool] = or_(Job.key.is_(None), Job.key.not_in(sorted(full))) if full else text("1 = 1")  # type: ignore[assignment]
    statement = (
        select(Job.id, Job.organisation_id, Job.name, Job.payload, Job.attempt, Job.max_attempts, Job.key)
        .where(due, open_, Job.suspect.is_(suspects), Job.name.in_(sorted(names)))
        .where(Job.priority > 0 if urgent else text("1 = 1"))
        .order_by(*([_PROVEN.desc()] if suspects else []), Job.priority.desc(), Job.run_at, Job.id)
        .limit(free * WINDOW)
        .with_for_update(skip_locked=True)
    )
    found = (await session.execute(statement)).all()
    keys = await _locked(session, sorted({row[6] for row in found if row[6] is not None}))
    if session.get_bind().dialect.name == "postgresql" and keys:
        # Others may have started some between our first look and the lock.
        again = counted.where(Job.key.in_(keys))
        running = Counter(dict((await session.execute(again)).all()))  # type: ignore[arg-type]
    # `_full` may have seen some of them before the lock.
    fresh = select(JobLimit).where(JobLimit.key.in_(keys)).execution_options(populate_existing=True)
    limits = {one.key: one for one in await session.scalars(fresh)} if keys else {}
    chosen: list[Claimed] = []
    spent: list[UUID] = []
    for id_, organisation_id, name, payload, attempt, max_attempts, key in found:
        if len(chosen) >= free:
            break
        if attempt >= max_attempts:
            spent.append(id_)
            continue
        if key is not None:
            if key not in keys or not _room(limits.get(key), running[key], now):
                continue
            running[key] += 1
        chosen.append(Claimed(id_, organisation_id, name, payload, attempt + 1, max_attempts))
    if chosen:
        await session.execute(
            update(Job)
            .where(Job.id.in_([job.id for job in chosen]))
            .values(state="running", attempt=Job.attempt + 1, lease_until=now + leases.LEASE, worker=worker)
            .execution_options(synchronize_session=False)
        )
    for id_ in spent:
        await bury(session, id_, now, "its worker died at every attempt")
    return chosen


def _room(limit: JobLimit | None, running: int, now: datetime) -> bool:
    """Whether one more may start; takes a token when it may. Without a limit of its own a key runs one at a time."""
    if limit is None:
        return running < 1
    if running >= limit.max_running:
        return False
    if limit.per_second is None:
        return True
    tokens = min(limit.burst, limit.tokens + (now - limit.updated_at).total_seconds() * limit.per_second)
    if tokens < 1:
        return False
    limit.tokens, limit.updated_at = tokens - 1, now
    return True


async def _full(session: AsyncSession, running: Counter[str], now: datetime) -> set[str]:
    """Keys from which nothing may start now, so that their jobs do not fill the window."""
    limits = select(JobLimit.key, JobLimit.max_running).where(JobLimit.key.in_(sorted(running)))
    allowed = dict((await session.execute(limits)).all()) if running else {}
    full = {key for key, count in running.items() if count >= allowed.get(key, 1)}
    slow = (await session.scalars(select(JobLimit).where(JobLimit.per_second.is_not(None), JobLimit.tokens < 1))).all()
    for one in slow:
        grown = one.tokens + (now - one.updated_at).total_seconds() * (one.per_second or 0.0)
        if min(one.burst, grown) < 1:
            full.add(one.key)
    return full


async def _locked(session: AsyncSession, keys: list[str]) -> set[str]:
    """The keys that nobody else is claiming from at this moment; on SQLite that is all, since there is one writer."""
    if not keys or session.get_bind().dialect.name == "sqlite":
        return set(keys)
    free = text("select key from unnest(cast(:keys as text[])) as key where pg_try_advisory_xact_lock(hashtextextended(key, 7362))")
    return set((await session.scalars(free, {"keys": keys})).all())
