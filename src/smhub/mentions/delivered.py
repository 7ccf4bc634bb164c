"""Taking in what networks delivered: read by its connector, stored as a page is, in batches. What cannot be read is tried again, then shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.channels import health
from smhub.channels.actions import intake_of, is_polled
from smhub.channels.connecting import config_of, connect
from smhub.channels.hooks import hook_of
from smhub.channels.models import BadItem as BadItemRow
from smhub.channels.models import Channel, Intake, WebhookDelivery
from smhub.channels.receiving import KEPT, WAITING, TakeDeliveries
from smhub.channels.receiving import TAKE as TAKE_IN
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.mentions.pages import MAX_ITEMS, not_its_fault, patiently, source, take_in_items
from smhub.sdk import BadItem, Challenge, ConnectorError, Item, Job, Mention, PayloadMalformed, RawRequest, Tombstone
from smhub.text import clean_text
from smhub.work.leases import still_ours
from smhub.work.queue import JobContext, later
from smhub.work.suspects import Guilt

log = structlog.get_logger("smhub.hooks")

BATCH = 100
BATCH_BYTES = 4 << 20
PAUSE = 0.1
"""Between two batches that are not full: who brings deliveries goes first, and what comes meanwhile is stored together."""
MAX_TRIES = 5
FIRST_WAIT = 15.0
TURN_SECONDS = 20.0
READ_SECONDS = 30.0
NO_CONFIG = timedelta(seconds=60)
BAD_KEPT = timedelta(days=30)
PRUNED = 1000


class Read(msgspec.Struct, kw_only=True):
    """A delivery with what its connector made of it: items, or the reason why there are none."""

    delivery: WebhookDelivery
    items: list[Item] = []
    error: str | None = None


async def sweep(context: JobContext, _: None) -> None:
    """Every few seconds: a job for each channel with deliveries that are due, should the one that came with them not be there any more."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        speaks = and_(
            Channel.organisation_id == WebhookDelivery.organisation_id,
            Channel.id == WebhookDelivery.channel_id,
            Channel.network.in_(sorted(context.runtime.hub.connectors)),
        )
        of = and_(Intake.organisation_id == WebhookDelivery.organisation_id, Intake.id == WebhookDelivery.intake_id)
        due = (
            select(WebhookDelivery.organisation_id, WebhookDelivery.channel_id)
            .join(Channel, speaks)
            .join(Intake, of)
            .where(WAITING, WebhookDelivery.next_at <= now, or_(Intake.state != health.PAUSED, Intake.reason_code == "ended"))
            .distinct()
            .limit(500)
        )
        for organisation_id, channel_id in (await session.execute(due)).all():
            await later(
                session,
                TAKE,
                TakeDeliveries(channel_id=channel_id),
                now=now,
                organisation_id=organisation_id,
                key=f"hook:{channel_id}",
                dedupe_key=f"deliveries:{channel_id}",
            )


async def take(context: JobContext, payload: TakeDeliveries) -> None:
    """Take in what waits for one channel, a batch in each transaction; stop after a while, so that all get their turn."""
    runtime = context.runtime
    started = runtime.clock.monotonic()
    async with runtime.database.read() as session:
        channel = await session.get(Channel, (context.organisation_id, payload.channel_id))
        intake = await intake_of(session, channel) if channel is not None else None
        if channel is None or intake is None or (intake.state == health.PAUSED and intake.reason_code != "ended"):
            return
    try:
        async with runtime.database.read() as session:
            connector: Any = connect(runtime, channel, await config_of(session, runtime, channel))
    except ConnectorError as error:
        # Not the deliveries' fault: they wait until somebody mends the settings.
        log.warning("deliveries_wait", channel_id=str(channel.id), error=error.kind)
        await _put_off(context, channel, NO_CONFIG)
        return
    while runtime.clock.monotonic() - started < TURN_SECONDS:
        batch = await _next(context, channel)
        if not batch:
            return
        await _take_in(context, channel, intake, [await _read(connector, one) for one in batch])
        if len(batch) < BATCH:
            await asyncio.sleep(PAUSE)


async def _put_off(context: JobContext, channel: Channel, wait: timedelta) -> None:
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        await session.execute(update(WebhookDelivery).where(*_due(channel, now)).values(next_at=now + wait))


def _due(channel: Channel, now: datetime) -> tuple[Any, ...]:
    of = (WebhookDelivery.organisation_id == channel.organisation_id, WebhookDelivery.channel_id == channel.id)
    return *of, WAITING, WebhookDelivery.next_at <= now


