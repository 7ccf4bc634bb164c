"""Keyset paging: a page follows the last row of the one before, so that nothing is skipped or shown twice while rows are added.

A cursor is opaque, signed, and bound to its list and organisation: a foreign, old or altered one is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.errors import CursorInvalid
from smhub.time import wire

SIGNATURE = 12


class Cursors:
    """Makes and reads cursors with a key that all processes share."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, purpose: str, organisation_id: UUID | None, values: Sequence[Any]) -> str:
        """The cursor after a row with these order values. `purpose` names the list and its filters."""
        plain = [wire(v) if isinstance(v, datetime) else str(v) if isinstance(v, UUID) else v for v in values]
        body = msgspec.msgpack.encode(plain)
        return base64.urlsafe_b64encode(self._sign(purpose, organisation_id, body) + body).decode().rstrip("=")

    def read(self, purpose: str, organisation_id: UUID | None, cursor: str) -> list[Any]:
        """The order values in a cursor; raises CursorInvalid for one that was not made for this list."""
        try:
            whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            body = whole[SIGNATURE:]
            if len(cursor) > 1000 or not hmac.compare_digest(whole[:SIGNATURE], self._sign(purpose, organisation_id, body)):
                raise CursorInvalid
            return msgspec.msgpack.decode(body, type=list[Any])
        except (ValueError, msgspec.DecodeError) as error:
            raise CursorInvalid from error

    def _sign(self, purpose: str, organisation_id: UUID | None, body: bytes) -> bytes:
        text = f"{purpose}\0{organisation_id}\0".encode() + body
        return hmac.new(self._key, text, hashlib.sha256).digest()[:SIGNATURE]


def after(columns: Sequence[ColumnElement[Any]], values: Sequence[Any], *, descending: bool) -> ColumnElement[bool]:
    """The condition for rows that follow the given order values."""
    left = tuple_(*columns)
    right = tuple_(
        *(
            value if isinstance(value, ColumnElement) else literal(value, column.type)
            for column, value in zip(columns, values, strict=True)
        )
    )
    return left < right if descending else left > right


async def page(
    session: AsyncSession,
    statement: Select[Any],
    *,
    cursors: Cursors,
    purpose: str,
    organisation_id: UUID | None,
    order: Sequence[Any],
    cursor: str | None,
    limit: int,
    descending: bool = True,
) -> tuple[list[Any], str | None]:
    """One page of ORM rows and the cursor of the next, None at the end. `order` are mapped attributes whose values identify a row."""
    if cursor is not None:
        values = [_typed(column, value) for column, value in zip(order, cursors.read(purpose, organisation_id, cursor), strict=True)]
        statement = statement.where(after(order, values, descending=descending))
    statement = statement.order_by(*(column.desc() if descending else column.asc() for column in order)).limit(limit + 1)
    rows = list((await session.scalars(statement)).all())
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], cursors.make(purpose, organisation_id, [getattr(last, column.key) for column in order])


def _typed(column: Any, value: Any) -> Any:
    python = column.type.python_type
    if python is UUID:
        return UUID(value)
    return datetime.fromisoformat(value) if python is datetime else value
