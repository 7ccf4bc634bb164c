"""Runs a worker again and again in a child of this process, killed by SIGKILL at named points, then once to its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from smhub import faults


def kill_at(point: str, hit: int) -> None:
    """End this process when it passes the point for the so-manieth time."""
    passed = 0

    def passing(name: str) -> None:
        nonlocal passed
        passed += name == point
        if passed == hit and name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    faults.hook = passing


def one_run(run: Callable[[], Coroutine[Any, Any, None]], point: str | None, hit: int, seconds: int) -> int:
    """How the child ended, as os.waitpid tells it. Forked, so that the imports are paid once."""
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        if point is not None:
            kill_at(point, hit)
        code = 1
        try:
            asyncio.run(run())
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def kill_again_and_again(
    plan: Sequence[tuple[str, int]], run: Callable[[int], Coroutine[Any, Any, None]], *, longest: int, last: int
) -> tuple[int, list[tuple[str | None, int]]]:
    """How many were killed, and at which points of the plan nobody came by. `run(number)`; the last run, without a point, has
    everything to finish that the others left, and `last` seconds for it. SystemExit when a run ends otherwise."""
    kills, unkilled = 0, []
    everything: list[tuple[str | None, int]] = [*plan, (None, 0)]
    for number, (point, hit) in enumerate(everything, start=1):
        ended = one_run(lambda: run(number), point, hit, longest if point else last)  # noqa: B023
        if os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL:
            kills += 1
        elif ended == 0:
            unkilled.append((point, hit))
        else:
            raise SystemExit(f"run {number} at {point} {hit} ended with {ended}")
    return kills, unkilled[:-1]
