"""A worker died: those who may have killed it are run alone, the guilty one is found, and everybody else goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

import world
from echo import mention
from odd import Odd, OddPlugin
from smhub.mentions.routing import LookAt
from smhub.sdk import Job as JobKind
from smhub.sdk import Transient
from smhub.work.models import Job, Worker
from smhub.work.queue import JobContext, later, start_operation
from smhub.work.running import Runner
from smhub.work.suspects import Guilt, convict, due, release
from world import Hub

CRASH = Guilt(why="crashed", words="its worker ended by SIGSEGV")


class Waiting:
    """A handler that waits, and notes what it did."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.gate = asyncio.Event()

    async def __call__(self, context: JobContext, payload: Any) -> None:
        await self.gate.wait()
        self.done.append(payload["n"])


async def dying(hub: Hub, runner: Runner) -> None:
    """Its process is gone, and nobody wrote down anything."""
    tasks = list(runner._running.values())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    runner._ended.clear()


async def started(hub: Hub, kind: JobKind, count: int, runner: Runner, *, max_attempts: int = 5) -> list[UUID]:
    hub.runtime.hub.add_core_jobs([kind])
    me = await hub.me()
    async with hub.database.write() as session:
        ids = [await later(session, kind, {"n": n}, now=hub.clock.now(), organisation_id=me) for n in range(count)]
    await runner.register()
    await runner.step()
    await asyncio.sleep(0)
    return [one for one in ids if one is not None]


async def suspects(hub: Hub) -> list[Any]:
    async with hub.database.read() as session:
        found = await session.scalars(select(Job).where(Job.suspect, Job.state == "ready").order_by(Job.id))
        return [one.payload.get("n") for one in found]


async def alone(hub: Hub, **later_on: float) -> None:
    """The worker that runs suspects does what is due."""
    if later_on:
        hub.clock.forward(**later_on)
    await Runner(hub.runtime, slots=1, name="alone", suspects=True).until_idle()


async def test_the_one_that_held_up_its_worker_is_run_alone_and_the_others_go_on_at_once(hub: Hub) -> None:
    waiting, worker = Waiting(), Runner(hub.runtime, name="first")
    ids = await started(hub, JobKind(name="test.wait", handler=waiting, max_attempts=1), 4, worker)
    await dying(hub, worker)
    async with hub.database.write() as session:
        assert await release(session, hub.runtime, "first", ids[2]) == 1
        assert (await session.scalars(select(Worker.id))).all() == []
        assert await due(session, hub.clock.now(), 3) == 1
    waiting.gate.set()
    await hub.work()
    assert (sorted(waiting.done), await suspects(hub)) == ([0, 1, 3], [2])
    assert [one["suspect"] for one in (await hub.get("/v1/jobs"))["items"] if one["id"] == str(ids[2])] == [True]
    await alone(hub)
    assert (waiting.done[-1], await suspects(hub)) == (2, [])


async def test_when_nobody_knows_who_it_was_all_are_suspects_but_the_hubs_own(hub: Hub) -> None:
    waiting, worker = Waiting(), Runner(hub.runtime, name="first")
    await started(hub, JobKind(name="test.wait", handler=waiting), 3, worker)
    async with hub.database.write() as session:
        own = await later(session, JobKind(name="test.wait", handler=waiting), {"n": "own"}, now=hub.clock.now())
    await worker.step()
    await dying(hub, worker)
    async with hub.database.write() as session:
        assert await release(session, hub.runtime, "first") == 3
    waiting.gate.set()
    await hub.work()
    assert (waiting.done, await suspects(hub)) == (["own"], [0, 1, 2])
    await alone(hub)
    assert (waiting.done, await suspects(hub), own is None) == (["own", 0, 1, 2], [], False)


async def test_a_suspect_that_fails_without_killing_anybody_is_one_no_longer(hub: Hub) -> None:
    async def fails(context: JobContext, payload: Any) -> None:
        raise Transient("away")

    kind = JobKind(name="test.fails", handler=fails)
    hub.runtime.hub.add_core_jobs([kind])
    async with hub.database.write() as session:
        await later(session, kind, {"n": 1}, now=hub.clock.now(), suspect=True)
    assert await suspects(hub) == [1]
    await alone(hub)
    assert await suspects(hub) == []


