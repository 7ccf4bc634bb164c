"""The short way to read: SQLAlchemy builds and caches the statement, the driver runs it, tuples come back.

On SQLite a short read runs on the event loop (a thread's hop costs more than the read) and is stopped after SHORT seconds; then it is
run again in a thread, where it may take LONG. Rows hold what the driver gives: ids and times are text on SQLite, UUID and datetime on
PostgreSQL, JSON is text on both. All of them encode to the same wire form.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

Row = tuple[Any, ...]
SHORT = 0.05
LONG = 10.0


class TooSlow(Exception):
    """A read was stopped at its deadline."""


class DatabaseAway(ConnectionError):
    """No connection to the server can be had now."""


PASSING = ("08", "40", "53", "55P03", "57P", "58", "25P03")
"""SQLSTATEs, by how they begin, that say nothing about the statement: connection lost, conflict, too little of something, going down."""


async def connect_to_postgres(url: str, **settings: str) -> Any:
    """A connection with these server settings. Raises DatabaseAway when there is none to be had, whatever the reason is called."""
    try:
        return await asyncpg.connect(url, server_settings=settings, timeout=5)
    except OSError as error:
        raise DatabaseAway("the server cannot be reached") from error
    except asyncpg.PostgresError as error:
        if str(error.sqlstate).startswith(PASSING):
            raise DatabaseAway("the server takes no more connections now") from error
        raise


Parameter = tuple[str, str, Any, Any]
"""Name in the SQL, name in the statement (another one where the statement gave none), default value, processor."""


class Prepared:
    """A statement that is compiled once for each database and run many times with other values for its bind parameters."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        self._compiled: dict[str, tuple[str, list[Parameter]]] = {}
        self._own: dict[str, Any] = {}

    def compiled(self, dialect: Dialect) -> tuple[str, list[Parameter]]:
        """SQL and its parameters, in its order."""
        found = self._compiled.get(dialect.name)
        if found is None:
            built = self.statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            names = built.positiontup or list(built.params)
            # A list (x IN …) is spread into parameters of its own, which bring their processors along.
            spread = built._post_compile_expanded_state
            processors = {**built._bind_processors, **(spread.processors if spread else {})}
            keys = {name: one.key for one, name in built.bind_names.items()}
            found = str(built), [(name, keys.get(name, name), built.params[name], processors.get(name)) for name in names]
            self._compiled[dialect.name] = found
        return found

    def values(self, dialect: Dialect, given: dict[str, Any]) -> list[Any]:
        """The parameters in order, in the driver's form."""
        out = []
        for name, key, default, process in self.compiled(dialect)[1]:
            value = given[name] if name in given else self._own.get(key, default)
            out.append(process(value) if process is not None else value)
        return out

    def with_values(self, own: dict[str, Any]) -> Prepared:
        """The same statement with values of its own."""
        other = Prepared(self.statement)
        other._compiled, other._own = self._compiled, own
        return other


SHAPES = 1000
_shapes: OrderedDict[Any, tuple[Prepared, list[str]]] = OrderedDict()


def prepare(statement: Select[*tuple[Any, ...]]) -> Prepared:
    """A statement that is built anew for each request, as a search is: those that differ in values only are compiled once."""
    shape = statement._generate_cache_key()
    if shape is None or any(one.expanding or one.literal_execute for one in shape.bindparams):
        return Prepared(statement)
    known = _shapes.get(shape.key)
    if known is None:
        known = _shapes[shape.key] = Prepared(statement), [one.key for one in shape.bindparams]
        if len(_shapes) > SHAPES:
            _shapes.popitem(last=False)
    _shapes.move_to_end(shape.key)
    prepared, names = known
    return prepared.with_values({name: one.effective_value for name, one in zip(names, shape.bindparams, strict=True)})


class Reader(Protocol):
    """Runs prepared reads."""

    async def rows(self, prepared: Prepared, **values: Any) -> list[Row]:
        """All rows, in the driver's own types."""
        ...

    async def close(self) -> None: ...


