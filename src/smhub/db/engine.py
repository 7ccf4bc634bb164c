"""One database, two ways in: a session for writing, a session for reading, and `Reader` for the short hot reads.

SQLite: one writer connection with BEGIN IMMEDIATE (so check and change are one thing and waiting is fair), readers with query_only.
PostgreSQL: one pool; reads are READ ONLY.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.util import await_only

from smhub.db.bell import Bell, hang
from smhub.db.read import PASSING, PostgresReader, Reader, SqliteReader, connect_to_postgres
from smhub.db.together import Together

T = TypeVar("T")
WAIT = 5.0
ROOM = 4 << 20
_FREE = text(
    "select (most.max_page_count - used.page_count + free.freelist_count) * size.page_size "
    "from pragma_max_page_count most, pragma_page_count used, pragma_freelist_count free, pragma_page_size size"
)
PRAGMAS = ("synchronous=FULL", "foreign_keys=ON", "cache_size=-20000", "temp_store=MEMORY")
LOOKS = 0.002
"""Between two looks whether another process still writes. SQLite by itself looks ever more rarely, down to ten times a second, and so passes
by the moments in which a busy worker lets go."""


class Database:
    """Everything that is stored. Open one for each process, close it at its end."""

    def __init__(self, url: str, *, pool: int = 10, wait: float = WAIT) -> None:
        self.url = url
        self.dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
        self.reader: Reader
        if self.dialect == "sqlite":
            path = url.removeprefix("sqlite:///")
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._write_engine = sqlite_engine(path, wait=wait)
            self._read_engine = sqlite_engine(path, read_only=True)
            self.reader = SqliteReader(path)
        else:
            self._write_engine = postgres_engine(url, pool, wait=wait)
            self._read_engine = self._write_engine
            self.reader = PostgresReader(url, self._write_engine.dialect)
        self.bell = Bell(url)
        written = sessionmaker()
        hang(self.bell, written)
        self._writer = async_sessionmaker(self._write_engine, expire_on_commit=False, sync_session_class=written)
        self._readers = async_sessionmaker(self._read_engine, expire_on_commit=False)
        self._together = Together(self._write_quietly)
        self._read_together = Together(self.read)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction that commits at the end and rolls back on any error. Never open one inside another."""
        async with self._writer.begin() as session:
            yield session

    @asynccontextmanager
    async def _write_quietly(self) -> AsyncIterator[AsyncSession]:
        async with self._writer(autoflush=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that cannot write."""
        async with self._readers() as session:
            if self.dialect == "postgresql":
                await session.connection(execution_options={"postgresql_readonly": True})
            yield session

    async def together(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run a small change in a transaction; on SQLite with those that others of this process wait for, in one commit."""
        if self.dialect == "sqlite":
            return await self._together.run(part)
        async with self._write_quietly() as session:
            return await part(session)

    async def read_together(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run a few small reads; on SQLite in one session with those that others of this process wait for. Only read."""
        if self.dialect == "sqlite":
            return await self._read_together.run(part)
        async with self.read() as session:
            return await part(session)

    def writer_session(self) -> AsyncSession:
        """A session for the edge of a request, which alone commits it."""
        return self._writer()

    async def close(self) -> None:
        """Let go of every connection."""
        await self._read_together.close()
        await self._together.close()
        await self.bell.close()
        await self.reader.close()
        await self._write_engine.dispose()
        if self._read_engine is not self._write_engine:
            await self._read_engine.dispose()


def sqlite_engine(path: str, *, read_only: bool = False, foreign_keys: bool = True, wait: float = WAIT) -> AsyncEngine:
    """An engine over aiosqlite. The writer has exactly one connection."""
    size = 4 if read_only else 1
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=size, max_overflow=0, pool_timeout=wait, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        _patiently(cursor, "pragma journal_mode=WAL", wait)
        for pragma in (*PRAGMAS, f"busy_timeout={5000 if read_only else 3}"):
            cursor.execute(f"pragma {pragma}")
        if not foreign_keys:
            cursor.execute("pragma foreign_keys=OFF")
        if read_only:
            cursor.execute("pragma query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        if read_only:
            connection.exec_driver_sql("BEGIN")
            return
        end = time.monotonic() + wait
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > end:
                    raise
                await_only(asyncio.sleep(LOOKS))
            else:
                return

    return engine


def _patiently(cursor: Any, statement: str, seconds: float) -> None:
    """The change of a new file to WAL does not wait for another process that writes its first tables: SQLite says "locked" at once."""
    end = time.monotonic() + seconds
    while True:
        try:
            cursor.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            await_only(asyncio.sleep(0.02))
        else:
            return


def postgres_engine(url: str, pool: int = 10, *, wait: float = WAIT) -> AsyncEngine:
    """An engine over asyncpg whose waits are bounded on the server's side too."""
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=wait,
        pool_pre_ping=False,
        json_deserializer=_as_text,
        hide_parameters=True,
        async_creator=lambda: connect_to_postgres(
            url, lock_timeout="5000", idle_in_transaction_session_timeout="60000", application_name="smhub"
        ),
    )


async def has_room(session: AsyncSession) -> bool:
    """Whether what is done now could also be written down: on SQLite, ROOM bytes on the disk and in the database. A server looks after
    itself."""
    if session.get_bind().dialect.name != "sqlite":
        return True
    free: int = (await session.execute(_FREE)).scalar_one()
    disk = os.statvfs(Path(str(session.get_bind().engine.url.database)).parent)
    return free >= ROOM and disk.f_bavail * disk.f_frsize >= ROOM


def _as_text(value: bytes | str) -> str:
    """JSON comes as text; the type Json reads it."""
    return value.decode() if isinstance(value, bytes) else value


def is_unavailable(error: BaseException) -> bool:
    """Whether the database itself cannot serve now (locked, full, gone, too many connections): trying later may help."""
    # asyncpg's InternalClientError: a connection that was cut in the middle of something is asked again.
    if isinstance(error, PoolTimeout | ConnectionError | TimeoutError | asyncpg.InternalClientError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    elif not isinstance(error, sqlite3.Error | asyncpg.PostgresError | asyncpg.InterfaceError):
        return False
    if str(getattr(error, "sqlstate", None) or "").startswith(PASSING):
        return True
    said = str(error).lower()
    words = ("database is locked", "disk is full", "disk i/o", "readonly database", "unable to open", "too many connections")
    more = (
        "lock timeout",
        "deadlock detected",
        "could not serialize",
        "the database system is",
        "connection was closed",
        "connection is closed",
        "connection has been closed",
        "terminating connection",
        "server closed the connection",
        "no space left",
    )
    return any(word in said for word in words + more)
