"""Many small changes of one process in one commit: what a disk syncs once, all who wait for it share.

For work that runs many times at once in a worker (deliveries, budgets). When one part fails, all are undone and run again, each in a
transaction of its own: so a part may be called twice, and must not change anything but the database. Nothing is flushed by itself in
between; a part that reads what it has just added flushes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
MOST = 16
Waiting = tuple[Callable[[AsyncSession], Awaitable[Any]], asyncio.Future[Any]]


class Together:
    """Runs parts handed over at about the same time in one transaction."""

    def __init__(self, write: Callable[[], AbstractAsyncContextManager[AsyncSession]]) -> None:
        self._write = write
        self._waiting: list[Waiting] = []
        self._working: asyncio.Task[None] | None = None

    async def run(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """The part's answer, once it is committed; or what it raised, once it is undone."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((part, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="together")
        return await answer

    async def close(self) -> None:
        """Return when nothing of it is going on any more."""
        while self._working is not None:
            await asyncio.wait([self._working])

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                batch = [one for one in batch if not one[1].done()]
                if len(batch) > 1 and await self._all(batch):
                    continue
                for one in batch:
                    await self._alone(one)
        finally:
            self._working = None

    async def _all(self, batch: list[Waiting]) -> bool:
        """All in one transaction; False when one failed, and then none is done."""
        try:
            async with self._write() as session:
                results = [await part(session) for part, _ in batch]
        except Exception:
            return False
        for (_, answer), result in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(result)
        return True

    async def _alone(self, one: Waiting) -> None:
        part, answer = one
        try:
            async with self._write() as session:
                result = await part(session)
        except BaseException as error:
            if not answer.done():
                answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            if not answer.done():
                answer.set_result(result)
