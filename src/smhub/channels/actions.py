"""What one does with channels, listeners and their intakes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access import secrets
from smhub.channels import health, hooks, sessions, streaming, subscribing, tokens
from smhub.channels.connecting import check_settings, config_of, connect, connector_of, split_secrets
from smhub.channels.models import Channel, Intake, Listener
from smhub.errors import Conflict
from smhub.events.log import Fact, record
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.sdk import ConnectorError, FetchesMentions, Job, Publishes, ReceivesWebhooks, Replies, Searches
from smhub.work.leases import still_ours
from smhub.work.models import Operation
from smhub.work.queue import JobContext, later


class Verify(msgspec.Struct, frozen=True, kw_only=True):
    """Which channel or listener is to be checked."""

    channel_id: UUID | None = None
    listener_id: UUID | None = None


def owner(row: Channel | Listener) -> secrets.Owner:
    """Where a row's secrets lie."""
    return secrets.Owner(row.organisation_id, row.__tablename__, row.id)


async def intake_of(session: AsyncSession, row: Channel | Listener) -> Intake | None:
    """The intake of a channel or listener; None when the network brings nothing."""
    column = Intake.channel_id if isinstance(row, Channel) else Intake.listener_id
    found = select(Intake).where(Intake.organisation_id == row.organisation_id, column == row.id)
    return (await session.scalars(found)).one_or_none()


async def set_up(session: AsyncSession, runtime: Runtime, row: Channel | Listener, settings: Mapping[str, Any]) -> None:
    """Validate the settings, keep the secrets apart, and add the intake that polls from now on, or the address at which it is told."""
    connector = connector_of(runtime, row.network)
    polled = issubclass(connector, FetchesMentions if isinstance(row, Channel) else Searches)
    told = isinstance(row, Channel) and issubclass(connector, ReceivesWebhooks)
    heard = streaming.is_heard(connector, row)
    if isinstance(row, Listener) and not polled and not heard:
        raise Conflict(
            f"{row.network} cannot search; connect a channel instead.", f"{row.network} kann nicht suchen; einen Kanal anlegen."
        )
    if isinstance(row, Listener) and connector.auth is not None:
        raise Conflict(
            f"{row.network} has to be authorised by a person, and only channels are.",
            f"{row.network} muss von einer Person freigegeben werden, und das geht nur bei Kanälen.",
        )
    check_settings(connector, settings)
    row.settings, hidden = split_secrets(connector, settings)
    row.config_version = connector.config_version
    session.add(row)
    await session.flush()
    await secrets.put(session, runtime.keyring, owner(row), hidden)
    now = runtime.clock.now()
    waits = connector.auth is not None
    if isinstance(row, Channel) and issubclass(connector, Publishes | Replies) and not waits:
        # Who we are there, what the server takes, and how exactly-once is reached: known before anything is said.
        await later(session, VERIFY, Verify(channel_id=row.id), now=now, organisation_id=row.organisation_id)
    if polled or told or heard:
        session.add(
            Intake(
                organisation_id=row.organisation_id,
                id=new_id(),
                channel_id=row.id if isinstance(row, Channel) else None,
                listener_id=row.id if isinstance(row, Listener) else None,
                network=row.network,
                state=health.AUTH_REQUIRED if waits else health.CONNECTING,
                reason_code="not_authorized" if waits else None,
                reason="nobody has authorised this channel yet" if waits else None,
                since=now,
                failures=0,
                mentions=0,
                bad_items=0,
                cursor_version=connector.cursor_version,
                source="polling" if polled else "webhook" if told else "stream",
                next_poll_at=now if polled and not waits else None,
                stream_state=streaming.CONNECTING if heard else None,
                stream_since=now if heard else None,
                stream_failures=0,
                stream_next_at=now if heard and not waits else None,
                created_at=now,
            )
        )
        await session.flush()
    if told and isinstance(row, Channel):
        await hooks.make(session, runtime, row, now)
        if not waits:
            await subscribing.keep_later(session, row.organisation_id, row.id, now)


async def change_settings(session: AsyncSession, runtime: Runtime, row: Channel | Listener, settings: Mapping[str, Any]) -> None:
    """New settings; secrets that are left out stay. An intake that stood still tries again."""
    connector = connector_of(runtime, row.network)
    kept = await secrets.names(session, owner(row))
    check_settings(connector, settings, kept)
    row.settings, hidden = split_secrets(connector, settings)
    row.config_version = connector.config_version
    now = runtime.clock.now()
    if isinstance(row, Channel) and await hooks.keep_old_secret(session, runtime, row, hidden, now):
        await subscribing.keep_later(session, row.organisation_id, row.id, now)
    await secrets.put(session, runtime.keyring, owner(row), hidden)
    intake = await intake_of(session, row)
    if intake is not None and intake.state != health.PAUSED:
        await resume(session, runtime, intake, now)


async def pause(session: AsyncSession, intake: Intake, now: datetime, *, cause: str = "paused") -> None:
    """Stop polling; what happens meanwhile is a gap."""
    if intake.state == health.PAUSED:
        return
    if not any(gap.to_at is None for gap in await health.open_gaps(session, intake)):
        await health.open_gap(session, intake, cause, intake.last_success_at or intake.created_at, now)
    intake.becomes(health.PAUSED, now)
    intake.next_poll_at = None
    streaming.unwanted(intake, now)
    intake.reason_code, intake.reason = "paused", "somebody paused it"


