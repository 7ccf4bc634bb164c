"""Polling an intake: ask its connector for pages, take each in with its cursor in one transaction, note how it went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from smhub import faults
from smhub.channels import health
from smhub.channels.connecting import config_of, connect, connector_of
from smhub.channels.models import Channel, Gap, Intake, Listener
from smhub.db.engine import is_unavailable
from smhub.db.read import DatabaseAway
from smhub.hub.runtime import Runtime
from smhub.mentions.routing import ROUTE, LookAt
from smhub.mentions.source import Source
from smhub.mentions.taking_in import Taken, take_in
from smhub.sdk import (
    ConnectorError,
    CursorExpired,
    FetchesMentions,
    Job,
    Mention,
    Page,
    PayloadMalformed,
    Search,
    Searches,
    Transient,
    Unsupported,
)
from smhub.text import beginning_with, clean_text, fold, text_of_html
from smhub.work.actions import finished, progress
from smhub.work.queue import JobContext, later
from smhub.work.running import LeaseLost, still_ours

log = structlog.get_logger("smhub.intake")

TURN_SECONDS = 20.0
MAX_CURSOR = 4096
MAX_ITEMS = 5000
TRIES = 6
SAFETY_NET = timedelta(minutes=5)
SOON = timedelta(seconds=10)


class Stopped(Exception):
    """Somebody paused or disconnected the intake meanwhile."""


class PollIntake(msgspec.Struct, frozen=True, kw_only=True):
    """Which intake is to be asked."""

    intake_id: UUID


class FillGap(msgspec.Struct, frozen=True, kw_only=True):
    """Which gap is to be filled."""

    gap_id: UUID


def fill_key(intake_id: UUID) -> str:
    """Back-fills of an intake run one after the other, and beside its polls."""
    return f"fill:{intake_id}"


class Round(msgspec.Struct, kw_only=True):
    """One turn of an intake: its row and source as loaded, and what it needs."""

    source: Source
    row: Channel | Listener
    config: Any
    cursor: Any
    interval: float


async def wake(context: JobContext, _: None) -> None:
    """Every few seconds: add a job for each intake that is due. A second one is never added while the first is there."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
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
            await _stored(context, turn.source, page)
            if runtime.clock.monotonic() - started > TURN_SECONDS:
                await _rest(context, payload.intake_id, 0.0)
                return
        await _rest(context, payload.intake_id, turn.interval)
    except ConnectorError as error:
        await _failed(context, payload.intake_id, error)
    except Stopped:
        return
    except BaseException as error:
        if _not_its_fault(error):
            raise
        log.exception("connector_failed", intake_id=str(payload.intake_id))
        await _failed(context, payload.intake_id, error)


def _not_its_fault(error: BaseException) -> bool:
    """Whether our own side ended the turn: shutdown, deadline, a lost lease, a database that is away or in demand, too little
    memory, which somebody else may have taken."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, LeaseLost | IntegrityError | MemoryError) or (
        isinstance(error, SQLAlchemyError | DatabaseAway) and is_unavailable(error)
    )


async def _stored(context: JobContext, source: Source, page: Page, *, gap_id: UUID | None = None) -> Taken:
    """As store_page; again when two workers met in one row, which the later one now finds."""
    for number in range(TRIES):
        try:
            return await store_page(context, source, page, gap_id=gap_id)
        except DBAPIError as error:
            if number == TRIES - 1 or not (isinstance(error, IntegrityError) or is_unavailable(error)):
                raise
            await asyncio.sleep(0.05 * 2**number * context.runtime.chance.random())
    raise AssertionError("unreachable")


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
        connector = connector_of(runtime, row.network)
        return Round(
            source=_source(intake, row),
            row=row,
            config=await config_of(session, runtime, row),
            cursor=_cursor(connector, intake),
            interval=float(row.poll_seconds or connector.poll_seconds or runtime.settings.poll_seconds),
        )


def _source(intake: Intake, row: Channel | Listener) -> Source:
    return Source(
        organisation_id=intake.organisation_id,
        intake_id=intake.id,
        network=row.network,
        channel_id=intake.channel_id,
        listener_id=intake.listener_id,
        department_id=row.department_id,
    )


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
    connector = connect(runtime, turn.row, turn.config)
    if isinstance(turn.row, Listener):
        if not isinstance(connector, Searches):
            raise Unsupported(f"{turn.row.network} cannot search")
        query = Search(words=tuple(turn.row.words), languages=tuple(turn.row.languages))
        pages = connector.search(query, turn.cursor)
    elif isinstance(connector, FetchesMentions):
        pages = connector.fetch_mentions(turn.cursor)
    else:
        raise Unsupported(f"{turn.row.network} cannot be polled")
    async for page in checked(pages, turn.cursor, runtime.settings.page_seconds):
        yield _fitting(turn.row, page)


def _fitting(row: Channel | Listener, page: Page) -> Page:
    """Networks find too much: of a listener's page, only what has one of its words. Tombstones and bad items pass."""
    if not isinstance(row, Listener):
        return page
    words = beginning_with(tuple(row.words))
    return msgspec.structs.replace(page, items=[one for one in page.items if not isinstance(one, Mention) or words.search(_said(one))])


