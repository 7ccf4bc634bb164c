"""One ordered log of facts. A reader that asks for what follows `seq` never misses an event, however many write.

SQLite has one writer, so a counter is enough. On PostgreSQL a number from a sequence could become visible after a higher one.
There seq is made of the transaction's id (<< 16) and a number within the transaction, and readers stay below the oldest transaction
that still runs (`pg_snapshot_xmin`): whatever becomes visible later has a higher id. No lock is held. `EventCounter.value` is added,
so that seq goes on rising when the data moves to a server whose transaction ids are lower.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, insert, literal, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.callers import Caller
from smhub.db.many import inserts
from smhub.events.models import Event, EventCounter
from smhub.hub.runtime import Runtime

PER_TRANSACTION = 1 << 16
GROWTH = {"sqlite": 1_000_000, "postgresql": 2000 * PER_TRANSACTION}
"""By how much seq grows in a second at most, over hours: events on SQLite, two thousand transactions on PostgreSQL."""
A_DAY = 86_400.0
_ADD = inserts(Event)
_XID: ColumnElement[int] = literal_column("(pg_current_xact_id()::text)::bigint * 65536", BigInteger())


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written down. `data` holds ids and states, as the event's type documents it."""

    organisation_id: UUID
    type: str
    subject_type: str
    subject_id: UUID
    at: datetime
    actor_id: UUID | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


async def record(session: AsyncSession, *facts: Fact) -> None:
    """Write facts in the caller's transaction, in this order."""
    await record_all(session, facts)


async def record_deed(session: AsyncSession, runtime: Runtime, caller: Caller, type_: str, *subject_ids: UUID, **data: Any) -> None:
    """Write down what a caller did, to each subject; the type's first word is the kind of subject."""
    now = runtime.clock.now()
    await record(
        session,
        *(
            Fact(
                organisation_id=caller.organisation_id,
                type=type_,
                subject_type=type_.split(".", maxsplit=1)[0],
                subject_id=subject_id,
                at=now,
                actor_id=caller.member_id,
                data=data,
            )
            for subject_id in subject_ids
        ),
    )


async def record_all(session: AsyncSession, facts: Iterable[Fact]) -> None:
    """As record, for many at once."""
    rows = list(facts)
    if not rows:
        return
    first = await _take(session, len(rows))
    await _ADD.run(
        session,
        [
            {
                "seq": first + number,
                "organisation_id": fact.organisation_id,
                "type": fact.type,
                "at": fact.at,
                "subject_type": fact.subject_type,
                "subject_id": fact.subject_id,
                "actor_id": fact.actor_id,
                "data": fact.data,
            }
            for number, fact in enumerate(rows)
        ],
    )
    session.info.setdefault("recorded", []).extend(rows)


async def _take(session: AsyncSession, count: int) -> int:
    """The first of `count` free numbers."""
    if session.get_bind().dialect.name == "sqlite":
        grown = update(EventCounter).values(value=EventCounter.value + count).returning(EventCounter.value)
        return int((await session.execute(grown)).scalar_one()) - count + 1
    transaction = session.sync_session.get_transaction()
    base: list[Any] | None = session.info.get("event_base")
    if base is None or base[2] is not transaction:
        number = int((await session.execute(select(_XID + EventCounter.value))).scalar_one())
        base = [number, 0, session.sync_session.get_transaction()]
        session.info["event_base"] = base
    first = base[0] + base[1]
    base[1] += count
    if base[1] > PER_TRANSACTION:
        raise OverflowError(f"one transaction wrote more than {PER_TRANSACTION} events; split the work")
    return int(first)


def settled(dialect: str) -> Any:
    """The condition under which an event may be read: nothing with a lower seq can appear any more."""
    if dialect == "sqlite":
        return text("1 = 1")
    return text(
        "core_event.seq < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint * 65536 + (select value from core_event_counter)"
    )


def following(dialect: str, organisation_id: UUID | None, after: int, limit: int) -> Select[Event]:
    """The statement for the events after `after`, in order; None: of all organisations."""
    statement = select(Event).where(Event.seq > after, settled(dialect)).order_by(Event.seq).limit(limit)
    return statement if organisation_id is None else statement.where(Event.organisation_id == organisation_id)


async def make_room(session: AsyncSession, count: int) -> None:
    """Let one transaction write `count` more events, even when it has written almost all that it may. Only while nobody else writes."""
    base: list[Any] | None = session.info.get("event_base")
    if base is not None and base[1] + count > PER_TRANSACTION:
        await session.execute(update(EventCounter).values(value=EventCounter.value + PER_TRANSACTION))
        del session.info["event_base"]


async def leap(session: AsyncSession, seconds: float) -> None:
    """After a restore: let seq go on above all that may have been given out in the last `seconds`, which this database does not know of.

    The leap grows with the time, so it is wide enough also when the same backup is restored again later. A day is added to be safe."""
    await adjust(session)
    dialect = session.get_bind().dialect.name
    by = int(GROWTH[dialect] * (max(seconds, 0.0) + A_DAY))
    await session.execute(update(EventCounter).values(value=EventCounter.value + by))


async def adjust(session: AsyncSession) -> None:
    """At the start: make the counter's row, and let seq go on above the highest one wherever the data came from."""
    if (await session.execute(select(EventCounter.id))).first() is None:
        await session.execute(insert(EventCounter).values(id=1, value=0))
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text("update core_event_counter set value = max(value, (select coalesce(max(seq), 0) from core_event))"))
        return
    highest = (await session.execute(text("select coalesce(max(seq), 0) from core_event"))).scalar_one()
    base = select(_XID + EventCounter.value)
    if highest >= int((await session.execute(base)).scalar_one()):
        above = (highest // PER_TRANSACTION + 1) * PER_TRANSACTION
        await session.execute(update(EventCounter).values(value=literal(above, BigInteger()) - _XID))
