"""After a restore: what may have gone out since the backup is unclear, and nothing of it is said again by guessing."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.models import Channel
from smhub.deliveries import models, settling
from smhub.deliveries.envelope import Presence, presence_of
from smhub.deliveries.models import Attempt, Delivery
from smhub.deliveries.telling import send_later, tell
from smhub.errors import Conflict
from smhub.events.log import make_room
from smhub.hub.runtime import Runtime

MOVING = (models.QUEUED, models.HELD, models.SENDING, models.PENDING, models.UNKNOWN)
AT_ONCE = 500


class Unclear(msgspec.Struct, kw_only=True):
    """How many deliveries are unclear now: those that the hub itself looks for, and those about which a person decides."""

    looked_for: int = 0
    for_people: int = 0


async def all_unclear(session: AsyncSession, runtime: Runtime, backup_at: datetime) -> Unclear:
    """Every delivery that may have gone out since the backup becomes `unknown`, those that are due later too: somebody may have sent
    them earlier."""
    counted, at = Unclear(), None
    statement = select(Delivery).where(Delivery.state.in_(MOVING)).order_by(Delivery.organisation_id, Delivery.id).limit(AT_ONCE)
    while True:
        next_ones = statement if at is None else statement.where(tuple_(Delivery.organisation_id, Delivery.id) > at)
        found = (await session.scalars(next_ones)).all()
        if not found:
            return counted
        await make_room(session, len(found))
        for delivery in found:
            await _is_unclear(session, runtime, delivery, backup_at)
            counted.looked_for += delivery.next_at is not None
            counted.for_people += delivery.next_at is None
        at = (found[-1].organisation_id, found[-1].id)
        await session.flush()
        session.expunge_all()


async def _is_unclear(session: AsyncSession, runtime: Runtime, delivery: Delivery, backup_at: datetime) -> None:
    now = runtime.clock.now()
    gave_up = delivery.state == models.UNKNOWN and delivery.next_at is None
    attempt = await session.get(Attempt, (delivery.organisation_id, delivery.attempt_id)) if delivery.attempt_id else None
    if attempt is not None and attempt.state == "sending":
        attempt.state, attempt.ended_at, attempt.error_code = "unknown", now, models.RESTORED
        attempt.error = "the backup was made while it was being sent"
    delivery.was_restored(
        backup_at, now, f"the hub was restored from a backup of {backup_at:%Y-%m-%d %H:%M} UTC; it may be out since then"
    )
    delivery.next_at = None if gave_up else settling.next_look(runtime, delivery, await _presence(session, runtime, delivery), now)
    await tell(session, delivery, "delivery.unknown", now)
    if delivery.next_at is not None:
        await send_later(session, runtime, delivery, delivery.next_at)


async def _presence(session: AsyncSession, runtime: Runtime, delivery: Delivery) -> Presence | None:
    channel = await session.get_one(Channel, (delivery.organisation_id, delivery.channel_id))
    try:
        return presence_of(runtime, channel)
    except Conflict:
        return None
