"""What is to be done later is done: within its limits, by one worker at a time, again when it fails, and never lost in silence."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import update

import favourites
import world
from smhub.sdk import Job as JobKind
from smhub.sdk import RateLimited
from smhub.work.leases import LeaseLost, still_ours
from smhub.work.models import Job, Schedule, Worker
from smhub.work.queue import JobContext, later, limit, start_operation
from smhub.work.running import Runner
from world import Hub


class Held:
    """A handler whose runs wait until they are let go."""

    def __init__(self) -> None:
        self.contexts: list[JobContext] = []
        self.now: Counter[Any] = Counter()
        self.gate = asyncio.Event()

    async def __call__(self, context: JobContext, payload: Any) -> None:
        self.contexts.append(context)
        self.now[payload.get("key")] += 1
        await self.gate.wait()
        self.now[payload.get("key")] -= 1

    async def let_go(self) -> None:
        self.gate.set()
        await asyncio.sleep(0)
        while self.now.total():
            await asyncio.sleep(0)
        self.gate = asyncio.Event()


class Failing:
    """A handler that raises what it is told to, and else notes its payload."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.done: list[Any] = []

    async def __call__(self, context: JobContext, payload: Any) -> None:
        if self.error is not None:
            raise self.error
        self.done.append(payload)


def kind_of(hub: Hub, handler: Any, **more: Any) -> JobKind:
    kind = JobKind(**{"name": "test.job", "handler": handler, **more})
    hub.runtime.hub.add_core_jobs([kind])
    return kind


async def add(hub: Hub, kind: JobKind, payload: Any = None, **more: Any) -> UUID:
    added = await add_unless_there(hub, kind, payload, **more)
    assert added is not None
    return added


async def add_unless_there(hub: Hub, kind: JobKind, payload: Any = None, **more: Any) -> UUID | None:
    async with hub.database.write() as session:
        return await later(session, kind, payload, now=hub.clock.now(), **more)


async def row_of(hub: Hub, job_id: UUID) -> Job:
    async with hub.database.read() as session:
        return await session.get_one(Job, job_id)


async def state_of(hub: Hub, job_id: UUID) -> tuple[str, int]:
    row = await row_of(hub, job_id)
    return row.state, row.attempt


async def turn(*runners: Runner) -> None:
    """All of them at the same time: write down, claim and start."""
    await asyncio.gather(*(runner.step() for runner in runners))
    await asyncio.sleep(0)


async def die(runner: Runner) -> None:
    """Its process is gone: what it ran stops, and nobody writes down how."""
    tasks = list(runner._running.values())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def workers(hub: Hub, count: int = 2, **more: Any) -> list[Runner]:
    return [Runner(hub.runtime, name=f"worker-{number}", **more) for number in range(count)]


async def test_never_more_of_a_key_run_at_once_than_its_limit_says(hub: Hub) -> None:
    held = Held()
    kind = kind_of(hub, held)
    async with hub.database.write() as session:
        await limit(session, "two", now=hub.clock.now(), max_running=2)
    jobs = [await add(hub, kind, {"key": key}, key=key) for _ in range(4) for key in ("one", "two")]
    both = workers(hub)
    peak: Counter[str] = Counter()
    for _ in range(40):
        await turn(*both)
        peak |= held.now
        await held.let_go()
    assert peak == {"one": 1, "two": 2}
    assert [await state_of(hub, job) for job in jobs] == [("done", 1)] * 8


async def test_as_many_start_in_a_second_as_the_limit_says(hub: Hub) -> None:
    noting = Failing()
    kind = kind_of(hub, noting)
    async with hub.database.write() as session:
        await limit(session, "slow", now=hub.clock.now(), max_running=100, per_second=2.0, burst=2.0)
    for number in range(8):
        await add(hub, kind, number, key="slow")
    started = []
    for seconds in (0.0, 0.4, 0.1, 1.0, 3600.0):
        await hub.work(seconds=seconds)
        started.append(len(noting.done))
    assert started == [2, 2, 3, 5, 7]


async def test_when_a_lease_ends_another_runs_it_and_the_first_can_write_no_more(hub: Hub) -> None:
    held = Held()
    job = await add(hub, kind_of(hub, held))
    slow, quick = workers(hub)
    await turn(slow)
    hub.clock.forward(seconds=31)
    await turn(quick)
    first, second = held.contexts
    async with hub.database.write() as session:
        await still_ours(session, second)
        with pytest.raises(LeaseLost):
            await still_ours(session, first)
    await held.let_go()
    await turn(slow)
    assert await state_of(hub, job) == ("running", 2)
    await turn(quick)
    assert await state_of(hub, job) == ("done", 2)


async def test_a_heartbeat_prolongs_what_runs_and_nothing_else(hub: Hub) -> None:
    held = Held()
    job = await add(hub, kind_of(hub, held))
    alive, other = workers(hub)
    await turn(alive)
    for _ in range(3):
        hub.clock.forward(seconds=20)
        await alive._beat()
        await turn(other)
    assert len(held.contexts) == 1
    hub.clock.forward(seconds=31)
    await turn(other)
    lease = (await row_of(hub, job)).lease_until
    hub.clock.forward(seconds=5)
    await alive._beat()
    assert (await row_of(hub, job)).lease_until == lease
    await die(other)
    await other._beat()
    assert (await row_of(hub, job)).lease_until == lease
    await die(alive)


