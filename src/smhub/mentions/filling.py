"""Filling a gap: read a connector back to where nothing is missing, and say whether that was proved."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from smhub.channels import health, looking
from smhub.channels.connecting import config_of, connect
from smhub.channels.models import Channel, Gap, Intake, Listener
from smhub.mentions.gaps import FILL as FILL_GAP
from smhub.mentions.gaps import FillGap
from smhub.mentions.pages import checked, fitting, not_its_fault, source, stored
from smhub.sdk import (
    ConnectorError,
    FetchesMentions,
    Job,
    Searches,
)
from smhub.text import clean_text
from smhub.work.actions import finished, progress
from smhub.work.leases import still_ours
from smhub.work.queue import JobContext


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
        if context.attempt >= context.max_attempts and not not_its_fault(error):
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
        pages = connector.search(looking.search_of(row), None)
    elif isinstance(connector, FetchesMentions):
        pages = connector.fetch_mentions(None)
    else:
        return
    async for page in checked(pages, None, runtime.settings.page_seconds):
        taken = await stored(context, source(intake, row), fitting(row, page), gap_id=gap.id)
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


FILL = Job(name=FILL_GAP, handler=fill, payload=FillGap, timeout=3600.0, max_attempts=5)
JOBS = (FILL,)
