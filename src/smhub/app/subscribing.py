"""Subscribers: each follows the log of events at its own place, and gets every event as a job of its own, at least once.

The place moves on in the transaction that adds the jobs. A subscriber that is new begins with what happens from then on.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base
from smhub.events.log import following, settled
from smhub.events.models import Event
from smhub.hub.loader import Hub
from smhub.organisations.models import Organisation
from smhub.sdk import Job, Subscriber
from smhub.work.queue import JobContext, later

AT_ONCE = 500


class Subscription(Base):
    """How far a subscriber has come."""

    __tablename__ = "core_subscription"

    name: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """Which event is to be told to whom."""

    seq: int


def name_of(plugin: str, subscriber: Subscriber) -> str:
    """The name of the subscriber's job and place."""
    return f"{plugin}.on.{subscriber.name}"


def jobs_of(hub: Hub) -> list[Job]:
    """A kind of job for each subscriber, and the one that hands events out."""
    kinds = [_kind(plugin, subscriber) for plugin, subscriber in hub.subscribers]
    return [*kinds, TELL] if kinds else []


def _kind(plugin: str, subscriber: Subscriber) -> Job:
    async def tell(context: JobContext, payload: Heard) -> None:
        async with context.runtime.database.read() as session:
            event = await session.get(Event, payload.seq)
        if event is not None:
            await subscriber.handler(context, event)

    return Job(
        name=name_of(plugin, subscriber),
        handler=tell,
        payload=Heard,
        timeout=subscriber.timeout,
        max_attempts=subscriber.max_attempts,
    )


async def hand_out(context: JobContext, _: object) -> None:
    """For each subscriber: the events since its place, as jobs."""
    for plugin, subscriber in context.runtime.hub.subscribers:
        while await _hand_out_some(context, plugin, subscriber):
            pass


async def _hand_out_some(context: JobContext, plugin: str, subscriber: Subscriber) -> bool:
    runtime = context.runtime
    name = name_of(plugin, subscriber)
    async with runtime.database.write() as session:
        place = await session.get(Subscription, name, with_for_update=True)
        if place is None:
            session.add(Subscription(name=name, seq=await _end(session, runtime.database.dialect)))
            return False
        found = (await session.scalars(following(runtime.database.dialect, None, place.seq, AT_ONCE))).all()
        stage = runtime.hub.stage_of(plugin)
        for event in found:
            if event.type == subscriber.event and await _open_to(session, event.organisation_id, stage):
                kind = runtime.hub.jobs[name]
                await later(session, kind, Heard(seq=event.seq), now=runtime.clock.now(), organisation_id=event.organisation_id)
        if found:
            place.seq = found[-1].seq
        return len(found) == AT_ONCE


async def _open_to(session: AsyncSession, organisation_id: UUID, stage: int) -> bool:
    """Whether the organisation has reached the plugin's stage."""
    if stage <= 1:
        return True
    organisation = await session.get(Organisation, organisation_id)
    return organisation is not None and organisation.stage >= stage


async def _end(session: AsyncSession, dialect: str) -> int:
    last = select(Event.seq).where(settled(dialect)).order_by(Event.seq.desc()).limit(1)
    return (await session.execute(last)).scalar_one_or_none() or 0


TELL = Job(name="events.hand_out", handler=hand_out, every=1.0, timeout=120.0, max_attempts=1)