def _said(item: Mention) -> str:
    """What is to be searched for a listener's words: title and text, folded."""
    return fold(f"{item.title or ''} {text_of_html(item.html) if isinstance(item.html, str) else item.text}")


async def checked(pages: AsyncIterator[Page], cursor: Any, seconds: float) -> AsyncIterator[Page]:
    """Pages with deadline and form checked: a page that repeats its cursor is the last one, else it would go on for ever."""
    last = cursor
    try:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    page = await anext(pages)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise Transient(f"no page within {seconds:.0f} s") from error
            if not isinstance(page, Page):
                raise TypeError(f"a page must be a Page, not {type(page).__name__}")
            if len(msgspec.json.encode(page.cursor)) > MAX_CURSOR:
                raise PayloadMalformed(f"the cursor is larger than {MAX_CURSOR} bytes")
            if len(page.items) > MAX_ITEMS:
                raise PayloadMalformed(f"a page holds more than {MAX_ITEMS} items")
            if last is not None and page.cursor == last:
                yield page
                return
            last = page.cursor
            yield page
    finally:
        close = getattr(pages, "aclose", None)
        if close is not None:
            await close()


async def store_page(context: JobContext, source: Source, page: Page, *, gap_id: UUID | None = None) -> Taken:
    """One transaction: the page's items, its cursor, the intake's health, the work that follows. Called again it changes nothing.

    A back-fill stores no cursor: it walks its own way and leaves the intake's place alone.
    """
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get_one(Intake, (source.organisation_id, source.intake_id), with_for_update=True)
        if gap_id is None and intake.state not in health.POLLED:
            raise Stopped
        taken = await take_in(session, source, page.items, now)
        intake.mentions += taken.new
        intake.bad_items += taken.bad
        if gap_id is None:
            if page.missed:
                since = intake.last_success_at or intake.created_at
                gap = await health.open_gap(session, intake, "missed", since, now, to_at=now, reason=page.missed)
                await later(
                    session,
                    FILL,
                    FillGap(gap_id=gap.id),
                    now=now,
                    organisation_id=source.organisation_id,
                    key=fill_key(source.intake_id),
                )
            connector = connector_of(runtime, source.network)
            intake.cursor, intake.cursor_version = msgspec.to_builtins(page.cursor), connector.cursor_version
            await health.succeeded(session, intake, now)
        if taken.to_look_at:
            await later(
                session,
                ROUTE,
                LookAt(mention_ids=taken.to_look_at),
                now=now,
                organisation_id=source.organisation_id,
                key=f"look_at:{source.organisation_id}",
            )
        faults.point("take_in.before_commit")
    faults.point("take_in.after_commit")
    return taken


