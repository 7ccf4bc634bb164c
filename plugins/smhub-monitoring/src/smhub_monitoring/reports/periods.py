"""When a schedule's report is due, and of which period it tells: pure calculation on the organisation's wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from smhub_monitoring.reports.asking import Period


class Rhythm(Protocol):
    """How often, as a row of the database says it."""

    every: str
    weekday: int | None
    day: int | None
    hour: int


def _on(row: Rhythm, of: date) -> date:
    """The day of that week or month on which it is due."""
    if row.every == "week":
        return of - timedelta(days=of.weekday()) + timedelta(days=row.weekday or 0)
    return of.replace(day=row.day or 1)


def _next(row: Rhythm, day: date) -> date:
    return _on(row, day + timedelta(days=7)) if row.every == "week" else _on(row, day.replace(day=1) + timedelta(days=31))


def _at(row: Rhythm, day: date, zone: ZoneInfo) -> datetime:
    """An hour that the clocks skip is the hour after it."""
    return datetime.combine(day, time(row.hour), zone).astimezone(UTC)


def following(row: Rhythm, after: datetime, zone: ZoneInfo) -> datetime:
    """The first time after a moment at which it is due."""
    day = _on(row, after.astimezone(zone).date())
    while (at := _at(row, day, zone)) <= after:
        day = _next(row, day)
    return at


def latest(row: Rhythm, due: datetime, now: datetime, zone: ZoneInfo) -> datetime:
    """The newest time up to now at which it was due; what a hub that stood still missed before that is left out."""
    while (at := following(row, due, zone)) <= now:
        due = at
    return due


def told_of(row: Rhythm, due: datetime, zone: ZoneInfo) -> Period:
    """The whole week or month that ends with the day on which it is due."""
    last = due.astimezone(zone).date()
    before = last - timedelta(days=7) if row.every == "week" else _on(row, last.replace(day=1) - timedelta(days=1))
    begins, ends = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (before, last))
    return Period(begins, ends)
