"""A row that is there afterwards, whoever else puts it there at the same time."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


async def upsert(session: AsyncSession, model: type[Any], values: dict[str, Any], changed: tuple[str, ...]) -> None:
    """Add the row; when one with its primary key is there, change these columns of it to the new values."""
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    key = list(model.__table__.primary_key.columns)
    statement = made(model).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_={name: values[name] for name in changed}))
