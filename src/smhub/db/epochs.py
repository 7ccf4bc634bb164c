"""A hub's life in epochs: one from its beginning on, and a new one from each restore on.

The newest epoch also tells when its newest backup was begun. That is written down before the copy is made, so a copy tells by itself how old
it is, and never that it is younger than it is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from smhub.db.types import Base

BEGUN, RESTORED = "begun", "restored"


class Epoch(Base):
    """From `began_at` on. `reason`: begun, restored. `backup_at`: when its newest backup was begun."""

    __tablename__ = "core_epoch"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    began_at: Mapped[datetime]
    reason: Mapped[str]
    backup_at: Mapped[datetime | None]


async def newest(session: AsyncSession) -> Epoch:
    """The epoch that lasts. The first one is made with the table."""
    return (await session.scalars(select(Epoch).order_by(Epoch.number.desc()).limit(1))).one()


async def begin(session: AsyncSession, reason: str, now: datetime) -> Epoch:
    """A new epoch, from now on."""
    epoch = Epoch(number=(await newest(session)).number + 1, began_at=now, reason=reason)
    session.add(epoch)
    await session.flush()
    return epoch
