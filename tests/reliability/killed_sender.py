"""Run as a script: the real worker again and again, killed by SIGKILL at named points of delivering, then once to its end.

    python killed_sender.py DATABASE_URL ALLOWED_HOST '[["deliver.taken", 2], …]'

The clock is the machine's: what has to wait for the network waits in earnest. Only the leases of the killed are ended between the runs,
as the supervisor of the worker does it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from killing import kill_again_and_again
from sqlalchemy import func, select, update

sys.path.insert(0, str(Path(__file__).parents[1]))

from loud import LoudPlugin
from smhub import log
from smhub.app.making import make_runtime
from smhub.app.working import work
from smhub.deliveries.models import Delivery
from smhub.hub.runtime import Runtime
from smhub.secret import Secret
from smhub.settings import Settings
from smhub.work.models import Job

LONGEST = 30
LAST = 900
RESTS = ("published", "refused", "cancelled", "expired", "abandoned")


def make(url: str, allowed: str, seed: int) -> Runtime:
    settings = Settings(database_url=url, secret_keys=Secret("t1:" + "ab" * 32), log="critical", allow_private_hosts=allowed)
    return make_runtime(settings, plugins=[LoudPlugin()], seed=seed)


async def until_all_rest(runtime: Runtime) -> None:
    """End the worker as an operator would, once everything is out or waits for a person."""
    moving = select(func.count()).where(Delivery.state.not_in(RESTS), (Delivery.state != "unknown") | Delivery.next_at.is_not(None))
    while True:
        await asyncio.sleep(0.1)
        async with runtime.database.read() as session:
            if not (await session.execute(moving)).scalar_one():
                os.kill(os.getpid(), signal.SIGTERM)
                return


async def end_leases(runtime: Runtime) -> None:
    """The worker is dead: its jobs are free."""
    async with runtime.database.write() as session:
        before = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(update(Job).where(Job.state == "running").values(lease_until=before, max_attempts=Job.max_attempts + 1))


async def run(url: str, allowed: str, number: int) -> None:
    runtime = make(url, allowed, number)
    await end_leases(runtime)
    ending = asyncio.create_task(until_all_rest(runtime))
    await work(runtime)
    ending.cancel()


def main(url: str, allowed: str, plan: list[tuple[str, int]]) -> None:
    log.configure("critical", "json")
    began = time.monotonic()
    kills, unkilled = kill_again_and_again(plan, lambda number: run(url, allowed, number), longest=LONGEST, last=LAST)
    print(json.dumps({"kills": kills, "not_reached": len(unkilled), "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
