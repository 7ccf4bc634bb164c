"""Beside the workers: starts them, listens to them, kills those that are silent, and starts them again.

Two kinds of children: the worker, and, while there are suspects, some that run one of those at a time. Each is a process group of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.app.watchdog import DRAIN, Note
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.settings import Settings, SettingsError
from smhub.work.suspects import Guilt, Why, convict, due, release, release_all

log = structlog.get_logger("smhub.supervisor")
LOOK = 0.25
STARTING = 60.0
ISOLATED = 3
"""At most so many suspects run at the same time, each in a process of its own."""
FIRST_PAUSE, LONGEST_PAUSE, HEALTHY = 0.5, 30.0, 60.0
T = TypeVar("T")


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """How a child ended. `why` None: as it should. `job`: the one that it named."""

    why: Why | None
    words: str = ""
    job: UUID | None = None


class Child:
    """A worker process, the talk with it, and the pipe that ends it when we are gone."""

    def __init__(self, settings: Settings, *, suspects: bool) -> None:
        self.name = f"{'suspects' if suspects else 'worker'}-{new_id().hex[-12:]}"
        self._settings = settings
        self._heard, self._quiet = False, 0.0
        self._last_word: Note | None = None
        self._silenced = False
        self._unread = b""
        self._talk, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._process = subprocess.Popen(  # noqa: S603
            [
                sys.executable,
                "-m",
                "smhub.app.working",
                self.name,
                str(theirs.fileno()),
                str(lifeline),
                "suspects" if suspects else "all",
            ],
            pass_fds=(theirs.fileno(), lifeline),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            # What a plugin prints is not ours to keep, and nobody must have to read it; logs go to stderr.
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SMHUB_DATABASE_URL": settings.database_url},
        )
        theirs.close()
        os.close(lifeline)
        self._talk.setblocking(False)

    def has_ended(self) -> bool:
        """Whether the process is over. It is not reaped yet, so that its group's number stays its own."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def listen(self) -> bool:
        """Read what it said since the last look; False when it has been silent for too long."""
        said = self._read()
        self._heard = self._heard or bool(said)
        # Looks are counted instead of seconds: when we ourselves were held up, it was not silent.
        self._quiet = 0.0 if said else self._quiet + LOOK
        return self._quiet <= (2 * self._settings.stuck_seconds if self._heard else STARTING)

    def _read(self) -> bytes:
        said = b""
        with contextlib.suppress(OSError):
            while chunk := self._talk.recv(65536):
                said += chunk
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):
                note = msgspec.json.decode(line, type=Note)
                self._last_word = note if note.done or note.why else self._last_word
        return said

    def silence(self) -> None:
        """It has been silent for too long."""
        self._silenced = True
        self._kill()

    def ask_to_end(self) -> None:
        with contextlib.suppress(OSError):
            self._talk.send(DRAIN)

    def bury(self) -> Death:
        """Kill what is left of its group, and tell how it ended."""
        self._read()
        self._kill()
        code = self._process.wait()
        self._talk.close()
        os.close(self._lifeline)
        note = self._last_word or Note()
        if self._silenced:
            return Death(why="hung", words=f"it kept its worker from giving a sign for {2 * self._settings.stuck_seconds:g} s")
        if note.why == "hung":
            return Death(why="hung", job=note.job, words=f"it held up its worker for {self._settings.stuck_seconds:g} s ({note.place})")
        if note.why == "memory":
            return Death(why="memory", words=f"its worker needed more than {self._settings.worker_memory_mb} MiB")
        if note.done and code == 0:
            return Death(why=None)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        return Death(why="crashed", words=f"its worker ended {how}")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class Supervisor:
    """Keeps a worker working, and its suspects apart, until it is cancelled."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self) -> None:
        """Work until cancelled; then let the children end, and kill them when they take too long."""
        if self._runtime.database.dialect == "sqlite":
            await self._written(lambda session: release_all(session, self._runtime))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_working())
            for number in range(ISOLATED):
                group.create_task(self._isolate(number))

    async def _keep_working(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = self._runtime.clock.monotonic()
            child = await self._start(suspects=False)
            death = await self._accompany(child)
            if self._runtime.clock.monotonic() - began > HEALTHY:
                pause = FIRST_PAUSE
            log.warning("worker_ended", worker=child.name, why=death.why, words=death.words, job_id=str(death.job), restart_in=pause)
            suspects = await self._within(pause, self._written(_releasing(self._runtime, child.name, death.job)))
            # With a suspect the death has its reason, and it will not be run by the next worker.
            pause = FIRST_PAUSE if suspects else min(pause * 2, LONGEST_PAUSE)

    async def _within(self, seconds: float, doing: Awaitable[int]) -> int:
        """Do it, and wait for this long at least; longer only while the database is away, which is no reason not to go on."""
        task = asyncio.ensure_future(doing)
        await asyncio.sleep(seconds)
        if not task.done():
            await asyncio.wait({task}, timeout=5.0)
        return task.result() if task.done() else 0

    async def _isolate(self, others: int) -> None:
        """Run suspects alone while there are more than `others`, which have a worker each."""
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            if await self._due() <= others:
                continue
            child = await self._start(suspects=True)
            death = await self._accompany(child)
            if death.why is None:
                pause = FIRST_PAUSE
                continue
            guilt = Guilt(why=death.why, words=death.words)
            guilty = await self._written(_convicting(self._runtime, child.name, guilt))
            pause = FIRST_PAUSE if guilty else min(pause * 2, LONGEST_PAUSE)
            log.warning("suspect_ended_its_worker" if guilty else "worker_ended", worker=child.name, why=death.why, words=death.words)

    async def _due(self) -> int:
        try:
            async with self._runtime.database.read() as session:
                return await due(session, self._runtime.clock.now(), ISOLATED)
        except (SQLAlchemyError, OSError):
            return 0

    async def _start(self, *, suspects: bool) -> Child:
        while True:
            try:
                return Child(self._runtime.settings, suspects=suspects)
            except OSError as error:
                # Too many processes or files, for the moment.
                log.error("worker_not_started", error=type(error).__name__)
                await asyncio.sleep(LONGEST_PAUSE)

    async def _accompany(self, child: Child) -> Death:
        """Listen to a child until it has ended; kill it when it is silent."""
        try:
            while not child.has_ended():
                await asyncio.sleep(LOOK)
                if not child.listen():
                    child.silence()
        except asyncio.CancelledError:
            child.ask_to_end()
            await self._last_moments(child)
            raise
        except BaseException:
            child.bury()
            raise
        return child.bury()

    async def _last_moments(self, child: Child) -> None:
        """Wait until it has ended, at most the time that it was given and a little more; a second cancellation cuts it short."""
        try:
            left = self._runtime.settings.drain_seconds + 3.0
            while not child.has_ended() and left > 0:
                await asyncio.sleep(LOOK)
                left -= LOOK
        finally:
            death = child.bury()
            log.info("worker_stopped", worker=child.name, cut_off=death.why is not None)

    async def _written(self, write: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Write it, as soon as the database lets us."""
        while True:
            try:
                async with self._runtime.database.write() as session:
                    return await write(session)
            except (SQLAlchemyError, OSError) as error:
                log.warning("database_unavailable", error=type(error).__name__)
                await asyncio.sleep(1.0)


