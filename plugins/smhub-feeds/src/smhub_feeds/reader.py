"""The way to the child processes: a few kept warm, each replaced after its death, a missed deadline or 200 feeds."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from smhub.sdk import PayloadMalformed, Transient
from smhub_feeds.document import MAX_BYTES, Document, Refused, Task

DEADLINE = 5.0
START = 30.0
FEEDS_PER_CHILD = 200
CHILDREN = 2
MAX_ANSWER = 16 * 1024 * 1024

_Answer = msgspec.msgpack.Decoder(Document | Refused)


class NotAFeed(PayloadMalformed):
    """The document is something else, a web page for instance."""


class Child:
    """One process and its pipes. Used by one thread at a time."""

    def __init__(self) -> None:
        # A fresh environment: what parses foreign bytes need not know our secrets.
        environment = {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "smhub_feeds.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.feeds = 0
        self.late = False
        if self._exchange(None, START) is None:
            self.end()
            raise Transient("the process that reads feeds does not start")

    def ask(self, task: Task) -> Document | Refused | None:
        """The answer; None when the child died or was too late, and is not to be used again."""
        self.feeds += 1
        frame = self._exchange(msgspec.msgpack.encode(task), DEADLINE)
        return None if frame is None else _Answer.decode(frame)

    def _exchange(self, frame: bytes | None, seconds: float) -> bytes | None:
        timer = threading.Timer(seconds, self._too_late)
        timer.daemon = True
        timer.start()
        try:
            return self._speak(frame)
        except OSError:
            return None
        finally:
            timer.cancel()

    def _speak(self, frame: bytes | None) -> bytes | None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        if frame is not None:
            stdin.write(len(frame).to_bytes(4, "big"))
            stdin.write(frame)
            stdin.flush()
        head = stdout.read(4)
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > MAX_ANSWER:
            return None
        answer = stdout.read(size)
        return answer if len(answer) == size else None

    def _too_late(self) -> None:
        self.late = True
        self.process.kill()

    def end(self) -> None:
        """Kill it and wait for its end: no zombie stays."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()


class Reader:
    """A small pool of children, started when the first feed comes."""

    def __init__(self, children: int = CHILDREN) -> None:
        self._idle: list[Child] = []
        self._alive: set[Child] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(children, thread_name_prefix="feeds")

    async def read(self, body: bytes, headers: dict[str, str]) -> Document:
        """Read RSS or Atom. Raises PayloadMalformed with the reason; never blocks the loop."""
        if len(body) > MAX_BYTES:
            raise PayloadMalformed(f"the feed has {len(body)} bytes, {MAX_BYTES} are allowed")
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, Task(body, headers))
        if isinstance(answer, Document):
            return answer
        raise (NotAFeed if answer.code == "not_a_feed" else PayloadMalformed)(answer.reason)

    def _read(self, task: Task) -> Document | Refused:
        child = self._take()
        answer: Document | Refused | None = None
        try:
            answer = child.ask(task)
        finally:
            self._give_back(child, good=answer is not None)
        if answer is not None:
            return answer
        if child.late:
            return Refused(code="time", reason=f"reading the feed took longer than {DEADLINE:g} seconds")
        return Refused(code="died", reason="the feed broke the process that reads feeds")

    def _take(self) -> Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                self._alive.discard(child)
                child.end()
        child = Child()
        with self._lock:
            self._alive.add(child)
        return child

    def _give_back(self, child: Child, good: bool) -> None:
        with self._lock:
            if good and child.feeds < FEEDS_PER_CHILD and child in self._alive:
                self._idle.append(child)
                return
            self._alive.discard(child)
        child.end()

    def close(self) -> None:
        """End all children. A later feed starts new ones."""
        with self._lock:
            children = list(self._alive)
            self._alive.clear()
            self._idle.clear()
        for child in children:
            child.end()


READER = Reader()
atexit.register(READER.close)
