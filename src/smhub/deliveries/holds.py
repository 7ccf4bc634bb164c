"""What keeps deliveries back, and what lets them go again."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.models import Channel
from smhub.db.types import Id
from smhub.deliveries.models import HELD, QUEUED, Delivery, Hold
from smhub.deliveries.telling import send_later, tell
from smhub.departments.models import Department
from smhub.events.log import Fact, record
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.text import clean_text

PERSON, BUG = "person", "connector_bug"
FIRST_PROBE, LONGEST_PROBE = timedelta(minutes=10), timedelta(days=1)


def active(organisation_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The holds of an organisation that are in force."""
    return Hold.organisation_id == organisation_id, Hold.released_at.is_(None)


_ORGANISATION, _CHANNEL = bindparam("organisation_id", type_=Id()), bindparam("channel_id", type_=Id())
_ABOVE, _OWN = Department.__table__.alias("above"), Department.__table__.alias("own")
_PATH = (
    select(_OWN.c.path)
    .where(_OWN.c.organisation_id == _ORGANISATION, _OWN.c.id == bindparam("department_id", type_=Id()))
    .scalar_subquery()
)
_COVERING = select(_ABOVE.c.id).where(
    _ABOVE.c.organisation_id == _ORGANISATION, or_(_ABOVE.c.path == _PATH, _PATH.like(_ABOVE.c.path + literal("/%")))
)
_IN_FORCE = (
    select(Hold)
    .where(
        Hold.organisation_id == _ORGANISATION,
        Hold.released_at.is_(None),
        or_(Hold.kind.is_(None), Hold.kind == bindparam("kind")),
        or_(
            and_(Hold.channel_id.is_(None), Hold.department_id.is_(None)),
            Hold.channel_id == _CHANNEL,
            Hold.department_id.in_(_COVERING.scalar_subquery()),
        ),
    )
    .order_by(Hold.id)
)


async def in_the_way(session: AsyncSession, delivery: Delivery, now: datetime) -> tuple[Hold | None, bool]:
    """The hold that keeps this delivery back, and whether it is let through as a probe."""
    values = {
        "organisation_id": delivery.organisation_id,
        "kind": delivery.kind,
        "channel_id": delivery.channel_id,
        "department_id": delivery.department_id,
    }
    found = (await session.scalars(_IN_FORCE, values)).all()
    for hold in found:
        if hold.probe_at is None or hold.probe_at > now:
            return hold, False
    for hold in found:
        hold.probes += 1
        hold.probe_at = now + min(FIRST_PROBE * 2**hold.probes, LONGEST_PROBE)
    return None, bool(found)


async def place(
    session: AsyncSession,
    organisation_id: UUID,
    now: datetime,
    *,
    cause: str,
    reason: str,
    channel_id: UUID | None = None,
    department_id: UUID | None = None,
    kind: str | None = None,
    by: UUID | None = None,
) -> Hold:
    """Hold back from now on. What the hub itself holds for the same cause is held once."""
    if cause != PERSON:
        same = select(Hold).where(*active(organisation_id), Hold.cause == cause, Hold.channel_id == channel_id).limit(1)
        if (there := (await session.scalars(same)).first()) is not None:
            return there
    version = select(Channel.version).where(Channel.organisation_id == organisation_id, Channel.id == channel_id)
    hold = Hold(
        organisation_id=organisation_id,
        id=new_id(),
        cause=cause,
        reason=clean_text(reason, 1000),
        kind=kind,
        department_id=department_id,
        channel_id=channel_id,
        created_by=by,
        created_at=now,
        channel_version=(await session.execute(version)).scalar_one_or_none() if channel_id else None,
        probe_at=now + FIRST_PROBE if cause == BUG else None,
        probes=0,
    )
    session.add(hold)
    await session.flush()
    await _told(session, hold, "hold.placed", now, by)
    return hold


async def release(session: AsyncSession, runtime: Runtime, hold: Hold, by: UUID | None) -> int:
    """Let go; returns how many deliveries are queued again. Another hold may catch them when they are due."""
    now = runtime.clock.now()
    hold.released(now, by)
    await _told(session, hold, "hold.released", now, by)
    held = select(Delivery).where(Delivery.organisation_id == hold.organisation_id, Delivery.state == HELD)
    if hold.channel_id is not None:
        held = held.where(Delivery.channel_id == hold.channel_id)
    if hold.kind is not None:
        held = held.where(Delivery.kind == hold.kind)
    count = 0
    for delivery in await session.scalars(held.order_by(Delivery.due_at, Delivery.id).with_for_update()):
        delivery.becomes(QUEUED, now)
        await tell(session, delivery, "delivery.queued", now, by)
        await send_later(session, runtime, delivery, now)
        count += 1
    return count


async def lift(session: AsyncSession, runtime: Runtime, organisation_id: UUID, channel_id: UUID, *causes: str) -> None:
    """Release what the hub itself held of a channel, because its cause is over."""
    mine = (Hold.channel_id == channel_id, Hold.cause.in_(causes) if causes else Hold.cause != PERSON)
    for hold in await session.scalars(select(Hold).where(*active(organisation_id), *mine)):
        await release(session, runtime, hold, None)


async def _told(session: AsyncSession, hold: Hold, type_: str, now: datetime, by: UUID | None) -> None:
    data = {
        "cause": hold.cause,
        "channel_id": str(hold.channel_id) if hold.channel_id else None,
        "department_id": str(hold.department_id) if hold.department_id else None,
    }
    fact = Fact(
        organisation_id=hold.organisation_id, type=type_, subject_type="hold", subject_id=hold.id, at=now, actor_id=by, data=data
    )
    await record(session, fact)
