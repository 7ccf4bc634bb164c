"""Pages of a connector: held to the contract, narrowed to what was asked for, and stored with their cursor in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.channels import health, looking
from smhub.channels.connecting import connector_of
from smhub.channels.models import Channel, Intake, Listener
from smhub.db.engine import is_unavailable
from smhub.db.read import DatabaseAway
from smhub.hub.runtime import Runtime
from smhub.mentions import spending
from smhub.mentions.gaps import fill_later
from smhub.mentions.routing import LookAt, look_later
from smhub.mentions.source import Source
from smhub.mentions.taking_in import Taken, take_in
from smhub.sdk import (
    Item,
    Mention,
    Page,
    PayloadMalformed,
    Transient,
)
from smhub.work.leases import LeaseLost, still_ours
from smhub.work.queue import JobContext

log = structlog.get_logger("smhub.intake")
T = TypeVar("T")

MAX_CURSOR = 4096
MAX_ITEMS = 5000
TRIES = 6


class Stopped(Exception):
    """Somebody paused or disconnected the intake meanwhile."""


def not_its_fault(error: BaseException) -> bool:
    """Whether our own side ended the turn: shutdown, deadline, a lost lease, a database that is away or in demand, too little
    memory, which somebody else may have taken."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, LeaseLost | IntegrityError | MemoryError) or (
        isinstance(error, SQLAlchemyError | DatabaseAway) and is_unavailable(error)
    )


async def stored(context: JobContext, source: Source, page: Page, *, gap_id: UUID | None = None) -> Taken:
    """As store_page; again when two workers met in one row, which the later one now finds."""
    return await patiently(context, lambda: store_page(context, source, page, gap_id=gap_id))


async def patiently(context: JobContext, part: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction; again, some times, when two workers met in one row or the database was away for a moment."""
    for number in range(TRIES):
        try:
            return await part()
        except DBAPIError as error:
            if number == TRIES - 1 or not (isinstance(error, IntegrityError) or is_unavailable(error)):
                raise
            await asyncio.sleep(0.05 * 2**number * context.runtime.chance.random())
    raise AssertionError("unreachable")


def source(intake: Intake, row: Channel | Listener) -> Source:
    return Source(
        organisation_id=intake.organisation_id,
        intake_id=intake.id,
        network=row.network,
        channel_id=intake.channel_id,
        listener_id=intake.listener_id,
        department_id=row.department_id,
    )


def fitting(row: Channel | Listener, page: Page) -> Page:
    """Networks find too much: of a listener's page, only what it looks for. Tombstones and bad items pass."""
    if not isinstance(row, Listener):
        return page
    fits = looking.fits(row)
    return msgspec.structs.replace(page, items=[one for one in page.items if not isinstance(one, Mention) or fits(one)])


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
        taken = await take_in_items(session, runtime, source, intake, page.items, now)
        if gap_id is None:
            if page.missed:
                since = intake.last_success_at or intake.created_at
                gap = await health.open_gap(session, intake, "missed", since, now, to_at=now, reason=page.missed)
                await fill_later(session, runtime, gap, now)
            connector = connector_of(runtime, source.network)
            intake.cursor, intake.cursor_version = msgspec.to_builtins(page.cursor), connector.cursor_version
            await health.succeeded(session, intake, now)
            await spending.spend(session, intake, taken.new, now)
        faults.point("take_in.before_commit")
    faults.point("take_in.after_commit")
    return taken


async def take_in_items(
    session: AsyncSession, runtime: Runtime, source: Source, intake: Intake, items: Sequence[Item], now: datetime
) -> Taken:
    """Items of a page or of deliveries, however they came, and the work that follows."""
    taken = await take_in(session, source, items, now)
    intake.mentions += taken.new
    intake.bad_items += taken.bad
    if taken.to_look_at:
        await look_later(session, source.organisation_id, LookAt(mention_ids=taken.to_look_at), now)
    return taken
