"""Secrets of rows: a channel's token and the like. Written sealed, read where a connector is made, sealed anew when the key changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.access.keyring import Keyring
from smhub.access.models import StoredSecret
from smhub.secret import Secret


class Owner(msgspec.Struct, frozen=True):
    """The row that secrets belong to."""

    organisation_id: UUID
    table: str
    row_id: UUID


async def put(session: AsyncSession, keyring: Keyring, owner: Owner, values: Mapping[str, Secret]) -> None:
    """Store secrets by name; those that are not named stay as they are."""
    for name, value in values.items():
        key_id, sealed = keyring.seal(value, **_place(owner, name))
        row = StoredSecret(
            organisation_id=owner.organisation_id,
            owner_table=owner.table,
            owner_id=owner.row_id,
            name=name,
            key_id=key_id,
            sealed=sealed,
        )
        await session.merge(row)


async def get(session: AsyncSession, keyring: Keyring, owner: Owner) -> dict[str, Secret]:
    """All secrets of a row; Unreadable when one cannot be opened."""
    rows = (await session.scalars(select(StoredSecret).where(*_of(owner)))).all()
    return {row.name: keyring.open(row.key_id, row.sealed, **_place(owner, row.name)) for row in rows}


async def names(session: AsyncSession, owner: Owner) -> frozenset[str]:
    """Which secrets a row has."""
    return frozenset((await session.scalars(select(StoredSecret.name).where(*_of(owner)))).all())


async def forget(session: AsyncSession, owner: Owner) -> None:
    """Delete all secrets of a row."""
    await session.execute(delete(StoredSecret).where(*_of(owner)))


async def forget_one(session: AsyncSession, owner: Owner, name: str) -> None:
    """Delete one secret of a row."""
    await session.execute(delete(StoredSecret).where(*_of(owner), StoredSecret.name == name))


async def seal_anew(session: AsyncSession, keyring: Keyring, *, at_once: int = 200) -> int:
    """Seal up to `at_once` secrets of older keys with the newest; returns how many. Call it until it returns 0."""
    rows = (await session.scalars(select(StoredSecret).where(StoredSecret.key_id != keyring.newest).limit(at_once))).all()
    for row in rows:
        place = _place(Owner(row.organisation_id, row.owner_table, row.owner_id), row.name)
        row.key_id, row.sealed = keyring.seal(keyring.open(row.key_id, row.sealed, **place), **place)
    await session.flush()
    return len(rows)


def _of(owner: Owner) -> list[ColumnElement[bool]]:
    return [
        StoredSecret.organisation_id == owner.organisation_id,
        StoredSecret.owner_table == owner.table,
        StoredSecret.owner_id == owner.row_id,
    ]


def _place(owner: Owner, name: str) -> dict[str, Any]:
    return {"organisation_id": owner.organisation_id, "table": owner.table, "row_id": owner.row_id, "column": name}