async def test_each_failure_waits_longer_than_the_one_before_and_the_last_is_the_end(hub: Hub) -> None:
    job = await add(hub, kind_of(hub, Failing(ZeroDivisionError("the name of a customer"))))
    waits = []
    for _ in range(4):
        await hub.work()
        row = await row_of(hub, job)
        assert row.state == "ready"
        waits.append((row.run_at - hub.clock.now()).total_seconds())
        hub.clock.forward(seconds=waits[-1])
    for wait, least in zip(waits, (2, 4, 8, 16), strict=True):
        assert least < wait <= least * 1.25
    assert len({wait / least for wait, least in zip(waits, (2, 4, 8, 16), strict=True)}) == 4
    await hub.work()
    row = await row_of(hub, job)
    assert (row.state, row.attempt) == ("dead", 5)
    assert row.last_error is not None
    assert row.last_error.startswith("ZeroDivisionError in __call__")
    assert "customer" not in row.last_error


@pytest.mark.parametrize(("asked", "least"), [(100.0, 100.0), (1e9, 3600.0), (-5.0, 1.0)])
async def test_the_wait_that_a_network_asks_for_is_kept_within_reason(hub: Hub, asked: float, least: float) -> None:
    job = await add(hub, kind_of(hub, Failing(RateLimited("slowly", retry_after=asked)), max_attempts=2))
    await turn(hub.runner)
    await turn(hub.runner)
    row = await row_of(hub, job)
    assert (row.attempt, row.last_error) == (1, "rate_limited: slowly")
    assert least <= (row.run_at - hub.clock.now()).total_seconds() <= least * 1.25


async def test_what_has_died_is_listed_tried_again_or_given_up(hub: Hub) -> None:
    failing = Failing(ZeroDivisionError())
    kind = kind_of(hub, failing, max_attempts=1)
    mine = await hub.me()
    mended, given_up = [await add(hub, kind, number, organisation_id=mine) for number in range(2)]
    await hub.work()
    dead = (await hub.get("/v1/jobs", params={"state": "dead", "name": "test.job"}))["items"]
    assert {one["id"] for one in dead} == {str(mended), str(given_up)}
    other = await hub.organisation()
    assert (await other.get("/v1/jobs", params={"state": "dead"}))["items"] == []
    assert (await other.admin.post(f"/v1/jobs/{mended}/retry")).status_code == 404
    failing.error = None
    assert (await hub.post(f"/v1/jobs/{mended}/retry"))["state"] == "ready"
    assert (await hub.post(f"/v1/jobs/{given_up}/cancel"))["state"] == "cancelled"
    await hub.work()
    assert failing.done == [0]
    assert [await state_of(hub, job) for job in (mended, given_up)] == [("done", 2), ("cancelled", 1)]
    refused = [await hub.admin.post(f"/v1/jobs/{mended}/{verb}") for verb in ("retry", "cancel")]
    assert [(one.status_code, one.json()["detail"]) for one in refused] == [(409, "The job is done.")] * 2


async def test_what_runs_can_be_neither_cancelled_nor_tried_again(hub: Hub) -> None:
    held = Held()
    job = await add(hub, kind_of(hub, held), organisation_id=await hub.me())
    await turn(hub.runner)
    refused = [await hub.admin.post(f"/v1/jobs/{job}/{verb}") for verb in ("retry", "cancel")]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(409, "conflict")] * 2
    await held.let_go()
    await hub.work()
    assert await state_of(hub, job) == ("done", 1)


async def test_the_same_work_is_not_added_twice_until_it_is_done(hub: Hub) -> None:
    held = Held()
    kind = kind_of(hub, held)
    first = await add(hub, kind, dedupe_key="report")
    assert await add_unless_there(hub, kind, dedupe_key="report") is None
    await turn(hub.runner)
    assert await add_unless_there(hub, kind, dedupe_key="report") is None
    await held.let_go()
    await turn(hub.runner)
    assert await state_of(hub, first) == ("done", 1)
    assert await add_unless_there(hub, kind, dedupe_key="report") is not None


async def test_the_urgent_goes_first_then_the_oldest_and_nothing_before_its_time(hub: Hub) -> None:
    noting = Failing()
    kind = kind_of(hub, noting)
    now = hub.clock.now()
    await add(hub, kind, "tomorrow", run_at=now + timedelta(days=1), priority=100)
    await add(hub, kind, "young")
    await add(hub, kind, "old", run_at=now - timedelta(hours=1))
    await add(hub, kind, "urgent", priority=9)
    (one,) = workers(hub, 1, slots=1)
    await one.until_idle()
    assert noting.done == ["urgent", "old", "young"]
    hub.clock.forward(days=1)
    await one.until_idle()
    assert noting.done[3:] == ["tomorrow"]


