"""What people said about mentions: the labels that own models learn from, and where they contradict one another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import distinct, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Annotation, Mention
from smhub_monitoring.analysis.analyst import LEARNED
from smhub_monitoring.analysis.models import Likeness

MOST = 20_000
"""The newest labels, which are learned from."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A mention and what a person said it is."""

    mention_id: UUID
    text: str
    title: str | None
    language: str | None
    ours: bool | None
    value: str


_TEXT = (Mention.text, Mention.title, Mention.language, Mention.channel_id, Mention.listener_id)


async def labels(session: AsyncSession, organisation_id: UUID, key: str) -> list[Label]:
    """All labels of a key, the oldest first. Where people disagree about a mention nobody is believed."""
    if key == "department":
        return await _handed_over(session, organisation_id)
    statement = (
        select(Annotation.mention_id, Annotation.value, *_TEXT)
        .join(Mention, (Mention.organisation_id == Annotation.organisation_id) & (Mention.id == Annotation.mention_id))
        .where(
            Annotation.organisation_id == organisation_id, Annotation.key == key, Annotation.human, Mention.content_state != "deleted"
        )
        .order_by(Annotation.at.desc(), Annotation.mention_id.desc())
        .limit(MOST)
    )
    said: dict[UUID, set[str]] = {}
    rows = [(row, as_value(row[1])) for row in (await session.execute(statement)).all()]
    for row, value in rows:
        if value is not None:
            said.setdefault(row[0], set()).add(value)
    found = {row[0]: _label(row, value) for row, value in rows if value is not None and len(said[row[0]]) == 1}
    return list(reversed(found.values()))


async def _handed_over(session: AsyncSession, organisation_id: UUID) -> list[Label]:
    """A mention that a member gave to a department is a label, too."""
    statement = (
        select(Mention.id, Mention.department_id, *_TEXT)
        .where(Mention.organisation_id == organisation_id, Mention.routed_by == "member", Mention.department_id.is_not(None))
        .where(Mention.content_state != "deleted")
        .order_by(Mention.id.desc())
        .limit(MOST)
    )
    return [_label(row, str(row[1])) for row in reversed((await session.execute(statement)).all())]


def _label(row: Any, value: str) -> Label:
    mention_id, _, text, title, language, channel_id, listener_id = row
    ours = True if channel_id is not None else False if listener_id is not None else None
    return Label(mention_id=mention_id, text=text, title=title, language=language, ours=ours, value=value)


def as_value(value: Any) -> str | None:
    """A label as the name of a class."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


async def counted(session: AsyncSession, organisation_id: UUID, keys: Iterable[str] = LEARNED) -> dict[str, int]:
    """How many labels there are for each key."""
    statement = (
        select(Annotation.key, func.count(distinct(Annotation.mention_id)))
        .where(Annotation.organisation_id == organisation_id, Annotation.human, Annotation.key.in_(list(keys)))
        .group_by(Annotation.key)
    )
    found = dict.fromkeys(keys, 0) | {key: int(number) for key, number in (await session.execute(statement)).all()}
    given = select(func.count()).where(
        Mention.organisation_id == organisation_id, Mention.routed_by == "member", Mention.department_id.is_not(None)
    )
    if "department" in found:
        found["department"] = int((await session.execute(given)).scalar_one())
    return found


class Contradiction(msgspec.Struct, frozen=True, kw_only=True):
    """Labels of one key that differ about one text, or about copies of it."""

    group: UUID
    key: str
    said: list[tuple[UUID, str, str]]
    """Mention, value, and by whom."""


async def contradictions(
    session: AsyncSession, organisation_id: UUID, *, after: tuple[UUID, str] | None, limit: int
) -> list[Contradiction]:
    """Where people contradict one another, newest texts first. Copies of a text are one text."""
    group: Any = func.coalesce(Likeness.cluster_id, Annotation.mention_id, type_=Annotation.mention_id.type)
    joined = (Likeness.organisation_id == Annotation.organisation_id) & (Likeness.mention_id == Annotation.mention_id)
    human = (Annotation.organisation_id == organisation_id, Annotation.human, Annotation.key.in_(LEARNED))
    statement = select(group.label("same"), Annotation.key).join(Likeness, joined, isouter=True).where(*human)
    statement = statement.group_by(group, Annotation.key).having(func.count(distinct(Annotation.value)) > 1)
    if after is not None:
        statement = statement.where(
            tuple_(group, Annotation.key) < tuple_(*after, types=[Annotation.mention_id.type, Annotation.key.type])
        )
    found = (await session.execute(statement.order_by(group.desc(), Annotation.key.desc()).limit(limit))).all()
    if not found:
        return []
    said: dict[tuple[UUID, str], list[tuple[UUID, str, str]]] = {(same, key): [] for same, key in found}
    those = select(group, Annotation.key, Annotation.mention_id, Annotation.value, Annotation.producer)
    those = those.join(Likeness, joined, isouter=True).where(*human, group.in_([same for same, _ in found]))
    for same, key, mention_id, value, producer in (await session.execute(those.order_by(Annotation.at))).all():
        text = as_value(value)
        if (same, key) in said and text is not None:
            said[same, key].append((mention_id, text, producer))
    return [Contradiction(group=same, key=key, said=said[same, key]) for same, key in found]
