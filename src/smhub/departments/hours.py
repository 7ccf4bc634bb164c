"""When a department is open: pure calculation, without the database.

Spans are what the clock on the wall shows: it is open at a moment when the local time of that moment lies in a span of that day, and the
day is neither a public holiday nor closed. So an hour that the clocks skip does not exist, and one that they repeat counts twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import holidays
import msgspec

from smhub.errors import FieldError, Invalid

DAY = 24 * 60
FIRST_YEAR, LAST_YEAR = 1970, 2100
LOOK_AHEAD = (10, 60, 800)
Interval = tuple[datetime, datetime]


class HoursOf(Protocol):
    """What has opening hours, as a row of the database has them."""

    time_zone: Any
    country: Any
    subdivision: Any
    opening_hours: Any
    closed_days: Any


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Opening hours to calculate with. `spans` holds (from, to) in minutes of the day for each weekday."""

    zone: ZoneInfo
    spans: tuple[tuple[tuple[int, int], ...], ...]
    closed_days: Mapping[date, str]
    country: str | None = None
    subdivision: str | None = None

    @classmethod
    def of(cls, row: HoursOf) -> Hours:
        """From a department; without spans every day is open from 0 to 24."""
        days: list[list[tuple[int, int]]] = [[] for _ in range(7)]
        for span in row.opening_hours:
            days[span["weekday"]].append((minutes(span["from"]), minutes(span["to"])))
        if not row.opening_hours:
            days = [[(0, DAY)] for _ in range(7)]
        return cls(
            zone=ZoneInfo(row.time_zone),
            spans=tuple(tuple(sorted(day)) for day in days),
            closed_days={date.fromisoformat(day["date"]): day["name"] for day in row.closed_days},
            country=row.country,
            subdivision=row.subdivision,
        )

    def closed_on(self, day: date) -> tuple[Literal["holiday", "closed_day"], str] | None:
        """Why the whole day is closed, and what the day is called."""
        if day in self.closed_days:
            return "closed_day", self.closed_days[day]
        if self.country is not None and (name := public_holidays(self.country, self.subdivision, day.year).get(day)):
            return "holiday", name
        return None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is open, why not, and when that changes (None: not in the next two years)."""

    open: bool
    closed_because: str | None
    day_name: str | None
    next_opening: datetime | None
    next_closing: datetime | None


def minutes(text: str) -> int:
    """`HH:MM` as minutes of the day."""
    return int(text[:2]) * 60 + int(text[3:5])


def check_spans(spans: Sequence[tuple[int, str, str]], field: str = "opening_hours") -> None:
    """Raise Invalid for spans (weekday, from, to) that end before they begin, or that overlap."""
    wrong: list[FieldError] = []
    for number, (weekday, begins, ends) in enumerate(spans):
        if minutes(begins) >= minutes(ends):
            wrong.append(FieldError(field=f"{field}.{number}.to", code="invalid", detail="it must lie after from"))
            continue
        for other, (day, opens, closes) in enumerate(spans[:number]):
            if day == weekday and minutes(begins) < minutes(closes) and minutes(opens) < minutes(ends):
                wrong.append(FieldError(field=f"{field}.{number}", code="invalid", detail=f"it overlaps with {field}.{other}"))
                break
    if wrong:
        raise Invalid(fields=wrong)


def check_place(country: str | None, subdivision: str | None) -> None:
    """Raise Invalid for a country or a part of it whose holidays nobody knows."""
    if country is None:
        if subdivision is not None:
            raise Invalid.field("subdivision", "name the country too")
        return
    known = _places()
    if country not in known:
        raise Invalid.field("country", f"the holidays of {country!r} are not known; known are {', '.join(sorted(known))}")
    if subdivision is not None and subdivision not in known[country]:
        parts = ", ".join(sorted(known[country])) or "no parts"
        raise Invalid.field("subdivision", f"{country} has no part {subdivision!r}; known are {parts}")


@lru_cache(maxsize=1)
def _places() -> dict[str, frozenset[str]]:
    every = holidays.list_supported_countries(include_aliases=False)
    return {country: frozenset(parts) for country, parts in every.items() if len(country) == 2}


def language_of(country: str, wanted: str | None) -> str | None:
    """The library's name of a language (`en` is `en_US`); None is the country's own. Raises Invalid for one that it lacks."""
    known = holidays.list_localized_countries().get(country)
    if wanted is None or not known:
        return None
    for one in (wanted, f"{wanted}_US", f"{wanted}_{country}"):
        if one in known:
            return one
    if found := [one for one in known if one.split("_")[0] == wanted]:
        return found[0]
    raise Invalid.field("language", f"the holidays of {country} are known in {', '.join(known)}")


@lru_cache(maxsize=512)
def public_holidays(country: str, subdivision: str | None, year: int, language: str | None = None) -> Mapping[date, str]:
    """The public holidays of a year with their names. The place has been checked."""
    # Left to itself the library takes the language of the process.
    own = holidays.country_holidays(country).default_language
    found = holidays.country_holidays(country, subdiv=subdivision, years=year, language=language or own)
    return {day: name for day, name in sorted(found.items()) if day.year == year}


def open_intervals(hours: Hours, start: datetime, end: datetime) -> list[Interval]:
    """When it is open within [start, end), in UTC, in order; what touches is one."""
    found: list[Interval] = []
    for begins, ends in _pieces(hours, start.astimezone(UTC), end.astimezone(UTC)):
        if found and found[-1][1] == begins:
            found[-1] = (found[-1][0], ends)
        else:
            found.append((begins, ends))
    return found


def business_seconds(hours: Hours, start: datetime, end: datetime) -> float:
    """How long it is open within [start, end)."""
    return sum((ends - begins for begins, ends in open_intervals(hours, start, end)), timedelta()).total_seconds()


def local_days(hours: Hours, at: datetime, days: int) -> Interval:
    """From the beginning of the local day of `at` over so many local days."""
    first = at.astimezone(hours.zone).date()
    begins, ends = (datetime.combine(day, time(), hours.zone).astimezone(UTC) for day in (first, first + timedelta(days=days)))
    return begins, ends


def moment(hours: Hours, at: datetime) -> Moment:
    """How it stands at a moment, and when that changes."""
    at = at.astimezone(UTC)
    opening: datetime | None = None
    closing: datetime | None = None
    is_open = False
    for days in LOOK_AHEAD:
        horizon = at + timedelta(days=days)
        found = open_intervals(hours, at, horizon)
        is_open = bool(found) and found[0][0] == at
        opening = next((begins for begins, _ in found if begins > at), None)
        closing = next((ends for _, ends in found if ends < horizon), None)
        if opening is not None and closing is not None:
            break
    if is_open:
        return Moment(open=True, closed_because=None, day_name=None, next_opening=opening, next_closing=closing)
    because, name = hours.closed_on(at.astimezone(hours.zone).date()) or ("hours", None)
    return Moment(open=False, closed_because=because, day_name=name, next_opening=opening, next_closing=closing)


def _pieces(hours: Hours, start: datetime, end: datetime) -> Iterator[Interval]:
    """The open intervals in order, cut where the day or the offset from UTC changes."""
    for begins, ends, offset in _same_offset(hours.zone, start, end):
        wall, last = (begins + offset).replace(tzinfo=None), (ends + offset).replace(tzinfo=None)
        while wall < last:
            midnight = datetime.combine(wall.date(), time())
            tomorrow = midnight + timedelta(days=1)
            if hours.closed_on(wall.date()) is None:
                for opens, closes in hours.spans[wall.weekday()]:
                    a, b = max(wall, midnight + timedelta(minutes=opens)), min(last, midnight + timedelta(minutes=closes))
                    if a < b:
                        yield (a - offset).replace(tzinfo=UTC), (b - offset).replace(tzinfo=UTC)
            wall = tomorrow


def _same_offset(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """[start, end) cut where the zone changes its offset from UTC."""
    begins, at = start, start
    while at < end:
        step = min(at + timedelta(days=1), end)
        if _offset(zone, at) != _offset(zone, step):
            change = _change(zone, at, step)
            if begins < change < end:
                yield begins, change, _offset(zone, begins)
                begins = change
        at = step
    if begins < end:
        yield begins, end, _offset(zone, begins)


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The whole second at which the offset is no longer that of `low`."""
    before = _offset(zone, low)
    floor, seconds = low.replace(microsecond=0), 0
    span = int((high - floor).total_seconds()) + 1
    while span - seconds > 1:
        middle = (seconds + span) // 2
        if _offset(zone, floor + timedelta(seconds=middle)) == before:
            seconds = middle
        else:
            span = middle
    return floor + timedelta(seconds=span)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