async def test_the_guilty_one_is_dead_and_who_followed_it_learns_why(hub: Hub) -> None:
    waiting, worker = Waiting(), Runner(hub.runtime, name="alone", suspects=True)
    kind = JobKind(name="test.wait", handler=waiting)
    hub.runtime.hub.add_core_jobs([kind])
    me = await hub.me()
    async with hub.database.write() as session:
        operation = await start_operation(
            session,
            kind,
            {"n": 1},
            now=hub.clock.now(),
            organisation_id=me,
            subject_type="channel",
            subject_id=me,
            created_by=None,
        )
        (await session.get_one(Job, operation.job_id)).suspect = True
    await worker.step()
    await dying(hub, worker)
    async with hub.database.write() as session:
        assert await convict(session, hub.runtime, "alone", CRASH)
        assert not await convict(session, hub.runtime, "alone", CRASH)
    found = await hub.get(f"/v1/operations/{operation.id}")
    assert (found["state"], found["error"]["detail"]) == ("failed", CRASH.words)
    assert [one["last_error"] for one in (await hub.get("/v1/jobs?state=dead"))["items"]] == [CRASH.words]


async def health(hub: Hub) -> dict[str, Any]:
    return (await hub.get("/v1/channels"))["items"][0]["health"]  # type: ignore[no-any-return]


def minutes(hub: Hub, told: dict[str, Any]) -> float:
    return (datetime.fromisoformat(told["next_poll_at"]) - hub.clock.now()) / timedelta(minutes=1)


async def polled_to_death(hub: Hub) -> dict[str, Any]:
    """The worker that runs suspects dies while it polls."""
    worker = Runner(hub.runtime, name="alone", suspects=True)
    hub.echo.hold = asyncio.Event()
    await hub.work(seconds=3)
    await worker.step()
    while not hub.echo.held:
        await asyncio.sleep(0.01)
    await dying(hub, worker)
    hub.echo.hold, hub.echo.held = None, False
    async with hub.database.write() as session:
        assert await convict(session, hub.runtime, "alone", CRASH)
    return await health(hub)


async def test_an_intake_that_kills_its_worker_is_tried_rarely_and_alone_until_it_is_well(hub: Hub) -> None:
    channel = await hub.connect()
    await hub.work()
    hub.echo.hold = asyncio.Event()
    worker = Runner(hub.runtime, name="first")
    hub.clock.forward(hours=1)
    while not hub.echo.held:
        await worker.step()
        hub.clock.forward(seconds=3)
        await asyncio.sleep(0.01)
    await dying(hub, worker)
    async with hub.database.write() as session:
        assert await release(session, hub.runtime, "first") == 1
    hub.echo.held = False
    told = await polled_to_death(hub)
    assert (told["state"], told["reason_code"], told["reason"]) == ("quarantined", "connector_crashed", CRASH.words)
    assert 10 <= minutes(hub, told) <= 12.1
    assert told["since"] == hub.clock.now().isoformat().replace("+00:00", "Z")
    assert "resume the channel" in told["advice"]
    assert [(gap["cause"], gap["state"]) for gap in (await hub.get("/v1/gaps"))["items"]] == [("quarantined", "open")]
    assert (await hub.admin.post(f"/v1/intakes/{told['intake_id']}/poll")).status_code == 409

    fetched = hub.echo.fetched
    await hub.work(minutes=5)
    await hub.work(minutes=8)
    assert (hub.echo.fetched, await suspects(hub)) == (fetched, [None])
    told = await polled_to_death(hub)
    assert (told["state"], told["reason_code"]) == ("quarantined", "connector_crashed")
    assert 20 <= minutes(hub, told) <= 24.1

    hub.clock.forward(minutes=25)
    hub.echo.error = Transient("away")
    await hub.work()
    await alone(hub)
    told = await health(hub)
    assert (told["state"], told["reason_code"]) == ("quarantined", "connector_crashed")
    assert 40 <= minutes(hub, told) <= 48.1

    # By hand it is tried at once, but still alone.
    hub.echo.error = None
    hub.echo.says(mention("1"))
    await hub.post(f"/v1/channels/{channel['id']}/resume")
    fetched = hub.echo.fetched
    await hub.work(seconds=3)
    assert (hub.echo.fetched, (await health(hub))["state"]) == (fetched, "quarantined")
    await alone(hub)
    told = await health(hub)
    assert (told["state"], told["reason_code"], told["advice"]) == ("active", None, None)
    assert [(gap["state"], bool(gap["proof"])) for gap in (await hub.get("/v1/gaps"))["items"]] == [("closed", True)]
    assert len(await hub.mentions()) == 1
    hub.echo.says(mention("2"))
    await hub.work(hours=1)
    assert len(await hub.mentions()) == 2


