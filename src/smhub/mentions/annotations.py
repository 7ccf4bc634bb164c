"""What is said about a mention: one row for each producer, and the value in force beside the mention."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.mentions.models import Annotation, Mention
from smhub.sdk import Annotation as Said


async def annotate(
    session: AsyncSession,
    organisation_id: UUID,
    mention_id: UUID,
    said: list[Said],
    *,
    producer: str,
    now: datetime,
    human: bool = False,
) -> dict[str, Any]:
    """Store what a producer says (a value of None takes it back) and return the values now in force."""
    for one in said:
        row = Annotation(
            organisation_id=organisation_id,
            mention_id=mention_id,
            key=one.key,
            producer=producer,
            value=one.value,
            confidence=one.confidence,
            producer_version=one.version,
            human=human,
            at=now,
        )
        await session.merge(row)
    await session.flush()
    of = select(Annotation).where(Annotation.organisation_id == organisation_id, Annotation.mention_id == mention_id)
    force = in_force(list((await session.scalars(of)).all()))
    await session.execute(
        update(Mention)
        .where(Mention.organisation_id == organisation_id, Mention.id == mention_id)
        .values(annotations=force, version=Mention.version + 1)
        .execution_options(synchronize_session=False)
    )
    return force


def in_force(rows: list[Annotation]) -> dict[str, Any]:
    """The value that counts for each key: a human's for ever, else the most confident, else the newest."""
    best: dict[str, Annotation] = {}
    for row in sorted(rows, key=lambda one: (one.human, one.confidence or 0.0, one.at, one.producer)):
        if row.value is not None or row.human:
            best[row.key] = row
    return {
        key: msgspec.to_builtins({"value": row.value, "confidence": row.confidence, "producer": row.producer, "human": row.human})
        for key, row in sorted(best.items())
        if row.value is not None
    }
