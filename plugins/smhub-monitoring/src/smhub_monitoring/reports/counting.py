"""Counting mentions: what reports need of each is written down, and the hours that it touches are summed up anew.

What changes a mention stands in the log of events; the log is followed, an organisation at a time, and how far it was counted is kept in
the transaction that counts. So nothing is left out or counted twice, in whatever order mentions, annotations, edits and replies come. A
mention that is gone keeps what was counted of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import (
    Author,
    Delivery,
    Department,
    Event,
    Hours,
    JobContext,
    Mention,
    Organisation,
    add_unless_there,
    business_seconds,
    events_after,
    still_ours,
    upsert_all,
)
from smhub.sdk import Job
from smhub_monitoring.reports.models import Counted, Counting, Hourly

AT_ONCE = 500
QUARTER = 900
HOURS_AT_ONCE = 100
HOUR = timedelta(hours=1)
OPEN_TO_ALL = ("public", "unlisted")
SEEN = (
    "mention.discovered",
    "mention.content_changed",
    "mention.deleted",
    "mention.annotated",
    "mention.routed",
    "mention.changed",
    "delivery.published",
)
DIMENSIONS = ("network", "visibility", "language", "mood", "intent", "department_id", "channel_id", "listener_id")
"""What the rows of an hour are told apart by."""
COLUMNS = tuple(column.name for column in Counted.__table__.columns if not column.primary_key)


async def count(context: JobContext, _: None) -> None:
    """Follow the log of every organisation to its end."""
    async with context.runtime.database.read() as session:
        organisations = (await session.scalars(select(Organisation.id).order_by(Organisation.id))).all()
    for organisation_id in organisations:
        while await _follow(context, organisation_id):
            pass


async def _follow(context: JobContext, organisation_id: UUID) -> bool:
    """Count what some events tell of; whether there may be more."""
    database = context.runtime.database
    async with database.read() as session:
        events = await _next(session, database.dialect, organisation_id)
    if not events:
        return False
    async with database.write() as session:
        await still_ours(session, context)
        await add_unless_there(session, Counting, {"organisation_id": organisation_id, "seq": 0}, ("organisation_id",))
        counting = await session.get_one(Counting, organisation_id, with_for_update=True)
        new = [event for event in events if event.seq > counting.seq and event.type in SEEN]
        deliveries = [event.subject_id for event in new if event.type == "delivery.published"]
        ids = {event.subject_id for event in new if event.type != "delivery.published"}
        ids |= await _answered_by(session, organisation_id, deliveries)
        await count_again(session, organisation_id, ids)
        counting.seq = max(counting.seq, events[-1].seq)
    return len(events) == AT_ONCE


async def _next(session: AsyncSession, dialect: str, organisation_id: UUID) -> list[Any]:
    seq = (await session.execute(select(Counting.seq).where(Counting.organisation_id == organisation_id))).scalar_one_or_none() or 0
    following = events_after(dialect, organisation_id, seq, AT_ONCE)
    return list((await session.execute(following.with_only_columns(Event.seq, Event.type, Event.subject_id))).all())


async def _answered_by(session: AsyncSession, organisation_id: UUID, delivery_ids: list[UUID]) -> set[UUID]:
    if not delivery_ids:
        return set()
    of = select(Delivery.mention_id).where(Delivery.organisation_id == organisation_id, Delivery.id.in_(delivery_ids))
    return {id_ for id_ in (await session.scalars(of)).all() if id_ is not None}


async def count_again(session: AsyncSession, organisation_id: UUID, mention_ids: Collection[UUID]) -> set[datetime]:
    """Write down what these mentions are now, and sum up the hours that they were in and are in. Returns those hours."""
    hours: set[datetime] = set()
    ids = sorted(mention_ids)
    for start in range(0, len(ids), AT_ONCE):
        hours |= await _write_down(session, organisation_id, ids[start : start + AT_ONCE])
    await sum_up(session, organisation_id, hours)
    return hours


async def _write_down(session: AsyncSession, organisation_id: UUID, ids: list[UUID]) -> set[datetime]:
    before = await before_of(session, organisation_id, ids)
    rows = await current(session, organisation_id, ids, before)
    if rows:
        await upsert_all(session, Counted, rows, COLUMNS)
    times = [one["published_at"] for one in before.values()] + [row["published_at"] for row in rows]
    return {hour_of(at) for at in times}


def hour_of(at: datetime) -> datetime:
    """The UTC hour in which it lies."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


