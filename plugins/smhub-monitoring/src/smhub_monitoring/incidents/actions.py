"""What one does with an incident, and what it does by itself: gather."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import exists, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Fact,
    Hold,
    JobContext,
    Mention,
    Organisation,
    Runtime,
    compile_sql,
    fields_of,
    new_id,
    parse,
    place_hold,
    record,
    release_hold,
    still_ours,
)
from smhub.sdk import Job
from smhub_monitoring.incidents.models import GATHERING, Incident, IncidentEntry, IncidentMention
from smhub_monitoring.within import within

AT_ONCE = 1000
OVERLAP = timedelta(minutes=15)
BEFORE_AN_ALERT = timedelta(hours=2)
_LIVE = Mention.content_state != literal_column("'deleted'")


class MonitoringIncidentData(msgspec.Struct, kw_only=True):
    """What an event of an incident tells."""

    state: str
    department_id: UUID | None


async def tell(
    session: AsyncSession,
    row: Incident,
    what: str,
    now: datetime,
    *,
    text: str = "",
    by: UUID | None = None,
    event: bool = True,
    **data: Any,
) -> IncidentEntry:
    """A line of the timeline, and an event."""
    entry = IncidentEntry(
        organisation_id=row.organisation_id, id=new_id(), incident_id=row.id, at=now, what=what, text=text, data=data, member_id=by
    )
    session.add(entry)
    await session.flush()
    if event:
        told = {"state": row.state, "department_id": str(row.department_id) if row.department_id else None}
        fact = Fact(
            organisation_id=row.organisation_id,
            type=f"monitoring.incident_{what}",
            subject_type="monitoring_incident",
            subject_id=row.id,
            at=now,
            actor_id=by,
            data=told,
        )
        await record(session, fact)
    return entry


async def escalate(session: AsyncSession, row: Incident, now: datetime, by: UUID | None, *, hold: bool) -> None:
    """It is a storm. Unless it is asked not to, it holds posts; replies go on, for people are to be answered."""
    held = None
    if hold:
        placed = await place_hold(
            session,
            row.organisation_id,
            now,
            cause="person",
            reason=f"Incident: {row.name}",
            department_id=row.department_id,
            kind="post",
            by=by,
        )
        held = placed.id
    row.escalated(held, now)
    await tell(session, row, "escalated", now, by=by, hold_id=str(held) if held else None)


async def calm(session: AsyncSession, runtime: Runtime, row: Incident, now: datetime, by: UUID | None) -> int:
    """The storm is over: what was held goes on. Returns how many posts are queued again."""
    hold = await session.get(Hold, (row.organisation_id, row.hold_id), with_for_update=True) if row.hold_id else None
    queued = await release_hold(session, runtime, hold, by) if hold is not None and hold.released_at is None else 0
    row.calmed(now)
    await tell(session, row, "calmed", now, by=by, queued=queued)
    return queued


async def close(session: AsyncSession, row: Incident, review: str | None, now: datetime, by: UUID | None) -> None:
    """What was learned is written down; nothing more is gathered."""
    row.closed(review, now)
    await tell(session, row, "closed", now, text=row.review or "", by=by)


async def gather(context: JobContext, _: None) -> None:
    """What was said since the last look and belongs to an incident that goes on."""
    runtime = context.runtime
    open_ = select(Incident.organisation_id, Incident.id).where(Incident.state.in_(sorted(GATHERING))).limit(100)
    async with runtime.database.read() as session:
        rows = (await session.execute(open_)).all()
    for organisation_id, incident_id in rows:
        while await _gather_some(context, organisation_id, incident_id):
            pass


async def _gather_some(context: JobContext, organisation_id: UUID, incident_id: UUID) -> bool:
    """Up to so many at once; whether there may be more."""
    runtime = context.runtime
    async with runtime.database.write() as session:
        await still_ours(session, context)
        row = await session.get(Incident, (organisation_id, incident_id), with_for_update=True)
        if row is None or row.state not in GATHERING:
            return False
        zone = ZoneInfo((await session.get_one(Organisation, organisation_id)).time_zone)
        new = (await session.scalars(belonging(runtime, row, zone))).all()
        if new:
            found = [{"organisation_id": organisation_id, "incident_id": incident_id, "mention_id": id_} for id_ in new]
            await session.execute(insert(IncidentMention), found)
            row.mentions += len(new)
        if len(new) == AT_ONCE:
            return True
        row.seen_at = runtime.clock.now()
        return False


def belonging(runtime: Runtime, row: Incident, zone: ZoneInfo) -> Any:
    """The mentions that belong to it and are not gathered. Those that came a while ago are looked at again: what is said about them (mood,
    intent) comes later than they do."""
    there = exists().where(
        IncidentMention.organisation_id == Mention.organisation_id,
        IncidentMention.incident_id == row.id,
        IncidentMention.mention_id == Mention.id,
    )
    statement = select(Mention.id).where(
        Mention.organisation_id == row.organisation_id, Mention.published_at >= row.since, _LIVE, ~there
    )
    if row.seen_at is not None:
        statement = statement.where(Mention.first_seen_at >= row.seen_at - OVERLAP)
    if row.department_id is not None:
        statement = statement.where(within(row.organisation_id, row.department_id))
    fields = fields_of(runtime.hub)
    found = compile_sql(parse(row.query, fields), fields, organisation_id=row.organisation_id, now=runtime.clock.now(), time_zone=zone)
    return found.narrow(statement).order_by(Mention.id).limit(AT_ONCE)


GATHER = Job(name="monitoring.gather", handler=gather, payload=None, timeout=120.0, max_attempts=1, every=10.0)
