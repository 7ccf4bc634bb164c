"""Telling a network where to deliver, looking whether it still does, and telling it to stop. Polling goes on as the net underneath."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import secrets
from smhub.channels import hooks, sessions, tokens
from smhub.channels.connecting import config_of, connect, connector_of
from smhub.channels.models import Channel, Hook, Intake, WebhookDelivery
from smhub.channels.receiving import WAITING
from smhub.events.log import Fact, record
from smhub.hub.runtime import Runtime
from smhub.sdk import ConnectorError, FetchesMentions, Job, ReceivesWebhooks, Unsupported
from smhub.settings import Settings
from smhub.text import clean_text
from smhub.work.leases import still_ours
from smhub.work.queue import JobContext, later
from smhub.work.suspects import Guilt

log = structlog.get_logger("smhub.hooks")

CHECK_EVERY = timedelta(hours=1)
CALL_SECONDS = 30.0
LONGEST_WAIT = timedelta(hours=1)
DRAIN = timedelta(seconds=10)
DRAIN_TRIES = 60
LONGEST_REASON = 1000
SHORTEST_WAIT = timedelta(minutes=1)
CONFIRMS_WITHIN = timedelta(minutes=5)
ASKS_BACK = timedelta(minutes=1)
"""How long an address still answers a network that wants to know whether it may really end."""
NOT_CONFIRMED = "the network was asked, and has not confirmed yet that it delivers"
NO_ADDRESS = "the hub has no https address that a network may call: set SMHUB_PUBLIC_URL"


class KeepSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """Whose network is to be told where to deliver."""

    channel_id: UUID


class EndSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """Whose network is to be told to stop."""

    channel_id: UUID


def may_be_called(settings: Settings) -> bool:
    """Whether a network may be told our address."""
    return settings.base_url.startswith("https://") or settings.allow_http_webhooks


async def watch(context: JobContext, _: None) -> None:
    """Add a job for each subscription that is to be made, or looked at again."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        still = and_(Channel.organisation_id == Hook.organisation_id, Channel.id == Hook.channel_id, Channel.ended_at.is_(None))
        due = select(Hook.organisation_id, Hook.channel_id).join(Channel, still).where(Hook.next_check_at <= now)
        for organisation_id, channel_id in (await session.execute(due.limit(500))).all():
            await keep_later(session, organisation_id, channel_id, now)


async def keep_later(session: AsyncSession, organisation_id: UUID, channel_id: UUID, now: datetime) -> None:
    """Let a worker look after a subscription; a second job is never added while the first is there."""
    payload = KeepSubscription(channel_id=channel_id)
    await later(session, KEEP, payload, now=now, organisation_id=organisation_id, dedupe_key=f"subscription:{channel_id}")


async def keep(context: JobContext, payload: KeepSubscription) -> None:
    """Make the subscription when it is not there, and end the old address when its time is over."""
    runtime = context.runtime
    async with runtime.database.read() as session:
        channel = await session.get(Channel, (context.organisation_id, payload.channel_id))
        hook = await hooks.hook_of(session, channel) if channel is not None else None
        if channel is None or hook is None or channel.ended_at is not None:
            return
        here, old = await hooks.addresses(session, runtime, hook)
    old_is_over = old if hook.old_token_until is not None and hook.old_token_until <= runtime.clock.now() else None
    error: BaseException | None = None
    if may_be_called(runtime.settings):
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await _subscribed(runtime, channel, hook, here, without=old_is_over)
        except (Exception, SystemExit) as raised:
            error = raised
    await _write_down(context, channel, here, error, ended=old_is_over)


async def _connected(runtime: Runtime, channel: Channel, hook: Hook, *, ending: bool = False) -> Any:
    async with runtime.database.read() as session:
        config = await config_of(session, runtime, channel)
        subscription = await hooks.subscription(session, runtime, hook, ending=ending)
    return connect(runtime, channel, config, subscription=subscription)


