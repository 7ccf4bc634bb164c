"""A thousand deliveries due in the same second, and one reply from POST to the network's receipt, by the real API and the real worker.

Bounds: all out within 15 s against a network that takes 300 ms for each; from POST to receipt p95 at most 400 ms on SQLite and 300 ms on
PostgreSQL. The floor of the first is the network asked by a bare client with as many connections as the worker has slots; of the
second, the bare POST to the network.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import func, select

from bench.common import KEYS, again, databases, free_port, hub, percentile, show
from bench.served import server
from smhub.deliveries.models import Delivery

COUNT = int(os.environ.get("BENCH_DELIVERIES", "1000"))
CHANNELS = 100
SINGLE = 100
NETWORK_SECONDS = 0.3
PLUGIN = """
from smhub.sdk import *
import msgspec

class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: str

class Cursor(msgspec.Struct):
    at: int = 0

class Said(msgspec.Struct):
    id: str

class Bench(Connector[Config], Publishes):
    network, title = "bench", "Bench"
    Config, Cursor = Config, Cursor
    safety = "key"

    async def verify(self):
        return Account(external_id="1", handle="bench")

    async def publish(self, draft, key):
        return Published(external_id=(await self.http.post("/posts", Said, json={"text": draft.text}, key=key)).id)

class BenchPlugin(Plugin):
    id = "bench"

    def register_connectors(self, context):
        return [Bench]
"""


class Network:
    """Takes its time for each post, and remembers when it came."""

    def __init__(self) -> None:
        self.seconds = NETWORK_SECONDS
        self.came: dict[str, float] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                at = head.lower().find(b"content-length:")
                body = await reader.readexactly(int(head[at + 15 : head.index(b"\r", at)])) if at > 0 else b""
                self.came[body.decode()] = time.time()
                await asyncio.sleep(self.seconds)
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"id":"1"}')
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()


def run() -> None:
    with databases() as found, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench.py").write_text(PLUGIN)
        for database, url in found:
            asyncio.run(_one(database, url, folder))


async def _one(database: str, url: str, folder: str) -> None:
    network = Network()
    listening = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with hub(url) as (_, key):
        pass
    environment = {
        "SMHUB_DATABASE_URL": url,
        "SMHUB_SECRET_KEYS": KEYS.reveal(),
        "SMHUB_LOG": "error",
        "SMHUB_PLUGIN_FOLDER": folder,
        "SMHUB_PLUGINS": "bench",
        "SMHUB_ALLOW_PRIVATE_HOSTS": host,
        "SMHUB_REQUESTS_PER_MINUTE": "10000000",
    }
    os.environ.update(environment)
    port = free_port()
    worker = subprocess.Popen([sys.executable, "-m", "smhub", "work"], env=os.environ)
    try:
        with server(port, url=url):
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
                channels = [await _channel(client, number, host) for number in range(CHANNELS)]
                await _burst(database, url, client, network, channels)
                await _singles(database, client, network, channels)
    finally:
        worker.terminate()
        worker.wait()
        listening.close()


async def _channel(client: httpx2.AsyncClient, number: int, host: str) -> str:
    body = {"network": "bench", "name": str(number), "settings": {"base_url": f"http://{host}"}}
    answer = await client.post("/v1/channels", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _burst(database: str, url: str, client: httpx2.AsyncClient, network: Network, channels: list[str]) -> None:
    due = datetime.now(UTC) + timedelta(seconds=max(COUNT / 10, 15))
    for number in range(COUNT):
        body = {"text": f"burst {number}", "due_at": due.isoformat()}
        answer = await client.post(f"/v1/channels/{channels[number % CHANNELS]}/posts", json=body)
        assert answer.status_code == 201, answer.text
    assert datetime.now(UTC) < due, "it took longer to write them than there was time"
    runtime = again(url)
    while True:
        await asyncio.sleep(0.25)
        async with runtime.database.read() as session:
            out = select(func.count()).where(Delivery.state == "published")
            if (await session.execute(out)).scalar_one() == COUNT:
                break
    everything_out = time.time() - due.timestamp()
    await runtime.net.close()
    await runtime.database.close()
    late = [at - due.timestamp() for text, at in network.came.items() if "burst" in text]
    floor = COUNT / 40 * NETWORK_SECONDS
    show("deliver_burst", database, everything_out, "s", floor, COUNT)
    show("deliver_lateness_p99", database, percentile(late, 0.99), "s", floor, len(late))


async def _singles(database: str, client: httpx2.AsyncClient, network: Network, channels: list[str]) -> None:
    network.seconds = 0.0
    seconds, bare = [], []
    for number in range(SINGLE):
        text = f"single {number}"
        began = time.time()
        answer = await client.post(f"/v1/channels/{channels[number % CHANNELS]}/posts", json={"text": text})
        assert answer.status_code == 201, answer.text
        while (at := _came(network, text)) is None:
            await asyncio.sleep(0.002)
        seconds.append(at - began)
        began = time.time()
        await client.get("/livez")
        bare.append(time.time() - began)
        await asyncio.sleep(0.1)
    show("deliver_post_to_receipt_p95", database, percentile(seconds, 0.95) * 1000, "ms", percentile(bare, 0.95) * 1000, SINGLE)


def _came(network: Network, text: str) -> float | None:
    return next((at for body, at in network.came.items() if text in body), None)


__all__: list[Any] = ["run"]
