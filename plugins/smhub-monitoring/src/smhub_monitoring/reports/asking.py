"""What a report asks: which figures, of which mentions, over which time, told apart by what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Fields, Invalid, Moment, Organisation, Query, found, parse, shaped
from smhub_monitoring.brands.models import BrandSet
from smhub_monitoring.reports.metrics import GROUPS, METRICS

LONGEST = timedelta(days=1100)
BRAND = "brand"
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

MetricName = Annotated[str, Meta(max_length=60, description="See GET /v1/monitoring/metrics.", examples=["mentions"])]
GroupName = Annotated[str, Meta(max_length=60, description=f"{', '.join(GROUPS)}, or brand.", examples=["network"])]
ZoneName = Annotated[
    str, Meta(max_length=60, description="Where days begin; left out: where the organisation is.", examples=["Europe/Berlin"])
]
Minutes = Annotated[int, Meta(ge=1, le=129_600)]


class MonitoringQuestion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be measured, of the mentions published in [from, to)."""

    metrics: Annotated[list[MetricName], Meta(min_length=1, max_length=12)]
    begins_at: Moment = msgspec.field(name="from")
    ends_at: Moment = msgspec.field(name="to")
    query: Annotated[str, Meta(max_length=2000, description="Which mentions count, in the query language; empty: all.")] = ""
    department_id: Annotated[UUID | None, Meta(description="Only what belongs to it and those below it.")] = None
    time_zone: ZoneName | None = None
    group_by: Annotated[list[GroupName], Meta(max_length=2)] = []
    compare: Annotated[str, shaped("(previous|none)", description="previous: with the period of the same length before.")] = "previous"
    brand_set_id: Annotated[UUID | None, Meta(description="For share_of_voice, and to group by brand.")] = None
    goal_minutes: Annotated[Minutes, Meta(description="For answered_within_goal.")] = 240
    window_minutes: Annotated[Minutes, Meta(description="For response_rate.")] = 10_080


class Period(msgspec.Struct, frozen=True):
    """[begins, ends) in UTC."""

    begins: datetime
    ends: datetime

    @property
    def in_hours(self) -> bool:
        """Whether it begins and ends with whole hours."""
        return not any(at.minute or at.second or at.microsecond for at in (self.begins, self.ends))


class Brand(msgspec.Struct, frozen=True):
    """A member of a brand set, read."""

    name: str
    ours: bool
    query: Query


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question that was understood."""

    question: MonitoringQuestion
    zone: ZoneInfo
    query: Query | None
    brands: tuple[Brand, ...]
    now: Period
    before: Period | None


async def understood(session: AsyncSession, fields: Fields, organisation_id: UUID, question: MonitoringQuestion) -> Asked:
    """Read the question; raises Invalid or NotFound for one that makes no sense."""
    _check_names(question)
    zone = await _zone(session, organisation_id, question.time_zone)
    now = Period(question.begins_at.astimezone(UTC), question.ends_at.astimezone(UTC))
    _check_time(now)
    return Asked(
        question=question,
        zone=zone,
        query=parse(question.query, fields) if question.query.strip() else None,
        brands=await _brands(session, fields, organisation_id, question),
        now=now,
        before=before(now, zone) if question.compare == "previous" else None,
    )


def _check_names(question: MonitoringQuestion) -> None:
    if unknown := [name for name in question.metrics if name not in METRICS]:
        raise Invalid.field("metrics", f"there is no {unknown[0][:60]}; there are {', '.join(METRICS)}")
    if unknown := [name for name in question.group_by if name not in (*GROUPS, BRAND)]:
        raise Invalid.field("group_by", f"there is no {unknown[0][:60]}; there are {', '.join((*GROUPS, BRAND))}")
    for field, names in (("metrics", question.metrics), ("group_by", question.group_by)):
        if len(set(names)) < len(names):
            raise Invalid.field(field, "each once")
    for name in question.metrics:
        for group in question.group_by:
            if group != BRAND and group not in METRICS[name].groups:
                raise Invalid.field("group_by", f"{name} cannot be told apart by {group}")
    by_brand = BRAND in question.group_by
    if "share_of_voice" in question.metrics and not by_brand:
        raise Invalid.field("group_by", "share_of_voice is told apart by brand")
    if by_brand and question.brand_set_id is None:
        raise Invalid.field("brand_set_id", "which brands?")


def _check_time(period: Period) -> None:
    if period.begins >= period.ends:
        raise Invalid.field("to", "it must lie after from")
    if period.begins < EARLIEST or period.ends > LATEST:
        raise Invalid.field("from", "too far away")
    if period.ends - period.begins > LONGEST:
        raise Invalid.field("to", f"at most {LONGEST.days} days")


async def _zone(session: AsyncSession, organisation_id: UUID, name: str | None) -> ZoneInfo:
    if name is None:
        return ZoneInfo((await session.get_one(Organisation, organisation_id)).time_zone)
    if name not in available_timezones():
        raise Invalid.field("time_zone", "there is no such time zone; write for example Europe/Berlin")
    return ZoneInfo(name)


async def _brands(session: AsyncSession, fields: Fields, organisation_id: UUID, question: MonitoringQuestion) -> tuple[Brand, ...]:
    if question.brand_set_id is None:
        return ()
    row = await the_brand_set(session, organisation_id, question.brand_set_id)
    return tuple(Brand(one["name"], one["ours"], parse(one["query"], fields)) for one in row.members)


async def the_brand_set(session: AsyncSession, organisation_id: UUID, id_: UUID) -> BrandSet:
    """The organisation's brand set with this id."""
    row: BrandSet = await found(session, BrandSet, organisation_id, id_, "brand set")
    return row


def before(period: Period, zone: ZoneInfo) -> Period:
    """The period that ends where this one begins and is as long on the wall: the week before a week with 167 hours has 168."""
    begins, ends = (at.astimezone(zone).replace(tzinfo=None) for at in (period.begins, period.ends))
    start: Any = (begins - (ends - begins)).replace(tzinfo=zone)
    return Period(start.astimezone(UTC), period.begins)