async def _subscribed(runtime: Runtime, channel: Channel, hook: Hook, here: str, *, without: str | None) -> None:
    connector = await _connected(runtime, channel, hook)
    if not isinstance(connector, ReceivesWebhooks):
        raise Unsupported(f"{channel.network} does not deliver")
    anew = hook.state == "subscribing" and hook.confirmed_until is None
    if anew or not await connector.check_subscription(here):
        await connector.subscribe(here)
    if without is not None:
        await connector.unsubscribe(without)


async def _write_down(context: JobContext, channel: Channel, here: str, error: BaseException | None, *, ended: str | None) -> None:
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        hook = await hooks.hook_of(session, channel, to_change=True)
        if hook is None or (await hooks.addresses(session, runtime, hook))[0] != here:
            # It got another address meanwhile, which is another job's to tell.
            return
        was = hook.state
        again = _later(now, runtime.chance, CHECK_EVERY)
        if hook.confirmed_until is not None:
            # A short lease is looked after in time.
            again = min(again, now + max((hook.confirmed_until - now) / 2, SHORTEST_WAIT))
        if not may_be_called(runtime.settings):
            hook.waits(NO_ADDRESS, again)
        elif error is None and _awaited(runtime, channel, hook, now):
            wait = min(CONFIRMS_WITHIN * 2 ** min(hook.failures, 6), LONGEST_WAIT)
            hook.awaits_confirmation(NOT_CONFIRMED, _later(now, runtime.chance, wait))
        elif error is None:
            hook.is_subscribed(now, again)
        elif isinstance(error, Unsupported):
            hook.is_by_hand(now, again)
        else:
            words = error.message if isinstance(error, ConnectorError) else f"the connector failed: {type(error).__name__}"
            wait = min(timedelta(seconds=60) * 2 ** min(hook.failures, 6), LONGEST_WAIT)
            hook.could_not_be_subscribed(clean_text(words, LONGEST_REASON), _later(now, runtime.chance, wait))
        if hook.old_token_until is not None:
            if (ended is not None and error is None) or (hook.old_token_until <= now and hook.state in ("by_hand", "waiting")):
                hook.old_address_ended()
                await secrets.forget_one(session, hooks.sealed_by(hook), hooks.OLD_TOKEN)
            elif hook.next_check_at is not None:
                hook.next_check_at = min(hook.next_check_at, max(hook.old_token_until, now + timedelta(seconds=60)))
        await _source(session, runtime, channel, "webhook" if hook.state == "subscribed" else "polling")
        if hook.state != was and hook.state in ("subscribed", "failed"):
            await _event(session, channel, "channel.subscribed" if hook.state == "subscribed" else "channel.subscription_failed", now)


def _awaited(runtime: Runtime, channel: Channel, hook: Hook, now: datetime) -> bool:
    """Whether the network has still to say that it delivers."""
    connector: Any = connector_of(runtime, channel.network)
    return connector.confirms and (hook.confirmed_until is None or hook.confirmed_until <= now)


def _later(now: datetime, chance: random.Random, wait: timedelta) -> datetime:
    return now + wait * (1 + 0.1 * chance.random())


async def _source(session: AsyncSession, runtime: Runtime, channel: Channel, source: str) -> None:
    """The intake is polled rarely while the network delivers, and as usual when it does not; if it can be polled at all."""
    if not issubclass(connector_of(runtime, channel.network), FetchesMentions):
        return
    of = (Intake.organisation_id == channel.organisation_id, Intake.channel_id == channel.id, Intake.source != source)
    await session.execute(update(Intake).where(*of).values(source=source).execution_options(synchronize_session=False))


async def _event(session: AsyncSession, channel: Channel, type_: str, now: datetime) -> None:
    fact = Fact(organisation_id=channel.organisation_id, type=type_, subject_type="channel", subject_id=channel.id, at=now)
    await record(session, fact)


