"""Listening to a stream: one reader for each intake over all workers, as a job that goes on until it is told to end.

What it hears is taken in as a page is. The reader and the store are two tasks with a short queue between: a network that tells faster than
we store is read no faster, and does not keep anybody else from storing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, select, update

from smhub import faults
from smhub.channels import health, looking, streaming
from smhub.channels.connecting import config_of, connect_to_listen, connector_of
from smhub.channels.models import Channel, Intake, Listener
from smhub.hub.runtime import Runtime
from smhub.mentions import spending
from smhub.mentions.gaps import fill_later
from smhub.mentions.pages import MAX_CURSOR, MAX_ITEMS, Stopped, fitting, not_its_fault, patiently, source, take_in_items
from smhub.mentions.source import Source
from smhub.net import ConnectorHttp
from smhub.sdk import (
    Connector,
    ConnectorError,
    CursorExpired,
    Item,
    Job,
    Page,
    PayloadMalformed,
    Streams,
    StreamsSearches,
    Transient,
    Unsupported,
)
from smhub.work.leases import LeaseLost, still_ours
from smhub.work.models import Job as JobRow
from smhub.work.queue import JobContext, later

log = structlog.get_logger("smhub.stream")

LOOK = 2.0
"""Seconds after which a reader notices that nobody wants it any more."""
WAITING_PAGES = 100
BATCH = 200
PAUSE = 0.25
"""Between two transactions of one stream: what comes faster is stored together."""
STEADY = 60.0
HEARD_EVERY = timedelta(seconds=30)
ALONE_SECONDS = 5.0
SAFETY_NET = timedelta(minutes=5)


class ReadStream(msgspec.Struct, frozen=True, kw_only=True):
    """Whose stream is to be read."""

    intake_id: UUID


class Listening(msgspec.Struct, kw_only=True):
    """One stream: its rows as loaded, its connector, and what was heard of it."""

    source: Source
    row: Channel | Listener
    config: Any
    cursor: Any
    keeps_place: bool
    asked: bool
    connector: Connector[Any]
    http: ConnectorHttp
    heard: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    since: float = 0.0
    told: asyncio.Queue[Page] = msgspec.field(default_factory=lambda: asyncio.Queue(WAITING_PAGES))


async def wake(context: JobContext, _: None) -> None:
    """Every few seconds: add a reader for each stream that is to be opened. One that is there already stays alone."""
    now = context.runtime.clock.now()
    async with context.runtime.database.write() as session:
        alone = Intake.stream_reason_code.in_(sorted(health.ALONE))
        due = select(Intake.organisation_id, Intake.id, alone).where(Intake.stream_next_at <= now, Intake.state.in_(health.POLLED))
        for organisation_id, intake_id, suspect in await session.execute(due.limit(500)):
            name = f"stream:{intake_id}"
            payload = ReadStream(intake_id=intake_id)
            await later(
                session, STREAM, payload, now=now, organisation_id=organisation_id, key=name, dedupe_key=name, suspect=bool(suspect)
            )
            # The reader says when it is to be opened again; this one counts only if it never does.
            await session.execute(
                update(Intake)
                .where(Intake.organisation_id == organisation_id, Intake.id == intake_id)
                .values(stream_next_at=now + SAFETY_NET)
                .execution_options(synchronize_session=False)
            )


async def stream(context: JobContext, payload: ReadStream) -> Any:
    """Read one stream until it ends, nobody wants it any more, or the worker is to end; then the next worker goes on at once."""
    runtime = context.runtime
    assert context.organisation_id is not None
    one: Listening | None = None
    try:
        one = await _prepare(runtime, context.organisation_id, payload.intake_id)
        if one is None:
            return None
        await _listen(context, one)
    except Stopped:
        return await _again(context, payload.intake_id)
    except BaseException as error:
        if not_its_fault(error):
            raise
        if not isinstance(error, ConnectorError):
            log.exception("stream_failed", intake_id=str(payload.intake_id))
        why = error
        await patiently(context, lambda: _closed(context, payload.intake_id, one, why))
        return None
    return runtime.clock.now() if context.ending.is_set() else await _again(context, payload.intake_id)


async def _prepare(runtime: Runtime, organisation_id: UUID, intake_id: UUID) -> Listening | None:
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
        kind: Any = connector_of(runtime, row.network)
        if not streaming.is_heard(kind, row):
            raise Unsupported(f"{row.network} has no stream for this")
        config = await config_of(session, runtime, row)
    connector, http = connect_to_listen(runtime, row, config)
    return Listening(
        source=source(intake, row),
        row=row,
        config=config,
        cursor=_place(kind, intake),
        keeps_place=kind.StreamCursor is not None,
        asked=streaming.is_asked(kind, intake),
        connector=connector,
        http=http,
    )


def _place(kind: Any, intake: Intake) -> Any:
    if intake.stream_cursor is None or kind.StreamCursor is None:
        return None
    try:
        return msgspec.convert(intake.stream_cursor, kind.StreamCursor)
    except msgspec.ValidationError as error:
        raise CursorExpired(f"the stored place in the stream cannot be read: {error}") from error


async def _listen(context: JobContext, one: Listening) -> None:
    """Hear, store and look around until one of the three ends; then store what was heard and not stored yet."""
    one.http.heard = one.heard.set
    hearing = asyncio.create_task(_hear(one))
    parts = [hearing, asyncio.create_task(_store(context, one)), asyncio.create_task(_look(context, one))]
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await one.http.close()
    if not any(not task.cancelled() and isinstance(task.exception(), Stopped | LeaseLost) for task in done):
        while not one.told.empty():
            await _keep(context, one, _waiting(one))
    for task in done:
        task.result()
    if hearing in done:
        raise Transient("the network ended the stream")


async def _hear(one: Listening) -> None:
    """The connector's pages into the queue."""
    try:
        await _put(one)
    except (SystemExit, KeyboardInterrupt) as error:
        # In a task of its own either would end the worker.
        raise RuntimeError("the connector wanted to end its worker") from error


