"""What is said about a mention: one row for each producer, and the value in force beside the mention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.many import Many
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
    force = await annotate_all(session, organisation_id, {mention_id: said}, producer=producer, now=now, human=human)
    return force[mention_id]


async def annotate_all(
    session: AsyncSession,
    organisation_id: UUID,
    said: Mapping[UUID, list[Said]],
    *,
    producer: str,
    now: datetime,
    human: bool = False,
) -> dict[UUID, dict[str, Any]]:
    """As annotate, for many mentions at once: three statements, however many they are."""
    rows = [
        {
            "organisation_id": organisation_id,
            "mention_id": mention_id,
            "key": one.key,
            "producer": producer,
            "value": one.value,
            "confidence": one.confidence,
            "producer_version": one.version,
            "human": human,
            "at": now,
        }
        for mention_id in sorted(said)
        for one in {one.key: one for one in said[mention_id]}.values()
    ]
    await session.flush()
    dialect = session.get_bind().dialect.name
    await _STORED[dialect].run(session, rows)
    of: dict[UUID, list[Annotation]] = {mention_id: [] for mention_id in sorted(said)}
    for part in batched(of):
        statement = select(Annotation).where(Annotation.organisation_id == organisation_id, Annotation.mention_id.in_(part))
        for row in (await session.scalars(statement.execution_options(populate_existing=True))).all():
            of[row.mention_id].append(row)
    force = {mention_id: in_force(found) for mention_id, found in of.items()}
    await _IN_FORCE.run(
        session, [{"key_organisation": organisation_id, "key_id": id_, "force": values} for id_, values in force.items()]
    )
    return force


def batched(ids: Iterable[UUID], size: int = 500) -> Iterator[list[UUID]]:
    """In parts that fit into one statement."""
    every = list(ids)
    yield from (every[start : start + size] for start in range(0, len(every), size))


def _stored(dialect: str) -> Many:
    """Rows put in, or in the place of what the producer said before."""
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Annotation)
    key = ["organisation_id", "mention_id", "key", "producer"]
    named = {name: statement.excluded[name] for name in _COLUMNS if name not in key}
    return Many(statement.on_conflict_do_update(index_elements=key, set_=named), _COLUMNS)


_COLUMNS = [column.name for column in Annotation.__table__.columns]
_STORED = {dialect: _stored(dialect) for dialect in ("postgresql", "sqlite")}
_IN_FORCE = Many(
    update(Mention)
    .where(Mention.organisation_id == bindparam("key_organisation"), Mention.id == bindparam("key_id"))
    .values(annotations=bindparam("force"), version=Mention.version + literal_column("1"))
)


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
