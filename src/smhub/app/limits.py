"""How many requests a key may send a minute, and how often a stranger may guess. Counted in each API process for itself."""

from __future__ import annotations

import math
from uuid import UUID

from smhub.errors import TooManyRequests
from smhub.time import Clock

GUESSES = 30
GUESS_SECONDS = 60.0
MOST = 50_000


class RequestLimits:
    """A token bucket for each key (a minute's worth at once), and a window of failed attempts for each address."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._burst = float(per_minute)
        self._rate = per_minute / 60.0
        self._buckets: dict[UUID, tuple[float, float]] = {}
        self._strangers: dict[str, tuple[int, float]] = {}
        self._limit_header = (b"ratelimit-limit", str(per_minute).encode())

    def take(self, key_id: UUID) -> tuple[list[tuple[bytes, bytes]], float]:
        """Take one request; the headers that tell how much is left, and the seconds to wait: 0 when there was one left."""
        now = self._clock.monotonic()
        tokens, at = self._buckets.get(key_id, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        wait = max(0.0, 1.0 - tokens) / self._rate
        left = tokens if wait else tokens - 1.0
        if len(self._buckets) > MOST:
            self._buckets.clear()
        self._buckets[key_id] = (left, now)
        reset = math.ceil((self._burst - left) / self._rate)
        return [self._limit_header, (b"ratelimit-remaining", b"%d" % int(left)), (b"ratelimit-reset", b"%d" % reset)], wait

    def stranger(self, address: str) -> None:
        """A wrong key came from there. Raises TooManyRequests after too many in a minute; right keys from there still get in, so that
        one forgotten script does not lock a whole company out."""
        now = self._clock.monotonic()
        count, since = self._strangers.get(address, (0, now))
        if now - since >= GUESS_SECONDS:
            count, since = 0, now
        if count >= GUESSES:
            raise TooManyRequests(retry_after=since + GUESS_SECONDS - now)
        if len(self._strangers) > MOST:
            self._strangers.clear()
        self._strangers[address] = (count + 1, since)
