"""The database's time: the one clock that all workers share, however wrong the clocks of their machines are."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from smhub.db.engine import Database
from smhub.time import Clock, SystemClock

log = structlog.get_logger("smhub.clock")
# A slower answer says too little about the time.
SLOWEST = 1.0
NOTABLE = timedelta(seconds=5)


class DatabaseClock:
    """Tells the time of a PostgreSQL server: as it was at the last `measure`, and what this machine's monotonic clock has counted since.
    Leases, due times and budgets of several machines agree by it. Before the first `measure` it tells the machine's time."""

    def __init__(self, machine: Clock | None = None) -> None:
        self._machine = machine or SystemClock()
        self._anchor: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        if self._anchor is None:
            return self._machine.now()
        at, monotonic = self._anchor
        return at + timedelta(seconds=self._machine.monotonic() - monotonic)

    def monotonic(self) -> float:
        return self._machine.monotonic()

    async def measure(self, database: Database) -> None:
        """Ask the database for its time. An answer that takes longer than a second is left aside, unless there is no other."""
        ask = text("select clock_timestamp()")
        async with database.read() as session:
            await session.connection()
            before = self._machine.monotonic()
            at: datetime = (await session.execute(ask)).scalar_one()
            after = self._machine.monotonic()
        if self._anchor is not None and after - before > SLOWEST:
            return
        at += timedelta(seconds=(after - before) / 2)
        if self._anchor is None and abs(at - self._machine.now()) > NOTABLE:
            log.warning("clock_differs", seconds=round((self._machine.now() - at).total_seconds(), 1))
        self._anchor = (at, after)


async def set_clock(clock: Clock, database: Database) -> None:
    """Set a DatabaseClock by the database; others need nothing. At the start of a process, and again at each heartbeat."""
    if isinstance(clock, DatabaseClock):
        await clock.measure(database)
