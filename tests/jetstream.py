"""A Jetstream on a socket of this machine: it keeps what was told and tells it from a cursor on, then what comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve

from smhub_bluesky.fake import POSTS


class Jetstream:
    """`asked` are the parameters of each connection. What lies before `oldest` (in microseconds) is not kept any more."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.sockets: set[ServerConnection] = set()
        self.oldest = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def tells(self, *messages: str) -> None:
        """Something happens on the network."""
        for message in messages:
            event = json.loads(message)
            self.history.append(event)
            for socket in list(self.sockets):
                await socket.send(json.dumps(event))

    async def breaks(self, code: int = 1011) -> None:
        """Whoever listens is cut off."""
        for socket in list(self.sockets):
            await socket.close(code)

    async def speak(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        parts = urlsplit(socket.request.path)
        assert parts.path == "/subscribe"
        params = parse_qs(parts.query)
        self.asked.append(params)
        assert params["wantedCollections"] == [POSTS]
        if cursor := params.get("cursor"):
            for event in self.history:
                if event["time_us"] >= max(int(cursor[0]), self.oldest):
                    await socket.send(json.dumps(event))
        self.sockets.add(socket)
        try:
            await socket.wait_closed()
        finally:
            self.sockets.discard(socket)


@asynccontextmanager
async def on_air() -> AsyncIterator[Jetstream]:
    made = Jetstream()
    async with serve(made.speak, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
        await asyncio.gather(*(socket.close() for socket in list(made.sockets)))
