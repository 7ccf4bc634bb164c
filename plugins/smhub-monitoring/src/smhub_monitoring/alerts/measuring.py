"""Whether a rule is true now, and the figures that say so. Everything is counted in the database, within the time that the rule looks at."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Select, and_, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Author, Fields, InJson, Intake, Mention, compile_sql, parse
from smhub_monitoring.alerts import conditions
from smhub_monitoring.alerts.models import AlertRule
from smhub_monitoring.within import within

WEEKS = 4
SHOWN = 20
WORD = re.compile(r"[^\W\d_]{4,40}")
CANDIDATES, TEXTS = 20, 2000
HISTORY = timedelta(days=7)
OVERLAP = timedelta(minutes=2)
ILL = ("degraded", "auth_required", "config_error", "blocked", "quarantined")
_ANNOTATIONS: Any = Mention.annotations
_MOOD: Any = InJson(_ANNOTATIONS, "json", ("mood", "value"))
_LIVE = Mention.content_state != literal_column("'deleted'")


class Finding(msgspec.Struct, kw_only=True):
    """What was measured. `mention_ids` are the newest that count."""

    true: bool
    figures: dict[str, Any]
    mention_ids: list[UUID] = []


class Look:
    """One look at one rule."""

    def __init__(self, session: AsyncSession, fields: Fields, rule: AlertRule, zone: ZoneInfo, now: datetime) -> None:
        self.session, self.fields, self.rule, self.zone, self.now = session, fields, rule, zone, now

    async def measure(self) -> Finding:
        """Measure what the rule's kind asks for."""
        condition = conditions.read(self.rule.condition)
        since = self.now - timedelta(minutes=condition.minutes)
        match condition:
            case conditions.MonitoringThreshold():
                count = await self._count(since, self.now)
                return await self._finding(count >= condition.at_least, since, count=count)
            case conditions.MonitoringSpike():
                return await self._spike(condition)
            case conditions.MonitoringMoodDrop():
                return await self._mood_drop(condition, since)
            case conditions.MonitoringInfluentialAuthor():
                return await self._influential(condition)
            case conditions.MonitoringNewWord():
                return await self._new_word(condition, since)
            case conditions.MonitoringSilence():
                return await self._silence(since)
            case conditions.MonitoringIntakeIll():
                return await self._intakes(since)

    def _fitting(self, *columns: Any) -> Select[Any]:
        rule = self.rule
        statement = select(*columns).select_from(Mention).where(Mention.organisation_id == rule.organisation_id, _LIVE)
        if rule.department_id is not None:
            statement = statement.where(within(rule.organisation_id, rule.department_id))
        query = parse(rule.query, self.fields)
        found = compile_sql(query, self.fields, organisation_id=rule.organisation_id, now=self.now, time_zone=self.zone)
        return found.narrow(statement)

    async def _count(self, start: datetime, end: datetime, *more: Any) -> int:
        statement = self._fitting(func.count()).where(Mention.published_at > start, Mention.published_at <= end, *more)
        return int((await self.session.execute(statement)).scalar_one())

    async def _finding(self, true: bool, since: datetime, *more: Any, **figures: Any) -> Finding:
        """With the mentions that caused it, when it is true."""
        ids: list[UUID] = []
        if true:
            newest = self._fitting(Mention.id).where(Mention.published_at > since, Mention.published_at <= self.now, *more)
            newest = newest.order_by(Mention.published_at.desc(), Mention.id.desc()).limit(SHOWN)
            ids = list((await self.session.scalars(newest)).all())
        return Finding(true=true, figures=figures, mention_ids=ids)

    async def _spike(self, condition: conditions.MonitoringSpike) -> Finding:
        length = timedelta(minutes=condition.minutes)
        count = await self._count(self.now - length, self.now)
        if count < condition.at_least:
            return Finding(true=False, figures={"count": count})
        before = []
        for weeks in range(1, WEEKS + 1):
            # The same time on the wall, also when the clocks changed meanwhile.
            end = (self.now.astimezone(self.zone).replace(tzinfo=None) - timedelta(weeks=weeks)).replace(tzinfo=self.zone)
            before.append(await self._count(end.astimezone(self.now.tzinfo) - length, end.astimezone(self.now.tzinfo)))
        usual = median(before)
        spread = max(median(abs(one - usual) for one in before), usual**0.5, 1.0)
        bound = usual + condition.factor * spread
        figures = {"count": count, "usual": usual, "spread": round(spread, 2), "bound": round(bound, 2), "before": before}
        return await self._finding(count > bound, self.now - length, **figures)

    async def _moods(self, start: datetime, end: datetime) -> dict[str, int]:
        statement = self._fitting(_MOOD, func.count()).where(Mention.published_at > start, Mention.published_at <= end).group_by(_MOOD)
        return {mood: count for mood, count in (await self.session.execute(statement)).all() if mood is not None}

    async def _mood_drop(self, condition: conditions.MonitoringMoodDrop, since: datetime) -> Finding:
        now, before = await self._moods(since, self.now), await self._moods(since - timedelta(weeks=WEEKS), since)
        figures: dict[str, Any] = {"n": sum(now.values()), "n_before": sum(before.values())}
        if min(figures.values()) < condition.at_least:
            return Finding(true=False, figures=figures)
        figures |= {"net": net_sentiment(now), "net_before": net_sentiment(before)}
        dropped = figures["net_before"] - figures["net"] >= condition.points
        return await self._finding(dropped, since, _MOOD == "negative", **figures)

    async def _influential(self, condition: conditions.MonitoringInfluentialAuthor) -> Finding:
        """Those that came in since the last look, and a little before it: what another worker was storing then. What came before the rule
        was made is not news."""
        since = self.rule.created_at if self.rule.looked_at is None else max(self.rule.created_at, self.rule.looked_at - OVERLAP)
        of = and_(Author.organisation_id == Mention.organisation_id, Author.id == Mention.author_id)
        statement = (
            self._fitting(Mention.id, Author.handle, Author.followers)
            .join(Author, of)
            .where(Mention.published_at > self.now - timedelta(days=1), Mention.first_seen_at >= since)
        )
        loud = (
            await self.session.execute(
                statement.where(Author.followers >= condition.followers).order_by(Mention.id.desc()).limit(SHOWN)
            )
        ).all()
        authors = {handle: followers for _, handle, followers in loud}
        return Finding(true=bool(loud), figures={"authors": authors}, mention_ids=[one[0] for one in loud])

    async def _new_word(self, condition: conditions.MonitoringNewWord, since: datetime) -> Finding:
        of = Mention.organisation_id == self.rule.organisation_id
        old = select(Mention.id).where(of, Mention.published_at <= self.now - HISTORY).limit(1)
        if (await self.session.execute(old)).first() is None:
            return Finding(true=False, figures={"words": {}})
        texts = self._fitting(Mention.id, Mention.author_id, Mention.text).where(Mention.published_at > since)
        authors: dict[str, set[Any]] = defaultdict(set)
        where: dict[str, list[UUID]] = defaultdict(list)
        for id_, author, text in await self.session.execute(texts.order_by(Mention.published_at.desc()).limit(TEXTS)):
            for word in set(WORD.findall(text.lower())):
                authors[word].add(author or id_)
                where[word].append(id_)
        common = sorted(
            (word for word in authors if len(authors[word]) >= condition.authors), key=lambda one: (-len(authors[one]), one)
        )
        words = {word: len(authors[word]) for word in common[:CANDIDATES] if not await self._known(word, since)}
        ids = list(dict.fromkeys(id_ for word in words for id_ in where[word]))
        return Finding(true=bool(words), figures={"words": words}, mention_ids=ids[:SHOWN])

    async def _known(self, word: str, before: datetime) -> bool:
        """Whether it stands, in some form, in a mention from before."""
        rule = self.rule
        query = parse(f'"{word}"', self.fields)
        found = compile_sql(query, self.fields, organisation_id=rule.organisation_id, now=self.now, time_zone=self.zone)
        older = select(Mention.id).where(Mention.organisation_id == rule.organisation_id, Mention.published_at <= before).limit(1)
        return (await self.session.execute(found.narrow(older))).first() is not None

    async def _silence(self, since: datetime) -> Finding:
        last = (await self.session.execute(self._fitting(func.max(Mention.first_seen_at)))).scalar_one()
        figures = {"last_seen_at": last.isoformat() if last else None}
        return Finding(true=self.rule.created_at <= since and (last is None or last <= since), figures=figures)

    async def _intakes(self, since: datetime) -> Finding:
        ill = or_(Intake.state.in_(ILL), and_(Intake.state == "paused", Intake.reason_code == "budget_spent"))
        statement = select(Intake.id, Intake.network, Intake.state, Intake.reason_code).where(
            Intake.organisation_id == self.rule.organisation_id, ill, Intake.since <= since
        )
        rows = (await self.session.execute(statement.order_by(Intake.id).limit(SHOWN))).all()
        intakes = [{"intake_id": str(id_), "network": network, "state": state, "reason_code": why} for id_, network, state, why in rows]
        return Finding(true=bool(rows), figures={"intakes": intakes})


def net_sentiment(moods: dict[str, int]) -> float:
    """(positive - negative) / (positive + negative + neutral) x 100."""
    total = sum(moods.get(one, 0) for one in ("positive", "negative", "neutral"))
    return round((moods.get("positive", 0) - moods.get("negative", 0)) / total * 100, 1) if total else 0.0
