"""Workers on machines whose clocks disagree: they go by the database's time, so nobody takes another's work, and due is due."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from echo import EchoPlugin
from smhub.app.making import make_runtime
from smhub.db.clock import DatabaseClock
from smhub.hub.runtime import Runtime
from smhub.sdk import Job as JobKind
from smhub.settings import Settings
from smhub.time import SystemClock
from smhub.work.models import Job
from smhub.work.queue import JobContext, later
from smhub.work.running import Runner
from world import KEYS

SOON = 20.0


class Machine(SystemClock):
    """A machine whose clock is wrong, and may be set."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self) -> Any:
        return super().now() + self.ahead


@asynccontextmanager
async def on_machine(url: str, machine: Machine, kind: JobKind) -> AsyncIterator[Runtime]:
    # With SQLite all work on one machine, so by one clock.
    clock = DatabaseClock(machine) if url.startswith("postgresql") else SystemClock()
    runtime = make_runtime(Settings(database_url=url, secret_keys=KEYS), clock=clock, plugins=[EchoPlugin()], seed=1)
    runtime.hub.add_core_jobs([kind])
    try:
        yield runtime
    finally:
        await runtime.net.close()
        await runtime.database.close()


async def lease_of(runtime: Runtime, job_id: UUID) -> Any:
    async with runtime.database.read() as session:
        return (await session.execute(select(Job.lease_until).where(Job.id == job_id))).scalar_one()


async def test_no_lease_is_taken_from_the_living_however_wrong_the_clocks_are(database_url: str) -> None:
    runs: Counter[UUID] = Counter()
    gate = asyncio.Event()

    async def handler(context: JobContext, payload: object) -> None:
        runs[context.job_id] += 1
        await gate.wait()

    kind = JobKind(name="test.long", handler=handler)
    slow, fast = Machine(timedelta(minutes=-2)), Machine(timedelta(minutes=3))
    async with on_machine(database_url, slow, kind) as here, on_machine(database_url, fast, kind) as there:
        runners = [Runner(here, slots=2, idle=0.02), Runner(there, slots=5, idle=0.02)]
        working = [asyncio.create_task(runners[0].run())]
        async with here.database.write() as session:
            for _ in range(4):
                await later(session, kind, None, now=here.clock.now())
        async with asyncio.timeout(SOON):
            while len(runs) < 2:
                await asyncio.sleep(0.01)
        working.append(asyncio.create_task(runners[1].run()))
        async with asyncio.timeout(SOON):
            while len(runs) < 4:
                await asyncio.sleep(0.01)
        # Somebody sets the clocks of both machines while they work.
        slow.ahead, fast.ahead = timedelta(hours=1), timedelta(hours=-1)
        await runners[0]._beat()
        await asyncio.sleep(0.5)
        assert sorted(runs.values()) == [1, 1, 1, 1]
        left = [await lease_of(here, job_id) - there.clock.now() for job_id in runs]
        assert all(timedelta(seconds=20) < one < timedelta(seconds=31) for one in left), left
        gate.set()
        for runner in runners:
            runner.stop()
        await asyncio.gather(*working)
        async with here.database.read() as session:
            done = (await session.scalars(select(Job.state).where(Job.id.in_(list(runs))))).all()
        assert done == ["done"] * 4


async def test_a_lease_whose_worker_died_ends_by_the_database_s_time(database_url: str) -> None:
    ran = asyncio.Event()

    async def handler(context: JobContext, payload: object) -> None:
        ran.set()

    kind = JobKind(name="test.orphan", handler=handler)
    async with on_machine(database_url, Machine(timedelta(minutes=-5)), kind) as here:
        runner = Runner(here, idle=0.05)
        await runner.register()
        async with here.database.write() as session:
            job_id = await later(session, kind, None, now=here.clock.now())
            ends = here.clock.now() + timedelta(seconds=1)
            dead = {"state": "running", "attempt": 1, "worker": "gone", "lease_until": ends}
            await session.execute(update(Job).where(Job.id == job_id).values(**dead))
        working = asyncio.create_task(runner.run())
        async with asyncio.timeout(SOON):
            await ran.wait()
        assert timedelta(0) < here.clock.now() - ends < timedelta(seconds=2)
        runner.stop()
        await working


async def test_a_due_job_starts_on_time_on_a_machine_that_lives_in_the_past(database_url: str) -> None:
    started: list[Any] = []

    async def handler(context: JobContext, payload: object) -> None:
        started.append(context.runtime.clock.now())

    kind = JobKind(name="test.due", handler=handler)
    past, future = Machine(timedelta(minutes=-5)), Machine(timedelta(hours=1))
    async with on_machine(database_url, past, kind) as here, on_machine(database_url, future, kind) as there:
        runner = Runner(here, idle=0.05)
        working = asyncio.create_task(runner.run())
        await Runner(there).register()
        due = there.clock.now() + timedelta(seconds=1)
        async with there.database.write() as session:
            await later(session, kind, None, now=there.clock.now(), run_at=due)
        async with asyncio.timeout(SOON):
            while not started:
                await asyncio.sleep(0.01)
        assert timedelta(0) <= started[0] - due < timedelta(seconds=1)
        runner.stop()
        await working
