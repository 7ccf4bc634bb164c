"""Whatever happens to jobs and to their workers, in whatever order: no job is lost, and none runs for two at once."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

import world
from smhub.errors import Conflict
from smhub.sdk import Job as JobKind
from smhub.work import actions
from smhub.work.leases import LeaseLost, still_ours
from smhub.work.models import Job
from smhub.work.queue import JobContext, later, limit
from smhub.work.running import Runner

LIMITS = {"one": 1, "two": 2}
ENDED = {"done", "dead", "cancelled"}
WHICH = st.integers(0, 5)
RUNNER = st.integers(0, 1)
OFTEN = [
    st.tuples(st.just("turn"), RUNNER),
    st.tuples(st.just("end"), WHICH, st.booleans()),
    st.tuples(st.just("pass_"), st.sampled_from([10, 31])),
]
SELDOM = [
    st.tuples(st.just("add"), st.sampled_from(["one", "two", None]), st.sampled_from([None, "same"])),
    st.tuples(st.just("die"), RUNNER),
    st.tuples(st.just("beat"), RUNNER),
    st.tuples(st.just("retry"), WHICH),
    st.tuples(st.just("cancel"), WHICH),
]
STEPS = st.one_of(*OFTEN, *OFTEN, *OFTEN, *SELDOM)


class History:
    """Two workers and what was given to them."""

    def __init__(self, hub: world.Hub) -> None:
        self.hub = hub
        self.kind = JobKind(name="test.history", handler=self._run, max_attempts=3)
        # Nothing that the hub does by itself: only what the history tells.
        hub.runtime.hub.jobs.clear()
        hub.runtime.hub.add_core_jobs([self.kind])
        self.runners = [self._runner(), self._runner()]
        self.added: list[UUID] = []
        self.runs: list[tuple[JobContext, asyncio.Future[None]]] = []
        self.ended_well: set[tuple[UUID, int]] = set()

    def _runner(self) -> Runner:
        return Runner(self.hub.runtime, slots=3)

    async def _run(self, context: JobContext, payload: Any) -> None:
        run = (context, asyncio.get_running_loop().create_future())
        self.runs.append(run)
        try:
            await run[1]
        finally:
            self.runs.remove(run)

    async def add(self, key: str | None, dedupe_key: str | None) -> None:
        async with self.hub.database.write() as session:
            added = await later(session, self.kind, None, now=self.hub.clock.now(), key=key, dedupe_key=dedupe_key)
        self.added += [added] if added is not None else []

    async def turn(self, number: int) -> None:
        await self.runners[number].step()
        await asyncio.sleep(0)

    async def end(self, number: int, well: bool) -> None:
        if not self.runs:
            return
        context, future = self.runs[number % len(self.runs)]
        if well:
            self.ended_well.add((context.job_id, context.attempt))
            future.set_result(None)
        else:
            future.set_exception(ZeroDivisionError())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def die(self, number: int) -> None:
        """The process is gone with all it ran, and with all that it had not yet written down."""
        tasks = list(self.runners[number]._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.runners[number] = self._runner()

    async def beat(self, number: int) -> None:
        await self.runners[number]._beat()

    async def pass_(self, seconds: float) -> None:
        self.hub.clock.forward(seconds=seconds)

    async def retry(self, number: int) -> None:
        await self._ask(actions.retry_job, number)

    async def cancel(self, number: int) -> None:
        await self._ask(actions.cancel_job, number)

    async def _ask(self, verb: Any, number: int) -> None:
        if not self.added:
            return
        try:
            async with self.hub.database.write() as session:
                row = await session.get_one(Job, self.added[number % len(self.added)])
                await verb(session, row, self.hub.clock.now())
        except Conflict:
            pass

    async def hold(self) -> None:
        """What must be true at every moment."""
        now = self.hub.clock.now()
        async with self.hub.database.read() as session:
            rows = list(await session.scalars(select(Job)))
            ours = [context for context, _ in self.runs if await self._still_ours(session, context)]
        assert {row.id for row in rows} == set(self.added), "a job is lost"
        runs = Counter((context.job_id, context.attempt) for context, _ in self.runs)
        assert set(runs.values()) <= {1}, "one attempt runs twice"
        assert max(Counter(context.job_id for context in ours).values(), default=0) <= 1, "two hold one job"
        assert all(row.attempt <= row.max_attempts for row in rows)
        running = Counter(row.key for row in rows if row.state == "running" and row.lease_until and row.lease_until >= now)
        assert all(running[key] <= most for key, most in LIMITS.items()), "more run than the limit allows"
        waiting = Counter(row.dedupe_key for row in rows if row.dedupe_key and row.state not in ENDED)
        assert waiting["same"] <= 1
        for row in rows:
            assert row.state != "done" or (row.id, row.attempt) in self.ended_well, "done, and nobody did it"
            assert (row.finished_at is None) == (row.state not in ENDED)

    async def _still_ours(self, session: Any, context: JobContext) -> bool:
        try:
            await still_ours(session, context)
        except LeaseLost:
            return False
        return True

    async def to_the_end(self) -> None:
        """Both workers are started anew and go on as long as there is something to do: all of it ends."""
        await self.die(0)
        await self.die(1)
        for _ in range(3 * len(self.added) + 3):
            self.hub.clock.forward(hours=2)
            for number in (0, 1):
                await self.turn(number)
            while self.runs:
                await self.end(0, True)
        async with self.hub.database.read() as session:
            states = set(await session.scalars(select(Job.state)))
        assert states <= ENDED, "a job waits for ever"

    async def live(self, steps: list[tuple[Any, ...]]) -> None:
        try:
            for key in ("one", "two", "two", None):
                await self.add(key, None)
            for name, *told in steps:
                await getattr(self, name)(*told)
                await self.hold()
            await self.to_the_end()
            await self.hold()
        finally:
            await self.die(0)
            await self.die(1)
            async with self.hub.database.write() as session:
                await session.execute(delete(Job))


async def make_limits(hub: world.Hub) -> None:
    async with hub.database.write() as session:
        await session.execute(delete(Job))
        await limit(session, "two", now=hub.clock.now(), max_running=2)


def test_no_job_is_lost_and_none_runs_for_two_at_once(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "hub.db")
    with asyncio.Runner() as loop:
        started = world.start(f"sqlite:///{tmp_path / 'hub.db'}")
        hub = loop.run(started.__aenter__())
        loop.run(make_limits(hub))

        @settings(max_examples=10)
        @given(st.lists(STEPS, min_size=10, max_size=20))
        @example([("turn", 0), ("pass_", 31), ("turn", 1), ("end", 0, True), ("turn", 0)])
        @example([("turn", 0), ("die", 0), ("pass_", 31), ("turn", 1), ("beat", 1), ("cancel", 0), ("end", 0, False), ("turn", 1)])
        def any_history(steps: list[tuple[Any, ...]]) -> None:
            loop.run(History(hub).live(steps))

        try:
            any_history()
        finally:
            loop.run(started.__aexit__(None, None, None))
