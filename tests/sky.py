"""The small server of the AT Protocol (smhub_bluesky.fake) on a socket of this machine, and a hub with an account on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import world
from smhub.sdk import StandingClock
from smhub_bluesky.fake import PASSWORD, Server
from smhub_bluesky.plugin import BlueskyPlugin


class Sky(Server):
    """`lose(method, number)` says whether the answer to this call gets lost after it was carried out; `hold` keeps sign-ins waiting."""

    def __init__(self, clock: Callable[[], StandingClock]) -> None:
        super().__init__()
        self._clock = clock
        self.lose: Callable[[str, int], bool] = lambda name, number: False
        self.hold: asyncio.Event | None = None
        self.waiting = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                name = target.partition("?")[0].removeprefix("/xrpc/")
                if self.hold is not None and name.startswith("com.atproto.server.createSession"):
                    self.waiting.set()
                    await self.hold.wait()
                self.now = self._clock().now()
                status, content = self.answer(method, target, headers, body)
                if self.lose(name, self.asked[name]):
                    return
                data = json.dumps(content).encode()
                writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    @property
    def signed_in(self) -> int:
        """How often a password was shown."""
        return self.asked["com.atproto.server.createSession"]

    @property
    def renewed(self) -> int:
        return self.asked["com.atproto.server.refreshSession"]


class Stage:
    """A hub and the network it speaks to."""

    def __init__(self, hub: world.Hub, sky: Sky, url: str) -> None:
        self.hub, self.sky, self.url = hub, sky, url

    def settings(self, password: str = PASSWORD) -> dict[str, Any]:
        return {"base_url": self.url, "identifier": "firma.test", "app_password": password, "jetstream": ""}

    async def channel(self, **more: Any) -> dict[str, Any]:
        """firma's account, read for the first time."""
        made = await self.hub.post("/v1/channels", {"network": "bluesky", "name": "Bluesky", "settings": self.settings(**more)})
        await self.hub.work()
        return made  # type: ignore[no-any-return]

    async def health(self, channel: dict[str, Any]) -> tuple[str, str | None]:
        found = (await self.hub.get(f"/v1/channels/{channel['id']}"))["health"]
        return found["state"], found["reason_code"]


@asynccontextmanager
async def under_the_sky(database_url: str, *allowed: int) -> AsyncIterator[Stage]:
    """A hub whose plugin speaks the network, and the network. It may also go to other ports of this machine."""
    clocks: list[StandingClock] = []
    sky = Sky(lambda: clocks[0])
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(sky.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        allow = ",".join(f"127.0.0.1:{one}" for one in (port, *allowed))
        async with world.start(database_url, plugins=[BlueskyPlugin()], shared=True, allow_private_hosts=allow) as hub:
            clocks.append(hub.clock)
            yield Stage(hub, sky, f"http://127.0.0.1:{port}")
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
