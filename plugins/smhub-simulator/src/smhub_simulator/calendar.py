"""When things happen: the position in the sequence of all events, and the time of each, both ways and without counting up.

Time is cut in slots of ten minutes. A slot has its share of the week's rhythm; during a storm it has more.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from smhub_simulator.chance import draw

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
SLOT = 600_000_000  # microseconds
WEEK = 7 * 144
STORM_SLOTS = 3
STORM_FORCE = 5
OUTAGE = timedelta(minutes=15)
_HOURS = (2, 1, 1, 1, 1, 3, 8, 14, 20, 24, 26, 26, 24, 24, 25, 25, 24, 22, 22, 24, 24, 18, 10, 5)
_DAYS = (11, 10, 10, 10, 9, 6, 5)


def _week() -> tuple[int, ...]:
    raw = [_DAYS[slot // 144] * _HOURS[slot % 144 // 6] for slot in range(WEEK)]
    total = sum(raw)
    upto = [0, *accumulate(raw)]
    scaled = [value * WEEK * 1000 // total for value in upto]
    return tuple(scaled)


_UPTO = _week()


class Calendar:
    """The rhythm of one simulation."""

    def __init__(self, seed: int, per_minute: float, storm_every_hours: int, outage_every_hours: int) -> None:
        self._millionths = round(per_minute * 1_000_000)
        self._storm_cycle = storm_every_hours * 6
        self._storm_at = draw(seed, 0, 1) % max(1, self._storm_cycle - STORM_SLOTS + 1)
        self._storm_extra = self._millionths * 10 * STORM_FORCE // 1_000_000
        self._outage_every = timedelta(hours=outage_every_hours)
        self._outage_at = timedelta(minutes=draw(seed, 0, 2) % max(1, outage_every_hours * 60 - 15))
        self._seed = seed

    def before(self, slot: int) -> int:
        """How many events there are before a slot begins."""
        weeks, rest = divmod(slot, WEEK)
        count = (weeks * WEEK * 1000 + _UPTO[rest]) * self._millionths // 100_000_000
        if self._storm_cycle:
            cycles, rest = divmod(slot, self._storm_cycle)
            count += (cycles * STORM_SLOTS + min(max(rest - self._storm_at, 0), STORM_SLOTS)) * self._storm_extra
        return count

    def storm(self, slot: int) -> int | None:
        """The number of the storm that blows in a slot."""
        if not self._storm_cycle:
            return None
        cycle, rest = divmod(slot, self._storm_cycle)
        return cycle if 0 <= rest - self._storm_at < STORM_SLOTS else None

    def slot(self, position: int) -> int:
        """The slot of an event."""
        low, high = 0, 1
        while self.before(high) <= position:
            low, high = high, high * 2
        return low + bisect_right(range(low, high), position, key=lambda at: self.before(at + 1))

    def microsecond(self, position: int, slot: int, first: int, count: int) -> int:
        """Microseconds since EPOCH of an event in a slot with `count` events, of which `first` is the first."""
        place = (position - first << 20) + (draw(self._seed, position, 3) & 0xFFFFF)
        return slot * SLOT + place * SLOT // (count << 20)

    def time(self, position: int) -> datetime:
        """When an event happens."""
        slot = self.slot(position)
        first = self.before(slot)
        return EPOCH + timedelta(microseconds=self.microsecond(position, slot, first, self.before(slot + 1) - first))

    def until(self, now: datetime) -> int:
        """How many events have happened by now, this very moment included."""
        gone = (now - EPOCH) // timedelta(microseconds=1)
        if gone < 0:
            return 0
        slot = gone // SLOT
        first, end = self.before(slot), self.before(slot + 1)
        return bisect_right(range(first, end), gone, key=lambda at: self.microsecond(at, slot, first, end - first)) + first

    def since(self, at: datetime) -> int:
        """The position of the first event at or after a time."""
        return self.until(at - timedelta(microseconds=1))

    def outage(self, now: datetime) -> timedelta | None:
        """How long the present outage still lasts; None when there is none."""
        if not self._outage_every or now < EPOCH:
            return None
        inside = (now - EPOCH) % self._outage_every - self._outage_at
        return OUTAGE - inside if timedelta(0) <= inside < OUTAGE else None
