"""Many small changes of one process in one commit: what a disk syncs once, all who wait for it share.

For work that runs many times at once in a worker (deliveries, budgets). A part that fails is undone alone; the others are committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
MOST = 64


class Together:
    """Runs parts handed over at about the same time in one transaction, each inside a savepoint of its own."""

    def __init__(self, write: Callable[[], AbstractAsyncContextManager[AsyncSession]]) -> None:
        self._write = write
        self._waiting: list[tuple[Callable[[AsyncSession], Awaitable[Any]], asyncio.Future[Any]]] = []
        self._working: asyncio.Task[None] | None = None

    async def run(self, part: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """The part's answer, once it is committed; or what it raised, once it is undone."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((part, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="together")
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._commit(batch)
        finally:
            self._working = None

    async def _commit(self, batch: list[tuple[Callable[[AsyncSession], Awaitable[Any]], asyncio.Future[Any]]]) -> None:
        done: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        failed: BaseException | None = None
        try:
            async with self._write() as session:
                for part, answer in batch:
                    if answer.cancelled():
                        continue
                    try:
                        async with session.begin_nested():
                            result = await part(session)
                    except Exception as error:
                        if not session.is_active:
                            raise
                        done.append((answer, None, error))
                    else:
                        done.append((answer, result, None))
        except BaseException as error:
            failed = error
        for _, answer in batch:
            if failed is not None and not answer.done():
                answer.set_exception(failed)
        for answer, result, wrong in done:
            if answer.done():
                continue
            if wrong is not None:
                answer.set_exception(wrong)
            else:
                answer.set_result(result)
        if isinstance(failed, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
            raise failed
