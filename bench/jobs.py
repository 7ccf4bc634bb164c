"""Jobs by the real worker: claim, run, settle, with limits by key. Bound: 500/s on each database; no limit is exceeded.

The floor: a raw insert and a raw update for each, in as many transactions as the worker's batches.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter

import asyncpg

from bench.common import databases, hub, show
from smhub.ids import new_id
from smhub.sdk import Job
from smhub.work.queue import JobContext, later, limit
from smhub.work.running import Runner

COUNT = 4000
KEYS = 40
BATCH = 20


def run() -> None:
    with databases() as found:
        for database, url in found:
            rate = asyncio.run(_ours(url))
            show("jobs", database, rate, "jobs/s", asyncio.run(_floor(url)), COUNT)


async def _ours(url: str) -> float:
    running: Counter[str] = Counter()
    worst: Counter[str] = Counter()
    done = 0

    async def handler(_: JobContext, key: str) -> None:
        nonlocal done
        running[key] += 1
        worst[key] = max(worst[key], running[key])
        await asyncio.sleep(0.001)
        running[key] -= 1
        done += 1

    kind = Job(name="bench.job", handler=handler, payload=str)
    async with hub(url) as (runtime, _):
        runtime.hub.add_core_jobs([kind])
        now = runtime.clock.now()
        async with runtime.database.write() as session:
            for number in range(KEYS):
                await limit(session, f"k{number}", now=now, max_running=1 + number % 2)
        for first in range(0, COUNT, 500):
            async with runtime.database.write() as session:
                for number in range(first, first + 500):
                    key = f"k{number % KEYS}"
                    await later(session, kind, key, now=now, key=key if number % 7 else None)
        runner = Runner(runtime)
        began = time.perf_counter()
        working = asyncio.create_task(runner.run())
        while done < COUNT:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - began
        runner.stop()
        await working
    over = {key: count for key, count in worst.items() if count > 1 + int(key[1:]) % 2 + 1}
    if over:
        raise RuntimeError(f"limits were exceeded: {over}")
    return COUNT / seconds


async def _floor(url: str) -> float:
    ids = [str(new_id()) for _ in range(COUNT)]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("pragma synchronous=FULL")
        connection.execute("create table floor_job (id text primary key, state text, payload text)")
        began = time.perf_counter()
        for first in range(0, COUNT, BATCH):
            some = ids[first : first + BATCH]
            connection.execute("begin immediate")
            connection.executemany("insert into floor_job values (?, 'ready', '{}')", [(one,) for one in some])
            connection.execute("commit")
            connection.execute("begin immediate")
            connection.executemany("update floor_job set state = 'done' where id = ?", [(one,) for one in some])
            connection.execute("commit")
        seconds = time.perf_counter() - began
        connection.close()
        return COUNT / seconds
    postgres = await asyncpg.connect(url)
    await postgres.execute("create table floor_job (id text primary key, state text, payload text)")
    began = time.perf_counter()
    for first in range(0, COUNT, BATCH):
        rows = [(one,) for one in ids[first : first + BATCH]]
        await postgres.executemany("insert into floor_job values ($1, 'ready', '{}')", rows)
        await postgres.executemany("update floor_job set state = 'done' where id = $1", rows)
    seconds = time.perf_counter() - began
    await postgres.execute("drop table floor_job")
    await postgres.close()
    return COUNT / seconds