async def test_an_intake_with_a_bug_is_tried_again_by_itself(hub: Hub) -> None:
    await hub.connect()
    await hub.work()
    hub.echo.error = ZeroDivisionError()
    for _ in range(5):
        await hub.work(hours=2)
    told = await health(hub)
    assert (told["state"], told["reason_code"]) == ("quarantined", "connector_bug")
    assert 10 <= minutes(hub, told) <= 12.1
    for at_least in (20, 40):
        await hub.work(minutes=minutes(hub, told) + 1)
        told = await health(hub)
        assert (told["state"], at_least <= minutes(hub, told) <= at_least * 1.2 + 0.1) == ("quarantined", True)
    for _ in range(9):
        await hub.work(days=2)
    told = await health(hub)
    assert 24 * 60 <= minutes(hub, told) <= 24 * 60 * 1.2 + 0.1
    hub.echo.error = None
    await hub.work(days=2)
    assert (await health(hub))["state"] == "active"


async def test_when_an_interceptor_killed_its_worker_the_mentions_are_still_routed(database_url: str) -> None:
    Odd.items, Odd.asked_from, Odd.yielded = [mention("1", "where is my parcel?")], [], 0
    async with world.start(database_url, plugins=[OddPlugin()]) as hub:
        await hub.post("/v1/departments", {"name": "Service", "slug": "service", "keywords": ["parcel"]})
        await hub.post("/v1/channels", {"network": "odd", "name": "good", "settings": {}})
        jobs = hub.runtime.hub.jobs
        looking, jobs["mention.look_at"] = jobs["mention.look_at"], JobKind(name="mention.look_at", handler=Waiting(), payload=LookAt)
        first, alone_ = Runner(hub.runtime, name="first"), Runner(hub.runtime, slots=1, name="alone", suspects=True)
        await first.register()
        while not any(task.get_name().startswith("mention.look_at") for task in first._running.values()):
            await first.step()
            await asyncio.sleep(0.01)
        await dying(hub, first)
        async with hub.database.write() as session:
            await release(session, hub.runtime, "first")
        while not any(task.get_name().startswith("mention.look_at") for task in alone_._running.values()):
            await alone_.step()
            await asyncio.sleep(0.01)
        await dying(hub, alone_)
        jobs["mention.look_at"] = looking
        async with hub.database.write() as session:
            assert await convict(session, hub.runtime, "alone", CRASH)
        await hub.work()
        (one,) = await hub.mentions()
        assert (one["department_id"] is not None, one["annotations"]) == (True, {})
        (dead,) = (await hub.get("/v1/jobs", params={"state": "dead"}))["items"]
        assert (dead["name"], dead["last_error"]) == ("mention.look_at", CRASH.words)
        await hub.post(f"/v1/jobs/{dead['id']}/retry")
        await alone(hub)
        (one,) = await hub.mentions()
        assert one["annotations"]["mood"]["value"] == "program: where is my parcel?"


async def test_who_needs_too_much_memory_is_found_without_a_death(hub: Hub) -> None:
    await hub.connect()
    await hub.work()
    hub.echo.error = MemoryError()
    await hub.work(hours=1)
    assert ((await health(hub))["state"], await suspects(hub)) == ("active", [None])
    await alone(hub, minutes=1)
    told = await health(hub)
    assert (told["state"], told["reason_code"]) == ("quarantined", "connector_memory")
    assert told["reason"] == "it needs more memory than its worker may have"
