"""The net under the jobs: a delivery that is due and that no job has looked at gets one. And what frees a channel's deliveries."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.models import Channel
from smhub.deliveries import changing, holds, media, metrics, models, sending, settling
from smhub.deliveries.models import Delivery, Hold
from smhub.deliveries.telling import ADVANCE, PRIORITY, Advance, send_later
from smhub.hub.runtime import Runtime
from smhub.sdk import Job
from smhub.work.queue import JobContext, later
from smhub.work.suspects import Guilt

OVERDUE = timedelta(seconds=60)
AT_ONCE = 200


async def sweep(context: JobContext, _: None) -> None:
    """Deliveries whose time was a minute ago: a job for each, unless the last sweep's still waits."""
    await _free(context)
    await _probe(context)
    runtime = context.runtime
    now = runtime.clock.now()
    overdue = or_(
        Delivery.next_at < now - OVERDUE,
        and_(Delivery.state == models.SENDING, Delivery.next_at.is_(None), Delivery.updated_at < now - OVERDUE),
    )
    moving = Delivery.state.in_((models.QUEUED, models.SENDING, models.PENDING, models.UNKNOWN))
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


async def of_sending(runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: Advance, guilt: Guilt) -> None:
    """A delivery whose connector killed the worker that ran it alone: what came of it is unclear, and the channel is held back."""
    delivery = await sending.locked(session, organisation_id, payload.delivery_id)
    now = runtime.clock.now()
    if delivery.state == models.SENDING:
        await settling.abandoned_by_its_worker(session, runtime, delivery, None, now)
    if delivery.state in (models.UNKNOWN, models.PENDING):
        # No more tries by ourselves: each would cost a worker.
        delivery.reason_code, delivery.reason, delivery.next_at = guilt.why, guilt.words, None
    await holds.place(session, delivery.organisation_id, now, cause=holds.BUG, reason=guilt.words, channel_id=delivery.channel_id)


async def _probe(context: JobContext) -> None:
    """Held deliveries whose hold may let one through now: they are queued, and all but the first are held again."""
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        due = select(Delivery).where(Delivery.state == models.HELD, Delivery.next_at <= now).order_by(Delivery.due_at, Delivery.id)
        for delivery in (await session.scalars(due.limit(AT_ONCE).with_for_update(skip_locked=True))).all():
            delivery.becomes(models.QUEUED, now)
            await send_later(session, runtime, delivery, now)


SWEEP = Job(name="delivery.sweep", handler=sweep, timeout=60.0, max_attempts=1, every=5.0)
JOBS = (sending.SEND, changing.EDIT, changing.TAKE_BACK, SWEEP, media.FORGET, metrics.DUE, metrics.READ)
