"""An organisation's analyst, made of what is stored and kept in the process until something of that changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Annotation, Department
from smhub.sdk import DepartmentView, InterceptorContext, MentionView
from smhub_monitoring.analysis import rule_sets
from smhub_monitoring.analysis.analyst import Analysis, Analyst, OwnModel
from smhub_monitoring.analysis.keywords import Background
from smhub_monitoring.analysis.language import language_of
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.models import Choice, OwnModelRow, Words
from smhub_monitoring.analysis.settings import MonitoringSettings

PRODUCER = "monitoring.analysis"
MOST_KEPT = 32


class Prepared(msgspec.Struct, frozen=True):
    """For one page: who analyses, and which keys were said about each mention before, to be taken back where they do not hold any more."""

    analyst: Analyst
    before: dict[UUID, frozenset[str]]
    analyses: dict[UUID, Analysis] = msgspec.field(default_factory=dict)


_kept: OrderedDict[UUID, tuple[Any, Analyst]] = OrderedDict()


async def prepare(session: AsyncSession, context: InterceptorContext, mentions: Sequence[MentionView]) -> Prepared:
    """What the analysis of a page needs."""
    settings = context.settings or MonitoringSettings()
    analyst = await analyst_of(session, context.organisation_id, settings, context.departments)
    return Prepared(analyst, await said_before(session, context.organisation_id, [mention.id for mention in mentions]))


async def analyst_of(
    session: AsyncSession,
    organisation_id: UUID,
    settings: MonitoringSettings,
    departments: Sequence[DepartmentView],
    *,
    without_own: bool = False,
) -> Analyst:
    """The organisation's analyst. `without_own`: as if it had no own models."""
    rules = await rule_sets.in_force(session, organisation_id)
    chosen = [] if without_own else await _chosen(session, organisation_id)
    counted = (await session.execute(select(Words.at).where(Words.organisation_id == organisation_id))).scalar_one_or_none()
    numbers = {language: row.number for language, row in rules.items()}
    stamp = (settings, tuple(departments), numbers, chosen, counted)
    kept = _kept.get(organisation_id)
    if kept is not None and kept[0] == stamp:
        _kept.move_to_end(organisation_id)
        return kept[1]
    own = {key: await _own(session, organisation_id, key, model_id) for key, model_id in chosen}
    background = await _background(session, organisation_id)
    # The first text in a process loads the languages, which takes a moment that the event loop has not.
    await asyncio.to_thread(language_of, "In welcher Sprache ist das?", settings.languages)
    analyst = Analyst(settings, rule_sets.made(rules, settings.languages), departments, own, background)
    if not without_own:
        _kept[organisation_id] = (stamp, analyst)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return analyst


async def _chosen(session: AsyncSession, organisation_id: UUID) -> list[tuple[str, UUID]]:
    of = select(Choice.key, Choice.model_id).where(Choice.organisation_id == organisation_id, Choice.model_id.is_not(None))
    return [(key, model_id) for key, model_id in (await session.execute(of.order_by(Choice.key))).all() if model_id is not None]


async def _own(session: AsyncSession, organisation_id: UUID, key: str, model_id: UUID) -> OwnModel:
    row = await session.get_one(OwnModelRow, (organisation_id, model_id))
    return OwnModel(LinearModel.read(row.stored), f"own-{key}@{row.number}")


async def _background(session: AsyncSession, organisation_id: UUID) -> Background:
    row = await session.get(Words, organisation_id)
    return Background(row.texts, row.words) if row is not None else Background()


async def said_before(session: AsyncSession, organisation_id: UUID, mention_ids: Sequence[UUID]) -> dict[UUID, frozenset[str]]:
    """The keys under which the analysis says something about these mentions now."""
    found: dict[UUID, set[str]] = {}
    for start in range(0, len(mention_ids), 500):
        part = mention_ids[start : start + 500]
        of = select(Annotation.mention_id, Annotation.key, Annotation.value).where(
            Annotation.organisation_id == organisation_id, Annotation.mention_id.in_(part), Annotation.producer == PRODUCER
        )
        for mention_id, key, value in (await session.execute(of)).all():
            if value is not None:
                found.setdefault(mention_id, set()).add(key)
    return {mention_id: frozenset(keys) for mention_id, keys in found.items()}


async def department_views(session: AsyncSession, organisation_id: UUID) -> tuple[DepartmentView, ...]:
    """The departments as an interceptor would be told them."""
    of = select(Department).where(Department.organisation_id == organisation_id).order_by(Department.path)
    rows = (await session.scalars(of)).all()
    return tuple(DepartmentView(id=row.id, path=row.path, name=row.name, keywords=tuple(row.keywords)) for row in rows)
