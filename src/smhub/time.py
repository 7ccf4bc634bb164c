"""One clock in UTC. Everybody who needs the time is handed a Clock; nobody asks the machine directly."""

from __future__ import annotations

import time as _time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Tests hand over one that stands still."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC, to the microsecond."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward: for deadlines, never for dates."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return _time.monotonic()


class StandingClock:
    """A clock that moves only when it is told to."""

    def __init__(self, at: datetime | None = None) -> None:
        self._now = at or datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def forward(self, **kwargs: float) -> datetime:
        """Move by timedelta(**kwargs); returns the new time."""
        step = timedelta(**kwargs)
        self._now += step
        self._monotonic += step.total_seconds()
        return self._now


def to_utc(value: datetime) -> datetime:
    """The same instant in UTC. A naive time is refused: nobody knows what it means."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone has no meaning here; give it one, for example +00:00")
    return value.astimezone(UTC)


def wire(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds and Z: what goes over the wire, and what SQLite stores (it sorts as text)."""
    return f"{to_utc(value).isoformat(timespec='microseconds')[:-6]}Z"