async def _put(one: Listening) -> None:
    async for page in _pages(one):
        if not isinstance(page, Page):
            raise TypeError(f"a page must be a Page, not {type(page).__name__}")
        if one.keeps_place and page.cursor is not None and len(msgspec.json.encode(page.cursor)) > MAX_CURSOR:
            raise PayloadMalformed(f"the cursor is larger than {MAX_CURSOR} bytes")
        if len(page.items) > MAX_ITEMS:
            raise PayloadMalformed(f"a page holds more than {MAX_ITEMS} items")
        one.heard.set()
        await one.told.put(page)
        # A reader whose bytes are all there already would never let anybody else run.
        await asyncio.sleep(0)


async def _pages(one: Listening) -> AsyncIterator[Page]:
    connector: Any = one.connector
    if isinstance(one.row, Listener) and isinstance(connector, StreamsSearches):
        pages = connector.stream_search(looking.search_of(one.row), one.cursor)
    elif isinstance(connector, Streams):
        pages = connector.stream(one.cursor)
    else:
        raise Unsupported(f"{one.row.network} has no stream for this")
    try:
        async for page in pages:
            yield page
    finally:
        close = getattr(pages, "aclose", None)
        if close is not None:
            await close()


async def _store(context: JobContext, one: Listening) -> None:
    """Page by page, or many at once when they come quickly."""
    while True:
        first = await one.told.get()
        await _keep(context, one, _waiting(one, first))
        await asyncio.sleep(PAUSE)


def _waiting(one: Listening, first: Page | None = None) -> Page:
    """What was heard and is not stored, up to a batch, as one page."""
    pages = [one.told.get_nowait() if first is None else first]
    count = len(pages[0].items)
    while count < BATCH and not one.told.empty():
        pages.append(one.told.get_nowait())
        count += len(pages[-1].items)
    items: list[Item] = [item for page in pages for item in page.items]
    missed = next((page.missed for page in pages if page.missed), None)
    return fitting(one.row, Page(items=items, cursor=pages[-1].cursor, missed=missed))


async def _keep(context: JobContext, one: Listening, page: Page) -> None:
    await patiently(context, lambda: _stored(context, one, page))


async def _stored(context: JobContext, one: Listening, page: Page) -> None:
    """One transaction: what was heard, the place in the stream, the work that follows."""
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get_one(Intake, (one.source.organisation_id, one.source.intake_id), with_for_update=True)
        if intake.state not in health.POLLED:
            raise Stopped
        taken = await take_in_items(session, runtime, one.source, intake, page.items, now)
        await streaming.heard(session, runtime, intake, one.asked, now)
        await spending.spend(session, intake, taken.new, now)
        if page.missed:
            since = intake.last_success_at or intake.created_at
            gap = await health.open_gap(session, intake, "missed", since, now, to_at=now, reason=page.missed)
            if one.asked:
                await fill_later(session, runtime, gap, now)
        if one.keeps_place and page.cursor is not None:
            intake.stream_cursor = msgspec.to_builtins(page.cursor)
        if not one.asked:
            intake.last_success_at = now
        faults.point("stream.before_commit")
    faults.point("stream.after_commit")


