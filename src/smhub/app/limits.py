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

    def take(self, key_id: UUID) -> list[tuple[bytes, bytes]]:
        """Take one request; the headers that tell how much is left. Raises TooManyRequests."""
        now = self._clock.monotonic()
        tokens, at = self._buckets.get(key_id, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if tokens < 1.0:
            raise TooManyRequests(retry_after=(1.0 - tokens) / self._rate)
        if len(self._buckets) > MOST:
            self._buckets.clear()
        self._buckets[key_id] = (tokens - 1.0, now)
        left = tokens - 1.0
        reset = math.ceil((self._burst - left) / self._rate)
        return [self._limit_header, (b"ratelimit-remaining", b"%d" % int(left)), (b"ratelimit-reset", b"%d" % reset)]

    def check_stranger(self, address: str) -> None:
        """Raise TooManyRequests for an address with too many wrong keys in the last minute."""
        count, since = self._strangers.get(address, (0, 0.0))
        left = since + GUESS_SECONDS - self._clock.monotonic()
        if count >= GUESSES and left > 0:
            raise TooManyRequests(retry_after=left)

    def count_stranger(self, address: str) -> None:
        """A wrong key came from there."""
        now = self._clock.monotonic()
        count, since = self._strangers.get(address, (0, now))
        if now - since > GUESS_SECONDS:
            count, since = 0, now
        if len(self._strangers) > MOST:
            self._strangers.clear()
        self._strangers[address] = (count + 1, since)
