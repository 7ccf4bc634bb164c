"""Many rows that come one by one, written together: what waits while one transaction runs goes into the next, as one statement.

Together shares a commit; this shares the statement too, which costs more than the row where rows are small and many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

MOST = 200
Row = dict[str, Any]
Write = Callable[[list[Row]], Awaitable[None]]


class Gathered:
    """Rows of one kind. `add` returns when its row is committed, or raises what writing it raised."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._working: asyncio.Task[None] | None = None

    async def add(self, row: Row, write: Write) -> None:
        """Write it with those that wait already. `write` commits before it returns."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work(write), name="gathered")
        await answer

    async def _work(self, write: Write) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                if len(batch) > 1 and await self._written(batch, write, alone=False):
                    continue
                for one in batch:
                    await self._written([one], write, alone=True)
        finally:
            self._working = None

    async def _written(self, batch: list[tuple[Row, asyncio.Future[None]]], write: Write, *, alone: bool) -> bool:
        """False when it failed and each is to be tried by itself, so that one that cannot be written harms no other."""
        try:
            await write([row for row, _ in batch])
        except Exception as error:
            if not alone:
                return False
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return True
        for _, answer in batch:
            if not answer.done():
                answer.set_result(None)
        return True
