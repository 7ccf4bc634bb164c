"""The report on stage 1: awareness, image, reputation and response, before and after the company began to listen and answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Channel, Conflict, Invalid, Organisation, Runtime
from smhub_monitoring.reports import schemas
from smhub_monitoring.reports.answering import EVERYWHERE, answered
from smhub_monitoring.reports.asking import MonitoringQuestion
from smhub_monitoring.reports.counting import quarter_of
from smhub_monitoring.reports.measuring import below
from smhub_monitoring.reports.models import Counted

METRICS = [
    "mentions",
    "potential_reach",
    "net_sentiment",
    "complaint_share",
    "response_rate",
    "answered_within_goal",
    "first_response_time",
    "detection_delay",
]
TOPICS, EXAMPLES = 5, 4
OVER_TIME = ("mentions", "net_sentiment", "answered_within_goal")


class Example(msgspec.Struct, kw_only=True):
    """A mention without anything of a person: no name, no words, no address."""

    at: datetime
    network: str
    intent: str
    mood: str | None
    topic: str | None
    reply_seconds: int | None


class Findings(msgspec.Struct, kw_only=True):
    """Everything that the page tells."""

    organisation: str
    zone: ZoneInfo
    made_at: datetime
    starts_at: datetime
    figures: schemas.MonitoringFigures
    over_time: dict[str, schemas.MonitoringFigures]
    intents: schemas.MonitoringFigures
    voice: schemas.MonitoringFigures | None
    topics: list[tuple[str, int]]
    examples: list[Example]

    @property
    def total(self) -> schemas.MonitoringFigureRow:
        return self.figures.rows[0]


async def start_of(session: AsyncSession, organisation_id: UUID, asked: schemas.MonitoringStageOne, now: datetime) -> datetime:
    """The day that was named, or that on which the first channel was connected."""
    start = asked.starts_at
    if start is None:
        of = select(func.min(Channel.created_at)).where(Channel.organisation_id == organisation_id)
        start = (await session.execute(of)).scalar_one()
    if start is None:
        raise Conflict("No channel was connected yet; name the start.", "Noch ist kein Kanal verbunden; nennen Sie den Start.")
    start = start.astimezone(UTC)
    if start >= now:
        raise Invalid.field("starts_at", "it lies ahead")
    if now - start > timedelta(days=3660):
        raise Invalid.field("starts_at", "more than ten years ago")
    return start


async def findings(session: AsyncSession, runtime: Runtime, organisation_id: UUID, asked: schemas.MonitoringStageOne) -> Findings:
    """Measure it all. As much time before the start is looked at as after it."""
    now = runtime.clock.now()
    organisation = await session.get_one(Organisation, organisation_id)
    start = await start_of(session, organisation_id, asked, now)
    length = min(now - start, timedelta(days=asked.days))
    end = start + length

    async def ask(metrics: list[str], begins: datetime, **more: Any) -> schemas.MonitoringFigures:
        question = MonitoringQuestion(
            metrics=metrics,
            begins_at=begins,
            ends_at=end,
            time_zone="UTC" if "group_by" not in more else organisation.time_zone,
            department_id=asked.department_id,
            goal_minutes=asked.goal_minutes,
            **more,
        )
        return await answered(session, runtime, organisation_id, EVERYWHERE, question, asked.language)

    voice = None
    if asked.brand_set_id is not None:
        voice = await ask(["share_of_voice"], start, group_by=["brand"], brand_set_id=asked.brand_set_id)
    topics = await ask(["mentions"], start, group_by=["topic"], compare="none")
    return Findings(
        organisation=organisation.name,
        zone=ZoneInfo(organisation.time_zone),
        made_at=now,
        starts_at=start,
        figures=await ask(METRICS, start),
        over_time={name: await ask([name], start - length, group_by=["week"], compare="none") for name in OVER_TIME},
        intents=await ask(["mentions"], start, group_by=["intent"]),
        voice=voice,
        topics=_most(topics),
        examples=await _examples(session, organisation_id, asked.department_id, start, end),
    )


def _most(topics: schemas.MonitoringFigures) -> list[tuple[str, int]]:
    known = [(row.group["topic"], row.figures["mentions"].n) for row in topics.rows]
    said = [(topic, n) for topic, n in known if topic is not None]
    return sorted(said, key=lambda one: (-one[1], one[0]))[:TOPICS]


async def _examples(
    session: AsyncSession, organisation_id: UUID, department_id: UUID | None, start: datetime, end: datetime
) -> list[Example]:
    """Those that were answered first, the loudest of them before the others."""
    of = (
        select(Counted)
        .where(
            Counted.organisation_id == organisation_id,
            Counted.quarter >= quarter_of(start),
            Counted.quarter <= quarter_of(end),
            Counted.published_at >= start,
            Counted.published_at < end,
            Counted.intent.is_not(None),
            Counted.intent != "spam",
        )
        .order_by(
            case((Counted.public_reply_seconds.is_(None), 1), else_=0),
            func.coalesce(Counted.followers, 0).desc(),
            Counted.published_at.desc(),
            Counted.mention_id,
        )
        .limit(EXAMPLES)
    )
    if department_id is not None:
        of = of.where(Counted.department_id.in_(below(organisation_id, department_id)))
    return [
        Example(
            at=row.published_at,
            network=row.network,
            intent=row.intent or "",
            mood=row.mood,
            topic=row.topic,
            reply_seconds=row.public_reply_seconds,
        )
        for row in (await session.scalars(of)).all()
    ]
