"""Column types that mean the same on both databases, and the base of all tables.

SQLite stores ids and times in their wire form (text that sorts), so that a list can hand its rows on without touching them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from sqlalchemy import CHAR, BigInteger, DateTime, Dialect, ForeignKeyConstraint, Integer, MetaData, Text, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from smhub.time import to_utc, wire


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Naive times are refused; SQLite stores RFC 3339 text with microseconds and Z, PostgreSQL timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(CHAR(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return wire(value) if dialect.name == "sqlite" else to_utc(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return datetime.fromisoformat(value) if isinstance(value, str) else value


class Id(TypeDecorator[UUID]):
    """A UUID: 36 characters on SQLite, uuid on PostgreSQL."""

    impl = Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(CHAR(36) if dialect.name == "sqlite" else Uuid(as_uuid=True))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return UUID(value) if isinstance(value, str) else value


class Json(TypeDecorator[Any]):
    """Data written and read by msgspec: JSON text on SQLite, jsonb on PostgreSQL. Replace a value, do not change it in place."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else _Jsonb())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        # Both databases hand over text: the engine keeps PostgreSQL's driver from reading it.
        return None if value is None else msgspec.json.decode(value)


class _Jsonb(postgresql.JSONB):
    """jsonb whose text comes and goes as text; Json does the rest."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


BigId = BigInteger().with_variant(Integer, "sqlite")
"""An integer primary key that counts by itself: INTEGER on SQLite (the row id), bigint on PostgreSQL."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every table, the plugins' included. Columns typed datetime, UUID, dict and list get the types above."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        UUID: Id,
        str: Text,
        dict[str, Any]: Json,
        list[str]: Json,
        list[Any]: Json,
    }


class OrganisationRow(Base):
    """A row of an organisation. The key begins with the organisation, and so does every reference to it: a reference that crosses
    organisations cannot be stored."""

    __abstract__ = True

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-2)
    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-1)


class Versioned:
    """A row that two people may edit: `version` counts the changes and is the ETag."""

    version: Mapped[int] = mapped_column(Integer, default=1)

    def changed(self) -> None:
        """Count a change."""
        self.version += 1


def refers_to(table: str, column: str, *, on_delete: str | None = None) -> ForeignKeyConstraint:
    """A reference inside the organisation: (organisation_id, <column>) to <table>."""
    return ForeignKeyConstraint(["organisation_id", column], [f"{table}.organisation_id", f"{table}.id"], ondelete=on_delete)


def belongs_to_organisation() -> ForeignKeyConstraint:
    """The row goes when its organisation goes."""
    return ForeignKeyConstraint(["organisation_id"], ["core_organisation.id"], ondelete="CASCADE")


__all__ = ["Base", "BigId", "Id", "Json", "OrganisationRow", "UtcDateTime", "Versioned", "belongs_to_organisation", "refers_to"]
