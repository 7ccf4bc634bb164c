"""What networks let us call, shared by all workers: one row for each budget, and one statement for each step.

Nobody sleeps here. An empty budget is a RateLimited with the seconds until it is worth trying again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Float, case, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from smhub.net.models import RateBudget
from smhub.sdk.errors import RateLimited
from smhub.sdk.http import Rate
from smhub.time import Clock, to_utc

T = TypeVar("T")
LEAST_WAIT = 0.05

FIRST = text(
    "INSERT INTO core_rate_budget (key, tokens, updated_at, blocked_until) "
    "VALUES (:key, :tokens, :now, NULL) ON CONFLICT (key) DO NOTHING"
)


class Storage(Protocol):
    """What is needed of the database: a small change in a transaction that commits at its end."""

    async def together(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run the change."""
        ...


class Budgets:
    """A bucket for each key holds up to `rate.calls` and fills again evenly over `rate.seconds`."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def take(self, key: str, rate: Rate, reserve: float = 0.0) -> float:
        """Take one call out of the budget; returns how many are left. Raises RateLimited when there is none, or it is blocked.

        `reserve` is the share that is left to calls of more weight: with 0.2 the last fifth is not touched.
        """
        now = self._now()
        filled = _filled(rate, now)
        kept = float(int(rate.calls * reserve))
        step = (
            update(RateBudget)
            .where(RateBudget.key == key, filled >= 1 + kept, or_(RateBudget.blocked_until.is_(None), RateBudget.blocked_until <= now))
            .values(tokens=filled - 1, updated_at=_later(RateBudget.updated_at, now))
            .returning(RateBudget.tokens)
            .execution_options(synchronize_session=False)
        )

        async def take(session: AsyncSession) -> tuple[float | None, float, float | None]:
            left = await session.scalar(step)
            if left is None:
                await session.execute(FIRST, {"key": key, "tokens": float(rate.calls), "now": now})
                left = await session.scalar(step)
            if left is not None:
                return float(left), 0.0, None
            budget = select(filled, RateBudget.blocked_until).where(RateBudget.key == key)
            tokens, blocked = (await session.execute(budget)).one()
            return None, tokens, blocked

        left, tokens, blocked_until = await self._storage.together(take)
        if left is not None:
            return left
        wait = max((1 + kept - tokens) * rate.seconds / rate.calls, (blocked_until or now) - now, LEAST_WAIT)
        raise RateLimited(f"The budget of {rate.calls} calls in {rate.seconds:g} s is used up.", retry_after=wait, scope=rate.key)

    async def learn(self, key: str, rate: Rate, remaining: float, reset_at: datetime | None) -> None:
        """The network says how many calls remain. Fewer than we thought: believe it. More: calls of others may be on their way."""
        now = self._now()
        left = max(remaining, 0.0)
        filled = _filled(rate, now)
        values: dict[str, object] = {
            "tokens": case((filled > left, literal(left, Float)), else_=filled),
            "updated_at": _later(RateBudget.updated_at, now),
        }
        if left < 1 and reset_at is not None:
            values["blocked_until"] = _later(func.coalesce(RateBudget.blocked_until, 0.0), to_utc(reset_at).timestamp())
        await self._change(key, rate, values)

    async def block(self, key: str, rate: Rate, until: datetime) -> None:
        """No call before `until`; a longer block that is there already stays."""
        values = {"blocked_until": _later(func.coalesce(RateBudget.blocked_until, 0.0), to_utc(until).timestamp())}
        await self._change(key, rate, values)

    async def _change(self, key: str, rate: Rate, values: Mapping[str, object]) -> None:
        async def learn(session: AsyncSession) -> None:
            await session.execute(FIRST, {"key": key, "tokens": float(rate.calls), "now": self._now()})
            change = update(RateBudget).where(RateBudget.key == key).values(**values)
            await session.execute(change.execution_options(synchronize_session=False))

        await self._storage.together(learn)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _filled(rate: Rate, now: float) -> ColumnElement[float]:
    """What the bucket holds now. A clock that lags behind another worker's fills nothing."""
    gone = literal(now, Float) - RateBudget.updated_at
    grown = RateBudget.tokens + case((gone > 0, gone), else_=0.0) * (rate.calls / rate.seconds)
    return case((grown > rate.calls, float(rate.calls)), else_=grown)


def _later(one: ColumnElement[float] | object, other: float) -> ColumnElement[float]:
    column: ColumnElement[float] = one  # type: ignore[assignment]
    return case((column > other, column), else_=literal(other, Float))
