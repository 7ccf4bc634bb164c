"""A service that takes notices, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def service(status: int = 200, wait: float = 0.0) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """A web service on a real socket: its port, and what it was told."""
    got: list[dict[str, Any]] = []
    over, done = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        got.append(json.loads(await reader.readexactly(length)))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await over.wait()
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got
        over.set()
        if got:
            await done.wait()