async def _rest(context: JobContext, intake_id: UUID, seconds: float) -> None:
    """The turn is over; when the next one is."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get_one(Intake, (context.organisation_id, intake_id), with_for_update=True)
        if intake.state not in health.POLLED:
            return
        await health.succeeded(session, intake, now)
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
            await later(session, FILL, FillGap(gap_id=gap.id), now=now, organisation_id=intake.organisation_id, key=fill_key(intake_id))
        await health.failed(session, intake, error, now, runtime.chance)


async def fill(context: JobContext, payload: FillGap) -> None:
    """Back-fill a gap: read from scratch back to its beginning, and close it with a proof, or with the reason why there is none."""
    loaded = await _gap(context, payload.gap_id)
    if loaded is None:
        await finished(context, {"found": 0})
        return
    gap, intake, row = loaded
    try:
        await _fill(context, gap, intake, row)
    except BaseException as error:
        if context.attempt >= context.max_attempts and not _not_its_fault(error):
            await _given_up(context, gap, error)
        raise


async def _given_up(context: JobContext, gap: Gap, error: BaseException) -> None:
    words = error.message if isinstance(error, ConnectorError) else type(error).__name__
    async with context.runtime.database.write() as session:
        await still_ours(session, context)
        kept = await session.get_one(Gap, (gap.organisation_id, gap.id), with_for_update=True)
        kept.could_not_be_filled(clean_text(f"the back-fill failed: {words}", health.LONGEST_REASON))


async def _fill(context: JobContext, gap: Gap, intake: Intake, row: Channel | Listener) -> None:
    runtime = context.runtime
    async with runtime.database.read() as session:
        config = await config_of(session, runtime, row)
    reached: datetime | None = None
    found = 0
    connector = connect(runtime, row, config, since=gap.from_at, until=gap.to_at)
    if isinstance(row, Listener) and isinstance(connector, Searches):
        pages = connector.search(Search(words=tuple(row.words), languages=tuple(row.languages)), None)
    elif isinstance(connector, FetchesMentions):
        pages = connector.fetch_mentions(None)
    else:
        return
    async for page in checked(pages, None, runtime.settings.page_seconds):
        taken = await _stored(context, _source(intake, row), _fitting(row, page), gap_id=gap.id)
        found += taken.new
        await progress(context, found)
        for item in page.items:
            at = getattr(item, "published_at", None)
            if at is not None and (reached is None or at < reached):
                reached = at
    async with runtime.database.write() as session:
        await still_ours(session, context)
        gap = await session.get_one(Gap, (gap.organisation_id, gap.id), with_for_update=True)
        gap.found = found
        if reached is not None and reached <= gap.from_at:
            await health.gap_closed(session, gap, runtime.clock.now(), proof=f"the back-fill reached {reached.isoformat()}")
        else:
            shown = f"it shows nothing before {reached.isoformat()}" if reached else "it shows nothing"
            await health.gap_closed(session, gap, runtime.clock.now(), reason=f"the network does not go back far enough: {shown}")
    await finished(context, {"found": found, "gap_id": str(gap.id)})


async def _gap(context: JobContext, gap_id: UUID) -> tuple[Gap, Intake, Channel | Listener] | None:
    async with context.runtime.database.write() as session:
        gap = await session.get(Gap, (context.organisation_id, gap_id), with_for_update=True)
        if gap is None or gap.state not in ("open", "filling"):
            return None
        gap.is_filling()
        intake = await session.get_one(Intake, (gap.organisation_id, gap.intake_id))
        row: Channel | Listener
        if intake.channel_id is not None:
            row = await session.get_one(Channel, (gap.organisation_id, intake.channel_id))
        else:
            row = await session.get_one(Listener, (gap.organisation_id, intake.listener_id))
        return gap, intake, row


POLL = Job(name="intake.poll", handler=poll, payload=PollIntake, timeout=180.0, max_attempts=10)
FILL = Job(name="gap.fill", handler=fill, payload=FillGap, timeout=3600.0, max_attempts=5)
WAKE = Job(name="intake.wake", handler=wake, payload=None, timeout=30.0, max_attempts=1, every=2.0)
JOBS = (POLL, FILL, WAKE)
