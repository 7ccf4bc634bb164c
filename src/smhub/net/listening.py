"""The `http` that one connector call is given: requests, and connections that stay open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import TypeVar

from httpcore2 import AsyncNetworkStream as Stream

from smhub.net.client import DEADLINE, MAX_BYTES
from smhub.net.events import EventReader
from smhub.net.http import Requests
from smhub.net.sockets import OpenSocket, handshake
from smhub.net.wire import OpenWire, Terms
from smhub.sdk.errors import AuthExpired, PayloadMalformed
from smhub.sdk.http import Response, ServerEvent

S = TypeVar("S")
Open = Callable[[str, Mapping[str, str] | None], AbstractAsyncContextManager[tuple[Response, S]]]
"""Opens a connection at an address, with headers that nobody else gets; the head of the answer, and what follows it."""


class ConnectorHttp(Requests):
    """The sdk's Http for one call of one connector: requests, and what stays open. `heard` is called for every sign of life of that,
    from its head on."""

    async def events(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float = 90.0,
    ) -> AsyncIterator[ServerEvent]:
        """The messages of a stream of server-sent events, as they come. It is closed by `close`, if nobody did before."""
        sent = {"accept": "text/event-stream", "cache-control": "no-store"} | _lower(headers)

        def opens(address: str, home: Mapping[str, str] | None) -> AbstractAsyncContextManager[tuple[Response, AsyncIterator[bytes]]]:
            return self._client.open(address, sent, silence=silence, private_headers=home)

        async with self._stays_open(url, params, opens) as (host, response, pieces):
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status != 200 or kind != "text/event-stream":
                raise PayloadMalformed(f"GET {host} is no stream of events.", status=response.status)
            self.heard()
            reader = EventReader()
            async for piece in pieces:
                self.heard()
                for event in reader.feed(piece):
                    yield event

    async def messages(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        say: Sequence[str] = (),
        silence: float = 90.0,
    ) -> AsyncIterator[str | bytes]:
        """The messages of a WebSocket, as they come. It is closed by `close`, if nobody did before."""
        if url.startswith(("ws://", "wss://")):
            url = f"http{url[2:]}"
        asked, wanted = handshake()

        def opens(address: str, home: Mapping[str, str] | None) -> AbstractAsyncContextManager[tuple[Response, Stream | None]]:
            return self._client.upgrade(address, _lower(headers), asked, private_headers=home)

        async with self._stays_open(url, params, opens) as (host, response, stream):
            if stream is None or response.headers.get("sec-websocket-accept") != wanted:
                raise PayloadMalformed(f"GET {host} is no WebSocket.", status=response.status)
            if "sec-websocket-extensions" in response.headers:
                raise PayloadMalformed(f"GET {host} uses an extension that nobody asked for.", status=response.status)
            self.heard()
            socket = OpenSocket(stream, host, silence, self._hears, self._map_error)
            for text in say:
                await socket.say(text)
            async with aclosing(socket.messages()) as messages:
                async for message in messages:
                    yield message

    @asynccontextmanager
    async def wire(
        self, host: str, port: int, *, tls: bool = True, deadline: float = DEADLINE, max_bytes: int = MAX_BYTES
    ) -> AsyncIterator[OpenWire]:
        """A connection to a network that does not speak HTTP, on one of the connector's `ports`. `close` closes it, if nobody did before."""
        await self._take(self._budget_names(host))
        terms = Terms(deadline=deadline, max_bytes=max_bytes, fence=self._fence, acted=self._acts, heard=self._hears)
        wire = await OpenWire.open(self._client, host, port, self._ports, terms, tls=tls)
        self._opened.push_async_callback(wire.close)
        try:
            yield wire
        finally:
            await wire.close()

    async def close(self) -> None:
        """Close what is still open."""
        await self._opened.aclose()

    @asynccontextmanager
    async def _stays_open(
        self, url: str, params: Mapping[str, str | int] | None, opens: Open[S]
    ) -> AsyncIterator[tuple[str, Response, S]]:
        """Open it, with a new token when the network does not accept the one that the hub keeps: the host, the head, and what follows."""
        address, target = self._address(url, params)
        credentials = self._credentials if self._is_home(target) else None
        async with AsyncExitStack() as mine:
            self._opened.push_async_callback(mine.aclose)
            for last in (credentials is None, True):
                shown = await credentials.present() if credentials is not None else None
                home = self._private | ({"authorization": shown} if shown is not None else {})
                budgets = self._budget_names(target.host)
                left = await self._take(budgets)
                opened = opens(self._on_the_wire(address), home if self._is_home(target) else None)
                response, rest = await mine.enter_async_context(opened)
                response = self._off_the_wire(response)
                problem = self._problem("GET", target, response, True)
                await self._learn(budgets, left, response, problem)
                if not isinstance(problem, AuthExpired) or credentials is None or shown is None:
                    break
                await mine.aclose()
                await credentials.refused(shown)
                if last:
                    break
            if problem is not None:
                raise problem
            if credentials is not None and shown is not None:
                await credentials.accepted(shown)
            yield target.host, response, rest

    def _acts(self) -> None:
        self.acted = True

    def _hears(self) -> None:
        self.heard()


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
