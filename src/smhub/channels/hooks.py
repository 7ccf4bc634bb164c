"""The address at which a channel's network delivers: made, told, rotated. Its last part is the only thing that leads to the channel."""

from __future__ import annotations

import hashlib
import secrets as chance
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import secrets
from smhub.access.keyring import Unreadable
from smhub.channels.connecting import connector_of
from smhub.channels.models import Channel, Hook
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.sdk import ReceivesWebhooks, Secret, Subscription
from smhub.settings import Settings

TOKEN, OLD_TOKEN, OLD_SECRET, OWN_SECRET = "token", "old_token", "old_secret", "own_secret"
"""OWN_SECRET: with which a network signs that takes a secret of ours when it is asked to deliver."""


def hash_of(token: str) -> str:
    """What is looked up. The token has 256 random bits, so a plain hash tells nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """The last part of an address: 43 characters that nobody guesses."""
    return chance.token_urlsafe(32)


def address(settings: Settings, token: Secret) -> str:
    """The whole address."""
    return f"{settings.base_url}/v1/hooks/{token.reveal()}"


def sealed_by(hook: Hook) -> secrets.Owner:
    """Where a hook's tokens, and the channel's old signing secret, lie."""
    return secrets.Owner(hook.organisation_id, hook.__tablename__, hook.id)


async def hook_of(session: AsyncSession, channel: Channel, *, to_change: bool = False) -> Hook | None:
    """The hook of a channel; None when its network does not deliver by itself."""
    found = select(Hook).where(Hook.organisation_id == channel.organisation_id, Hook.channel_id == channel.id)
    return (await session.scalars(found.with_for_update() if to_change else found)).one_or_none()


async def make(session: AsyncSession, runtime: Runtime, channel: Channel, now: datetime) -> Hook:
    """Give a new channel its address; the network is told of it by a job that is due at once."""
    token = new_token()
    hook = Hook(
        organisation_id=channel.organisation_id,
        id=new_id(),
        channel_id=channel.id,
        token_hash=hash_of(token),
        state="subscribing",
        failures=0,
        next_check_at=now,
        deliveries=0,
        refused=0,
        created_at=now,
    )
    session.add(hook)
    await session.flush()
    await secrets.put(session, runtime.keyring, sealed_by(hook), {TOKEN: Secret(token), OWN_SECRET: Secret(new_token())})
    return hook


async def rotate(session: AsyncSession, runtime: Runtime, hook: Hook, now: datetime, *, end_old_now: bool) -> None:
    """Another address. The old one holds for a while, so that nothing is lost until the network knows the new one."""
    kept = await secrets.get(session, runtime.keyring, sealed_by(hook))
    token = new_token()
    hook.old_token_hash = hook.token_hash
    hook.old_token_until = now if end_old_now else now + overlap(runtime)
    hook.token_hash = hash_of(token)
    hook.to_be_subscribed(now)
    await secrets.put(session, runtime.keyring, sealed_by(hook), {TOKEN: Secret(token), OLD_TOKEN: kept[TOKEN]})


def overlap(runtime: Runtime) -> timedelta:
    """How long the old one still holds."""
    return timedelta(hours=runtime.settings.webhook_overlap_hours)


async def keep_old_secret(
    session: AsyncSession, runtime: Runtime, channel: Channel, hidden: Mapping[str, Secret], now: datetime
) -> bool:
    """Before new settings are stored: the signing secret that they replace goes on to be accepted for a while. Whether there is a network
    to be told of them."""
    connector: Any = connector_of(runtime, channel.network)
    hook = await hook_of(session, channel, to_change=True)
    if hook is None or not issubclass(connector, ReceivesWebhooks):
        return False
    hook.to_be_subscribed(now)
    field = connector.webhook.secret_field
    if not field:
        return True
    owner = secrets.Owner(channel.organisation_id, channel.__tablename__, channel.id)
    try:
        old = (await secrets.get(session, runtime.keyring, owner)).get(field)
    except Unreadable:
        # New settings are how one mends that.
        old = None
    if old is not None and old != hidden.get(field, old):
        hook.old_secret_until = now + overlap(runtime)
        await secrets.put(session, runtime.keyring, sealed_by(hook), {OLD_SECRET: old})
    return True


async def addresses(session: AsyncSession, runtime: Runtime, hook: Hook) -> tuple[str, str | None]:
    """The present address, and the old one while a rotation is not over."""
    kept = await secrets.get(session, runtime.keyring, sealed_by(hook))
    old = kept.get(OLD_TOKEN)
    return address(runtime.settings, kept[TOKEN]), address(runtime.settings, old) if old is not None else None


async def subscription(session: AsyncSession, runtime: Runtime, hook: Hook, *, ending: bool = False) -> Subscription:
    """What a connector may know of the deliveries to the hook's address."""
    kept = await secrets.get(session, runtime.keyring, sealed_by(hook))
    return Subscription(secret=kept.get(OWN_SECRET), confirmed_until=hook.confirmed_until, ending=ending)


async def forget(session: AsyncSession, hook: Hook) -> None:
    """The address leads nowhere any more."""
    await secrets.forget(session, sealed_by(hook))
    await session.execute(delete(Hook).where(Hook.organisation_id == hook.organisation_id, Hook.id == hook.id))
