"""The worker: claims due jobs in batches, runs them under a lease, writes down how they ended.

A job whose worker died is claimed again when its lease ends. `attempt` fences: whoever lost the lease can no longer write, neither the
end of the job nor anything that asked `still_ours` in its transaction.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import column, delete, select, table, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from smhub import faults
from smhub.db.bell import JOBS
from smhub.db.clock import set_clock
from smhub.db.engine import has_room
from smhub.db.types import Id
from smhub.db.upsert import upsert
from smhub.errors import StageTooLow
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.sdk import ConnectorError
from smhub.sdk import Job as JobKind
from smhub.time import to_utc
from smhub.work import leases, schedules
from smhub.work.claiming import Claimed, claim
from smhub.work.leases import LeaseLost
from smhub.work.models import Job, Worker
from smhub.work.queue import JobContext
from smhub.work.suspects import Guilt, bury, convict

log = structlog.get_logger("smhub.work")

HEARTBEAT = 8.0
IDLE = 1.0
TICK = 1.0
LONGEST_BACK_OFF = 3600.0
LINGER = 5.0
ENDLESS = frozenset({"intake.stream"})
"""The jobs that go on until they are told to end, by name."""

OUT_OF_MEMORY = "it needs more memory than its worker may have"
_STAGE = table("core_organisation", column("id", Id()), column("stage"))


RUNNING: ContextVar[UUID | None] = ContextVar("RUNNING", default=None)
"""The job in which a task was begun, so that a stuck one can be named."""


class PayloadMisfit(Exception):
    """The payload is not what the handler takes; trying again will not help."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How one run ended. `error` None: well. `retry_after`: the wait that was asked for. `again_at`: it went well and goes on then.
    `memory`: there was not enough of it, which may have been somebody else's fault."""

    job_id: UUID
    attempt: int
    error: str | None = None
    retry_after: float | None = None
    final: bool = False
    again_at: datetime | None = None
    memory: bool = False


