"""A worker that sleeps through its lease while it holds a delivery: others take over, and when it wakes it sends and writes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import world
from echo import EchoPlugin
from loud import SAFETIES, LoudKey, LoudPlugin, Square, square
from smhub import faults
from smhub.sdk import Connector, Draft, Pending, Plugin, PluginContext, Published
from smhub.work import leases
from smhub.work.running import Runner

HERE = Path(__file__).parent
WORKERS = 4
SHORT = 3.0
PATIENCE = 90.0
"""Who sleeps inside a transaction holds its locks until the server ends it, after 60 s."""
SETTLE = 0.6
SENT = {
    "deliver.taken": {"key": 1, "container": 1, "lookup": 1, "none": 0},
    "deliver.answered": {"key": 1, "container": 1, "lookup": 1, "none": 1},
    "deliver.first_byte": {"key": 1, "container": 1, "lookup": 1, "none": 0},
    # It slept between the last look at its lease and the socket: nobody can call that request back. A key and a container make it
    # harmless. Where others looked, found nothing and sent it again meanwhile, it is out twice.
    "deliver.last_byte": {"key": 1, "container": 1, "lookup": 2, "none": 1},
}
"""How often it is out when a worker slept at this point for twice its lease, and all is over."""


class Workers:
    """Real worker processes, without a supervisor that would kill a silent one."""

    def __init__(self, folder: Path, processes: list[asyncio.subprocess.Process]) -> None:
        self._folder = folder
        self._processes = processes

    def arm(self, point: str) -> None:
        """The next to pass the point stops there."""
        (self._folder / "new").write_text(point)
        (self._folder / "new").rename(self._folder / "armed")

    def sleeper(self) -> int | None:
        """The pid of the one that has stopped."""
        for file in self._folder.glob("paused-*"):
            pid = int(file.name.partition("-")[2])
            if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T":
                return pid
        return None

    def wake(self, pid: int) -> None:
        (self._folder / f"paused-{pid}").unlink()
        os.kill(pid, signal.SIGCONT)

    def started(self, pid: int) -> bool:
        return any(line["event"] == "worker_started" for line in self._log(pid))

    def gave_up(self, pid: int) -> int:
        """How many deliveries a worker let go without a word about them. A connection that the server ended meanwhile fails the job."""
        ends = ("lease_lost", "job_failed")
        return sum(line.get("job") == "delivery.advance" and line["event"] in ends for line in self._log(pid))

    def _log(self, pid: int) -> list[dict[str, Any]]:
        number = [process.pid for process in self._processes].index(pid)
        whole = (self._folder / f"log-{number}").read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


async def until(what: Callable[[], Any], why: str) -> Any:
    """What it tells as soon as it tells something; awaited, if it has to be."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                told = what()
                told = await told if asyncio.iscoroutine(told) else told
                if told:
                    return told
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(why) from None


@asynccontextmanager
async def workers(url: str, allowed: str, folder: Path, lease: float) -> AsyncIterator[Workers]:
    environment = {**os.environ, "LOUD_SETTLE_SECONDS": str(SETTLE)}
    script = [sys.executable, str(HERE / "paused_worker.py"), url, allowed, str(folder), str(lease)]
    processes = []
    try:
        for number in range(WORKERS):
            with (folder / f"log-{number}").open("wb") as log:
                processes.append(
                    await asyncio.create_subprocess_exec(
                        *script, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env=environment
                    )
                )
        started = Workers(folder, processes)
        for process in processes:
            await until(lambda pid=process.pid: started.started(pid), "a worker did not start")  # type: ignore[misc]
        yield started
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [await process.wait() for process in processes] == [0] * WORKERS
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Scene:
    """A hub, a network, and channels of all four kinds."""

    def __init__(self, hub: world.Hub, network: Square, at_work: Workers, lease: float, channels: dict[str, str]) -> None:
        self._hub, self._network, self._workers, self._lease, self._channels = hub, network, at_work, lease, channels

    async def slept(self, point: str, safety: str) -> dict[str, Any]:
        """Let a worker sleep at the point with a post; what others made of it before it woke and after."""
        self._workers.arm(point)
        text = f"{safety} {point}"
        body = {"text": text, "max_lateness_seconds": 30 * 86_400}
        said = await self._hub.post(f"/v1/channels/{self._channels[safety]}/posts", body)
        pid = await until(self._workers.sleeper, f"nobody stopped at {point}")
        held = (await self._attempts(said))[-1]
        assert held["state"] == "sending"
        await asyncio.sleep(2 * self._lease)
        await until(lambda: self._rests(said), "nobody took over")
        before = await self._state(said)
        gave_up = self._workers.gave_up(pid)
        self._workers.wake(pid)
        await until(lambda: self._workers.gave_up(pid) > gave_up, "it did not notice that it lost its lease")
        await self._network.settled()
        return {
            "taken_over": next(one["error_code"] for one in before["attempts"] if one["id"] == held["id"]),
            "state": before["delivery"]["state"],
            "wrote_late": await self._state(said) != before,
            "out": self._network.texts().count(text),
        }

    async def _attempts(self, said: dict[str, Any]) -> list[dict[str, Any]]:
        return (await self._hub.get(f"/v1/deliveries/{said['id']}/attempts"))["items"]  # type: ignore[no-any-return]

    async def _rests(self, said: dict[str, Any]) -> bool:
        now = await self._hub.get(f"/v1/deliveries/{said['id']}")
        return now["state"] == "published" or (now["state"] == "unknown" and now["next_look_at"] is None)

    async def _state(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"delivery": await self._hub.get(f"/v1/deliveries/{said['id']}"), "attempts": await self._attempts(said)}


