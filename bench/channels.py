"""Five hundred channels that are due at once, on five networks that take 200 ms for each answer, polled by one real worker.

Bounds: all polled within 60 s; no more requests at a time than a network's budget allows; the worker needs at most 300 MB. The floor of the
time are the same requests by a bare client with as many connections as the worker has slots.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import func, select

from bench.common import KEYS, again, databases, hub, show, the_organisation
from bench.start import share
from smhub.app.making import make_runtime
from smhub.channels import actions
from smhub.channels.models import Channel, Intake
from smhub.ids import new_id
from smhub.settings import Settings

COUNT = int(os.environ.get("BENCH_CHANNELS", "500"))
NETWORKS = 5
SLOTS = 20
NETWORK_SECONDS = 0.2
BUDGET = 100
LONGEST = 180.0
PLUGIN = f"""
from smhub.sdk import *
import msgspec

class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: str

class Cursor(msgspec.Struct):
    at: int = 0

class Bench(Connector[Config], FetchesMentions):
    network, title = "bench", "Bench"
    Config, Cursor = Config, Cursor
    poll_seconds = 3600
    rates = (Rate(calls={BUDGET}, seconds=10, key="host"),)

    async def verify(self):
        return Account(external_id="1", handle="bench")

    async def fetch_mentions(self, cursor):
        await self.http.get("/mentions", list[int])
        yield Page(items=[], cursor=Cursor(1))

class BenchPlugin(Plugin):
    id = "bench"

    def register_connectors(self, context):
        return [Bench]
"""


class Network:
    """Takes its time for each answer, and counts how many wait for one at once."""

    def __init__(self) -> None:
        self.waiting = self.peak = self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                self.waiting += 1
                self.peak = max(self.peak, self.waiting)
                await asyncio.sleep(NETWORK_SECONDS)
                self.waiting -= 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]")
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()


def run() -> None:
    with databases() as found, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench.py").write_text(PLUGIN)
        for database, url in found:
            asyncio.run(_one(database, url, folder))


async def _one(database: str, url: str, folder: str) -> None:
    networks = [Network() for _ in range(NETWORKS)]
    servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in networks]
    ports = [one.sockets[0].getsockname()[1] for one in servers]
    async with hub(url):
        pass
    more: dict[str, Any] = {
        "plugin_folder": folder,
        "plugins": "bench",
        "allow_private_hosts": ",".join(f"127.0.0.1:{port}" for port in ports),
    }
    await _channels(Settings(database_url=url, secret_keys=KEYS, log="error", **more), ports)
    floor = await _bare(ports)
    for one in networks:
        one.peak = one.asked = 0
    environment = {f"SMHUB_{name.upper()}": value for name, value in more.items()}
    environment |= {"SMHUB_DATABASE_URL": url, "SMHUB_SECRET_KEYS": KEYS.reveal(), "SMHUB_LOG": "error"}
    began = time.perf_counter()
    worker = subprocess.Popen([sys.executable, "-m", "smhub", "work"], env={**os.environ, **environment})
    try:
        await _all_polled(url)
        seconds = time.perf_counter() - began
        memory = share(worker.pid)
    finally:
        worker.terminate()
        worker.wait()
        for server in servers:
            server.close()
    show("channels", database, seconds, "s", floor, COUNT)
    show("channels, peak at one network", database, max(one.peak for one in networks), "requests", BUDGET, NETWORKS)
    show("channels, memory", database, memory, "MB", 300.0, COUNT)


async def _channels(settings: Settings, ports: list[int]) -> None:
    runtime = make_runtime(settings)
    organisation_id, now = await the_organisation(runtime), runtime.clock.now()
    async with runtime.database.write() as session:
        for number in range(COUNT):
            channel = Channel(
                organisation_id=organisation_id,
                id=new_id(),
                network="bench",
                name=f"Bench {number}",
                settings={},
                department_id=None,
                created_at=now,
                version=1,
            )
            await actions.set_up(session, runtime, channel, {"base_url": f"http://127.0.0.1:{ports[number % NETWORKS]}"})
    await runtime.net.close()
    await runtime.database.close()


async def _bare(ports: list[int]) -> float:
    """The same requests by a bare client."""
    limits = httpx2.Limits(max_connections=SLOTS)
    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:
        began = time.perf_counter()
        await asyncio.gather(*(client.get(f"http://127.0.0.1:{ports[number % NETWORKS]}/mentions") for number in range(COUNT)))
        return time.perf_counter() - began


async def _all_polled(url: str) -> None:
    runtime = again(url)
    polled = select(func.count()).select_from(Intake).where(Intake.last_success_at.is_not(None))
    async with asyncio.timeout(LONGEST):
        while True:
            async with runtime.database.read() as session:
                if (await session.execute(polled)).scalar_one() == COUNT:
                    break
            await asyncio.sleep(0.1)
    await runtime.net.close()
    await runtime.database.close()
