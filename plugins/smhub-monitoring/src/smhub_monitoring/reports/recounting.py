"""Counting a period anew from the mentions themselves, and telling what was counted otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import JobContext, Mention, finished, progress, still_ours, upsert_all
from smhub.sdk import Job
from smhub_monitoring.reports.counting import COLUMNS, DIMENSIONS, HOUR, HOURS_AT_ONCE, before_of, current, hour_of, sum_up, sums_of
from smhub_monitoring.reports.models import Counted, Hourly

AT_ONCE = 500
SHOWN = 20


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """Mentions published in [begins_at, ends_at)."""

    begins_at: datetime
    ends_at: datetime


async def recount(context: JobContext, payload: Recount) -> None:
    """Doing it twice finds nothing the second time."""
    assert context.organisation_id is not None
    organisation_id = context.organisation_id
    touched: set[datetime] = set()
    seen = different = 0
    after: tuple[datetime, UUID] | None = None
    while found := await _mentions(context, organisation_id, payload, after):
        wrong, changed = await _compare(context, organisation_id, [id_ for id_, _ in found])
        seen, different, after = seen + len(found), different + wrong, (found[-1][1], found[-1][0])
        touched |= changed
        await progress(context, seen)
    first, last = hour_of(payload.begins_at), hour_of(payload.ends_at - timedelta(microseconds=1))
    hours = sorted({*touched, *(first + HOUR * number for number in range((last - first) // HOUR + 1))})
    wrong_hours = await _hours(context, organisation_id, hours)
    result = {
        "mentions": seen,
        "mentions_different": different,
        "hours": len(hours),
        "hours_different": len(wrong_hours),
        "examples": [hour.isoformat() for hour in wrong_hours[:SHOWN]],
    }
    await finished(context, result)


async def _mentions(
    context: JobContext, organisation_id: UUID, payload: Recount, after: tuple[datetime, UUID] | None
) -> list[tuple[UUID, datetime]]:
    of = select(Mention.id, Mention.published_at).where(
        Mention.organisation_id == organisation_id, Mention.published_at < payload.ends_at
    )
    if after is None:
        of = of.where(Mention.published_at >= payload.begins_at)
    else:
        at, id_ = after
        of = of.where((Mention.published_at > at) | ((Mention.published_at == at) & (Mention.id > id_)))
    async with context.runtime.database.read() as session:
        rows = (await session.execute(of.order_by(Mention.published_at, Mention.id).limit(AT_ONCE))).all()
    return [(row.id, row.published_at) for row in rows]


async def _compare(context: JobContext, organisation_id: UUID, ids: list[UUID]) -> tuple[int, set[datetime]]:
    """How many were counted otherwise, and the hours that change with them."""
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        before = await before_of(session, organisation_id, ids)
        rows = await current(session, organisation_id, ids, before)
        wrong = [row for row in rows if before.get(row["mention_id"]) != row]
        if wrong:
            await upsert_all(session, Counted, wrong, COLUMNS)
        hours = {hour_of(one["published_at"]) for row in wrong for one in (row, before.get(row["mention_id"], row))}
        await sum_up(session, organisation_id, hours)
    return len(wrong), hours


async def _hours(context: JobContext, organisation_id: UUID, hours: list[datetime]) -> list[datetime]:
    """The hours whose sums were not those of their mentions; they are put right."""
    wrong: list[datetime] = []
    for start in range(0, len(hours), HOURS_AT_ONCE):
        some = hours[start : start + HOURS_AT_ONCE]
        async with context.runtime.database.write() as session:
            await still_ours(session, context)
            kept, right = await _kept(session, organisation_id, some), _plain(await sums_of(session, organisation_id, some))
            different = [hour for hour in some if kept.get(hour) != right.get(hour)]
            await sum_up(session, organisation_id, different)
        wrong += different
    return wrong


async def _kept(session: AsyncSession, organisation_id: UUID, hours: list[datetime]) -> dict[datetime, list[tuple[Any, ...]]]:
    of = select(Hourly.__table__).where(Hourly.organisation_id == organisation_id, Hourly.hour.in_(hours))
    return _plain([dict(row._mapping) for row in (await session.execute(of)).all()])


def _plain(rows: list[dict[str, Any]]) -> dict[datetime, list[tuple[Any, ...]]]:
    """The rows of each hour, without their numbers."""
    names = (*DIMENSIONS, "mentions", "deleted", "with_followers", "followers")
    found: dict[datetime, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row["hour"], []).append(tuple(row[name] for name in names))
    return {hour: sorted(those, key=repr) for hour, those in found.items()}


RECOUNT = Job(name="monitoring.recount", handler=recount, payload=Recount, timeout=3600.0, max_attempts=5)
