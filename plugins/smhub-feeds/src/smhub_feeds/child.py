"""The process in which foreign markup is parsed: little memory, little time, no secrets, no file to write.

It speaks frames over its pipes: four bytes of length, then msgpack. It ends when its input ends.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
import time
import warnings
from typing import BinaryIO

import msgspec

from smhub_feeds.document import Document, Refused, Task
from smhub_feeds.markup import read

MEMORY = 1024 * 1024 * 1024
CPU_SECONDS = 6
MAX_ANSWER = 16 * 1024 * 1024


def main(given: BinaryIO, answers: BinaryIO) -> None:
    """Answer tasks until there are none."""
    _limit()
    _write(answers, b"")  # ready
    while len(head := given.read(4)) == 4:
        task = msgspec.msgpack.decode(given.read(int.from_bytes(head, "big")), type=Task)
        _write(answers, _answer(task))


def _answer(task: Task) -> bytes:
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, resource.RLIM_INFINITY))
    result: Document | Refused
    try:
        result = read(task.body, task.headers)
        answer = msgspec.msgpack.encode(result)
    except MemoryError:
        gc.collect()
        return msgspec.msgpack.encode(Refused(code="memory", reason="the feed needs too much memory to be read"))
    except Exception as error:  # whatever a parser stumbles over, it is the feed that cannot be read
        return msgspec.msgpack.encode(Refused(code="unreadable", reason=f"the feed cannot be read ({type(error).__name__})"))
    if len(answer) > MAX_ANSWER:
        return msgspec.msgpack.encode(Refused(code="size", reason="the feed grows beyond 16 MiB when it is read"))
    return answer


def _limit() -> None:
    for kind, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with contextlib.suppress(OSError, ValueError):  # not every system has every limit
            resource.setrlimit(kind, (value, value))


def _write(answers: BinaryIO, frame: bytes) -> None:
    answers.write(len(frame).to_bytes(4, "big") + frame)
    answers.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.stdin.buffer, sys.stdout.buffer)
