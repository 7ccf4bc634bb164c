"""The hub around a connector: a database made by the migrations, the real jobs, and a worker that works when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update

from smhub import faults
from smhub.access.callers import Caller
from smhub.app.making import make_runtime
from smhub.app.starting import prepare
from smhub.channels import actions as channels
from smhub.channels import health
from smhub.channels.connecting import config_of, connect
from smhub.channels.hooks import addresses, hook_of
from smhub.channels.models import BadItem, Channel, Gap, Intake
from smhub.channels.receiving import receive
from smhub.deliveries import actions as deliveries
from smhub.deliveries.models import Delivery
from smhub.deliveries.schemas import NewPost, NewReply
from smhub.errors import SignatureRefused
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.mentions.models import Mention
from smhub.mentions.pages import source, take_in_items
from smhub.mentions.polling import POLL, PollIntake
from smhub.mentions.routing import ROUTE
from smhub.net import Net, RateBudget
from smhub.organisations.actions import found_organisation
from smhub.sdk import Account, Connector, Item, Plugin, RawRequest, StandingClock
from smhub.secret import Secret
from smhub.settings import Settings
from smhub.testing.registry import Broken
from smhub.testing.tokens import let_in
from smhub.work.leases import LeaseLost
from smhub.work.models import Job
from smhub.work.queue import later
from smhub.work.running import Runner

if TYPE_CHECKING:
    from smhub.testing.trial import Trial

KEYS = Secret("kit:" + "5a" * 32)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
"""Nothing in the kit's database has to survive a power cut."""

POLL_LATER = 61.0
ROUNDS = 12


@cache
def template() -> bytes:
    """A database as a hub makes it at its first start, made once for the process. Not to be called in a running loop."""
    with tempfile.TemporaryDirectory(prefix="smhub-kit-", dir=MEMORY) as folder:
        path = Path(folder) / "hub.db"

        async def made() -> None:
            runtime = make_runtime(_settings(path), clock=StandingClock(), plugins=[], seed=1)
            await prepare(runtime)
            await runtime.net.close()
            await runtime.database.close()

        asyncio.run(made())
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return connection.serialize()


def _settings(path: Path) -> Settings:
    # Not https: no network is told to deliver here. Some cannot be asked then, and what is delivered the checks hand over themselves.
    return Settings(database_url=f"sqlite:///{path}", secret_keys=KEYS, public_url="http://hub.test")


class Bench:
    """What the checks of one connector share: a database as a hub makes it at its first start, and the loaded connector.

    Every check has an organisation, a clock and a network of its own; jobs and budgets of the one before are thrown away.
    """

    def __init__(self, kind: type[Connector[Any]], folder: Path) -> None:
        plugin = type("OneConnector", (Plugin,), {"id": "kit", "register_connectors": lambda self, context: [kind]})
        (folder / "hub.db").write_bytes(template())
        self.runtime = make_runtime(_settings(folder / "hub.db"), clock=StandingClock(), plugins=[plugin()], seed=1)
        self.refused = next((one.reason for one in self.runtime.hub.records.values() if one.state != "loaded"), None)
        # What the hub does with mentions afterwards, and its regular work, have no part in this: nobody claims those jobs.
        for job in [job for job in self.runtime.hub.jobs.values() if job.every or job.cron or job.name == ROUTE.name]:
            del self.runtime.hub.jobs[job.name]

    async def for_one(self, trial: Trial) -> Runtime:
        """The runtime for one check."""
        if self.refused:
            raise Broken("loaded the connector", "the hub takes it", self.refused)
        async with self.runtime.database.write() as session:
            await session.execute(delete(Job))
            await session.execute(delete(RateBudget))
        net = Net(self.runtime.settings, trial.clock, self.runtime.database, client=trial.client)
        return msgspec.structs.replace(self.runtime, clock=trial.clock, net=net, chance=random.Random(1))

    async def close(self) -> None:
        """Let go of the database."""
        await self.runtime.net.close()
        await self.runtime.database.close()