def _releasing(runtime: Runtime, worker: str, job: UUID | None) -> Callable[[AsyncSession], Awaitable[int]]:
    return lambda session: release(session, runtime, worker, job)


def _convicting(runtime: Runtime, worker: str, guilt: Guilt) -> Callable[[AsyncSession], Awaitable[bool]]:
    return lambda session: convict(session, runtime, worker, guilt)


@asynccontextmanager
async def supervised(runtime: Runtime, *, after: asyncio.Event | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """A worker beside what one does meanwhile; with `after` it starts when that is set, and no other may from now on."""

    async def run() -> None:
        if after is not None:
            await after.wait()
        await Supervisor(runtime).run()

    with only_worker(runtime.settings):
        supervising = asyncio.create_task(run())
        try:
            yield supervising
        finally:
            supervising.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervising


async def work(runtime: Runtime) -> None:
    """`smhub work`: a supervised worker until SIGTERM or SIGINT; a second one cuts off what is still running."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with supervised(runtime) as supervising:

        def end() -> None:
            if told.is_set():
                supervising.cancel()
            told.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait({waiting, supervising}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if supervising.done():
            await supervising
    await runtime.net.close()
    await runtime.database.close()


@contextmanager
def only_worker(settings: Settings) -> Iterator[None]:
    """On SQLite there is one worker: a second one is refused."""
    if not settings.sqlite:
        yield
        return
    file = Path(settings.data_folder) / "worker.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(
                f"A worker is running on {settings.sqlite_path} already (`smhub serve` starts one). "
                "SQLite has one writer; for several workers use PostgreSQL: SMHUB_DATABASE_URL=postgresql://…"
            ) from error
        yield