class Runner:
    """Runs jobs until it is told to stop. One for each worker process.

    `slots` are for jobs that end, `endless` for those that go on until they are told to end (`ENDLESS`), so that neither takes the other's.
    With `suspects` it runs those, and nothing else, and returns when there have been none for a while. `stuck(job)` is called for a job
    that was told to end and does not, `patience` seconds later.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        slots: int = 20,
        endless: int = 0,
        name: str | None = None,
        suspects: bool = False,
        stuck: Callable[[UUID], None] | None = None,
        idle: float = IDLE,
    ) -> None:
        self.runtime = runtime
        self._suspects = suspects
        self._stuck = stuck
        self._has_room = True
        self._told_to_end: dict[tuple[UUID, int], float] = {}
        self._last_job = runtime.clock.monotonic()
        self.name = name or f"worker-{new_id().hex[-12:]}"
        self._slots, self._endless = slots, endless
        self._listening: set[tuple[UUID, int]] = set()
        self._ending = asyncio.Event()
        self._running: dict[tuple[UUID, int], asyncio.Task[None]] = {}
        self._ended: list[Ended] = []
        self._idle = idle
        self._ear = runtime.database.bell.ear(JOBS)
        self._stopping = False
        self._last_beat = 0.0
        self._last_tick = float("-inf")

    async def run(self) -> None:
        """Work until `stop`; then finish what is running, and nothing new."""
        await self._registered()
        try:
            while not (self._stopping and not self._running and not self._ended):
                await self._guarded_step()
                self._look_after()
        finally:
            await self.cut_off()
            await self._leave()

    async def cut_off(self) -> None:
        """End what is running, as it stands: the leases end by themselves."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _registered(self) -> None:
        """As register, as soon as the database is there."""
        while not self._stopping:
            try:
                await self.register()
            except (SQLAlchemyError, OSError) as error:
                log.warning("database_unavailable", error=type(error).__name__)
                await asyncio.sleep(1.0)
            else:
                return

    def _look_after(self) -> None:
        """Find who was told to end and does not; with suspects, find that there are none left."""
        now = self.runtime.clock.monotonic()
        if self._running:
            self._last_job = now
        elif self._suspects and now - self._last_job > LINGER:
            self.stop()
        ending = {key for key, task in self._running.items() if task.cancelling()}
        self._told_to_end = {key: self._told_to_end.get(key, now) for key in ending}
        for (job_id, _), since in self._told_to_end.items():
            if self._stuck is not None and now - since > self.runtime.settings.stuck_seconds:
                self._stuck(job_id)

    def stop(self) -> None:
        """Take no new job; `run` returns when the running ones have ended. Those without an end are told to come to one."""
        self._stopping = True
        self._ending.set()
        self._ear.nudge()

    async def drain(self, seconds: float) -> None:
        """Wait for the running jobs, at most this long, then cut them off: their leases end by themselves."""
        self.stop()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=seconds)
        for task in list(self._running.values()):
            task.cancel()
        self._ear.nudge()

    async def until_idle(self) -> None:
        """Run everything that is due now, and return when nothing is (tests and commands)."""
        await self.register()
        while True:
            claimed = await self.step()
            while working := [task for key, task in self._running.items() if key not in self._listening]:
                await asyncio.wait(working)
            if not claimed and not self._ended:
                return

    async def register(self) -> None:
        """Make the worker and the schedules known."""
        await set_clock(self.runtime.clock, self.runtime.database)
        if self._suspects:
            return
        now = self.runtime.clock.now()
        async with self.runtime.database.write() as session:
            await upsert(session, Worker, {"id": self.name, "started_at": now, "seen_at": now, "running": 0}, ("started_at", "seen_at"))
            await schedules.make_known(session, self.runtime, now)

    async def step(self) -> int:
        """Write down what ended, fire schedules, claim and start jobs; returns how many were started."""
        monotonic = self.runtime.clock.monotonic()
        if monotonic - self._last_tick >= TICK and not self._stopping and not self._suspects:
            self._last_tick = monotonic
            await schedules.fire(self.runtime)
        # What rang until now is seen by what is read below, the schedules fired just now included.
        self._ear.hush()
        ended, self._ended = self._ended, []
        free = 0 if self._stopping else self._slots - (len(self._running) - len(self._listening))
        ears = 0 if self._stopping else self._endless - len(self._listening)
        if not ended and free <= 0 and ears <= 0:
            return 0
        try:
            async with self.runtime.database.write() as session:
                await self._write_down(session, ended)
                claimed = await self._claim(session, free, ears) if max(free, ears) > 0 and not self._stopping else []
        except BaseException:
            self._ended = ended + self._ended
            raise
        faults.point("work.claimed")
        for job in claimed:
            task = asyncio.create_task(self._run(job), name=f"{job.name} {job.id}")
            self._running[job.id, job.attempt] = task
            if job.name in ENDLESS and not self._suspects:
                self._listening.add((job.id, job.attempt))
        return len(claimed)

    async def _guarded_step(self) -> None:
        """A step that survives a database that is away for a while."""
        try:
            if self.runtime.clock.monotonic() - self._last_beat > HEARTBEAT:
                await self._beat()
            await self.step()
        except (SQLAlchemyError, OSError) as error:
            log.warning("database_unavailable", error=type(error).__name__)
            await asyncio.sleep(1.0)
            return
        # A job that ends wakes us as well.
        await self._ear.wait(self._idle)

    async def _beat(self) -> None:
        """Prolong the leases of what is running, and show that we are alive."""
        await set_clock(self.runtime.clock, self.runtime.database)
        now = self.runtime.clock.now()
        async with self.runtime.database.write() as session:
            await session.execute(update(Worker).where(Worker.id == self.name).values(seen_at=now, running=len(self._running)))
            for job_id, attempt in sorted(self._running):
                ours = (Job.id == job_id, Job.attempt == attempt, Job.worker == self.name, Job.state == "running")
                await session.execute(update(Job).where(*ours).values(lease_until=now + leases.LEASE))
            await session.execute(delete(Worker).where(Worker.seen_at < now - timedelta(hours=1)))
        self._last_beat = self.runtime.clock.monotonic()

    async def _leave(self) -> None:
        try:
            async with self.runtime.database.write() as session:
                await self._write_down(session, self._ended)
                await session.execute(delete(Worker).where(Worker.id == self.name))
        except (SQLAlchemyError, OSError) as error:
            log.warning("leave_failed", error=type(error).__name__)

    async def _claim(self, session: AsyncSession, free: int, ears: int) -> list[Claimed]:
        """Due jobs, made ours. The last quarter of the slots is kept for what has priority: what is said need not wait for what is read."""
        had_room, self._has_room = self._has_room, await has_room(session)
        if not self._has_room:
            # What could not be written down afterwards is not begun.
            if had_room:
                log.error("disk_full")
            return []
        known = self.runtime.hub.jobs.keys()
        if self._suspects:
            return await claim(session, self.runtime, self.name, names=known, free=free, urgent=free <= self._slots // 4, suspects=True)
        claimed: list[Claimed] = []
        if free > 0:
            urgent = free <= self._slots // 4
            claimed += await claim(session, self.runtime, self.name, names=known - ENDLESS, free=free, urgent=urgent, suspects=False)
        if ears > 0 and known & ENDLESS:
            claimed += await claim(session, self.runtime, self.name, names=known & ENDLESS, free=ears, urgent=False, suspects=False)
        return claimed

    async def _run(self, job: Claimed) -> None:
        RUNNING.set(job.id)
        kind = self.runtime.hub.jobs[job.name]
        context = JobContext(
            runtime=self.runtime,
            job_id=job.id,
            organisation_id=job.organisation_id,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            alone=self._suspects,
            ending=self._ending,
        )
        ended: Ended | None = Ended(job_id=job.id, attempt=job.attempt)
        try:
            await self._in_stage(job)
            payload = _payload(kind, job.payload)
            async with asyncio.timeout(None if job.name in ENDLESS else kind.timeout):
                again_at = await kind.handler(context, payload)
            if isinstance(again_at, datetime):
                ended = Ended(job_id=job.id, attempt=job.attempt, again_at=to_utc(again_at))
        except StageTooLow as error:
            ended = Ended(job_id=job.id, attempt=job.attempt, error=error.detail(), final=True)
        except LeaseLost:
            ended = None
            log.info("lease_lost", job=job.name, job_id=str(job.id))
        except asyncio.CancelledError as error:
            # Cut off by us: the lease ends by itself. Raised by the handler of its own accord: a failure like any other.
            task = asyncio.current_task()
            cut_off = task is not None and task.cancelling() > 0
            ended = None if cut_off else Ended(job_id=job.id, attempt=job.attempt, error=_where(error))
        except TimeoutError:
            ended = Ended(job_id=job.id, attempt=job.attempt, error=f"it took longer than {kind.timeout:g} s")
        except ConnectorError as error:
            ended = Ended(job_id=job.id, attempt=job.attempt, error=f"{error.kind}: {error.message}", retry_after=error.retry_after)
        except MemoryError:
            ended = Ended(job_id=job.id, attempt=job.attempt, error=OUT_OF_MEMORY, memory=True)
        except PayloadMisfit as error:
            ended = Ended(job_id=job.id, attempt=job.attempt, error=f"the payload does not fit: {error}", final=True)
        except BaseException as error:
            log.error("job_failed", job=job.name, job_id=str(job.id), attempt=job.attempt, error=type(error).__name__)
            ended = Ended(job_id=job.id, attempt=job.attempt, error=_where(error))
        finally:
            self._running.pop((job.id, job.attempt), None)
            self._listening.discard((job.id, job.attempt))
            if ended is not None:
                self._ended.append(ended)
            self._ear.nudge()

    async def _in_stage(self, job: Claimed) -> None:
        """Work of a plugin whose stage the organisation has not reached does not run."""
        stage = self.runtime.hub.stage_of(job.name.split(".", maxsplit=1)[0])
        if stage <= 1 or job.organisation_id is None:
            return
        async with self.runtime.database.read() as session:
            reached = (await session.execute(select(_STAGE.c.stage).where(_STAGE.c.id == job.organisation_id))).scalar_one_or_none()
        if reached is None or reached < stage:
            raise StageTooLow(needed=stage, stage=reached or 0)

    async def _write_down(self, session: AsyncSession, ended: list[Ended]) -> None:
        if not ended:
            return
        now = self.runtime.clock.now()
        well = [(one.job_id, one.attempt) for one in ended if one.error is None and one.again_at is None]
        if well:
            await session.execute(
                update(Job)
                .where(tuple_(Job.id, Job.attempt).in_(well), Job.worker == self.name, Job.state == "running")
                .values(state="done", lease_until=None, finished_at=now, last_error=None, suspect=False)
                .execution_options(synchronize_session=False)
            )
        for one in ended:
            if one.error is not None:
                await self._failed(session, one, now)
            elif one.again_at is not None:
                await self._goes_on(session, one, one.again_at)

    async def _goes_on(self, session: AsyncSession, one: Ended, at: datetime) -> None:
        """The handler asked to be called again: no failure, so the attempts left are what they were."""
        ours = (Job.id == one.job_id, Job.attempt == one.attempt, Job.worker == self.name, Job.state == "running")
        await session.execute(
            update(Job)
            .where(*ours)
            .values(state="ready", lease_until=None, run_at=at, last_error=None, max_attempts=Job.max_attempts + 1)
            .execution_options(synchronize_session=False)
        )

    async def _failed(self, session: AsyncSession, one: Ended, now: datetime) -> None:
        ours = (Job.id == one.job_id, Job.attempt == one.attempt, Job.worker == self.name, Job.state == "running")
        last = (await session.execute(select(Job.max_attempts).where(*ours))).scalar_one_or_none()
        if last is None:
            return
        if one.memory and self._suspects:
            await convict(session, self.runtime, self.name, Guilt(why="memory", words=one.error or ""))
            return
        if one.final or one.attempt >= last:
            await bury(session, one.job_id, now, one.error or "")
            return
        wait = max(one.retry_after, 1.0) if one.retry_after is not None else 2.0 ** min(one.attempt, 12)
        wait = min(wait, LONGEST_BACK_OFF) * (1 + 0.25 * self.runtime.chance.random())
        await session.execute(
            update(Job)
            .where(*ours)
            .values(state="ready", lease_until=None, run_at=now + timedelta(seconds=wait), last_error=one.error, suspect=one.memory)
            .execution_options(synchronize_session=False)
        )


def _payload(kind: JobKind, payload: Any) -> Any:
    if kind.payload is None:
        return payload
    try:
        return msgspec.convert(payload, kind.payload)
    except msgspec.ValidationError as error:
        raise PayloadMisfit(str(error)) from error


def _where(error: BaseException) -> str:
    """The kind of error and where it happened; never its text, which may quote people or secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} in {place}"
