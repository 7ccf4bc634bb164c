"""Wire types: departments, their members, hours and holidays."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from smhub.departments.models import Department, DepartmentMember
from smhub.hub.web import Moment, Name, Slug, known, shaped
from smhub.organisations.schemas import Zone

Country = Annotated[str, shaped("[A-Z]{2}", max_length=2, description="ISO 3166-1 alpha-2.", examples=["DE"])]
Subdivision = Annotated[str, Meta(min_length=1, max_length=40, description="A part of the country, as ISO 3166-2.", examples=["BY"])]
From = Annotated[str, shaped("([01][0-9]|2[0-3]):[0-5][0-9]", max_length=5, examples=["09:00"])]
To = Annotated[str, shaped("(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)", max_length=5, examples=["17:30"])]
Keyword = Annotated[str, Meta(min_length=1, max_length=100, examples=["refund"])]


class OpeningSpan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """From when to when it is open on a weekday, in local time. A day may have several."""

    weekday: Annotated[int, Meta(ge=0, le=6, description="0 is Monday.")]
    from_: From = msgspec.field(name="from")
    to: To


class ClosedDay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A day of one's own on which it is closed."""

    date: date
    name: Name


Spans = Annotated[list[OpeningSpan], Meta(max_length=100, description="Empty: open all day. Spans of a day do not overlap.")]
ClosedDays = Annotated[list[ClosedDay], Meta(max_length=1000)]
Keywords = Annotated[list[Keyword], Meta(max_length=200, description="Beginnings of words that bring a mention here.")]


class DepartmentInfo(msgspec.Struct, kw_only=True):
    """A department."""

    id: UUID
    parent_id: UUID | None
    name: Name
    slug: Slug
    path: Annotated[str, Meta(description="The slugs from the top down to this one.", examples=["service/returns"])]
    time_zone: Zone
    country: Annotated[Country | None, Meta(description="Whose public holidays it keeps; null: none.")]
    subdivision: Subdivision | None
    opening_hours: Spans
    closed_days: ClosedDays
    keywords: Keywords
    created_at: Moment
    version: int

    @classmethod
    def of(cls, row: Department) -> DepartmentInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class Departments(msgspec.Struct, kw_only=True):
    """A page of departments."""

    items: list[DepartmentInfo]
    next_cursor: str | None


class NewDepartment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A department to add."""

    name: Name
    slug: Slug
    parent_id: Annotated[UUID | None, Meta(description="Below which; left out: at the top. The tree is at most 8 deep.")] = None
    time_zone: Annotated[Zone | None, Meta(description="Left out: the organisation's.")] = None
    country: Country | None = None
    subdivision: Subdivision | None = None
    opening_hours: Spans = []
    closed_days: ClosedDays = []
    keywords: Keywords = []


class DepartmentChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the rest stays. Another slug or parent changes the path of everything below too."""

    name: Name | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    parent_id: UUID | UnsetType | None = UNSET
    time_zone: Zone | UnsetType = UNSET
    country: Annotated[Country | UnsetType | None, Meta(description="null: keeps no public holidays.")] = UNSET
    subdivision: Subdivision | UnsetType | None = UNSET
    opening_hours: Spans | UnsetType = UNSET
    closed_days: ClosedDays | UnsetType = UNSET
    keywords: Keywords | UnsetType = UNSET


class DepartmentMemberInfo(msgspec.Struct, kw_only=True):
    """A member works in a department."""

    member_id: UUID
    since: Moment

    @classmethod
    def of(cls, row: DepartmentMember) -> DepartmentMemberInfo:
        return msgspec.convert(row, cls, from_attributes=True)


class DepartmentMembers(msgspec.Struct, kw_only=True):
    """A page of a department's members."""

    items: list[DepartmentMemberInfo]
    next_cursor: str | None


class OpenInterval(msgspec.Struct, kw_only=True):
    """Open from a moment up to another, in UTC."""

    from_: Moment = msgspec.field(name="from")
    to: Moment


class DepartmentHours(msgspec.Struct, kw_only=True):
    """Whether a department is open, when that changes, and when it will be open."""

    at: Moment
    time_zone: Zone
    open: bool
    closed_because: Annotated[
        Annotated[str, known("hours", "holiday", "closed_day")] | None, Meta(description="Why it is closed; null when it is open.")
    ]
    day_name: Annotated[str | None, Meta(description="The name of the holiday or closed day.", examples=["Allerheiligen"])]
    next_opening: Annotated[Moment | None, Meta(description="null: not within two years.")]
    next_closing: Annotated[Moment | None, Meta(description="null: not within two years.")]
    intervals: Annotated[list[OpenInterval], Meta(description="Of the local days asked for, beginning with the day of `at`.")]


class Holiday(msgspec.Struct, kw_only=True):
    """A public holiday."""

    date: date
    name: Annotated[str, Meta(examples=["Allerheiligen"])]


class Holidays(msgspec.Struct, kw_only=True):
    """The public holidays of a year, in order."""

    country: Country
    subdivision: Subdivision | None
    year: int
    items: list[Holiday]
