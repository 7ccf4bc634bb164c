"""The hub of the tests on a real port, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

import world


@dataclass
class Served:
    url: str
    key: str
    hub: world.Hub


@contextmanager
def served(database_url: str) -> Iterator[Served]:
    """A hub that listens on a free port until the block ends."""
    # With the protocol said, asyncio sets TCP_NODELAY; without it every answer waits 40 ms for the client's acknowledgement.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    ready, ended, found = threading.Event(), threading.Event(), []
    servers: list[uvicorn.Server] = []

    async def pass_time(hub: world.Hub) -> None:
        """Time runs fast, with a worker that shows itself: who guesses keys is let in again, and the hub stays ready."""
        while True:
            hub.clock.forward(seconds=25)
            await hub.runner.register()
            await asyncio.sleep(0.03)

    async def run() -> None:
        async with world.start(database_url, requests_per_minute=10_000_000) as hub:
            await hub.work()
            passing = asyncio.create_task(pass_time(hub))
            server = uvicorn.Server(uvicorn.Config(hub.app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
            servers.append(server)
            found.append(Served(f"http://127.0.0.1:{listening.getsockname()[1]}", hub.key, hub))
            ready.set()
            try:
                await server.serve([listening])
            finally:
                passing.cancel()

    def thread() -> None:
        try:
            asyncio.run(run())
        finally:
            ended.set()
            ready.set()

    running = threading.Thread(target=thread, daemon=True)
    running.start()
    ready.wait(30)
    assert found, "the hub did not start"
    try:
        yield found[0]
    finally:
        servers[0].should_exit = True
        running.join(10)
        listening.close()
    assert ended.is_set(), "the hub did not end"