async def _look(context: JobContext, one: Listening) -> None:
    """Say that it is open, and from then on look whether anybody still wants it; ends when the worker is to end."""
    time = asyncio.get_running_loop().time
    began, opened = time(), False
    while not context.ending.is_set():
        if one.heard.is_set() and not opened:
            opened, one.since = True, time()
            await patiently(context, lambda: _is_open(context, one, anew=True))
        one.heard.clear()
        await _still_wanted(context, one)
        if context.alone and time() - began > ALONE_SECONDS:
            return
        waits = [asyncio.ensure_future(context.ending.wait())] + ([] if opened else [asyncio.ensure_future(one.heard.wait())])
        await asyncio.wait(waits, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if opened and one.heard.is_set():
            await patiently(context, lambda: _is_alive(context, one))


async def _is_open(context: JobContext, one: Listening, *, anew: bool = False) -> None:
    runtime = context.runtime
    async with runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get_one(Intake, (one.source.organisation_id, one.source.intake_id), with_for_update=True)
        if intake.state not in health.POLLED:
            raise Stopped
        await streaming.heard(session, runtime, intake, one.asked, runtime.clock.now(), anew=anew)


async def _is_alive(context: JobContext, one: Listening) -> None:
    """A sign of life is written down now and then, and not each."""
    runtime = context.runtime
    of = (Intake.organisation_id == one.source.organisation_id, Intake.id == one.source.intake_id)
    async with runtime.database.read() as session:
        state, before = (await session.execute(select(Intake.stream_state, Intake.stream_heard_at).where(*of))).one()
    if state != streaming.OPEN or before is None or runtime.clock.now() - before >= HEARD_EVERY:
        await _is_open(context, one)


async def _still_wanted(context: JobContext, one: Listening) -> None:
    """Raises Stopped when the intake stands still or its source is another now, LeaseLost when somebody else reads."""
    runtime, row = context.runtime, one.row
    kind = type(row)
    of = and_(kind.organisation_id == row.organisation_id, kind.id == row.id)
    look = (
        select(Intake.state, kind.ended_at, kind.version, JobRow.attempt, JobRow.state)
        .select_from(Intake)
        .join(kind, of)
        .join(JobRow, JobRow.id == context.job_id)
        .where(Intake.organisation_id == row.organisation_id, Intake.id == one.source.intake_id)
    )
    async with runtime.database.read() as session:
        found = (await session.execute(look)).one_or_none()
        if found is None or found[0] not in health.POLLED or found[1] is not None:
            raise Stopped
        if (found[3], found[4]) != (context.attempt, "running"):
            raise LeaseLost(f"job {context.job_id} is no longer ours")
        if found[2] == row.version:
            return
        now: Any = await session.get_one(kind, (row.organisation_id, row.id))
        if _heart(now) != _heart(row) or await config_of(session, runtime, now) != one.config:
            raise Stopped
        one.row = now


def _heart(row: Channel | Listener) -> tuple[Any, ...]:
    """What the stream depends on, beside settings and secrets."""
    return (row.department_id, *((row.query, row.words, row.languages) if isinstance(row, Listener) else ()))


async def _again(context: JobContext, intake_id: UUID) -> None:
    """Nothing went wrong: it is opened again at once, if it is wanted."""
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get(Intake, (context.organisation_id, intake_id), with_for_update=True)
        if intake is not None and intake.state in health.POLLED:
            intake.stream_becomes(streaming.CONNECTING, now)
            intake.stream_next_at = now
        elif intake is not None:
            streaming.unwanted(intake, now)


async def _closed(context: JobContext, intake_id: UUID, one: Listening | None, error: BaseException) -> None:
    runtime = context.runtime
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        await still_ours(session, context)
        intake = await session.get(Intake, (context.organisation_id, intake_id), with_for_update=True)
        if intake is None or intake.state not in health.POLLED:
            return
        asked = streaming.is_asked(connector_of(runtime, intake.network), intake)
        steady = one is not None and one.since > 0 and asyncio.get_running_loop().time() - one.since > STEADY
        await streaming.closed(session, runtime, intake, error, asked, steady, now)
    log.info("stream_closed", intake_id=str(intake_id), error=type(error).__name__)


STREAM = Job(name="intake.stream", handler=stream, payload=ReadStream, timeout=3600.0, max_attempts=10)
WAKE = Job(name="intake.listen", handler=wake, payload=None, timeout=30.0, max_attempts=1, every=2.0)
JOBS = (STREAM, WAKE)
