"""What becomes of an intake, a gap or a page of mentions, when a plugin killed the worker that ran it alone."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels import health, streaming
from smhub.channels.models import Gap, Intake
from smhub.hub.runtime import Runtime
from smhub.mentions.gaps import FillGap
from smhub.mentions.polling import PollIntake
from smhub.mentions.routing import LookAt, look_later
from smhub.mentions.streaming import ReadStream
from smhub.text import clean_text
from smhub.work.suspects import Guilt

log = structlog.get_logger("smhub.routing")


async def of_polling(runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: PollIntake, guilt: Guilt) -> None:
    """The intake is quarantined: tried rarely, and alone."""
    intake = await session.get(Intake, (organisation_id, payload.intake_id), with_for_update=True)
    if intake is not None and intake.state in health.POLLED:
        await health.quarantined(session, intake, guilt.why, guilt.words, runtime.clock.now(), runtime.chance)


async def of_streaming(
    runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: ReadStream, guilt: Guilt
) -> None:
    """Its stream is left alone for hours, and then tried alone; the polls go on. Without polls the intake is quarantined."""
    intake = await session.get(Intake, (organisation_id, payload.intake_id), with_for_update=True)
    if intake is None or intake.state not in health.POLLED:
        return
    now = runtime.clock.now()
    streaming.killed(intake, health.WHY[guilt.why], guilt.words, now)
    connector = runtime.hub.connectors.get(intake.network)
    if connector is not None and not streaming.is_asked(connector, intake):
        await health.quarantined(session, intake, guilt.why, guilt.words, now, runtime.chance)
        intake.next_poll_at = None


async def of_filling(runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: FillGap, guilt: Guilt) -> None:
    """The gap stays open, and says why; a person may ask for the back-fill again."""
    gap = await session.get(Gap, (organisation_id, payload.gap_id), with_for_update=True)
    if gap is not None and gap.state in ("open", "filling"):
        gap.could_not_be_filled(clean_text(f"the back-fill was given up: {guilt.words}", health.LONGEST_REASON))


async def of_looking(runtime: Runtime, session: AsyncSession, organisation_id: UUID | None, payload: LookAt, guilt: Guilt) -> None:
    """The mentions are routed by the hub alone; the dead job stays, and who mended the plugin may retry it."""
    assert organisation_id is not None
    log.error("interceptor_killed_its_worker", why=guilt.why, mentions=len(payload.mention_ids))
    await look_later(session, organisation_id, LookAt(mention_ids=payload.mention_ids, core_only=True), runtime.clock.now())