async def before_of(session: AsyncSession, organisation_id: UUID, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """What was counted of these mentions."""
    of = select(Counted.__table__).where(Counted.organisation_id == organisation_id, Counted.mention_id.in_(ids))
    return {row.mention_id: dict(row._mapping) for row in (await session.execute(of)).all()}


async def current(
    session: AsyncSession, organisation_id: UUID, ids: list[UUID], before: dict[UUID, dict[str, Any]]
) -> list[dict[str, Any]]:
    """What is to be counted of these mentions; nothing of one that is not there any more, or of which only its deletion was ever told."""
    of = (
        select(
            Mention.id,
            Mention.published_at,
            Mention.first_seen_at,
            Mention.network,
            Mention.visibility,
            Mention.language,
            Mention.annotations,
            Mention.department_id,
            Mention.channel_id,
            Mention.listener_id,
            Mention.content_state,
            Author.followers,
        )
        .join(Author, and_(Author.organisation_id == Mention.organisation_id, Author.id == Mention.author_id), isouter=True)
        .where(Mention.organisation_id == organisation_id, Mention.id.in_(ids), Mention.digest != "")
        .order_by(Mention.id)
    )
    mentions = (await session.execute(of)).all()
    replies = await _replies(session, organisation_id, ids)
    hours = await _hours(session, organisation_id, {one.department_id for one in mentions if one.id in replies})
    return [_row(organisation_id, one, before.get(one.id, {}), replies.get(one.id), hours) for one in mentions]


def _row(organisation_id: UUID, one: Any, before: dict[str, Any], reply: Any, hours: dict[UUID, Hours]) -> dict[str, Any]:
    said = {key: found["value"] for key, found in one.annotations.items()}
    frozen = before.get("followers")
    return {
        "organisation_id": organisation_id,
        "mention_id": one.id,
        "published_at": one.published_at,
        "quarter": quarter_of(one.published_at),
        "network": one.network,
        "visibility": one.visibility,
        "language": _word(said.get("language")) or one.language or (before.get("language") if one.content_state == "deleted" else None),
        "mood": _word(said.get("mood")),
        "intent": _word(said.get("intent")),
        "topic": _word(said.get("topic")),
        "department_id": one.department_id,
        "channel_id": one.channel_id,
        "listener_id": one.listener_id,
        "followers": one.followers if frozen is None else frozen,
        "delay_seconds": _seconds(one.published_at, one.first_seen_at),
        "deleted": one.content_state == "deleted",
        **_replied(one, before, reply, hours),
    }


def _replied(one: Any, before: dict[str, Any], reply: Any, hours: dict[UUID, Hours]) -> dict[str, Any]:
    names = ("reply_seconds", "reply_open_seconds", "public_reply_seconds")
    if reply is None:
        return {name: before.get(name) for name in names}
    first, first_public = reply
    open_ = hours.get(one.department_id)
    return {
        "reply_seconds": _seconds(one.published_at, first),
        "reply_open_seconds": None if open_ is None else int(business_seconds(open_, one.published_at, max(first, one.published_at))),
        "public_reply_seconds": None if first_public is None else _seconds(one.published_at, first_public),
    }


def _word(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _seconds(start: datetime, end: datetime) -> int:
    """Whole seconds; clocks differ, so that something may seem to have been seen before it was said."""
    return max(int((end - start).total_seconds()), 0)


async def _replies(session: AsyncSession, organisation_id: UUID, ids: Iterable[UUID]) -> dict[UUID, tuple[datetime, datetime | None]]:
    """When the first reply that a person wrote was out, and the first that everybody could read."""
    public = or_(Delivery.visibility.in_(OPEN_TO_ALL), and_(Delivery.visibility.is_(None), Mention.visibility.in_(OPEN_TO_ALL)))
    of = (
        select(Delivery.mention_id, func.min(Delivery.published_at), func.min(case((public, Delivery.published_at))))
        .join(Mention, and_(Mention.organisation_id == Delivery.organisation_id, Mention.id == Delivery.mention_id))
        .where(
            Delivery.organisation_id == organisation_id,
            Delivery.mention_id.in_(list(ids)),
            Delivery.kind == "reply",
            Delivery.created_by.is_not(None),
            Delivery.published_at.is_not(None),
        )
        .group_by(Delivery.mention_id)
    )
    return {id_: (first, public_) for id_, first, public_ in (await session.execute(of)).all()}


async def _hours(session: AsyncSession, organisation_id: UUID, ids: set[UUID | None]) -> dict[UUID, Hours]:
    wanted = [id_ for id_ in ids if id_ is not None]
    if not wanted:
        return {}
    of = select(Department).where(Department.organisation_id == organisation_id, Department.id.in_(wanted))
    return {row.id: Hours.of(row) for row in (await session.scalars(of)).all()}


async def sum_up(session: AsyncSession, organisation_id: UUID, hours: Collection[datetime]) -> None:
    """Make the rows of these hours anew."""
    every = sorted(hours)
    for start in range(0, len(every), HOURS_AT_ONCE):
        some = every[start : start + HOURS_AT_ONCE]
        gone = delete(Hourly).where(Hourly.organisation_id == organisation_id, Hourly.hour.in_(some))
        await session.execute(gone.execution_options(synchronize_session=False))
        rows = await sums_of(session, organisation_id, some)
        if rows:
            await session.execute(insert(Hourly), rows)


def quarter_of(at: datetime) -> int:
    """The number of the quarter of an hour in which it lies."""
    return int(at.timestamp()) // QUARTER


async def sums_of(session: AsyncSession, organisation_id: UUID, hours: list[datetime]) -> list[dict[str, Any]]:
    """The rows of some hours as they should be."""
    columns = [getattr(Counted, name) for name in DIMENSIONS]
    number = Counted.quarter // 4
    quarters = [quarter_of(hour) + more for hour in hours for more in range(4)]
    of = (
        select(
            number.label("number"),
            *columns,
            func.count().label("mentions"),
            func.sum(case((Counted.deleted, 1), else_=0)).label("deleted"),
            func.count(Counted.followers).label("with_followers"),
            func.coalesce(func.sum(Counted.followers), 0).label("followers"),
        )
        .where(Counted.organisation_id == organisation_id, Counted.quarter.in_(quarters))
        .group_by(number, *columns)
        .order_by(number, *(column.nulls_first() for column in columns))
    )
    places: Counter[datetime] = Counter()
    rows = []
    for row in (await session.execute(of)).all():
        hour = datetime.fromtimestamp(row.number * 4 * QUARTER, UTC)
        rows.append(
            {**row._mapping, "followers": int(row.followers), "organisation_id": organisation_id, "hour": hour, "number": places[hour]}
        )
        places[hour] += 1
    return rows


COUNT = Job(name="monitoring.count", handler=count, payload=None, timeout=300.0, max_attempts=1, every=10.0)
