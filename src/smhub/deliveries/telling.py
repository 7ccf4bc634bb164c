"""The facts of deliveries, and the work that a change of state asks for. Both are rows of the same transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.deliveries.models import Delivery
from smhub.events.log import Fact, record
from smhub.hub.runtime import Runtime
from smhub.work.queue import later

ADVANCE = "delivery.advance"
PRIORITY = 10
"""What we say goes before what we read."""


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """Which delivery is to be brought one step further."""

    delivery_id: UUID


async def send_later(session: AsyncSession, runtime: Runtime, delivery: Delivery, at: datetime) -> None:
    """Look at it then. One at a time goes out through a channel, in the order of their times; a look too many does no harm."""
    delivery.next_at = at
    await later(
        session,
        runtime.hub.jobs[ADVANCE],
        Advance(delivery_id=delivery.id),
        now=runtime.clock.now(),
        organisation_id=delivery.organisation_id,
        key=f"deliver:{delivery.channel_id}",
        run_at=at,
        priority=PRIORITY,
    )


async def tell(session: AsyncSession, delivery: Delivery, type_: str, now: datetime, by: UUID | None = None) -> None:
    """Write down what became of a delivery: ids and states, no words."""
    data = {
        "kind": delivery.kind,
        "state": delivery.state,
        "channel_id": str(delivery.channel_id),
        "mention_id": str(delivery.mention_id) if delivery.mention_id else None,
        "reason_code": delivery.reason_code,
        "external_id": delivery.external_id,
        "settled_by": delivery.settled_by,
    }
    await record(
        session,
        Fact(
            organisation_id=delivery.organisation_id,
            type=type_,
            subject_type="delivery",
            subject_id=delivery.id,
            at=now,
            actor_id=by,
            data=data,
        ),
    )