@asynccontextmanager
async def scene(url: str, folder: Path, lease: float) -> AsyncIterator[Scene]:
    async with square() as (network, port):
        allowed = f"127.0.0.1:{port}"
        async with world.start(url, plugins=[LoudPlugin()], allow_private_hosts=allowed) as hub:
            channels = {}
            for safety in SAFETIES:
                body = {"network": f"loud-{safety}", "name": safety, "settings": {"base_url": f"http://{allowed}"}}
                channels[safety] = (await hub.post("/v1/channels", body))["id"]
            async with workers(url, allowed, folder, lease) as at_work:
                yield Scene(hub, network, at_work, lease, channels)


def as_it_should_be(point: str) -> dict[str, dict[str, Any]]:
    return {
        safety: {
            "taken_over": "worker_died",
            "state": "unknown" if safety == "none" else "published",
            "wrote_late": False,
            "out": SENT[point][safety],
        }
        for safety in SAFETIES
    }


# Several workers exist on PostgreSQL only.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("point", SENT)
async def test_of_four_workers_one_sleeps_for_twice_its_lease_and_its_late_word_counts_nothing(
    database_url: str, point: str, tmp_path: Path
) -> None:
    async with scene(database_url, tmp_path, SHORT) as stage:
        assert {safety: await stage.slept(point, safety) for safety in SAFETIES} == as_it_should_be(point)


@pytest.mark.soak
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_same_with_the_lease_as_it_is_in_service(database_url: str, tmp_path: Path) -> None:
    async with scene(database_url, tmp_path, leases.LEASE.total_seconds()) as stage:
        for point in SENT:
            seen = {safety: await stage.slept(point, safety) for safety in SAFETIES}
            print(json.dumps({point: seen}))
            assert seen == as_it_should_be(point)


class Gate:
    """Where a connector waits before its first request."""

    reached = asyncio.Event()
    open = asyncio.Event()


class Hesitant(LoudKey):
    network = "loud-hesitant"

    async def _say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        Gate.reached.set()
        await Gate.open.wait()
        return await super()._say(draft, key, to)


class HesitantPlugin(Plugin):
    id, title = "hesitant", "Hesitant"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Hesitant]


@asynccontextmanager
async def hesitating(url: str) -> AsyncIterator[tuple[world.Hub, Square, dict[str, Any], asyncio.Task[None]]]:
    """A hub whose worker has taken a delivery and not sent it yet."""
    Gate.reached, Gate.open = asyncio.Event(), asyncio.Event()
    async with square() as (network, port):
        allowed = f"127.0.0.1:{port}"
        async with world.start(url, plugins=[EchoPlugin(), HesitantPlugin()], allow_private_hosts=allowed) as hub:
            body = {"network": "loud-hesitant", "name": "Loud", "settings": {"base_url": f"http://{allowed}"}}
            channel = await hub.post("/v1/channels", body)
            await hub.work()
            said = await hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Guten Tag"})
            working = asyncio.create_task(hub.work())
            await Gate.reached.wait()
            yield hub, network, said, working


async def test_who_lost_its_lease_between_taking_and_the_first_byte_sends_nothing(database_url: str) -> None:
    async with hesitating(database_url) as (hub, network, said, working):
        hub.clock.forward(seconds=leases.LEASE.total_seconds() + 1)
        await Runner(hub.runtime, name="another").until_idle()
        assert (await hub.get(f"/v1/deliveries/{said['id']}"))["reason_code"] == "worker_died"
        Gate.open.set()
        await working
        assert network.writes == []
        tried = (await hub.get(f"/v1/deliveries/{said['id']}/attempts"))["items"]
        assert [(one["state"], one["error_code"]) for one in tried] == [("unknown", "worker_died")]
        await hub.work(seconds=11)
        assert ((await hub.get(f"/v1/deliveries/{said['id']}"))["state"], network.texts()) == ("published", ["Guten Tag"])


async def test_who_sleeps_while_it_prolongs_its_lease_looks_again_before_it_sends(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hesitating(database_url) as (hub, network, said, working):
        passed: list[str] = []

        def sleeping(name: str) -> None:
            if name == "deliver.renewed" and name not in passed:
                hub.clock.forward(seconds=20)
            passed.append(name)

        monkeypatch.setattr(faults, "hook", sleeping)
        hub.clock.forward(seconds=20)
        Gate.open.set()
        await working
        assert passed[:3] == ["deliver.renewed", "deliver.renewed", "deliver.first_byte"]
        assert ((await hub.get(f"/v1/deliveries/{said['id']}"))["state"], network.texts()) == ("published", ["Guten Tag"])
