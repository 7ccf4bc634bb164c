"""The bell: what was committed is heard at once, by those who wait in this and in every other process; what was not is not."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import text

from smhub.db.bell import EVENTS, JOBS
from smhub.db.engine import Database
from smhub.events.log import Fact, record
from smhub.ids import new_id
from smhub.sdk import Job as JobKind
from smhub.work.queue import JobContext, later
from smhub.work.running import Runner
from world import Hub

SOON = 5.0
AT_ONCE = 0.4


class Undone(Exception):
    pass


@asynccontextmanager
async def elsewhere(hub: Hub) -> AsyncIterator[Database]:
    """Another process' way in: it shares nothing with the hub but the database."""
    other = Database(hub.database.url)
    try:
        yield other
    finally:
        await other.close()


async def nothing(context: JobContext, payload: object) -> None:
    return


async def add_job(database: Database, hub: Hub, kind: JobKind | None = None) -> None:
    async with database.write() as session:
        await later(session, kind or JobKind(name="test.nobody", handler=nothing), None, now=hub.clock.now())


async def add_event(database: Database, hub: Hub) -> None:
    async with database.write() as session:
        fact = Fact(organisation_id=new_id(), type="test.it", subject_type="test", subject_id=new_id(), at=hub.clock.now())
        await record(session, fact)


async def is_ready(hub: Hub, other: Database) -> None:
    """Both bells are hung: a ring gets through."""
    ear = hub.database.bell.ear(JOBS)
    waiting = asyncio.create_task(ear.wait(SOON))
    while not waiting.done():
        await add_job(other, hub)
        await asyncio.wait([waiting], timeout=0.05)
    assert await waiting


@pytest.mark.parametrize(("write", "what"), [(add_job, JOBS), (add_event, EVENTS)])
async def test_a_commit_is_heard_here_and_in_another_process(
    hub: Hub, write: Callable[[Database, Hub], Awaitable[None]], what: str
) -> None:
    async with elsewhere(hub) as other:
        await is_ready(hub, other)
        for database in (hub.database, other):
            ear, there = hub.database.bell.ear(what), other.bell.ear(what)
            both = asyncio.gather(ear.wait(SOON), there.wait(SOON))
            await asyncio.sleep(0)
            began = time.monotonic()
            await write(database, hub)
            assert await both == [True, True]
            assert time.monotonic() - began < AT_ONCE


async def test_what_rings_between_two_waits_ends_the_next_one_at_once(hub: Hub) -> None:
    ear = hub.database.bell.ear(JOBS)
    await add_job(hub.database, hub)
    await add_job(hub.database, hub)
    assert await ear.wait(SOON)
    other = Database(hub.database.url)
    await is_ready(hub, other)
    while await ear.wait(0.2):
        pass
    await add_job(other, hub)
    await asyncio.sleep(0.1)
    assert await ear.wait(SOON)
    await other.close()


async def test_a_rollback_rings_nothing_and_a_savepoint_does_not_ring_before_its_commit(hub: Hub) -> None:
    kind = JobKind(name="test.nobody", handler=nothing)
    ear = hub.database.bell.ear(JOBS)
    with pytest.raises(Undone):
        async with hub.database.write() as session:
            await later(session, kind, None, now=hub.clock.now())
            raise Undone
    assert not await ear.wait(0.15)
    async with hub.database.write() as session:
        await later(session, kind, None, now=hub.clock.now())
        async with session.begin_nested():
            await session.execute(text("select 1"))
        assert not await ear.wait(0.15)
        with pytest.raises(Undone):
            async with session.begin_nested():
                raise Undone
    assert await ear.wait(SOON)


async def test_a_bell_that_lost_its_connection_is_heard_again(hub: Hub, database_url: str) -> None:
    async with elsewhere(hub) as other:
        await is_ready(hub, other)
        if hub.database.dialect == "postgresql":
            server = await asyncpg.connect(database_url)
            bells = "application_name = 'smhub bell' and datname = current_database()"
            assert await server.fetchval(f"select count(pg_terminate_backend(pid)) from pg_stat_activity where {bells}") == 2
            await server.close()
        await is_ready(hub, other)


async def test_listening_holds_no_transaction_open(hub: Hub, database_url: str) -> None:
    waiting = asyncio.create_task(hub.database.bell.ear(EVENTS).wait(60))
    await asyncio.sleep(0.1)
    await add_job(hub.database, hub)
    await asyncio.sleep(0.1)
    if hub.database.dialect == "sqlite":
        # A reader that stays would keep it from being emptied.
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            busy, left, _ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        connection.close()
        assert (busy, left) == (0, 0)
    else:
        server = await asyncpg.connect(database_url)
        idle = await server.fetch(
            "select state from pg_stat_activity where application_name = 'smhub bell' and datname = current_database()"
        )
        await server.close()
        assert [row["state"] for row in idle] == ["idle"]
    waiting.cancel()


async def test_a_job_that_another_process_commits_starts_at_once(hub: Hub) -> None:
    """The worker would look by itself only after a minute."""
    began: list[float] = []

    async def handler(context: JobContext, payload: object) -> None:
        began.append(time.monotonic())

    kind = JobKind(name="test.quick", handler=handler)
    hub.runtime.hub.add_core_jobs([kind])
    await hub.work()
    runner = Runner(hub.runtime, idle=60.0)
    working = asyncio.create_task(runner.run())
    async with elsewhere(hub) as other:
        await is_ready(hub, other)
        waits = []
        for number in range(10):
            await asyncio.sleep(0.07)
            await add_job(other, hub, kind)
            committed = time.monotonic()
            async with asyncio.timeout(SOON):
                while len(began) == number:
                    await asyncio.sleep(0.001)
            waits.append(began[-1] - committed)
        assert sorted(waits)[5] < AT_ONCE, waits
    runner.stop()
    await working


async def test_waiting_costs_next_to_nothing(hub: Hub) -> None:
    runner = Runner(hub.runtime)
    await hub.work()
    working = asyncio.create_task(runner.run())
    ears = [hub.database.bell.ear(EVENTS) for _ in range(5)]
    waiting = asyncio.gather(*(ear.wait(60) for ear in ears))
    await asyncio.sleep(0.5)
    before = os.times()
    await asyncio.sleep(3.0)
    after = os.times()
    spent = after.user + after.system - before.user - before.system
    assert spent / 3.0 < 0.08, f"{spent / 3.0:.1%} of one processor"
    waiting.cancel()
    runner.stop()
    await working
