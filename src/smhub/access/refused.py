"""Deliveries that were refused: counted in memory and written now and then, so that a stranger cannot make the hub write."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, column, table, update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.types import Id, UtcDateTime

_HOOK = table(
    "core_hook",
    column("organisation_id", Id()),
    column("id", Id()),
    column("refused", Integer()),
    column("last_refused_at", UtcDateTime()),
)


class Refused:
    """How many deliveries each hook refused since the last time they were written down."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[UUID, UUID]] = Counter()

    def add(self, organisation_id: UUID, hook_id: UUID) -> None:
        """One was refused."""
        self._counted[organisation_id, hook_id] += 1

    async def write_down(self, session: AsyncSession, now: datetime) -> None:
        """Add them to their hooks."""
        counted, self._counted = self._counted, Counter()
        for (organisation_id, hook_id), number in sorted(counted.items()):
            of = (_HOOK.c.organisation_id == organisation_id, _HOOK.c.id == hook_id)
            await session.execute(update(_HOOK).where(*of).values(refused=_HOOK.c.refused + number, last_refused_at=now))

    def __bool__(self) -> bool:
        return bool(self._counted)
