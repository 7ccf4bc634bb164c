"""Drawing in a process of its own, one at a time, that is ended when it takes too long."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from smhub_monitoring.reports.renderer import Task

SECONDS = 90.0
MOST_BYTES = 5 << 20


class NotDrawn(Exception):
    """Why there is no file, in words for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


async def rendered(task: Task) -> dict[str, bytes]:
    """The files that a task asks for; raises NotDrawn."""
    kept = {name: value for name in ("PATH", "LANG", "PYTHONPATH") if (value := os.environ.get(name))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smhub_monitoring.reports.renderer"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=kept,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate(msgspec.json.encode(task))
    except TimeoutError as error:
        raise NotDrawn("report_late", f"It was not drawn within {SECONDS:.0f} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NotDrawn("report_not_drawn", "The process that draws it failed.")
    files = msgspec.msgpack.decode(out, type=dict[str, bytes])
    if max(map(len, files.values()), default=0) > MOST_BYTES:
        raise NotDrawn("report_too_big", f"The file is larger than {MOST_BYTES >> 20} MB.")
    return files
