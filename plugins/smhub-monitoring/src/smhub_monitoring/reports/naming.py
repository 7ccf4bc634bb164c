"""What people call the groups that figures are told apart by."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.features import Channel, Department, Listener
from smhub_monitoring.reports.measuring import Measured

NAMES = {
    "department": (Department.organisation_id, Department.id, Department.path),
    "channel": (Channel.organisation_id, Channel.id, Channel.name),
    "listener": (Listener.organisation_id, Listener.id, Listener.name),
}
HOURS = {"de": ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"), "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
AT_ONCE = 500


async def titles_of(
    session: AsyncSession, organisation_id: UUID, group_by: list[str], measured: Measured, language: str = "en"
) -> dict[str, str]:
    """The names of those that have one."""
    found: dict[str, str] = {}
    for place, group in enumerate(group_by):
        values = sorted({key[place] for key in measured.keys if key[place] is not None}, key=str)
        if group == "hour_of_week":
            found |= {str(one): f"{HOURS[language][int(str(one)) // 24]} {int(str(one)) % 24:02d}" for one in values}
        if group not in NAMES:
            continue
        owner, id_, name = NAMES[group]
        for start in range(0, len(values), AT_ONCE):
            some = [UUID(one) for one in values[start : start + AT_ONCE] if one is not None]
            rows = (await session.execute(select(id_, name).where(owner == organisation_id, id_.in_(some)))).all()
            found |= {str(key): title for key, title in rows}
    return found
