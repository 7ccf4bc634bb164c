"""Run as a script: the real worker again and again, killed by SIGKILL at named points, then once to its end. Prints what happened.

    python killed_worker.py DATABASE_URL FILE_OF_PAGES '[["take_in.merged", 2], …]' PAGES_FOR_EACH_RUN

Each run is a process of its own (forked, so that the imports are paid once) in which `smhub.app.working.work` runs as in production. Its
clock is ahead by some minutes of the run before, so that leases have ended and intakes are due.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from killing import kill_again_and_again
from sqlalchemy import func, select
from tape import TapePlugin

from smhub import log
from smhub.app.making import make_runtime
from smhub.app.working import work
from smhub.channels.models import Intake
from smhub.hub.runtime import Runtime
from smhub.secret import Secret
from smhub.settings import Settings
from smhub.time import SystemClock
from smhub.work.models import Job

STEP = timedelta(minutes=6)
LONGEST = 20
# The last run is not killed and has everything to finish that the others left.
LAST = 300


class LaterClock(SystemClock):
    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


async def until_all_is_in(runtime: Runtime, pages: int) -> None:
    """End the worker as an operator would, once there is nothing left to do."""
    while True:
        await asyncio.sleep(0.05)
        async with runtime.database.read() as session:
            at = (await session.execute(select(Intake.cursor))).scalar_one()
            waiting = select(func.count()).where(Job.state.in_(("ready", "running")), Job.name != "intake.wake")
            left = (await session.execute(waiting.where(Job.name != "intake.poll"))).scalar_one()
        if at == {"page": pages} and not left:
            os.kill(os.getpid(), signal.SIGTERM)
            return


async def run(url: str, pages: int, number: int) -> None:
    settings = Settings(database_url=url, secret_keys=Secret("t1:" + "ab" * 32), log="error")
    runtime = make_runtime(settings, clock=LaterClock(STEP * number), plugins=[TapePlugin()], seed=number)
    ending = asyncio.create_task(until_all_is_in(runtime, pages))
    await work(runtime)
    ending.cancel()


def main(url: str, file: str, plan: list[tuple[str, int]], each: int) -> None:
    log.configure("error", "json")
    began = time.monotonic()

    async def next_run(number: int) -> None:
        pages = each * min(number, len(plan))
        Path(file).write_text(str(pages))
        await run(url, pages, number)

    kills, unkilled = kill_again_and_again(plan, next_run, longest=LONGEST, last=LAST)
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"kills": kills, "not_reached": unkilled, "pages": each * len(plan), "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))
