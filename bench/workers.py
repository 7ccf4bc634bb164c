"""Three `smhub work` against one on PostgreSQL, with jobs that wait 50 ms (as those do that ask a network). Bound: 2.5 times the rate.

The floor is the rate of one worker in the same run, so the ratio is what three are worth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select

from bench.common import KEYS, again, databases, hub, show
from smhub.hub.runtime import Runtime
from smhub.sdk import Job as JobKind
from smhub.work.models import Job, Worker
from smhub.work.queue import later

SLOTS = int(os.environ.get("BENCH_SLOTS", "5"))
SECONDS = 5
ROUNDS = 5
WAIT = 0.05
PLUGIN = f"""
import asyncio
from smhub.sdk import Job, Plugin

async def wait(context, payload):
    await asyncio.sleep({WAIT})

class Waiting(Plugin):
    id, title = "waiting", "Waiting"
    def register_jobs(self, context):
        return [Job(name="waiting.wait", handler=wait)]
"""


def run() -> None:
    with databases() as found:
        for database, url in found:
            if database == "postgresql":
                asyncio.run(_prepared(url))
                # In turns, so that a slow minute of the machine hits both; the middle round.
                rounds = [[_rate(url, count) for count in (1, 3)] for _ in range(ROUNDS)]
                one, three = sorted(rounds, key=lambda pair: pair[1] / pair[0])[ROUNDS // 2]
                show("workers", database, three, "jobs/s", one, int(three * SECONDS))


async def _prepared(url: str) -> None:
    async with hub(url):
        pass


def _rate(url: str, count: int) -> float:
    with tempfile.TemporaryDirectory() as folder, _workers(url, count, Path(folder)):
        return asyncio.run(_measured(url, count))


@contextlib.contextmanager
def _workers(url: str, count: int, folder: Path) -> Iterator[None]:
    (folder / "waiting.py").write_text(PLUGIN)
    environment = {
        **os.environ,
        "SMHUB_DATABASE_URL": url,
        "SMHUB_SECRET_KEYS": KEYS.reveal(),
        "SMHUB_PLUGINS": "waiting",
        "SMHUB_PLUGIN_FOLDER": str(folder),
        "SMHUB_WORKER_SLOTS": str(SLOTS),
        "SMHUB_LOG": "error",
    }
    started = [subprocess.Popen([sys.executable, "-m", "smhub", "work"], cwd=folder, env=environment) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait()


async def _measured(url: str, count: int) -> float:
    """Jobs done in a second while there is always a second's work waiting, and no more: a long queue would measure the claim's sorting."""
    runtime = again(url)
    while await _workers_seen(runtime) < count:
        await asyncio.sleep(0.05)
    kind = JobKind(name="waiting.wait", handler=_elsewhere)
    feeding = asyncio.create_task(_feed(runtime, kind, int(count * SLOTS / WAIT)))
    await asyncio.sleep(2)
    before, began = await _done(runtime), time.perf_counter()
    await asyncio.sleep(SECONDS)
    after, ended = await _done(runtime), time.perf_counter()
    feeding.cancel()
    await asyncio.wait([feeding])
    async with runtime.database.write() as session:
        await session.execute(Job.__table__.delete())  # type: ignore[attr-defined]
    await runtime.net.close()
    await runtime.database.close()
    return (after - before) / (ended - began)


async def _feed(runtime: Runtime, kind: JobKind, enough: int) -> None:
    while True:
        async with runtime.database.read() as session:
            waiting = select(func.count()).where(Job.name == kind.name, Job.state == "ready")
            missing = enough - (await session.execute(waiting)).scalar_one()
        async with runtime.database.write() as session:
            for _ in range(missing):
                await later(session, kind, None, now=runtime.clock.now())
        await asyncio.sleep(0.2)


async def _workers_seen(runtime: Runtime) -> int:
    async with runtime.database.read() as session:
        return (await session.execute(select(func.count()).select_from(Worker))).scalar_one()


async def _done(runtime: Runtime) -> int:
    async with runtime.database.read() as session:
        return (await session.execute(select(func.count()).where(Job.name == "waiting.wait", Job.state == "done"))).scalar_one()


async def _elsewhere(context: object, payload: object) -> None:
    raise RuntimeError("the worker processes run it")