class Hub:
    """One organisation with one channel of the connector."""

    def __init__(self, runtime: Runtime, organisation_id: UUID, channel_id: UUID, trial: Trial) -> None:
        self.runtime, self.organisation_id, self.channel_id = runtime, organisation_id, channel_id
        self.database, self.clock = runtime.database, trial.clock
        self.runner = Runner(runtime, name="conformance")

    @classmethod
    async def start(cls, trial: Trial, bench: Bench) -> Hub:
        """A hub with a new organisation. Its channel is verified, when the connector can say something, and not polled yet."""
        runtime = await bench.for_one(trial)
        now = trial.clock.now()
        async with runtime.database.write() as session:
            organisation_id = (await found_organisation(session, name="Conformance", slug=new_id().hex, now=now)).id
            channel = Channel(
                organisation_id=organisation_id,
                id=new_id(),
                network=trial.kind.network,
                name="Conformance",
                settings={},
                department_id=None,
                created_at=now,
                version=1,
            )
            await channels.set_up(session, runtime, channel, trial.settings())
            if trial.tokens is not None:
                await let_in(session, runtime, trial, channel)
        hub = cls(runtime, organisation_id, channel.id, trial)
        await hub.runner.until_idle()
        return hub

    async def close(self) -> None:
        """End what still runs."""
        await self.runner.cut_off()

    async def work(self, seconds: float = 0.0) -> None:
        """Let time pass, and do everything that is due."""
        self.clock.forward(seconds=seconds)
        await self.runner.until_idle()

    # Mentions in

    async def poll(self, seconds: float = POLL_LATER, times: int = 1) -> None:
        """Poll the channel `seconds` later, as the worker does."""
        for _ in range(times):
            self.clock.forward(seconds=seconds)
            intake = await self.intake()
            async with self.database.write() as session:
                await later(
                    session,
                    POLL,
                    PollIntake(intake_id=intake.id),
                    now=self.clock.now(),
                    organisation_id=self.organisation_id,
                    key=f"intake:{intake.id}",
                    dedupe_key=f"poll:{intake.id}",
                )
            await self.runner.until_idle()

    async def told(self, items: Sequence[Item]) -> None:
        """Take in what the network told by itself, as a delivery or a stream is taken in."""
        async with self.database.write() as session:
            intake = await session.get_one(Intake, (self.organisation_id, (await self.intake()).id))
            of = source(intake, await session.get_one(Channel, (self.organisation_id, self.channel_id)))
            await take_in_items(session, self.runtime, of, intake, items, self.clock.now())

    async def look(self) -> Account:
        """Ask the network who we are, as any call for the channel does."""
        channel = await self.channel()
        async with self.database.read() as session:
            config = await config_of(session, self.runtime, channel)
        return await connect(self.runtime, channel, config).verify()

    async def delivered(self, request: RawRequest) -> bool:
        """The network delivers to the channel's address; whether the signature was taken."""
        async with self.database.read() as session:
            hook = await hook_of(session, await self.channel())
            assert hook is not None
            here, _ = await addresses(session, self.runtime, hook)
        try:
            await receive(self.runtime, here.rpartition("/")[2], request)
        except SignatureRefused:
            return False
        await self.runner.until_idle()
        return True

    async def change(self, settings: dict[str, Any]) -> None:
        """Somebody changes the channel's settings."""
        async with self.database.write() as session:
            channel = await session.get_one(Channel, (self.organisation_id, self.channel_id))
            await channels.change_settings(session, self.runtime, channel, settings)

    async def intake(self) -> Intake:
        """How reading fares."""
        return (await self._all(Intake))[0]  # type: ignore[no-any-return]

    async def mentions(self) -> list[Mention]:
        """What is stored."""
        return await self._all(Mention)

    async def ids(self) -> set[str]:
        """The external ids of what is stored."""
        return {one.external_id for one in await self.mentions()}

    async def bad_items(self) -> list[BadItem]:
        """What could not be read, and was kept."""
        return await self._all(BadItem)

    async def gaps(self) -> list[Gap]:
        """The ledger of gaps."""
        return await self._all(Gap)

    async def resume(self) -> None:
        """Somebody mended what stopped the intake."""
        async with self.database.write() as session:
            intake = await session.get_one(Intake, (self.organisation_id, (await self.intake()).id))
            await channels.resume(session, self.runtime, intake, self.clock.now())

    async def start_afresh(self) -> None:
        """The intake has no cursor any more."""
        async with self.database.write() as session:
            await session.execute(update(Intake).where(Intake.organisation_id == self.organisation_id).values(cursor=None))

    # Words out

    async def say(self, text: str, to: Mention | None = None) -> UUID:
        """Write a post, or an answer, that goes out at once; its delivery."""
        nobody = new_id()
        caller = Caller(
            organisation_id=self.organisation_id,
            member_id=nobody,
            member_name="kit",
            member_kind="service",
            key_id=nobody,
            key_scopes=None,
            key_expires_at=None,
            holdings=(),
            roles=(),
        )
        async with self.database.write() as session:
            channel = await session.get_one(Channel, (self.organisation_id, self.channel_id))
            said = NewPost(text=text) if to is None else NewReply(text=text)
            row = await deliveries.write(session, self.runtime, caller, channel, said, to)
        return row.id

    async def delivery(self, delivery_id: UUID) -> Delivery:
        """How it stands."""
        async with self.database.read() as session:
            return await session.get_one(Delivery, (self.organisation_id, delivery_id))

    async def settled(self, delivery_id: UUID, rounds: int = ROUNDS) -> Delivery:
        """Work, and wait as long as the hub wants to wait, until it is at rest or a person has to decide."""
        for _ in range(rounds):
            await self.runner.until_idle()
            row = await self.delivery(delivery_id)
            at = row.next_at or (row.due_at if row.state == "queued" else None)
            if row.state == "sending":
                self.clock.forward(seconds=POLL_LATER)
            elif at is None:
                return row
            else:
                self.clock.forward(seconds=max((at - self.clock.now()).total_seconds(), 0.0) + 1)
        return await self.delivery(delivery_id)

    async def channel(self) -> Channel:
        """The channel, with what verify found."""
        return (await self._all(Channel))[0]  # type: ignore[no-any-return]

    async def _all(self, model: Any) -> list[Any]:
        async with self.database.read() as session:
            return list((await session.scalars(select(model).where(model.organisation_id == self.organisation_id))).all())


@contextmanager
def dies_at(name: str, number: int = 1) -> Any:
    """The worker dies when it passes this point for the given time: its transaction is rolled back, its lease ends by itself."""
    passed: list[str] = []

    def hook(point: str) -> None:
        if point == name:
            passed.append(point)
            if len(passed) == number:
                raise LeaseLost("the worker died here")

    before, faults.hook = faults.hook, hook
    try:
        yield passed
    finally:
        faults.hook = before


POLLED: Sequence[str] = health.POLLED
