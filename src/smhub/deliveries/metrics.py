"""Figures of what we published: asked for often at first and seldom later, stored as the network told them.

One job looks which channels have something due, another asks one channel's network for all of it at once. Asking takes from the budget
that reading has, so publishing goes first. Whatever goes wrong only moves the next time; a delivery is never touched by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.connecting import can, config_of, connect
from smhub.channels.models import Channel
from smhub.deliveries import models
from smhub.deliveries.models import Delivery, Figures
from smhub.errors import Conflict
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.sdk import ConfigInvalid, ConnectorError, Job, Metrics, RateLimited
from smhub.work.queue import JobContext, later

log = structlog.get_logger("smhub.deliveries")
DAY = timedelta(days=1)
TIMES = (models.FIRST_FIGURES, timedelta(hours=1), timedelta(hours=6), *(DAY * number for number in range(1, 31)))
"""When the network is asked, counted from the publishing."""
AT_ONCE = 100
CHANNELS_AT_ONCE = 200
SECONDS = 60.0
AGAIN = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=1)
MOST_NAMES = 50
LARGEST = 2**53


class OfChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Whose posts the network is asked about."""

    channel_id: UUID


class _Batch(msgspec.Struct, frozen=True, kw_only=True):
    channel: Channel
    config: msgspec.Struct | None
    ids: dict[str, UUID]


def next_time(published_at: datetime, now: datetime) -> datetime | None:
    """The first of the times that is still to come; None after the last. What was missed is not made up for."""
    return next((published_at + after for after in TIMES if published_at + after > now), None)


async def history(session: AsyncSession, row: Delivery) -> Sequence[Figures]:
    """Everything the network told about it, the newest first."""
    of = (Figures.organisation_id == row.organisation_id, Figures.delivery_id == row.id)
    return (await session.scalars(select(Figures).where(*of).order_by(Figures.observed_at.desc(), Figures.id.desc()))).all()


async def look_for_due(context: JobContext, _: None) -> None:
    """A job for each channel that has something to ask about."""
    runtime = context.runtime
    now = runtime.clock.now()
    networks = [network for network in runtime.hub.connectors if can(runtime, network, "reports_metrics")]
    due = (
        select(Delivery.organisation_id, Delivery.channel_id)
        .where(Delivery.metrics_at <= now, Delivery.network.in_(networks))
        .distinct()
        .limit(CHANNELS_AT_ONCE)
    )
    async with runtime.database.write() as session:
        for organisation_id, channel_id in (await session.execute(due)).all():
            await later(
                session,
                READ,
                OfChannel(channel_id=channel_id),
                now=now,
                organisation_id=organisation_id,
                key=f"metrics:{channel_id}",
                dedupe_key=f"metrics:{channel_id}",
            )


async def read(context: JobContext, payload: OfChannel) -> None:
    """Ask the network about what is due of one channel, until nothing is."""
    while True:
        batch = await _due(context, payload.channel_id)
        if batch is None:
            return
        found, wait = await _asked(context.runtime, batch)
        await _keep(context, batch, found, wait)
        if wait is not None:
            return


async def _due(context: JobContext, channel_id: UUID) -> _Batch | None:
    runtime = context.runtime
    async with runtime.database.read() as session:
        of = (Delivery.organisation_id == context.organisation_id, Delivery.channel_id == channel_id)
        due = (Delivery.metrics_at <= runtime.clock.now(), Delivery.external_id.is_not(None))
        statement = select(Delivery.external_id, Delivery.id).where(*of, *due).order_by(Delivery.metrics_at).limit(AT_ONCE)
        ids = {str(external_id): id_ for external_id, id_ in (await session.execute(statement)).all()}
        if not ids:
            return None
        channel = await session.get_one(Channel, (context.organisation_id, channel_id))
        try:
            config = await config_of(session, runtime, channel) if channel.ended_at is None else None
        except (ConfigInvalid, Conflict):
            config = None
        return _Batch(channel=channel, config=config, ids=ids)


async def _asked(runtime: Runtime, batch: _Batch) -> tuple[list[Metrics], timedelta | None]:
    """What the network says, and how long to leave it in peace when it says nothing."""
    if batch.config is None:
        return [], LONGEST_WAIT
    try:
        connector = connect(runtime, batch.channel, batch.config)
        async with asyncio.timeout(SECONDS):
            answer = await connector.metrics(list(batch.ids))  # type: ignore[attr-defined]
        return [one for one in answer if _is_sound(one, batch)], None
    except RateLimited as error:
        seconds = error.retry_after if error.retry_after is not None else 900.0
        return [], min(timedelta(seconds=max(seconds, 1.0)), LONGEST_WAIT)
    except ConnectorError as error:
        log.info("metrics_not_told", network=batch.channel.network, channel_id=str(batch.channel.id), reason=error.kind)
        return [], AGAIN
    except Exception as error:
        log.warning("metrics_failed", network=batch.channel.network, error=type(error).__name__)
        return [], AGAIN


def _is_sound(one: object, batch: _Batch) -> bool:
    """Whether it is an answer to what was asked. What a plugin makes is looked at before it is stored."""
    if not isinstance(one, Metrics) or one.external_id not in batch.ids or one.observed_at.tzinfo is None:
        return False
    counts: dict[Any, Any] = one.values
    sound = all(isinstance(name, str) and type(value) is int and 0 <= value < LARGEST for name, value in counts.items())
    return sound and 0 < len(counts) <= MOST_NAMES


async def _keep(context: JobContext, batch: _Batch, found: Sequence[Metrics], wait: timedelta | None) -> None:
    now = context.runtime.clock.now()
    told = {batch.ids[one.external_id]: one for one in found}
    async with context.runtime.database.write() as session:
        of = (Delivery.organisation_id == context.organisation_id, Delivery.id.in_(batch.ids.values()))
        for row in (await session.scalars(select(Delivery).where(*of).order_by(Delivery.id).with_for_update())).all():
            if row.state != models.PUBLISHED or row.published_at is None:
                row.metrics_at = None
                continue
            row.metrics_at = next_time(row.published_at, now)
            if wait is not None and row.metrics_at is not None:
                row.metrics_at = now + wait if now + wait < row.published_at + TIMES[-1] else None
            if (one := told.get(row.id)) is not None:
                session.add(
                    Figures(
                        organisation_id=row.organisation_id,
                        id=new_id(),
                        delivery_id=row.id,
                        observed_at=one.observed_at,
                        counts=dict(one.values),
                    )
                )


READ = Job(name="metrics.read", handler=read, payload=OfChannel, timeout=600.0, max_attempts=3)
DUE = Job(name="metrics.due", handler=look_for_due, timeout=60.0, max_attempts=1, every=60.0)