def is_polled(runtime: Runtime, intake: Intake) -> bool:
    """Whether we ask the network; else it only tells us."""
    connector = runtime.hub.connectors.get(intake.network)
    return connector is None or streaming.is_asked(connector, intake)


async def resume(session: AsyncSession, runtime: Runtime, intake: Intake, now: datetime) -> None:
    """Poll again, at once; alone, and quarantined until that ended well, when its connector had killed its worker."""
    streaming.wanted(intake, now)
    intake.spent = 0
    if not is_polled(runtime, intake) and intake.stream_state is not None:
        health.tried_again(intake, now)
        intake.next_poll_at = None
        return
    if not is_polled(runtime, intake):
        # Deliveries went on to be kept, and are taken in now: nothing is missing.
        await health.delivered(session, intake, now)
        return
    if intake.state == health.QUARANTINED and intake.reason_code in health.ALONE:
        intake.next_poll_at = now
        return
    health.tried_again(intake, now)


async def end(session: AsyncSession, runtime: Runtime, row: Channel | Listener) -> None:
    """Disconnect: secrets are deleted, polling ends, what was taken in stays. A network that delivers is told first, with those secrets."""
    now = runtime.clock.now()
    row.ended_at = now
    row.changed()
    if isinstance(row, Channel) and await hooks.hook_of(session, row) is not None:
        await subscribing.end_later(session, row, now)
    else:
        await secrets.forget(session, owner(row))
        await sessions.forget(session, row)
        if isinstance(row, Channel):
            await tokens.end(session, runtime, row)
    intake = await intake_of(session, row)
    if intake is not None:
        intake.becomes(health.PAUSED, now)
        intake.next_poll_at = None
        streaming.unwanted(intake, now)
        intake.reason_code, intake.reason = "ended", "it was disconnected"
        for gap in await health.open_gaps(session, intake):
            await health.gap_closed(session, gap, now, reason="the source was disconnected")


async def poll_now(session: AsyncSession, runtime: Runtime, intake: Intake, now: datetime) -> None:
    """Look again at once, unless the network asked us to wait."""
    if not is_polled(runtime, intake):
        raise Conflict(f"{intake.network} cannot be polled: it delivers.", f"{intake.network} kann nicht abgefragt werden: es liefert.")
    if intake.state not in health.POLLED or intake.state == health.QUARANTINED:
        raise Conflict(
            f"The intake is {intake.state}: {intake.reason or 'see its channel'}.",
            f"Der Eingang ist {intake.state}: {intake.reason or 'siehe Kanal'}.",
        )
    if intake.back_off and intake.next_poll_at is not None and intake.next_poll_at > now + timedelta(seconds=1):
        wait = (intake.next_poll_at - now).total_seconds()
        raise Conflict(
            f"The network wants to be left alone for {wait:.0f} s.", f"Das Netzwerk möchte noch {wait:.0f} s Ruhe.", retry_after=wait
        )
    intake.next_poll_at = now


async def verify(context: JobContext, payload: Verify) -> None:
    """Ask the network who we are, and write down what it said."""
    runtime = context.runtime
    async with runtime.database.write() as session:
        operation = await _operation(session, context)
        if operation is not None:
            operation.began(runtime.clock.now())
        row = await _row(session, context, payload)
    if row is None:
        return
    account: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    try:
        async with runtime.database.read() as session:
            config = await config_of(session, runtime, row)
        found = await connect(runtime, row, config).verify()
        account = msgspec.to_builtins(found)
    except ConnectorError as error:
        problem = {"code": error.kind, "detail": error.message}
        field = getattr(error, "field", "")
        if field:
            problem["field"] = f"settings.{field}"
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        operation = await _operation(session, context)
        if account is None:
            if operation is not None:
                operation.failed(now, problem or {})
            return
        if operation is not None:
            operation.succeeded(now, {"account": account})
        if isinstance(row, Channel):
            of = update(Channel).where(Channel.organisation_id == row.organisation_id, Channel.id == row.id)
            await session.execute(of.values(account=account, version=Channel.version + 1).execution_options(synchronize_session=False))
        await record(
            session,
            Fact(
                organisation_id=row.organisation_id,
                type="channel.verified" if isinstance(row, Channel) else "listener.verified",
                subject_type="channel" if isinstance(row, Channel) else "listener",
                subject_id=row.id,
                at=now,
            ),
        )


async def _operation(session: AsyncSession, context: JobContext) -> Operation | None:
    return (await session.scalars(select(Operation).where(Operation.job_id == context.job_id))).one_or_none()


async def _row(session: AsyncSession, context: JobContext, payload: Verify) -> Channel | Listener | None:
    if payload.channel_id is not None:
        return await session.get(Channel, (context.organisation_id, payload.channel_id))
    return await session.get(Listener, (context.organisation_id, payload.listener_id))


VERIFY = Job(name="channel.verify", handler=verify, payload=Verify, timeout=30.0, max_attempts=3)
