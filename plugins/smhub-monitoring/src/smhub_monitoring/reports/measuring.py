"""Measuring what a question asks, in the database: over the sums of whole hours where these say it all, else over each mention counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Department, Fields, Invalid, Mention, Scope, compile_sql
from smhub_monitoring.reports import figures
from smhub_monitoring.reports.asking import BRAND, Asked, Brand, Period
from smhub_monitoring.reports.counting import OPEN_TO_ALL, QUARTER, quarter_of
from smhub_monitoring.reports.figures import Answers, Counts, MonitoringFigure, Sums
from smhub_monitoring.reports.metrics import METRICS, NEEDS_AN_ANSWER, TIMES
from smhub_monitoring.reports.models import Counted, Hourly

MOST_ROWS = 5000
Key = tuple[str | None, ...]
Figures = dict[str, MonitoringFigure]
IN_IDS = {"department": "department_id", "channel": "channel_id", "listener": "listener_id"}
SPREADS = {
    "detection_delay": (Counted.delay_seconds, None, "nothing_counted"),
    "first_response_time": (Counted.reply_seconds, None, "no_reply"),
    "first_response_time_open": (Counted.reply_open_seconds, Counted.reply_seconds.is_not(None), "no_department"),
}


class Measured(msgspec.Struct, kw_only=True):
    """Figures of each group, of the period and of the one before."""

    now: dict[Key, Figures]
    before: dict[Key, Figures] | None
    summed: bool
    """Whether the sums of whole hours answered at least one of them."""

    @property
    def keys(self) -> list[Key]:
        every = {*self.now, *(self.before or {})}
        return sorted(every, key=lambda key: tuple((one is None, one or "") for one in key))


class Measuring:
    """One question, asked by somebody who may see what lies in the scope."""

    def __init__(self, session: AsyncSession, fields: Fields, organisation_id: UUID, asked: Asked, scope: Scope, now: datetime) -> None:
        self.session, self.fields, self.organisation_id = session, fields, organisation_id
        self.asked, self.scope, self.now = asked, scope, now
        self.groups = [one for one in asked.question.group_by if one != BRAND]
        self.summed = False

    async def measure(self) -> Measured:
        before = None if self.asked.before is None else await self._of(self.asked.before)
        now = await self._of(self.asked.now)
        if len(now) > MOST_ROWS or (before and len(before) > MOST_ROWS):
            raise Invalid.field("group_by", f"these are more than {MOST_ROWS} groups; take fewer, or a shorter time")
        return Measured(now=now, before=before, summed=self.summed)

    async def _of(self, period: Period) -> dict[Key, Figures]:
        if BRAND not in self.asked.question.group_by:
            return await _Look(self, period, None).figures()
        place = self.asked.question.group_by.index(BRAND)
        found: dict[Key, Figures] = {}
        for brand in self.asked.brands:
            for key, one in (await _Look(self, period, brand).figures()).items():
                found[(*key[:place], brand.name, *key[place:])] = one
        if "share_of_voice" in self.asked.question.metrics:
            _share_out(found, place)
        return found


def _share_out(found: dict[Key, Figures], place: int) -> None:
    """What each brand has of what all have, in each of the other groups."""
    apart: dict[Key, int] = defaultdict(int)
    for key, one in found.items():
        apart[key[:place] + key[place + 1 :]] += one["share_of_voice"].n
    for key, one in found.items():
        whole = apart[key[:place] + key[place + 1 :]]
        one["share_of_voice"] = figures.voice(METRICS["share_of_voice"].version, one["share_of_voice"].n, whole)


class _Look:
    """One look at one period, of one brand or of all."""

    def __init__(self, asking: Measuring, period: Period, brand: Brand | None) -> None:
        self.asking, self.period, self.brand = asking, period, brand
        self.groups = asking.groups
        self.times = [one for one in self.groups if one in TIMES]
        self.queries = [one for one in (asking.asked.query, brand.query if brand else None) if one is not None]
        self.found: dict[Key, Figures] = defaultdict(dict)
        self.whens: dict[tuple[str, Any], str] = {}
        if not self.groups:
            self.found[()] = {}

    async def figures(self) -> dict[Key, Figures]:
        names = self.asking.asked.question.metrics
        if plain := [name for name in names if not METRICS[name].from_rows or name == "share_of_voice"]:
            await self._summed(plain)
        for name in names:
            if name in SPREADS:
                await self._spread(name)
            elif name in ("response_rate", "answered_within_goal"):
                await self._answers(name)
            elif name == "unique_reach":
                await self._unique(name)
        return {key: {name: one.get(name) or _nothing(name) for name in names} for key, one in self.found.items()}

    def _by_hours(self) -> bool:
        """Whether the sums of whole hours can tell it."""
        if self.queries or "topic" in self.groups or not self.period.in_hours:
            return False
        return not self.times or _whole_hours(self.period, self.asking.asked.zone)

    async def _summed(self, names: list[str]) -> None:
        by_hours = self._by_hours()
        table: Any = Hourly if by_hours else Counted
        each: Any = Hourly.mentions if by_hours else 1
        total: Callable[[Any], Any] = lambda value: func.coalesce(func.sum(value), 0)  # noqa: E731
        columns = {
            "mentions": total(each) if by_hours else func.count(),
            **{mood: total(case((table.mood == mood, each), else_=0)) for mood in ("positive", "negative", "neutral")},
            "complaints": total(case((table.intent == "complaint", each), else_=0)),
            "with_intent": total(case((table.intent.is_not(None), each), else_=0)),
            "with_followers": total(Hourly.with_followers) if by_hours else func.count(Counted.followers),
            "followers": total(table.followers),
        }
        sums: dict[Key, Sums] = defaultdict(Sums)
        for key, row in await self._rows(table, columns):
            sums[key].add(row)
        self.asking.summed |= by_hours
        for key, one in sums.items():
            for name in names:
                version = METRICS[name].version
                self.found[key][name] = (
                    MonitoringFigure(version=version, value=None, n=one.mentions, coverage=None)
                    if name == "share_of_voice"
                    else figures.summed(name, version, one)
                )

    async def _spread(self, name: str) -> None:
        column, only, why = SPREADS[name]
        counts: dict[Key, Counts] = defaultdict(Counts)
        rows = await self._rows(Counted, {"number": func.count()}, also=[column.label("value")], where=only)
        for key, row in rows:
            counts[key][row["value"]] += row["number"]
        for key, one in counts.items():
            self.found[key][name] = figures.spread(METRICS[name].version, one, why)

    async def _answers(self, name: str) -> None:
        question = self.asking.asked.question
        within = timedelta(minutes=question.window_minutes if name == "response_rate" else question.goal_minutes)
        seconds = int(within.total_seconds())
        over = Counted.published_at <= self.asking.now - within
        columns = {
            "needing": func.count(),
            "decided": func.sum(case((over, 1), else_=0)),
            "in_time": func.sum(case((and_(over, Counted.public_reply_seconds <= seconds), 1), else_=0)),
        }
        needs = and_(Counted.intent.in_(NEEDS_AN_ANSWER), Counted.visibility.in_(OPEN_TO_ALL))
        answers: dict[Key, Answers] = defaultdict(Answers)
        for key, row in await self._rows(Counted, columns, where=needs):
            one = answers[key]
            one.needing, one.decided = one.needing + row["needing"], one.decided + int(row["decided"] or 0)
            one.in_time += int(row["in_time"] or 0)
        for key, one in answers.items():
            self.found[key][name] = figures.rate(METRICS[name].version, one)

    async def _unique(self, name: str) -> None:
        most: dict[Key, dict[UUID | None, int]] = defaultdict(dict)
        counted: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
        columns = {"followers": func.max(Counted.followers), "known": func.count(Counted.followers), "number": func.count()}
        for key, row in await self._rows(Counted, columns, also=[Mention.author_id.label("author")], mentions=True):
            counted[key][1] += row["number"]
            if row["author"] is None:
                continue
            counted[key][0] += row["known"]
            if row["followers"] is not None:
                most[key][row["author"]] = max(most[key].get(row["author"], 0), row["followers"])
        for key, (known, number) in counted.items():
            self.found[key][name] = figures.reach(METRICS[name].version, sum(most[key].values()), known, number)

    async def _rows(
        self,
        table: Any,
        columns: Mapping[str, Any],
        *,
        also: list[Any] | None = None,
        where: ColumnElement[bool] | None = None,
        mentions: bool = False,
    ) -> list[tuple[Key, Mapping[str, Any]]]:
        """What the columns are in each group; several rows of one group are to be added up."""
        time: Any = Hourly.hour if table is Hourly else Counted.quarter
        apart = {f"g{n}": getattr(table, IN_IDS.get(one, one)) for n, one in enumerate(self.groups) if one not in TIMES}
        every = [column.label(label) for label, column in apart.items()]
        every += [time.label("time")] if self.times else []
        every += also or []
        statement = select(*every, *(column.label(label) for label, column in columns.items()))
        statement = self._fitting(statement.select_from(table), table, mentions=mentions)
        if where is not None:
            statement = statement.where(where)
        if every:
            statement = statement.group_by(*every)
        rows: Sequence[Any] = (await self.asking.session.execute(statement)).mappings().all()
        return [(self._key(row), row) for row in rows]

    def _key(self, row: Mapping[str, Any]) -> Key:
        found: list[str | None] = []
        for number, group in enumerate(self.groups):
            value = self._when(group, row["time"]) if group in TIMES else row[f"g{number}"]
            found.append(None if value is None else str(value))
        return tuple(found)

    def _when(self, group: str, time: Any) -> str:
        """Many rows are of one hour."""
        if (group, time) not in self.whens:
            self.whens[group, time] = _bucket(group, time, self.asking.asked.zone)
        return self.whens[group, time]

    def _fitting(self, statement: Select[Any], table: Any, *, mentions: bool) -> Select[Any]:
        asking = self.asking
        time = Hourly.hour if table is Hourly else Counted.published_at
        statement = statement.where(
            table.organisation_id == asking.organisation_id, time >= self.period.begins, time < self.period.ends
        )
        if table is Counted:
            # The index is over quarters of an hour.
            statement = statement.where(
                Counted.quarter >= quarter_of(self.period.begins), Counted.quarter <= quarter_of(self.period.ends)
            )
        if (seen := asking.scope.where(table.department_id, table.channel_id)) is not None:
            statement = statement.where(seen)
        if (department_id := asking.asked.question.department_id) is not None:
            statement = statement.where(table.department_id.in_(below(asking.organisation_id, department_id)))
        if mentions or self.queries:
            same = and_(Mention.organisation_id == Counted.organisation_id, Mention.id == Counted.mention_id)
            statement = statement.join(Mention, same, isouter=not self.queries)
        for query in self.queries:
            found = compile_sql(
                query, asking.fields, organisation_id=asking.organisation_id, now=asking.now, time_zone=asking.asked.zone
            )
            if len(self.queries) > 1:
                statement = statement.where(Mention.id.in_(found.narrow(select(Mention.id).where(_own(asking)))))
            else:
                statement = found.narrow(statement)
        return statement


def _own(asking: Measuring) -> ColumnElement[bool]:
    return Mention.organisation_id == asking.organisation_id


def below(organisation_id: UUID, department_id: UUID) -> Any:
    """The department and those below it."""
    of = Department.organisation_id == organisation_id
    own = select(Department.path).where(of, Department.id == department_id).scalar_subquery()
    return select(Department.id).where(of, or_(Department.path == own, Department.path.startswith(own + "/")))


def _nothing(name: str) -> MonitoringFigure:
    """Nothing was counted that this figure could tell of."""
    version = METRICS[name].version
    why = "nothing_to_answer" if name in ("response_rate", "answered_within_goal") else "nothing_counted"
    why = "no_reply" if name == "first_response_time_open" else why
    n_only = name == "share_of_voice"
    return MonitoringFigure(version=version, value=None, n=0, coverage=None, why=None if n_only else why)


def _bucket(group: str, time: Any, zone: Any) -> str:
    at = (time if isinstance(time, datetime) else datetime.fromtimestamp(time * QUARTER, UTC)).astimezone(zone)
    if group == "hour_of_week":
        return f"{at.weekday() * 24 + at.hour:03d}"
    day = at.date()
    if group == "week":
        day -= timedelta(days=day.weekday())
    return (day.replace(day=1) if group == "month" else day).isoformat()


def _whole_hours(period: Period, zone: Any) -> bool:
    """Whether the zone's days begin with a whole UTC hour all the time."""
    days = (period.ends - period.begins).days
    times = [period.begins + timedelta(days=number) for number in range(0, days + 1, 20)] + [period.ends]
    return all((at.astimezone(zone).utcoffset() or timedelta()).total_seconds() % 3600 == 0 for at in times)