async def end_later(session: AsyncSession, channel: Channel, now: datetime) -> None:
    """The channel is disconnected: its network is told, and then its secrets are deleted, for they are needed until then."""
    payload = EndSubscription(channel_id=channel.id)
    await later(session, END, payload, now=now, organisation_id=channel.organisation_id, dedupe_key=f"unsubscribe:{channel.id}")


async def end(context: JobContext, payload: EndSubscription) -> datetime | None:
    """Take nothing more, tell the network to stop, forget what led here. Deliveries that were acknowledged are taken in before."""
    runtime = context.runtime
    async with runtime.database.read() as session:
        channel = await session.get(Channel, (context.organisation_id, payload.channel_id))
        hook = await hooks.hook_of(session, channel) if channel is not None else None
        if channel is None or hook is None:
            return None
        of = (WebhookDelivery.organisation_id == channel.organisation_id, WebhookDelivery.channel_id == channel.id)
        waits = (await session.execute(select(WebhookDelivery.id).where(*of, WAITING).limit(1))).first() is not None
        here, old = await hooks.addresses(session, runtime, hook)
    if waits and context.attempt <= DRAIN_TRIES:
        return runtime.clock.now() + DRAIN
    if hook.state not in ("by_hand", "waiting", "ending") and may_be_called(runtime.settings):
        try:
            connector = await _connected(runtime, channel, hook, ending=True)
            async with asyncio.timeout(CALL_SECONDS):
                for address in (here, old):
                    if address is not None:
                        await connector.unsubscribe(address)
        except (Exception, SystemExit) as error:
            if context.attempt < context.max_attempts:
                raise
            log.warning("unsubscribe_failed", channel_id=str(channel.id), error=type(error).__name__)
        else:
            if connector.confirms:
                return await _asks_back(context, channel)
    async with runtime.database.write() as session:
        await still_ours(session, context)
        await _forget(session, runtime, channel)
    return None


async def _asks_back(context: JobContext, channel: Channel) -> datetime:
    """The network asks whether it may really end: until then the address stays."""
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        hook = await hooks.hook_of(session, channel, to_change=True)
        if hook is not None:
            hook.is_ending()
    return context.runtime.clock.now() + ASKS_BACK


async def _forget(session: AsyncSession, runtime: Runtime, channel: Channel) -> None:
    hook = await hooks.hook_of(session, channel, to_change=True)
    if hook is not None:
        await hooks.forget(session, hook)
    await secrets.forget(session, secrets.Owner(channel.organisation_id, channel.__tablename__, channel.id))
    await sessions.forget(session, channel)
    await tokens.end(session, runtime, channel)


async def of_ending(
    runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: EndSubscription, guilt: Guilt
) -> None:
    """The connector killed its worker instead of saying goodbye: its secrets go all the same."""
    channel = await session.get(Channel, (organisation_id, payload.channel_id))
    if channel is not None:
        await _forget(session, runtime, channel)


async def of_keeping(
    runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: KeepSubscription, guilt: Guilt
) -> None:
    """The subscription has failed; it is tried again rarely."""
    channel = await session.get(Channel, (organisation_id, payload.channel_id))
    hook = await hooks.hook_of(session, channel, to_change=True) if channel is not None else None
    if channel is not None and hook is not None:
        hook.could_not_be_subscribed(clean_text(guilt.words, LONGEST_REASON), runtime.clock.now() + LONGEST_WAIT)
        await _source(session, runtime, channel, "polling")


KEEP = Job(name="webhook.subscribe", handler=keep, payload=KeepSubscription, timeout=90.0, max_attempts=3)
END = Job(name="webhook.unsubscribe", handler=end, payload=EndSubscription, timeout=90.0, max_attempts=5)
WATCH = Job(name="webhook.watch", handler=watch, payload=None, timeout=30.0, max_attempts=1, every=5.0)
JOBS = (KEEP, END, WATCH)
