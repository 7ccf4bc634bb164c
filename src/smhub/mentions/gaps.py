"""A stretch of time that an intake may have missed becomes work: its back-fill."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.channels.models import Gap
from smhub.hub.runtime import Runtime
from smhub.work.queue import later

FILL = "gap.fill"


class FillGap(msgspec.Struct, frozen=True, kw_only=True):
    """Which gap is to be filled."""

    gap_id: UUID


def fill_key(intake_id: UUID) -> str:
    """Back-fills of an intake run one after the other, and beside its polls."""
    return f"fill:{intake_id}"


async def fill_later(session: AsyncSession, runtime: Runtime, gap: Gap, now: datetime) -> None:
    """Let a worker fill it."""
    payload = FillGap(gap_id=gap.id)
    await later(session, runtime.hub.jobs[FILL], payload, now=now, organisation_id=gap.organisation_id, key=fill_key(gap.intake_id))
