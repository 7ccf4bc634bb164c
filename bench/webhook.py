"""POST /v1/hooks/… at 300 signed deliveries a second on real sockets, while a worker takes them in: from the moment when each is due to
its answer, p99.

Bound: 200 ms. The floor: a bare Litestar handler that reads the same bytes and answers, at the same rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from sqlalchemy import func, select

from bench.common import KEYS, again, databases, free_port, hub, percentile, show
from bench.served import server
from smhub.channels.models import WebhookDelivery
from smhub.mentions.models import Mention
from smhub.sdk import Hmac, Secret

RATE = 300
SECONDS = 20
CONNECTIONS = 64
BOUND = 200.0
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
RULE = Hmac.standard("secret")
WORDS = "Wo bleibt mein Paket? Die Nummer ist 4711, und es sollte gestern kommen. " * 4


def run() -> None:
    with databases() as found:
        for database, url in found:
            key = asyncio.run(_prepared(url))
            port = free_port()
            with server(port, url=url), _worker(url):
                path = asyncio.run(_channel(port, key))
                ours = asyncio.run(_measured(port, path))
                asyncio.run(_all_taken_in(url))
            bare = free_port()
            with server(bare, takes=True):
                floor = asyncio.run(_measured(bare, "/take"))
            show("webhook_p99", database, ours, "ms", floor, RATE * SECONDS)
            if ours > BOUND:
                print(f"over the bound of {BOUND:.0f} ms", flush=True)


async def _prepared(url: str) -> str:
    async with hub(url) as (_, key):
        return key


@contextlib.contextmanager
def _worker(url: str) -> Iterator[None]:
    environment = {**os.environ, "SMHUB_DATABASE_URL": url, "SMHUB_SECRET_KEYS": KEYS.reveal(), "SMHUB_LOG": "error"}
    started = subprocess.Popen([sys.executable, "-m", "smhub", "work"], env=environment)
    try:
        yield
    finally:
        started.terminate()
        started.wait()


async def _channel(port: int, key: str) -> str:
    """Connect a channel; the path at which it takes deliveries."""
    body = json.dumps({"network": "webhook", "name": "Bench", "settings": {"secret": SECRET.reveal()}}).encode()
    headers = f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = await _post(reader, writer, "/v1/channels", headers, body)
    writer.close()
    address: str = json.loads(answer)["webhook"]["callback_url"]
    return "/v1/hooks/" + address.rpartition("/")[2]


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, headers: str, body: bytes) -> bytes:
    writer.write(f"POST {path} HTTP/1.1\r\nHost: bench\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
        raise RuntimeError(head[:200])
    at = head.lower().index(b"content-length:") + 15
    return await reader.readexactly(int(head[at : head.index(b"\r", at)]))


async def _measured(port: int, path: str) -> float:
    """The p99 in milliseconds. Each has its moment, and a late answer makes no later one wait uncounted."""
    waits: list[float] = []
    due: asyncio.Queue[tuple[int, float]] = asyncio.Queue()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            number, at = await due.get()
            body = json.dumps({"id": number, "text": f"{number} {WORDS}", "author": f"Kundin {number % 500}"}).encode()
            stamp = str(int(time.time()))
            signature = RULE.prefix + RULE.sign(body, SECRET, timestamp=stamp, delivery=str(number))
            headers = f"webhook-id: {number}\r\nwebhook-timestamp: {stamp}\r\nwebhook-signature: {signature}\r\n"
            await _post(reader, writer, path, headers, body)
            waits.append(time.perf_counter() - at)
            due.task_done()

    clients = [asyncio.create_task(client()) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for number in range(RATE * SECONDS):
        at = began + number / RATE
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due.put_nowait((number, at))
    finished = asyncio.create_task(due.join())
    await asyncio.wait([finished, *clients], return_when=asyncio.FIRST_COMPLETED)
    for one in clients:
        if one.done():
            one.result()
        one.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return percentile(waits, 0.99) * 1000


async def _all_taken_in(url: str) -> None:
    """Raises when not everything that was acknowledged becomes a mention."""
    runtime = again(url)
    try:
        async with asyncio.timeout(120):
            while True:
                async with runtime.database.read() as session:
                    done = select(func.count()).select_from(WebhookDelivery).where(WebhookDelivery.state == "done")
                    taken = (await session.execute(done)).scalar_one()
                    mentions = (await session.execute(select(func.count()).select_from(Mention))).scalar_one()
                if taken == mentions == RATE * SECONDS:
                    return
                await asyncio.sleep(0.2)
    finally:
        await runtime.net.close()
        await runtime.database.close()
