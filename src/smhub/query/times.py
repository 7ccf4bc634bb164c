"""Times as people write them: a year, a month, a date, an instant, or relative to now. Each is a span with a beginning and an end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

HELP = "write a date (2026-11-01), a month (2026-11), a time (2026-11-01T09:30:00Z), today, yesterday, now, or -7d, -12h, -30m, -2w"

_RELATIVE = re.compile(r"-([0-9]{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?")
_YEARS = range(1900, 2201)
_SOME_DAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def span(text: str, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """From (included) and until (not included), in UTC. A date is the whole day in the zone; an instant is one microsecond. Raises
    ValueError."""
    if relative := _RELATIVE.fullmatch(text):
        return _moment(now - timedelta(**{_UNITS[relative[2]]: int(relative[1])}))
    if text == "now":
        return _moment(now)
    if text in ("today", "yesterday"):
        day = now.astimezone(zone).date() - timedelta(days=text == "yesterday")
        return _days(day.year, day.month, day.day, zone)
    if date := _DATE.fullmatch(text):
        return _days(int(date[1]), int(date[2]) if date[2] else None, int(date[3]) if date[3] else None, zone)
    if _INSTANT.fullmatch(text):
        instant = datetime.fromisoformat(text.upper())
        return _moment(instant if instant.tzinfo else instant.replace(tzinfo=zone))
    raise ValueError("not a time")


def check(text: str) -> bool:
    """Whether this is a time in whatever zone."""
    try:
        span(text, _SOME_DAY, UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _moment(at: datetime) -> tuple[datetime, datetime]:
    if at.year not in _YEARS:
        raise ValueError("too far away")
    start = at.astimezone(UTC)
    return start, start + timedelta(microseconds=1)


def _days(year: int, month: int | None, day: int | None, zone: tzinfo) -> tuple[datetime, datetime]:
    if year not in _YEARS:
        raise ValueError("too far away")
    start = datetime(year, month or 1, day or 1, tzinfo=zone)
    if month is None:
        end = start.replace(year=year + 1)
    elif day is None:
        end = start.replace(year=year + month // 12, month=month % 12 + 1)
    else:
        end = start + timedelta(days=1)  # the same wall clock tomorrow, however long the day is
    return start.astimezone(UTC), end.astimezone(UTC)
