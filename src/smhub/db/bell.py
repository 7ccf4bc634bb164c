"""Tells everybody who waits, in this and every other process, that something was committed.

SQLite: whoever waits looks at `PRAGMA data_version`, which changes with every commit of another connection and costs some microseconds.
PostgreSQL: LISTEN and NOTIFY on one connection of its own. NOTIFY goes out after the commit, by itself and a few times a second at most:
within a transaction it would make all commits of the server queue for one lock. A ring may be lost (a connection that breaks), so
everybody who waits also looks by themselves now and then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

import asyncpg
import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

log = structlog.get_logger("smhub.bell")

JOBS = "jobs"
EVENTS = "events"
LOOK = 0.05
QUIET = 0.02
PROBE = 15.0
LONGEST_BACK_OFF = 15.0
CHANNEL = "smhub_bell"


class Ear:
    """Hears the bell for one who waits. What rang between two waits ends the next one at once."""

    def __init__(self, bell: Bell, what: frozenset[str]) -> None:
        self._bell, self.what = bell, what
        self._rang = asyncio.Event()

    def nudge(self) -> None:
        """Wake the one who waits here, and nobody else."""
        self._rang.set()

    def hush(self) -> None:
        """What rang until now is known: say so before you look, not after."""
        self._rang.clear()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most so long; whether it rang."""
        try:
            with self._bell.listening():
                async with asyncio.timeout(seconds):
                    await self._rang.wait()
        except TimeoutError:
            return False
        self._rang.clear()
        return True


class _Wire(Protocol):
    """How rings come from and go to other processes."""

    def listen(self, on: bool) -> None: ...
    def tell(self, what: str) -> None: ...
    async def close(self) -> None: ...


class Bell:
    """One for each Database."""

    def __init__(self, url: str) -> None:
        self._ears: WeakSet[Ear] = WeakSet()
        sqlite = url.startswith("sqlite")
        self._wire: _Wire = _DataVersion(self, url.removeprefix("sqlite:///")) if sqlite else _Notify(self, url)
        self._waiting = 0

    def ear(self, *what: str) -> Ear:
        """An ear for these (JOBS, EVENTS); keep it for as long as you wait now and then."""
        ear = Ear(self, frozenset(what))
        self._ears.add(ear)
        return ear

    def ring(self, *what: str) -> None:
        """Something of this kind was committed here. Costs next to nothing; many at once are one."""
        self.wake(*what)
        for one in what:
            self._wire.tell(one)

    def wake(self, *what: str) -> None:
        """Wake those who wait in this process."""
        for ear in list(self._ears):
            if not ear.what.isdisjoint(what):
                ear.nudge()

    def listening(self) -> _Listening:
        """While the block lasts, rings of other processes are heard."""
        return _Listening(self)

    def somebody_waits(self, by: int) -> None:
        self._waiting += by
        self._wire.listen(self._waiting > 0)

    async def close(self) -> None:
        """Send what has not gone out yet, and let go."""
        await self._wire.close()


class _Listening:
    def __init__(self, bell: Bell) -> None:
        self._bell = bell

    def __enter__(self) -> None:
        self._bell.somebody_waits(1)

    def __exit__(self, *_: object) -> None:
        self._bell.somebody_waits(-1)


def hang(bell: Bell, sessions: Any) -> None:
    """Let every commit of these sessions (a sessionmaker) ring that wrote jobs or events; a rollback rings nothing."""

    def written(session: Session) -> tuple[str, ...]:
        what = (JOBS,) if session.info.pop("woke", False) else ()
        return (*what, EVENTS) if session.info.pop("recorded", None) else what

    @event.listens_for(sessions, "after_commit")
    def _committed(session: Session) -> None:
        # A released savepoint is not a commit yet.
        if not session.in_nested_transaction() and (what := written(session)):
            bell.ring(*what)

    @event.listens_for(sessions, "after_rollback")
    def _rolled_back(session: Session) -> None:
        if not session.in_nested_transaction():
            written(session)


class _DataVersion:
    """SQLite. A connection of its own that never holds a transaction, so it neither waits for a writer nor keeps the WAL from shrinking."""

    def __init__(self, bell: Bell, path: str) -> None:
        self._bell, self._path = bell, path
        self._connection: sqlite3.Connection | None = None
        self._seen: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, what: str) -> None:
        """The file itself tells the others."""

    def listen(self, on: bool) -> None:
        if on and self._timer is None:
            self._look()
        elif not on and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        version = self._version()
        if version is not None and version != self._seen:
            if self._seen is not None:
                # It does not say what was written.
                self._bell.wake(JOBS, EVENTS)
            self._seen = version

    def _version(self) -> int | None:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=0, check_same_thread=False)
                self._connection.execute("pragma query_only=ON")
            return int(self._connection.execute("pragma data_version").fetchone()[0])
        except sqlite3.Error:
            return None

    async def close(self) -> None:
        self.listen(False)
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Notify:
    """PostgreSQL. The connection is made when somebody first waits or rings, and made again when it breaks."""

    def __init__(self, bell: Bell, url: str) -> None:
        self._bell, self._url = bell, url
        self._untold: set[str] = set()
        self._stir: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def tell(self, what: str) -> None:
        self._untold.add(what)
        self._start().set()

    def listen(self, on: bool) -> None:
        if on:
            self._start()

    def _start(self) -> asyncio.Event:
        if self._stir is None:
            self._stir = asyncio.Event()
        if self._task is None and not self._closing:
            self._task = asyncio.create_task(self._run(), name="bell")
        return self._stir

    async def _run(self) -> None:
        pause, broken = 0.1, False
        while True:
            try:
                connection = await self._connected()
                try:
                    if broken:
                        # What rang meanwhile was not heard.
                        self._bell.wake(JOBS, EVENTS)
                        log.info("bell_back")
                    pause, broken = 0.1, False
                    await self._carry(connection)
                    return
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                if self._closing:
                    return
                if not broken:
                    log.warning("bell_away", error=type(error).__name__)
                broken = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_BACK_OFF)

    async def _connected(self) -> asyncpg.Connection:
        # A notification takes a transaction id; nobody waits for the disk because of it.
        settings = {"application_name": "smhub bell", "synchronous_commit": "off"}
        connection = await asyncpg.connect(self._url, server_settings=settings, timeout=5, command_timeout=5)
        own = connection.get_server_pid()

        def heard(_: object, pid: int, __: object, payload: object) -> None:
            if pid != own:
                self._bell.wake(*str(payload).split(","))

        connection.add_termination_listener(lambda _: self._start().set())
        await connection.add_listener(CHANNEL, heard)
        return connection

    async def _carry(self, connection: asyncpg.Connection) -> None:
        """Send what rings here, several rings as one; returns when the bell is closed."""
        stir = self._start()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE):
                    await stir.wait()
            stir.clear()
            untold, self._untold = self._untold, set()
            try:
                # Without news too: a connection that is dead without saying so is found out.
                await connection.execute(f"notify {CHANNEL}, '{','.join(sorted(untold))}'" if untold else "select 1")
            except BaseException:
                self._untold |= untold
                raise
            if self._closing and not self._untold:
                return
            await asyncio.sleep(QUIET)

    async def close(self) -> None:
        self._closing = True
        if self._task is None:
            return
        if self._stir is not None:
            self._stir.set()
        done, _ = await asyncio.wait([self._task], timeout=2.0 if self._untold else 0.5)
        if not done:
            self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
