"""The log of facts as it grows: one follower in each process reads it once for everybody who listens to a stream.

A reader gets what the follower finds through a short queue of its own. One that does not keep up loses the queue, not the events: it
reads on from the log by itself until it has caught up. So memory stays bounded and nothing is left out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from uuid import UUID
from weakref import WeakSet

import msgspec
import structlog
from sqlalchemy import func, select

from smhub.access.callers import Caller, authenticate
from smhub.db.bell import EVENTS
from smhub.db.engine import is_unavailable
from smhub.db.read import TooSlow
from smhub.errors import HubError, NotPermitted, TooManyRequests, Unauthenticated, Unavailable
from smhub.events.log import following, settled
from smhub.events.models import Event
from smhub.events.schemas import EventInfo
from smhub.hub.runtime import Runtime
from smhub.secret import Secret

log = structlog.get_logger("smhub.events")

PERMISSION = "events:read"
READERS = 2000
QUEUE = 256
PAGE = 200
IDLE = 0.5
BREATH = 0.01
RETRY_MILLISECONDS = 2000
SHUTTING_DOWN = "shutting_down"
INTERNAL = "internal_error"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a reader asks for; None: all."""

    organisation_id: UUID
    type: str | None = None
    subject_id: UUID | None = None

    def covers(self, event: Event) -> bool:
        return (
            event.organisation_id == self.organisation_id
            and self.type in (None, event.type)
            and self.subject_id in (None, event.subject_id)
        )


class Reader:
    """One who listens: an async iterator over the bytes of a `text/event-stream`."""

    def __init__(self, live: Live, wanted: Wanted, key: Secret, after: int | None) -> None:
        self._live, self.wanted, self.key = live, wanted, key
        self._at = after
        self._queue: deque[tuple[int, bytes]] = deque()
        # Behind: the queue is not what comes next, the log is. Begins so, unless nothing of the past was asked for.
        self._behind = after is not None
        self._reading = False
        self._ended: str | None = None
        self._state = "new"
        self._stirred = asyncio.Event()

    def offer(self, seq: int, line: bytes) -> None:
        """The follower found this one."""
        if self._behind:
            return
        if len(self._queue) >= QUEUE:
            if self._at is None:
                self._at = self._queue[0][0] - 1
            self._behind = True
            self._queue.clear()
        else:
            self._queue.append((seq, line))
        self._stirred.set()

    def end(self, code: str) -> None:
        """Let it go, with a last word that says why."""
        self._ended = self._ended or code
        self._stirred.set()

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> bytes:
        if self._state == "done":
            raise StopAsyncIteration
        if self._state == "new":
            self._state = "open"
            return f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        while self._ended is None:
            found = await self._read_on() if self._behind or self._reading else self._taken()
            if found:
                return found
            if self._queue or self._behind or self._reading or self._ended is not None:
                continue
            self._stirred.clear()
            try:
                async with asyncio.timeout(self._live.heartbeat):
                    await self._stirred.wait()
            except TimeoutError:
                return b": still here\n\n"
        self._state = "done"
        self._live.leave(self)
        return b"event: end\ndata: " + msgspec.json.encode({"code": self._ended}) + b"\n\n"

    def _taken(self) -> bytes:
        """What the queue holds, without what the log told already."""
        lines = [line for seq, line in self._queue if self._at is None or seq > self._at]
        if self._queue:
            self._at = max(self._queue[-1][0], self._at or 0)
            self._queue.clear()
        return b"".join(lines)

    async def _read_on(self) -> bytes:
        """The next page of the log. From before the first look on the queue collects what comes meanwhile, so that the two meet."""
        if self._behind:
            self._behind, self._reading = False, True
        try:
            events = await self._live.page(self.wanted, self._at or 0)
        except Exception as error:
            self.end(_code_of(error))
            return b""
        self._reading = len(events) == PAGE
        if events:
            self._at = events[-1].seq
        return b"".join(map(_line, events))


