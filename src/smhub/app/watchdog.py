"""Inside a worker process: what binds it to its parent, bounds it, and ends it when a plugin holds it up.

The event loop writes a beat to the parent every second. A thread looks whether the loop still turns and how much memory is used; when it is
too late it tells the parent which job is to blame, and ends the process at once. Where not even this thread gets its turn (C code that keeps
the interpreter), the parent misses the beats. Everything that a plugin started goes with the worker: they are one process group.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from smhub.work.running import RUNNING
from smhub.work.suspects import Why

BEAT = 1.0
LOOK = 0.5
DRAIN = b"drain\n"
NICENESS = 10
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says: a beat, or its last word, why it ends. `done`: by itself, because there is nothing left to do."""

    why: Why | None = None
    done: bool = False
    job: UUID | None = None
    place: str = ""


class Watchdog:
    """One for each worker process. `drain` is called in the loop when the parent wants the worker to end."""

    def __init__(self, talk: socket.socket, *, stuck: float, memory: int) -> None:
        self._talk = talk
        self._stuck, self._memory = stuck, memory
        self._ticks = 0
        self._began_in: WeakKeyDictionary[asyncio.Task[Any], UUID] = WeakKeyDictionary()
        self._main = threading.get_ident()

    def start(self, drain: Callable[[], None]) -> None:
        """Watch the running loop."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._begin)  # type: ignore[arg-type]
        self._beat(loop)
        threading.Thread(target=self._watch, args=(loop, drain), name="watchdog", daemon=True).start()

    def done(self) -> None:
        """The worker ends because there is nothing left to do."""
        self._say(Note(done=True))

    def stuck(self, job: UUID) -> NoReturn:
        """A job does not let itself be ended: end the process instead."""
        self._end(Note(why="hung", job=job, place="it goes on after it was told to end"))

    def _begin(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        """Make a task, and remember in which job."""
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **more)
        job = RUNNING.get()
        if job is not None:
            self._began_in[task] = job
        return task

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ticks += 1
        self._say(Note())
        loop.call_later(BEAT, self._beat, loop)

    def _say(self, note: Note) -> None:
        try:
            self._talk.send(msgspec.json.encode(note) + b"\n", socket.MSG_DONTWAIT)
        except OSError:
            # The parent does not listen or is gone; the thread finds out which.
            return

    def _watch(self, loop: asyncio.AbstractEventLoop, drain: Callable[[], None]) -> None:
        seen, late = 0, 0.0
        orders = select.poll()
        orders.register(self._talk, select.POLLIN)
        while True:
            if orders.poll(LOOK * 1000):
                if not self._heard():
                    os.killpg(0, signal.SIGKILL)
                loop.call_soon_threadsafe(drain)
            if resident() > self._memory:
                self._end(Note(why="memory"))
            # Looks are counted instead of seconds: a machine that stood still for a while is not a worker that did.
            seen, late = self._ticks, 0.0 if self._ticks != seen else late + LOOK
            if late > max(self._stuck, BEAT + LOOK):
                self._end(Note(why="hung", job=self._current(loop), place=self._place()))

    def _heard(self) -> bytes:
        """What the parent said; nothing when it is gone."""
        try:
            return self._talk.recv(100)
        except OSError:
            return b""

    def _current(self, loop: asyncio.AbstractEventLoop) -> UUID | None:
        """The job in which the loop is stuck, if it is one."""
        task = asyncio.current_task(loop)
        if task is None:
            return None
        try:
            return self._began_in.get(task) or UUID(task.get_name().rpartition(" ")[2])
        except ValueError:
            return None

    def _place(self) -> str:
        """Where the code stands that holds up the loop: file, line, function."""
        frame = sys._current_frames().get(self._main)
        if frame is None:
            return ""
        return f"in {frame.f_code.co_name}, {os.path.basename(frame.f_code.co_filename)} line {frame.f_lineno}"  # noqa: PTH119

    def _end(self, note: Note) -> NoReturn:
        self._say(note)
        os._exit(1)


def resident() -> int:
    """Bytes of memory that this process occupies now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0


def bind(lifeline: int, memory: int) -> None:
    """Make this process one that can be ended at any time, harms nobody meanwhile, and does not outlive its parent.

    `lifeline` is the reading end of a pipe that the parent holds open: when the parent is gone the kernel kills the process group, whatever
    the interpreter is doing.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    os.set_inheritable(lifeline, False)
    # The parent says when to end; a terminal or a service manager would say it to everybody at once, and a plugin could say it too.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The thread looks at what is occupied, twice a second; this holds against one large piece between two looks.
    resource.setrlimit(resource.RLIMIT_DATA, (2 * memory, 2 * memory))
    # A bare fork would go on with our loop and our connections: two of us.
    os.register_at_fork(after_in_child=lambda: os._exit(1))
