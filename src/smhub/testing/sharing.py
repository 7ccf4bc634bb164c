"""The checks of one run, shared between copies of this process: whoever is free takes the next one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence

import msgspec

from smhub.testing.registry import Check
from smhub.testing.report import Result

LONG = (75, 19, 40, 8, 52, 11, 16, 21, 27, 51)
"""What takes longest is begun first, so that nobody waits for it at the end."""


def shared(chosen: Sequence[Check], processes: int, some: Callable[[Iterator[Check]], Iterator[Result]]) -> list[Result]:
    """What came of the checks; `some` runs those that it is given. A copy that dies is told of as an error."""
    if processes == 1 or len(chosen) == 1:
        return list(some(iter(chosen)))
    order = sorted(chosen, key=lambda one: LONG.index(one.number) if one.number in LONG else len(LONG))
    # A pipe is the queue: one byte for each check, and nobody reads the same byte twice.
    waiting, full = os.pipe()
    os.write(full, bytes(range(len(order))))
    os.close(full)

    def taken() -> Iterator[Check]:
        while byte := os.read(waiting, 1):
            yield order[byte[0]]

    copies = [_copy(taken, some) for _ in range(min(processes, len(order)) - 1)]
    try:
        found = list(some(taken()))
        for pid, results in copies:
            with os.fdopen(results, "rb") as file:
                said = file.read()
            _, status = os.waitpid(pid, 0)
            if status:
                raise RuntimeError(f"a process that ran checks ended with {os.waitstatus_to_exitcode(status)}")
            found += msgspec.json.decode(said, type=list[Result])
    except BaseException:
        for pid, _ in copies:
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.close(waiting)
    return found


def _copy(taken: Callable[[], Iterator[Check]], some: Callable[[Iterator[Check]], Iterator[Result]]) -> tuple[int, int]:
    """A copy of this process that takes checks as well: its pid, and where its results come from."""
    results, into = os.pipe()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, results
    code = 1
    try:
        os.close(results)
        said = msgspec.json.encode(list(some(taken())))
        with os.fdopen(into, "wb") as file:
            file.write(said)
        code = 0
    finally:
        os._exit(code)
