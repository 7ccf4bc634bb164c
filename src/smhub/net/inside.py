"""A network that lies in this process: the hub's own client, with everything below its connections replaced.

For the conformance kit. No socket is opened, no name is resolved; judging addresses, deadlines, caps, redirects and the reading of
answers are the real ones.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import httpcore2
import msgspec

from smhub.net.client import Client
from smhub.net.guard import AllowList
from smhub.time import Clock

SOMEWHERE = "8.8.8.8"
"""Every name lies at this public address; nobody goes there."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its bytes arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Serve = Callable[[Asked], AsyncIterator[bytes]]
"""The bytes of the answer, piece by piece. It raises OSError where a connection breaks, TimeoutError where nothing comes."""

Hear = Callable[[bytes | None], AsyncIterator[bytes]]
"""What one connection that is not HTTP hears: nothing (it was opened), or what was written; the pieces of the answer. Raises as Serve."""


class Inside(httpcore2.AsyncNetworkBackend):
    """Connections that end in `serve`. `open` counts those that nobody has closed; `refuses` says that none is taken.

    `talk` gives for a port what hears a connection that is not HTTP, None for those of HTTP."""

    def __init__(self, serve: Serve, talk: Callable[[int], Hear | None] = lambda port: None) -> None:
        self._serve, self._talk = serve, talk
        self.open = 0
        self.refuses = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if self.refuses:
            raise ConnectionRefusedError
        hear = self._talk(port)
        self.open += 1
        return _Line(self) if hear is None else _Talk(self, hear)

    def begin(self, asked: Asked) -> AsyncIterator[bytes]:
        """Ask the other side."""
        return self._serve(asked)


class _Line(httpcore2.AsyncNetworkStream):
    """One connection, for one request: the bytes that were written are a whole request when somebody wants to read."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._written = bytearray()
        self._pieces: AsyncIterator[bytes] | None = None
        self._left = b""
        self._closed = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._written += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._pieces is None:
            self._pieces = self._inside.begin(_asked(bytes(self._written)))
        while not self._left:
            try:
                self._left = await anext(self._pieces)
            except StopAsyncIteration:
                return b""
        piece, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._inside.open -= 1
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


class _Talk(httpcore2.AsyncNetworkStream):
    """One connection that is not HTTP: each write is heard, in order, when somebody wants to read."""

    def __init__(self, inside: Inside, hear: Hear) -> None:
        self._inside, self._hear = inside, hear
        self._written: list[bytes | None] = [None]
        self._pieces: AsyncIterator[bytes] | None = None
        self._left = b""
        self._closed = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._written.append(buffer)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while not self._left:
            if self._pieces is None:
                if not self._written:
                    return b""
                self._pieces = self._hear(self._written.pop(0))
            try:
                self._left = await anext(self._pieces)
                if not self._left:
                    # It hangs up.
                    self._written.clear()
                    return b""
            except StopAsyncIteration:
                self._pieces = None
        piece, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._inside.open -= 1
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


def _asked(raw: bytes) -> Asked:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(method=method, target=target, headers=headers, body=body)


def client_inside(inside: Inside, clock: Clock) -> Client:
    """The hub's client, whose every connection ends in `inside`."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return (SOMEWHERE,)

    return Client(AllowList(), clock, resolve, tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), backend=inside)


__all__ = ["Asked", "Hear", "Inside", "Serve", "client_inside"]
