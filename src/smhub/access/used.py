"""When a key was last used: gathered in memory and written now and then, so that a read stays a read."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.models import ApiKey


class UsedKeys:
    """The keys that were used since the last time they were written down."""

    def __init__(self) -> None:
        self._used: set[tuple[UUID, UUID]] = set()

    def add(self, organisation_id: UUID, key_id: UUID) -> None:
        """A key was used."""
        self._used.add((organisation_id, key_id))

    async def write_down(self, session: AsyncSession, now: datetime) -> None:
        """Set `last_used_at` of all of them, exact to the time between two calls."""
        used, self._used = self._used, set()
        for organisation_id, key_id in sorted(used):
            await session.execute(
                update(ApiKey).where(ApiKey.organisation_id == organisation_id, ApiKey.id == key_id).values(last_used_at=now)
            )

    def __bool__(self) -> bool:
        return bool(self._used)
