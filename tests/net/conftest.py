"""Real servers on the loopback device, reached through the allow-list."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

import httpcore2
import pytest

from smhub.net import AllowList, Client
from smhub.time import StandingClock

Answer = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class Request:
    """What a server received."""

    def __init__(self, line: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.target, _ = line.split(" ", 2)
        self.headers, self.body = headers, body


class Server:
    """A listener that answers with whatever the test writes. `connections` counts, `requests` keeps."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[Request] = []
        self.errors: list[Exception] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, tls: ssl.SSLContext | None, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._accept, host, 0, ssl=tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Request(head[0], headers, body))
                await self.answer(self.requests[-1], writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()


def answer(body: bytes = b"{}", status: int = 200, *headers: str, close: bool = False) -> Answer:
    """The same answer to everybody."""

    async def write(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, *(["Connection: close"] if close else [])]
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if request.method == "HEAD" else body))
        if close:
            writer.close()

    return write


class CountingBackend(httpcore2.AnyIOBackend):
    """The real backend; it notes what it was asked to connect to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *args: object, **more: object) -> httpcore2.AsyncNetworkStream:
        self.calls.append((host, port))
        return await super().connect_tcp(host, port, *args, **more)  # type: ignore[arg-type]


class Names:
    """A resolver with a fixed book. A name with several answers gives the next one at each question."""

    def __init__(self, **book: Sequence[Sequence[str]]) -> None:
        self.book = {name.replace("_", "."): list(answers) for name, answers in book.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.book.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


Serve = Callable[..., Awaitable[Server]]
MakeClient = Callable[..., Client]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(answer(...))` starts a server on 127.0.0.1."""
    servers: list[Server] = []

    async def start(reply: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Server:
        server = Server(reply)
        await server.start(tls, host)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def make_client(clock: StandingClock) -> AsyncIterator[MakeClient]:
    """A client that may reach the given servers on 127.0.0.1, and nothing else that is private."""
    clients: list[Client] = []

    def make(*servers: Server, **more: object) -> Client:
        allow = AllowList.parse(",".join(f"127.0.0.1/32:{server.port}" for server in servers))
        clients.append(Client(allow, clock, **more))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()
