"""How long a network wants us to wait, in the many ways in which networks say it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LEAST, MOST = 1.0, 3600.0
"""Nobody makes us wait less than a second or more than an hour, whatever the header says; afterwards we ask again."""

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")
EPOCH_SECONDS = 1e9
EPOCH_MILLISECONDS = 1e11


def from_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After: a number of seconds or an HTTP date. None when it cannot be read."""
    text = (value or "").strip()
    if NUMBER.fullmatch(text):
        return _within(float(text))
    moment = _moment(text)
    return None if moment is None else _within((moment - now).total_seconds())


def from_reset(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a reset header: epoch seconds, epoch milliseconds, seconds from now, or a date. None: not readable."""
    text = (value or "").strip()
    if not NUMBER.fullmatch(text):
        return from_retry_after(text, now)
    number = float(text)
    if number >= EPOCH_MILLISECONDS:
        number = number / 1000 - now.timestamp()
    elif number >= EPOCH_SECONDS:
        number -= now.timestamp()
    return _within(number)


def _moment(text: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return None


def _within(seconds: float) -> float:
    return min(max(seconds, LEAST), MOST)
