"""A small HTTP/1.1 load client on plain sockets: it costs little beside the server that it measures."""

from __future__ import annotations

import asyncio
import time

import msgspec


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: requests per second, and each request's seconds."""

    rate: float
    seconds: list[float]
    body: bytes


async def run(port: int, path: str, *, key: str | None, connections: int = 16, seconds: float = 5.0) -> Load:
    """Ask as fast as `connections` clients can, one request after the other each. Raises when an answer is not a 200."""
    header = f"Authorization: Bearer {key}\r\n" if key else ""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n{header}\r\n".encode()
    times: list[float] = []
    bodies: list[bytes] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head[:200])
            at = head.lower().index(b"content-length:") + 15
            body = await reader.readexactly(int(head[at : head.index(b"\r", at)]))
            times.append(time.perf_counter() - began)
            bodies[:] = [body]
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(rate=len(times) / (time.perf_counter() - began), seconds=times, body=bodies[0])