class Live:
    """All streams of this process. `heartbeat` and `recheck` are seconds: how often a silent stream says that it lives, and how often
    it is looked up whether its key may still listen."""

    def __init__(self, runtime: Runtime, *, heartbeat: float = 15.0, recheck: float = 3.0) -> None:
        self.heartbeat, self.recheck = heartbeat, recheck
        self._runtime = runtime
        self._readers: WeakSet[Reader] = WeakSet()
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[int] | None = None
        self._at = 0
        self._few = asyncio.Semaphore(2)
        self._closed = False

    async def join(self, wanted: Wanted, key: Secret, after: int | None) -> Reader:
        """A new reader; `after` None: of what happens from now on. Raises TooManyRequests, and Unavailable when the process ends."""
        if self._closed:
            raise Unavailable(reason="it is shutting down", retry_after=2)
        if len(self._readers) >= READERS:
            raise TooManyRequests(retry_after=30)
        reader = Reader(self, wanted, key, after)
        self._readers.add(reader)
        # Before a reader looks into the log by itself, the follower must know where it stands: what comes later it will offer.
        await self._following()
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def __len__(self) -> int:
        return len(self._readers)

    async def page(self, wanted: Wanted, after: int) -> list[Event]:
        """A reader's own look into the log; few at the same time, so that requests find a connection."""
        database = self._runtime.database
        statement = following(database.dialect, wanted.organisation_id, after, PAGE)
        if wanted.type is not None:
            statement = statement.where(Event.type == wanted.type)
        if wanted.subject_id is not None:
            statement = statement.where(Event.subject_id == wanted.subject_id)
        async with self._few, database.read() as session:
            return list((await session.scalars(statement)).all())

    def end_all(self, code: str = SHUTTING_DOWN) -> None:
        """Let every reader go, and take no new one."""
        self._closed = True
        for reader in list(self._readers):
            reader.end(code)

    async def close(self) -> None:
        """End with the process."""
        self.end_all()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _following(self) -> None:
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._follow(self._ready), name="events")
        await asyncio.shield(self._ready)

    async def _follow(self, ready: asyncio.Future[int]) -> None:
        """Read what was committed, for as long as somebody listens."""
        ear = self._runtime.database.bell.ear(EVENTS)
        guard = asyncio.create_task(self._guard(), name="rights of readers")
        pauses = _soon()
        try:
            self._at = await self._newest()
            ready.set_result(self._at)
            while self._readers:
                try:
                    found, unsettled = await self._read_on()
                except Exception as error:
                    _unforeseen(error)
                    await asyncio.sleep(IDLE)
                    continue
                if found:
                    pauses = _soon()
                    await asyncio.sleep(BREATH)
                elif await ear.wait(next(pauses) if unsettled else IDLE):
                    pauses = _soon()
        except Exception as error:
            ready.set_exception(error)
        finally:
            # Who comes next begins anew.
            guard.cancel()
            self._ready = None
            if not ready.done():
                ready.set_exception(Unavailable(reason="it is shutting down", retry_after=2))

    async def _newest(self) -> int:
        async with self._runtime.database.read() as session:
            newest = select(func.max(Event.seq)).where(settled(self._runtime.database.dialect))
            return (await session.execute(newest)).scalar_one() or 0

    async def _read_on(self) -> tuple[bool, bool]:
        """Hand on what follows: whether there was something, and whether something is committed that may not be read yet."""
        database = self._runtime.database
        async with database.read() as session:
            events = (await session.scalars(following(database.dialect, None, self._at, PAGE))).all()
            unsettled = False
            if database.dialect == "postgresql" and not events:
                unsettled = ((await session.execute(select(func.max(Event.seq)))).scalar_one() or 0) > self._at
        for event in events:
            self._hand_on(event)
        return bool(events), unsettled

    def _hand_on(self, event: Event) -> None:
        self._at = event.seq
        line = b""
        for reader in list(self._readers):
            if reader.wanted.covers(event):
                line = line or _line(event)
                reader.offer(event.seq, line)

    async def _guard(self) -> None:
        """End the streams of those who may no longer listen: one look for each key, however many streams it has."""
        while True:
            await asyncio.sleep(self.recheck)
            by_key: dict[str, list[Reader]] = {}
            for reader in list(self._readers):
                by_key.setdefault(reader.key.reveal(), []).append(reader)
            for text, readers in by_key.items():
                try:
                    code = await self._refusal(text)
                except Exception as error:
                    _unforeseen(error)
                    continue
                if code is not None:
                    for reader in readers:
                        reader.end(code)

    async def _refusal(self, text: str) -> str | None:
        runtime = self._runtime
        caller: Caller | None = await authenticate(
            text,
            reader=runtime.database.reader,
            keyring=runtime.keyring,
            permissions=runtime.permissions,
            now=runtime.clock.now(),
        )
        if caller is None:
            return Unauthenticated.code
        return None if caller.scope(PERMISSION).everywhere else NotPermitted.code


def _soon() -> Iterator[float]:
    """When to look again for what is committed but not settled, in seconds."""
    return chain((0.01, 0.03), repeat(0.1))


def _line(event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), msgspec.json.encode(EventInfo.of(event)))


def _code_of(error: Exception) -> str:
    if isinstance(error, HubError):
        return error.code
    if is_unavailable(error) or isinstance(error, TooSlow):
        return Unavailable.code
    _unforeseen(error)
    return INTERNAL


def _unforeseen(error: Exception) -> None:
    if is_unavailable(error):
        log.warning("database_unavailable", error=type(error).__name__)
    else:
        log.exception("unforeseen", exc_info=error)