async def _next(context: JobContext, channel: Channel) -> list[WebhookDelivery]:
    """The next ones, in order of arrival, marked as tried before anybody reads them. One that was tried before comes alone, and last: what
    failed, or killed a worker, holds up nobody."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        tried = case((WebhookDelivery.attempts > 0, 1), else_=0)
        sizes = (
            select(WebhookDelivery.id, func.length(WebhookDelivery.body), tried)
            .where(*_due(channel, now))
            .order_by(tried, WebhookDelivery.id)
            .limit(BATCH)
        )
        chosen: list[UUID] = []
        room = BATCH_BYTES
        for id_, size, again in (await session.execute(sizes)).all():
            if chosen and (again or size > room):
                break
            chosen.append(id_)
            room -= size
            if again:
                break
        if not chosen:
            return []
        of = (WebhookDelivery.organisation_id == channel.organisation_id, WebhookDelivery.id.in_(chosen))
        await session.execute(update(WebhookDelivery).where(*of).values(attempts=WebhookDelivery.attempts + 1, tried_at=now))
        rows = (await session.scalars(select(WebhookDelivery).where(*of).order_by(WebhookDelivery.id))).all()
    faults.point("webhook.taken")
    return list(rows)


async def _read(connector: Any, delivery: WebhookDelivery) -> Read:
    """What the connector makes of it. Whatever it raises is this delivery's error, and nobody else's."""
    # Between two of them others may breathe.
    await asyncio.sleep(0)
    try:
        request = RawRequest(method="POST", headers=delivery.headers, query=delivery.query, body=delivery.body)
        async with asyncio.timeout(READ_SECONDS):
            found = await connector.read_webhook(request)
        return Read(delivery=delivery, items=_checked(found))
    except BaseException as error:
        if not_its_fault(error):
            raise
        log.warning("delivery_unreadable", delivery_id=str(delivery.id), error=type(error).__name__)
        words = error.message if isinstance(error, ConnectorError) else f"the connector failed: {type(error).__name__}"
        return Read(delivery=delivery, error=words)


def _checked(found: Any) -> list[Item]:
    if isinstance(found, Challenge):
        return []
    if not isinstance(found, list | tuple) or not all(isinstance(one, Mention | Tombstone | BadItem) for one in found):
        raise TypeError("parse_webhook gives a list of items")
    if len(found) > MAX_ITEMS:
        raise PayloadMalformed(f"a delivery holds more than {MAX_ITEMS} items")
    return list(found)


async def _take_in(context: JobContext, channel: Channel, intake: Intake, batch: Sequence[Read]) -> None:
    """Store a batch; when that fails as a whole, each is tried alone, so that one that cannot be stored harms no other."""
    try:
        await patiently(context, lambda: _store(context, channel, intake, batch))
    except Exception as error:
        if not_its_fault(error):
            raise
        log.exception("deliveries_not_stored", channel_id=str(channel.id), number=len(batch))
        if len(batch) == 1:
            batch[0].items, batch[0].error = [], f"it could not be stored: {type(error).__name__}"
            await patiently(context, lambda: _store(context, channel, intake, batch))


async def _store(context: JobContext, channel: Channel, intake: Intake, batch: Sequence[Read]) -> None:
    runtime = context.runtime
    now = runtime.clock.now()
    good = [one for one in batch if one.error is None]
    async with runtime.database.write() as session:
        await still_ours(session, context)
        row = await session.get_one(Intake, (intake.organisation_id, intake.id), with_for_update=True)
        items = [item for one in good for item in one.items]
        await take_in_items(session, runtime, source(row, channel), row, items, now)
        if good:
            await _are_done(session, channel, [one.delivery for one in good], now)
            row.last_delivery_at = max(one.delivery.received_at for one in good)
            if not is_polled(runtime, row):
                await health.delivered(session, row, now)
            hook = await hook_of(session, channel, to_change=True)
            if hook is not None:
                hook.deliveries += len(good)
                hook.last_delivery_at = row.last_delivery_at
        for one in batch:
            if one.error is not None:
                await _failed(session, row, one.delivery, one.error, now)
        faults.point("webhook.before_commit")
    faults.point("webhook.after_commit")


async def _are_done(session: AsyncSession, channel: Channel, done: Sequence[WebhookDelivery], now: datetime) -> None:
    """Their bytes are wiped: what people said is kept in one place only."""
    ids = [one.id for one in done]
    of = (WebhookDelivery.organisation_id == channel.organisation_id, WebhookDelivery.id.in_(ids))
    wiped: dict[str, Any] = {
        "state": "done",
        "body": b"",
        "headers": {},
        "query": {},
        "error": None,
        "next_at": None,
        "finished_at": now,
    }
    await session.execute(update(WebhookDelivery).where(*of).values(**wiped).execution_options(synchronize_session=False))
    if any(one.attempts > 1 for one in done):
        known = (BadItemRow.organisation_id == channel.organisation_id, BadItemRow.delivery_id.in_(ids))
        await session.execute(delete(BadItemRow).where(*known).execution_options(synchronize_session=False))


async def _failed(session: AsyncSession, intake: Intake, delivery: WebhookDelivery, error: str, now: datetime) -> None:
    """Once more in a while, until it was tried often enough; then it is shown among the bad items, from where it can be tried again."""
    words = clean_text(error, 500)
    over = delivery.attempts >= MAX_TRIES
    of = (WebhookDelivery.organisation_id == delivery.organisation_id, WebhookDelivery.id == delivery.id)
    wait = timedelta(seconds=FIRST_WAIT * 2 ** (delivery.attempts - 1)) if not over else None
    changed = {
        "state": "bad" if over else "new",
        "error": words,
        "next_at": None if wait is None else now + wait,
        "finished_at": now if over else None,
    }
    await session.execute(update(WebhookDelivery).where(*of).values(**changed).execution_options(synchronize_session=False))
    if not over:
        return
    known = (BadItemRow.organisation_id == delivery.organisation_id, BadItemRow.delivery_id == delivery.id)
    again = await session.execute(update(BadItemRow).where(*known).values(error=words, seen_at=now))
    if again.rowcount:  # type: ignore[attr-defined]
        return
    intake.bad_items += 1
    session.add(
        BadItemRow(
            organisation_id=delivery.organisation_id,
            id=new_id(),
            intake_id=delivery.intake_id,
            digest=blake2b(delivery.body, digest_size=16).hexdigest(),
            error=words,
            raw=delivery.body[:20_000],
            seen_at=now,
            delivery_id=delivery.id,
        )
    )


async def of_taking(
    runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: TakeDeliveries, guilt: Guilt
) -> None:
    """The delivery that was being read alone is shown as bad. One of many: each of them is read alone from now on."""
    of = (WebhookDelivery.organisation_id == organisation_id, WebhookDelivery.channel_id == payload.channel_id, WAITING)
    latest = select(func.max(WebhookDelivery.tried_at)).where(*of).scalar_subquery()
    tried = (await session.scalars(select(WebhookDelivery).where(*of, WebhookDelivery.tried_at == latest).limit(2))).all()
    if len(tried) != 1:
        return
    intake = await session.get_one(Intake, (tried[0].organisation_id, tried[0].intake_id), with_for_update=True)
    tried[0].attempts = MAX_TRIES
    await session.flush()
    await _failed(session, intake, tried[0], guilt.words, runtime.clock.now())


async def prune(context: JobContext, _: None) -> None:
    """Forget deliveries that nobody repeats any more, a batch in each transaction."""
    now = context.runtime.clock.now()
    done = and_(WebhookDelivery.state == "done", WebhookDelivery.finished_at < now - KEPT)
    bad = and_(WebhookDelivery.state == "bad", WebhookDelivery.finished_at < now - BAD_KEPT)
    gone = PRUNED
    while gone == PRUNED:
        async with context.runtime.database.write() as session:
            some = select(WebhookDelivery.id).where(or_(done, bad)).limit(PRUNED)
            statement = delete(WebhookDelivery).where(or_(done, bad), WebhookDelivery.id.in_(some))
            gone = (await session.execute(statement.execution_options(synchronize_session=False))).rowcount  # type: ignore[attr-defined]


TAKE = Job(name=TAKE_IN, handler=take, payload=TakeDeliveries, timeout=180.0, max_attempts=10)
SWEEP = Job(name="webhook.sweep", handler=sweep, payload=None, timeout=30.0, max_attempts=1, every=2.0)
PRUNE = Job(name="webhook.prune", handler=prune, payload=None, timeout=300.0, max_attempts=1, every=3600.0)
JOBS = (TAKE, SWEEP, PRUNE)
