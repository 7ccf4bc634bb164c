"""A row that is there afterwards, whoever else puts it there at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


async def upsert(session: AsyncSession, model: type[Any], values: dict[str, Any], changed: tuple[str, ...]) -> None:
    """Add the row; when one with its primary key is there, change these columns of it to the new values."""
    await upsert_all(session, model, [values], changed)


async def upsert_all(session: AsyncSession, model: type[Any], rows: Sequence[dict[str, Any]], changed: tuple[str, ...]) -> None:
    """As `upsert`, for some rows at once; each key is in them once."""
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    key = list(model.__table__.primary_key.columns)
    statement = made(model).values(list(rows))
    await session.execute(
        statement.on_conflict_do_update(index_elements=key, set_={name: statement.excluded[name] for name in changed})
    )


async def add_unless_there(session: AsyncSession, model: type[Any], values: dict[str, Any], unique: tuple[str, ...]) -> bool:
    """Add the row, unless one with the same values in the unique columns is there; whether it was added. Waits for whoever adds it now."""
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        made(model).values(values).on_conflict_do_nothing(index_elements=list(unique)).returning(*model.__table__.primary_key.columns)
    )
    return (await session.execute(statement)).first() is not None
