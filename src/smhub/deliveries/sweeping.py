"""The net under the jobs: a delivery that is due and that no job has looked at gets one. And what frees a channel's deliveries."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import and_, or_, select

from smhub.channels.models import Channel
from smhub.deliveries import changing, holds, models, sending
from smhub.deliveries.models import Delivery, Hold
from smhub.deliveries.telling import ADVANCE, PRIORITY, Advance
from smhub.sdk import Job
from smhub.work.queue import JobContext, later

OVERDUE = timedelta(seconds=60)
AT_ONCE = 200


async def sweep(context: JobContext, _: None) -> None:
    """Deliveries whose time was a minute ago: a job for each, unless the last sweep's still waits."""
    await _free(context)
    runtime = context.runtime
    now = runtime.clock.now()
    overdue = or_(
        Delivery.next_at < now - OVERDUE,
        and_(Delivery.state == models.SENDING, Delivery.next_at.is_(None), Delivery.updated_at < now - OVERDUE),
    )
    moving = Delivery.state.in_((models.QUEUED, models.HELD, models.SENDING, models.PENDING, models.UNKNOWN))
    async with runtime.database.write() as session:
        found = select(Delivery.organisation_id, Delivery.id, Delivery.channel_id).where(moving, overdue).order_by(Delivery.next_at)
        for organisation_id, id_, channel_id in (await session.execute(found.limit(AT_ONCE))).all():
            await later(
                session,
                runtime.hub.jobs[ADVANCE],
                Advance(delivery_id=id_),
                now=now,
                organisation_id=organisation_id,
                key=f"deliver:{channel_id}",
                dedupe_key=f"sweep:{id_}",
                priority=PRIORITY,
            )


async def _free(context: JobContext) -> None:
    """Channels that were verified or changed since the hub held them back: their deliveries go on."""
    async with context.runtime.database.write() as session:
        changed = (
            select(Hold)
            .join(Channel, and_(Channel.organisation_id == Hold.organisation_id, Channel.id == Hold.channel_id))
            .where(Hold.released_at.is_(None), Hold.cause != holds.PERSON, Channel.version != Hold.channel_version)
        )
        for hold in (await session.scalars(changed)).all():
            await holds.release(session, context.runtime, hold, None)


SWEEP = Job(name="delivery.sweep", handler=sweep, timeout=60.0, max_attempts=1, every=5.0)
JOBS = (sending.SEND, changing.EDIT, changing.TAKE_BACK, SWEEP)
