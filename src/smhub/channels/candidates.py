"""Whose account it is: only workers run connectors, so a job asks with a new token who we are. Then that becomes the channel's token, or not."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels import actions, health, hooks, subscribing, tokens
from smhub.channels.connecting import config_of, connect
from smhub.channels.models import Channel
from smhub.channels.oauth_models import ACTIVE, CANDIDATE, OAuthToken
from smhub.events.log import Fact, record
from smhub.sdk import Account, AuthExpired, ConnectorError, Job, PayloadMalformed, RateLimited, Secret, Transient
from smhub.text import clean_text
from smhub.work.leases import still_ours
from smhub.work.models import Operation
from smhub.work.queue import JobContext

LONGEST_WORDS = 300
DIFFERS = "account_differs"


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """Which candidate is to be looked at."""

    token_id: UUID


class Fixed:
    """The credentials of a candidate: shown as they are, never renewed."""

    def __init__(self, access: Secret) -> None:
        self._access = access

    async def present(self) -> str:
        return f"Bearer {self._access.reveal()}"

    async def accepted(self, shown: str) -> None:
        return None

    async def refused(self, shown: str) -> None:
        raise AuthExpired("the network refuses the token that it has just given")


async def take(context: JobContext, payload: Take) -> None:
    """Ask the network who we are with the candidate; it is taken when that is who the channel was before."""
    runtime = context.runtime
    async with runtime.database.write() as session:
        await still_ours(session, context)
        operation = await _operation(session, context)
        operation.began(runtime.clock.now())
        row = await session.get(OAuthToken, (context.organisation_id, payload.token_id))
        if row is None or row.state != CANDIDATE:
            operation.failed(runtime.clock.now(), {"code": "conflict", "detail": "the channel was disconnected meanwhile"})
            return
        channel = await session.get_one(Channel, (row.organisation_id, row.channel_id))
    try:
        async with runtime.database.read() as session:
            config = await config_of(session, runtime, channel)
            kept = await tokens.held(session, runtime, row)
        account = await connect(runtime, channel, config, credentials=Fixed(kept.access)).verify()
    except ConnectorError as error:
        if isinstance(error, Transient | RateLimited | PayloadMalformed) and context.attempt < context.max_attempts:
            raise
        await _drop(context, payload, channel, error.kind, error.message)
        return
    except Exception as error:
        if context.attempt >= context.max_attempts and not isinstance(error, SQLAlchemyError | OSError):
            await _drop(context, payload, channel, "connector_bug", f"the connector failed: {type(error).__name__}")
        raise
    async with runtime.database.write() as session:
        await still_ours(session, context)
        taken = await _take(session, context, payload, account)
    if not taken:
        known = channel.account or {}
        words = (
            f"this is the account {account.handle}, and the channel is that of {known.get('handle')}. Sign in there with the other "
            "account and authorise again, or connect a channel of its own for this one"
        )
        await _drop(context, payload, channel, DIFFERS, words)


async def _take(session: AsyncSession, context: JobContext, payload: Take, account: Account) -> bool:
    """The candidate becomes the channel's token; False when it is for another account."""
    now = context.runtime.clock.now()
    row = await session.get_one(OAuthToken, (context.organisation_id, payload.token_id), with_for_update=True)
    channel = await session.get_one(Channel, (row.organisation_id, row.channel_id), with_for_update=True)
    if channel.account is not None and channel.account["external_id"] != account.external_id:
        return False
    others = (OAuthToken.organisation_id == row.organisation_id, OAuthToken.channel_id == row.channel_id, OAuthToken.id != row.id)
    before = or_(OAuthToken.state != CANDIDATE, OAuthToken.id < row.id)
    for old in (await session.scalars(select(OAuthToken).where(*others, before))).all():
        await tokens.forget(session, old)
    row.state = ACTIVE
    # What the hub held back for want of credentials goes on, because the channel is another now.
    channel.account = msgspec.to_builtins(account)
    channel.changed()
    intake = await actions.intake_of(session, channel)
    if intake is not None and intake.state != health.PAUSED:
        await actions.resume(session, context.runtime, intake, now)
    if await hooks.hook_of(session, channel) is not None:
        await subscribing.keep_later(session, channel.organisation_id, channel.id, now)
    operation = await _operation(session, context)
    operation.succeeded(now, {"account": channel.account})
    await _tell(session, row, "channel.authorized", now)
    return True


async def _drop(context: JobContext, payload: Take, channel: Channel, code: str, words: str) -> None:
    """The candidate is not taken; what the channel had before stays in force."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        row = await session.get_one(OAuthToken, (context.organisation_id, payload.token_id), with_for_update=True)
        operation = await _operation(session, context)
        operation.failed(now, {"code": code, "detail": clean_text(words, LONGEST_WORDS)})
        await _tell(session, row, "channel.authorization_refused", now)
        if code == DIFFERS:
            await tokens.let_go(session, context.runtime, channel, row)
        else:
            # To give it back may end what was allowed before: on some networks all tokens of an account are one.
            await tokens.forget(session, row)


async def _operation(session: AsyncSession, context: JobContext) -> Operation:
    return (await session.scalars(select(Operation).where(Operation.job_id == context.job_id))).one()


async def _tell(session: AsyncSession, row: OAuthToken, type_: str, now: datetime) -> None:
    fact = Fact(
        organisation_id=row.organisation_id,
        type=type_,
        subject_type="channel",
        subject_id=row.channel_id,
        at=now,
        actor_id=row.member_id,
    )
    await record(session, fact)


TAKE = Job(name="channel.authorize", handler=take, payload=Take, timeout=60.0, max_attempts=8)
JOBS = (TAKE, tokens.GIVE_BACK)
