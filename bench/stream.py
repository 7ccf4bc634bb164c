"""GET /v1/events/stream with 200 readers on real sockets: from the commit in another process to the bytes at each reader, p99.

Bound: 300 ms. The floor: a bare Litestar handler that hands the same bytes to 200 queues in memory, from the request that brings them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

from bench.common import again, databases, free_port, hub, percentile, show, the_organisation
from bench.served import server
from smhub.events.log import Fact, record
from smhub.ids import new_id

READERS = 200
EVENTS = 200
PAUSE = 0.05
BOUND = 300.0
DATA = b'{"seq":1,"type":"bench.it","at":"2026-11-02T09:00:00Z","subject_type":"bench","subject_id":"%s","actor_id":null,"data":{}}'


def run() -> None:
    with databases() as found:
        for database, url in found:
            key = asyncio.run(_prepared(url))
            port = free_port()
            with server(port, url=url):
                ours = asyncio.run(_ours(url, port, key))
            with server(port, streams=True):
                floor = asyncio.run(_floor(port))
            show("stream_p99", database, ours, "ms", floor, READERS * EVENTS)
            if ours > BOUND:
                print(f"over the bound of {BOUND:.0f} ms", flush=True)


class _Reader(asyncio.Protocol):
    """Notes what came when; it is read afterwards."""

    def __init__(self, path: str, key: str) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        self.came: list[tuple[float, bytes]] = []
        self.events = 0
        self.begun = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.came.append((time.perf_counter(), data))
        self.events += data.count(b"\nevent: bench.it\n")
        if b"retry:" in data:
            self.begun.set()

    def times(self) -> dict[str, float]:
        """When each subject came, whole."""
        found, text = {}, b""
        for at, data in self.came:
            *blocks, text = (text + data).split(b"\n\n")
            for block in blocks:
                _, sign, rest = block.partition(b'"subject_id":"')
                if sign:
                    found[rest[:36].decode()] = at
        return found


@contextlib.asynccontextmanager
async def _readers(port: int, path: str, key: str) -> AsyncIterator[list[_Reader]]:
    readers = []
    for _ in range(READERS):
        _, reader = await asyncio.get_running_loop().create_connection(lambda: _Reader(path, key), "127.0.0.1", port)
        readers.append(reader)
    for reader in readers:
        await reader.begun.wait()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.transport.close()
        await asyncio.sleep(0.2)


async def _measured(readers: list[_Reader], write: Callable[[UUID], Awaitable[float]]) -> float:
    """The p99 in milliseconds; raises when one reader missed an event or got one twice."""
    written: dict[str, float] = {}
    for _ in range(EVENTS):
        subject = new_id()
        written[str(subject)] = await write(subject)
        await asyncio.sleep(PAUSE)
    async with asyncio.timeout(30):
        while any(reader.events < EVENTS for reader in readers):
            await asyncio.sleep(0.05)
    waits: list[float] = []
    for reader in readers:
        came = reader.times()
        if came.keys() != written.keys() or reader.events != EVENTS:
            raise RuntimeError("a reader missed an event")
        waits += [came[subject] - at for subject, at in written.items()]
    return percentile(waits, 0.99) * 1000


async def _prepared(url: str) -> str:
    async with hub(url) as (_, key):
        return key


async def _ours(url: str, port: int, key: str) -> float:
    runtime = again(url)
    organisation = await the_organisation(runtime)

    async def write(subject: UUID) -> float:
        async with runtime.database.write() as session:
            fact = Fact(organisation_id=organisation, type="bench.it", subject_type="bench", subject_id=subject, at=runtime.clock.now())
            await record(session, fact)
        return time.perf_counter()

    async with _readers(port, "/v1/events/stream", key) as readers:
        found = await _measured(readers, write)
    await runtime.net.close()
    await runtime.database.close()
    return found


async def _floor(port: int) -> float:
    async with _readers(port, "/stream", "-") as readers:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def write(subject: UUID) -> float:
            body = b"id: 1\nevent: bench.it\ndata: " + DATA % str(subject).encode() + b"\n\n"
            began = time.perf_counter()
            writer.write(b"POST /hand-on HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 204"):
                raise RuntimeError(head[:200])
            return began

        found = await _measured(readers, write)
        writer.close()
    return found
