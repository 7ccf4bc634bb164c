"""One change to many rows, the short way: SQLAlchemy compiles the statement once, the driver runs it with plain tuples.

For pages of hundreds of rows; everything else is better said to the session itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Delete, Insert, Table, Update, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession

Process = Callable[[Any], Any]
_NOTHING = object()


class Many:
    """A statement whose bind parameters are filled from rows. Column types convert the values, as everywhere."""

    def __init__(self, statement: Insert | Update | Delete, names: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, list[tuple[str, Process | None]]]] = {}

    async def run(self, session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
        """Run it for each row, in the session's transaction. Each row gives every parameter."""
        if not rows:
            return
        connection = await session.connection()
        sql, parameters = self._in(connection.dialect)
        columns = [_converted(process, [row[name] for row in rows]) for name, process in parameters]
        await connection.exec_driver_sql(sql, list(zip(*columns, strict=True)))

    def _in(self, dialect: Dialect) -> tuple[str, list[tuple[str, Process | None]]]:
        found = self._compiled.get(dialect.name)
        if found is None:
            built = self._statement.compile(dialect=dialect, column_keys=self._names)
            names = built.positiontup or list(built.params)
            found = str(built), [(name, built._bind_processors.get(name)) for name in names]  # type: ignore[misc]
            self._compiled[dialect.name] = found
        return found


def inserts(model: Any, *names: str) -> Many:
    """Rows with these columns put into a model's table."""
    table: Table = model.__table__
    return Many(insert(table).inline(), names or [column.name for column in table.columns])


def _converted(process: Process | None, values: list[Any]) -> list[Any]:
    """A column's values as the driver wants them. Neighbours are often the very same object: they are converted once."""
    if process is None:
        return values
    out: list[Any] = []
    last, converted = _NOTHING, None
    for value in values:
        if value is not last:
            last, converted = value, process(value)
        out.append(converted)
    return out
