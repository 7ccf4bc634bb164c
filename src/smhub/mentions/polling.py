"""Polling an intake: ask its connector for pages, take each in with its cursor in one transaction, note how it went."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, select, update

from smhub.channels import health, looking, streaming
from smhub.channels.connecting import config_of, connect, connector_of, must_be_there
from smhub.channels.models import Channel, Intake, Listener
from smhub.hub.runtime import Runtime
from smhub.mentions import spending
from smhub.mentions.gaps import fill_later
from smhub.mentions.pages import Stopped, checked, fitting, not_its_fault, source, stored
from smhub.mentions.source import Source
from smhub.sdk import (
    ConnectorError,
    CursorExpired,
    FetchesMentions,
    Job,
    Page,
    Searches,
    Unsupported,
)
from smhub.work.leases import still_ours
from smhub.work.queue import JobContext, later

log = structlog.get_logger("smhub.intake")

TURN_SECONDS = 20.0
SAFETY_NET = timedelta(minutes=5)
SOON = timedelta(seconds=10)


class PollIntake(msgspec.Struct, frozen=True, kw_only=True):
    """Which intake is to be asked."""

    intake_id: UUID


class Round(msgspec.Struct, kw_only=True):
    """One turn of an intake: its row and source as loaded, and what it needs."""

    source: Source
    row: Channel | Listener
    config: Any
    cursor: Any
    interval: float
    told: bool


async def wake(context: JobContext, _: None) -> None:
    """Every few seconds: add a job for each intake that is due. A second one is never added while the first is there."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        await spending.new_day(session, context.runtime, now)
        alone = and_(Intake.state == health.QUARANTINED, Intake.reason_code.in_(sorted(health.ALONE)))
        due = select(Intake.organisation_id, Intake.id, alone).where(Intake.next_poll_at <= now, Intake.state.in_(health.POLLED))
        for organisation_id, intake_id, suspect in await session.execute(due.limit(500)):
            added = await later(
                session,
                POLL,
                PollIntake(intake_id=intake_id),
                now=now,
                organisation_id=organisation_id,
                key=f"intake:{intake_id}",
                dedupe_key=f"poll:{intake_id}",
                suspect=bool(suspect),
            )
            # The job sets the next time when it is done; this one counts only if it never is, or if the job is just ending.
            await session.execute(
                update(Intake)
                .where(Intake.organisation_id == organisation_id, Intake.id == intake_id)
                .values(next_poll_at=now + (SAFETY_NET if added else SOON))
                .execution_options(synchronize_session=False)
            )


async def poll(context: JobContext, payload: PollIntake) -> None:
    """Ask one intake for what is new, page by page; stop after a while and go on in another job, so that all get their turn."""
    runtime = context.runtime
    assert context.organisation_id is not None
    started = runtime.clock.monotonic()
    try:
        turn = await _prepare(runtime, context.organisation_id, payload.intake_id)
        if turn is None:
            return
        async for page in _pages(runtime, turn):
            await stored(context, turn.source, page)
            if runtime.clock.monotonic() - started > TURN_SECONDS:
                await _rest(context, payload.intake_id, 0.0, as_told=True)
                return
        await _rest(context, payload.intake_id, turn.interval, as_told=turn.row.poll_seconds is not None)
    except ConnectorError as error:
        await _failed(context, payload.intake_id, error)
    except Stopped:
        return
    except BaseException as error:
        if not_its_fault(error):
            raise
        log.exception("connector_failed", intake_id=str(payload.intake_id))
        await _failed(context, payload.intake_id, error)


async def _prepare(runtime: Runtime, organisation_id: UUID, intake_id: UUID) -> Round | None:
    """Load what a turn needs and let the database go. None when the intake is paused or gone."""
    async with runtime.database.read() as session:
        intake = await session.get(Intake, (organisation_id, intake_id))
        if intake is None or intake.state not in health.POLLED:
            return None
        row: Channel | Listener | None
        if intake.channel_id is not None:
            row = await session.get(Channel, (organisation_id, intake.channel_id))
        else:
            row = await session.get(Listener, (organisation_id, intake.listener_id))
        if row is None or row.ended_at is not None:
            return None
        must_be_there(runtime, row.network)
        connector = connector_of(runtime, row.network)
        return Round(
            source=source(intake, row),
            row=row,
            config=await config_of(session, runtime, row),
            cursor=_cursor(connector, intake),
            interval=_interval(runtime, intake, row, connector),
            told=intake.source == "webhook",
        )