class SqliteReader:
    """Reads on the loop; what takes longer is sent to a thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._dialect: Dialect = sqlite.dialect(paramstyle="qmark")
        self._connection: sqlite3.Connection | None = None
        self._deadline = 0.0
        self._threads = ThreadPoolExecutor(2, "smhub-read")
        self._local = local()
        self._opened: list[sqlite3.Connection] = []

    async def rows(self, prepared: Prepared, **values: Any) -> list[Row]:
        sql = prepared.compiled(self._dialect)[0]
        bound = prepared.values(self._dialect, values)
        if self._connection is None:
            self._connection = self._open(self._over)
        self._deadline = time.monotonic() + SHORT
        try:
            return self._connection.execute(sql, bound).fetchall()
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._long, sql, bound)

    def _long(self, sql: str, bound: list[Any]) -> list[Row]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open(lambda: int(time.monotonic() > self._local.deadline))
        self._local.deadline = time.monotonic() + LONG
        try:
            rows: list[Row] = connection.execute(sql, bound).fetchall()
            return rows
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise TooSlow(f"the read took longer than {LONG:.0f} s") from error
            raise

    def _over(self) -> int:
        return int(time.monotonic() > self._deadline)

    def _open(self, over: Any) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=512)
        connection.execute("pragma query_only=ON")
        connection.execute("pragma busy_timeout=5000")
        connection.execute("pragma cache_size=-20000")
        connection.execute("pragma mmap_size=268435456")
        connection.set_progress_handler(over, 20_000)
        self._opened.append(connection)
        return connection

    async def close(self) -> None:
        self._threads.shutdown(wait=True)
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._connection = None


class PostgresReader:
    """Reads on connections of its own, each of which prepares a statement once. asyncpg's pool would cost more than a short read."""

    def __init__(self, url: str, dialect: Dialect, *, most: int = 8) -> None:
        self._url = url
        self._dialect = dialect
        self._free: list[_Prepares] = []
        self._room = asyncio.Semaphore(most)

    async def rows(self, prepared: Prepared, **values: Any) -> list[Row]:
        sql = prepared.compiled(self._dialect)[0]
        bound = prepared.values(self._dialect, values)
        async with self._room:
            while self._free:
                connection = self._free.pop()
                if not connection.is_closed():
                    break
            else:
                connection = _Prepares(await self._open())
            try:
                rows = await connection.rows(sql, bound)
            except asyncpg.QueryCanceledError as error:
                self._free.append(connection)
                raise TooSlow(f"the read took longer than {LONG:.0f} s") from error
            except BaseException:
                connection.terminate()
                raise
            self._free.append(connection)
            return rows

    async def _open(self) -> asyncpg.Connection:
        settings = {"default_transaction_read_only": "on", "statement_timeout": str(int(LONG * 1000)), "jit": "off"}
        return await connect_to_postgres(self._url, **settings)

    async def close(self) -> None:
        while self._free:
            await self._free.pop().close()


class _Prepares:
    """A connection that asks each statement it has met by its handle: asyncpg's own cache costs a tenth of a short read."""

    MOST = 200

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._known: dict[str, Any] = {}
        self.is_closed, self.terminate, self.close = connection.is_closed, connection.terminate, connection.close

    async def rows(self, sql: str, bound: list[Any]) -> list[Row]:
        known = self._known.get(sql)
        if known is None:
            if len(self._known) >= self.MOST:
                self._known.pop(next(iter(self._known)))
            known = self._known[sql] = await self._connection.prepare(sql)
        try:
            rows: list[Row] = await known.fetch(*bound)
        except asyncpg.InvalidCachedStatementError:
            # A migration changed a table under it; asyncpg forgets all of them, so do we.
            self._known.clear()
            rows = await self._connection.fetch(sql, *bound)
        return rows


_EMPTY: dict[str | None, msgspec.Raw] = {text: msgspec.Raw(text.encode()) for text in ("[]", "{}", "null")}


def raw_json(value: str | None) -> msgspec.Raw:
    """A JSON column's text as it stands, to be put into an answer without reading it."""
    return _EMPTY.get(value) or msgspec.Raw(value.encode() if value else b"null")


def as_id(value: Any) -> UUID:
    """An id column's value as a UUID, whichever driver gave it."""
    return value if isinstance(value, UUID) else UUID(value)
