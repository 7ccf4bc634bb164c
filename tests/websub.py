"""A feed and a WebSub hub on a socket of this machine: the hub takes questions, asks back, and delivers, as the Recommendation says."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import httpx2
import msgspec

PLACES = {"sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}


class Asked(msgspec.Struct):
    """A question of a subscriber."""

    mode: str
    topic: str
    callback: str
    secret: str
    lease: str


class Publisher:
    """`entries` stand in the feed, the newest first. `offers` says whether it names its hub, `in_headers` where."""

    def __init__(self, world: httpx2.AsyncClient) -> None:
        self.world = world
        self.entries: list[tuple[str, str]] = []
        self.offers, self.in_headers = True, False
        self.status = 202
        self.asked: list[Asked] = []
        self.fetched = 0
        self.port = 0
        self.lease = 864_000
        self._number = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def topic(self) -> str:
        return f"{self.url}/feed.xml?whole"

    def feed(self, at: str = "2026-11-02T08:00:00Z") -> bytes:
        links = f'<link rel="hub" href="/hub"/><link rel="self" href="{self.topic}"/>' if self.offers and not self.in_headers else ""
        entries = "".join(
            f"<entry><id>{id_}</id><title>{words}</title><updated>{at}</updated></entry>" for id_, words in reversed(self.entries)
        )
        return f'<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:f</id><title>News</title>{links}{entries}</feed>'.encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, more, answer = self._answer(head[0].split(" ")[0], body)
                lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(answer)}", *more, "", ""]
                writer.write("\r\n".join(lines).encode() + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _answer(self, method: str, body: bytes) -> tuple[int, list[str], bytes]:
        if method == "GET":
            self.fetched += 1
            links = [f'Link: <{self.url}/hub>; rel="hub", <{self.topic}>; rel=self'] if self.offers and self.in_headers else []
            return 200, ["Content-Type: application/atom+xml", *links], self.feed()
        told = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        names = {"mode": "mode", "topic": "topic", "callback": "callback", "secret": "secret", "lease": "lease_seconds"}
        self.asked.append(Asked(**{name: told.get(f"hub.{key}", "") for name, key in names.items()}))
        return self.status, [], b""

    async def asks_back(self, asked: Asked, mode: str | None = None, topic: str | None = None) -> bool:
        """Verification of intent: whether the subscriber meant it."""
        self._number += 1
        challenge = f"challenge-{self._number}"
        given = {"hub.mode": mode or asked.mode, "hub.topic": topic or asked.topic, "hub.challenge": challenge}
        answer = await self.world.get(asked.callback, params={**self._query(asked), **given, "hub.lease_seconds": str(self.lease)})
        return answer.status_code == 200 and answer.text == challenge

    async def distributes(self, asked: Asked, body: bytes | None = None, algorithm: str = "sha256", secret: str | None = None) -> int:
        """Content distribution; the subscriber's answer."""
        content = self.feed() if body is None else body
        signature = hmac.new((secret or asked.secret).encode(), content, algorithm).hexdigest()
        assert len(signature) == PLACES[algorithm]
        links = f'<{self.url}/hub>; rel="hub", <{self.topic}>; rel="self"'
        headers = {"Content-Type": "application/atom+xml", "Link": links, "X-Hub-Signature": f"{algorithm}={signature}"}
        return (await self.world.post(asked.callback, content=content, headers=headers)).status_code

    @staticmethod
    def _query(asked: Asked) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(asked.callback.partition("?")[2]).items()}


@asynccontextmanager
async def published() -> AsyncIterator[Publisher]:
    made = Publisher(httpx2.AsyncClient())
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(made.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