async def test_a_schedule_fires_once_however_many_work(hub: Hub) -> None:
    regular, by_cron = Failing(), Failing()
    kind_of(hub, regular, name="test.every", every=60.0)
    kind_of(hub, by_cron, name="test.cron", cron="*/5 * * * *")
    three = workers(hub, 3)
    for _ in range(11):
        await asyncio.gather(*(runner.until_idle() for runner in three))
        hub.clock.forward(minutes=1)
    assert (len(regular.done), len(by_cron.done)) == (11, 2)
    told = {one["name"]: one for one in (await hub.get("/v1/schedules"))["items"]}
    assert told["test.cron"]["next_run_at"] == "2026-11-02T09:15:00Z"


# SQLite has one writer: who stops in the middle of a transaction stops everybody, and there is nobody else.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_stands_still_in_the_middle_of_firing_a_schedule_holds_up_nobody(hub: Hub) -> None:
    regular, noting = Failing(), Failing()
    kind_of(hub, regular, name="test.every", every=60.0)
    once = kind_of(hub, noting)
    await hub.work()
    hub.clock.forward(minutes=1)
    async with hub.database.write() as session:
        await later(session, once, "meanwhile", now=hub.clock.now())
    async with hub.database.write() as session:
        await session.execute(update(Schedule).values(last_run_at=hub.clock.now()))
        await hub.work()
        assert (noting.done, len(regular.done)) == (["meanwhile"], 1)
    await hub.work(seconds=2)
    assert len(regular.done) == 2


async def test_a_handler_that_takes_too_long_is_cut_off_and_tried_again(hub: Hub) -> None:
    async def hang(context: JobContext, payload: Any) -> None:
        await asyncio.Event().wait()

    job = await add(hub, kind_of(hub, hang, timeout=0.01))
    await hub.work()
    row = await row_of(hub, job)
    assert (row.state, row.attempt, row.last_error) == ("ready", 1, "it took longer than 0.01 s")


class Expected(msgspec.Struct):
    number: int


async def test_a_payload_that_does_not_fit_is_not_tried_again(hub: Hub) -> None:
    noting = Failing()
    kind = kind_of(hub, noting, payload=Expected)
    fits, wrong = await add(hub, kind, {"number": 1}), await add(hub, kind, {"number": "one"})
    await hub.work()
    assert noting.done == [Expected(1)]
    assert [await state_of(hub, job) for job in (fits, wrong)] == [("done", 1), ("dead", 1)]
    assert "the payload does not fit" in ((await row_of(hub, wrong)).last_error or "")


async def test_what_a_handler_cannot_decode_is_a_failure_like_any_other(hub: Hub) -> None:
    job = await add(hub, kind_of(hub, Failing(msgspec.ValidationError("a customer's text"))))
    await hub.work()
    row = await row_of(hub, job)
    assert (row.state, row.attempt) == ("ready", 1)
    assert "customer" not in (row.last_error or "")


async def test_who_is_told_to_stop_finishes_what_runs_and_takes_nothing_new(hub: Hub) -> None:
    held = Held()
    kind = kind_of(hub, held)
    running = await add(hub, kind)
    (one,) = workers(hub, 1)
    await turn(one)
    one.stop()
    waiting = await add(hub, kind)
    working = asyncio.create_task(one.run())
    await held.let_go()
    await working
    assert [await state_of(hub, job) for job in (running, waiting)] == [("done", 1), ("ready", 0)]
    async with hub.database.read() as session:
        assert await session.get(Worker, one.name) is None


async def test_a_job_that_kills_every_worker_ends_dead_and_says_so(hub: Hub) -> None:
    held = Held()
    kind = kind_of(hub, held, max_attempts=2)
    async with hub.database.write() as session:
        mine = await hub.me()
        asked = await start_operation(
            session, kind, {}, now=hub.clock.now(), organisation_id=mine, subject_type="gap", subject_id=mine, created_by=None
        )
    assert asked.job_id is not None
    for runner in workers(hub, 2):
        await turn(runner)
        await die(runner)
        hub.clock.forward(seconds=31)
    await hub.work()
    assert (len(held.contexts), await state_of(hub, asked.job_id)) == (2, ("dead", 2))
    told = await hub.get(f"/v1/operations/{asked.id}")
    assert (told["state"], told["error"]["detail"]) == ("failed", "its worker died at every attempt")


async def test_the_work_of_a_stage_that_is_not_reached_is_not_done(database_url: str) -> None:
    favourites.COUNTED.clear()
    async with world.start(database_url, plugins=[favourites.FavouritesPlugin()]) as hub:
        kind = JobKind(name="favourites.once", handler=favourites.count)
        hub.runtime.hub.add_core_jobs([kind])
        early = await add(hub, kind, organisation_id=await hub.me())
        await hub.work()
        row = await row_of(hub, early)
        counted = len(favourites.COUNTED)
        assert (row.state, "stage 2" in (row.last_error or "")) == ("dead", True)
        await hub.ok("PATCH", "/v1/organisation", json={"stage": 2})
        reached = await add(hub, kind, organisation_id=await hub.me())
        await hub.work()
        assert (await state_of(hub, reached), len(favourites.COUNTED) - counted) == (("done", 1), 1)
