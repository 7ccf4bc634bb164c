"""A loop in which nobody waits: who sleeps is woken at once, with the loop's clock moved on by what was slept."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import aiosqlite.core

from asyncio.futures import _set_result_unless_cancelled  # type: ignore[attr-defined]  # isort: skip

OURS = ("smhub.", "asyncio.")
MUTANTS = "smhub.testing.mutants"


class QuickLoop(asyncio.SelectorEventLoop):
    """`slept` says who slept for how long, except for the hub itself. Deadlines hold in the moved time."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = 0.0
        self.slept: list[tuple[str, float]] = []

    def time(self) -> float:
        return super().time() + self._ahead

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if callback is _set_result_unless_cancelled and delay > 0:
            sleeper = str(sys._getframe(2).f_globals.get("__name__", ""))
            if sleeper.startswith(MUTANTS) or not f"{sleeper}.".startswith(OURS):
                self.slept.append((sleeper, delay))
            self.forward(delay)
            delay = 0
        return super().call_later(delay, callback, *args, context=context)


def this_loop() -> QuickLoop:
    """The loop that runs the check."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, QuickLoop)
    return loop


class _AtOnce:
    """In place of the queue to a connection's thread: what is put in is done here and now. The thread ends as soon as it asks."""

    def put_nowait(self, given: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = given
        try:
            result = function()
        except BaseException as error:
            if future is None:
                raise
            future.set_exception(error)
        else:
            if future is not None:
                future.set_result(result)

    def get(self) -> tuple[None, Callable[[], Any]]:
        return None, lambda: aiosqlite.core._STOP_RUNNING_SENTINEL


@contextmanager
def sqlite_at_once() -> Iterator[None]:
    """SQLite's work is done in the loop's own thread: a file in memory keeps nobody waiting, and two threads wait for each other at every
    statement. It halves the time of a run, and changes nothing else."""
    core: Any = aiosqlite.core
    queue, core.SimpleQueue = core.SimpleQueue, _AtOnce
    try:
        yield
    finally:
        core.SimpleQueue = queue