def _interval(runtime: Runtime, intake: Intake, row: Channel | Listener, connector: Any) -> float:
    """Seconds until the next turn. Under a network that tells by itself, polling is a net: a delivery that was lost is late, and not lost."""
    usual = float(row.poll_seconds or connector.poll_seconds or runtime.settings.poll_seconds)
    if intake.source == "webhook" and row.poll_seconds is None:
        return max(usual, float(runtime.settings.webhook_poll_seconds))
    return usual


def _cursor(connector: Any, intake: Intake) -> Any:
    """The stored cursor in the connector's type; of an older version, in today's form."""
    if intake.cursor is None:
        return None
    stored: dict[str, Any] | None = intake.cursor
    if intake.cursor_version < connector.cursor_version:
        stored = connector.migrate_cursor(dict(intake.cursor), intake.cursor_version)
        if stored is None:
            raise CursorExpired("the connector no longer understands the cursor that it left")
    try:
        return msgspec.convert(stored, connector.Cursor)
    except msgspec.ValidationError as error:
        raise CursorExpired(f"the stored cursor cannot be read: {error}") from error


async def _pages(runtime: Runtime, turn: Round) -> AsyncIterator[Page]:
    """The connector's pages, each under a deadline; what is not a Page is refused."""
    connector = connect(runtime, turn.row, turn.config, told=turn.told)
    if isinstance(turn.row, Listener):
        if not isinstance(connector, Searches):
            raise Unsupported(f"{turn.row.network} cannot search")
        pages = connector.search(looking.search_of(turn.row), turn.cursor)
    elif isinstance(connector, FetchesMentions):
        pages = connector.fetch_mentions(turn.cursor)
    else:
        raise Unsupported(f"{turn.row.network} cannot be polled")
    async for page in checked(pages, turn.cursor, runtime.settings.page_seconds):
        yield fitting(turn.row, page)


async def _rest(context: JobContext, intake_id: UUID, seconds: float, *, as_told: bool) -> None:
    """The turn is over; when the next one is: after so many seconds, or later while a stream is open, unless somebody told when."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get_one(Intake, (context.organisation_id, intake_id), with_for_update=True)
        if intake.state not in health.POLLED:
            return
        await health.succeeded(session, intake, now)
        seconds = seconds if as_told else streaming.poll_seconds(context.runtime, intake, seconds)
        jitter = 1 + 0.1 * context.runtime.chance.random()
        intake.next_poll_at = now + timedelta(seconds=seconds * jitter)


async def _failed(context: JobContext, intake_id: UUID, error: BaseException) -> None:
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get(Intake, (context.organisation_id, intake_id), with_for_update=True)
        if intake is None or intake.state not in health.POLLED:
            return
        since = intake.last_success_at or intake.created_at
        known = [gap for gap in await health.open_gaps(session, intake) if gap.cause == "missed" and gap.from_at == since]
        if isinstance(error, CursorExpired):
            # Begin afresh; what lies between is a gap until a back-fill has looked.
            intake.cursor = None
        if isinstance(error, CursorExpired) and not known:
            gap = await health.open_gap(session, intake, "missed", since, now, to_at=now, reason="the network forgot our place")
            await fill_later(session, runtime, gap, now)
        await health.failed(session, intake, error, now, runtime.chance)


POLL = Job(name="intake.poll", handler=poll, payload=PollIntake, timeout=180.0, max_attempts=10)
WAKE = Job(name="intake.wake", handler=wake, payload=None, timeout=30.0, max_attempts=1, every=2.0)
JOBS = (POLL, WAKE)
