"""One request to the internet, within bounds: judged addresses, a total deadline, caps on everything that comes back.

It knows nothing of networks and statuses; `ConnectorHttp` does. There is one Client in a process, with one pool of connections.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import lru_cache
from typing import Any

import anyio
import httpcore2
import msgspec

from smhub import __version__
from smhub.net import urls
from smhub.net.decompress import ACCEPTED, Decompressor, too_large
from smhub.net.guard import AllowList, GuardedBackend, Resolver
from smhub.net.urls import Url
from smhub.sdk.errors import ConfigInvalid, PayloadMalformed, Transient
from smhub.sdk.http import Response
from smhub.time import Clock

log = logging.getLogger(__name__)
# The debug lines of the pool hold the headers of answers, and cookies with them.
logging.getLogger("httpcore2").setLevel(logging.WARNING)

DEADLINE = 30.0
MAX_RAW = 5 * 1024 * 1024
MAX_BYTES = 20 * 1024 * 1024
MAX_HEADERS = 64 * 1024
MAX_REDIRECTS = 3
PIECE = 64 * 1024
CONNECTIONS = 200
IDLE_CONNECTIONS = 50
IDLE_SECONDS = 5.0
STREAMS = 1000
"""Connections that stay open are kept apart: they must not leave the others none."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PERMANENT = frozenset({301, 308})
READS = frozenset({"GET", "HEAD"})
EMPTY = frozenset({204, 304})
OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"}
    | {"accept-encoding", "user-agent", "proxy-authorization", "proxy-connection"}
    | {"sec-websocket-key", "sec-websocket-version", "sec-websocket-accept", "sec-websocket-extensions"}
)
"""Headers that nobody but us sets: they say where one message ends and the next begins, and to whom it goes."""

CARRIED = frozenset({"accept", "accept-language", "if-none-match", "if-modified-since"})
"""Headers that follow a redirect to another origin. Everything else may be a secret."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\x20-\x7e\t]*")

FAILURES = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ConnectionNotAvailable,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    OSError,  # ssl.SSLError, socket.gaierror and TimeoutError are among them
)


Fence = Callable[[bool], Awaitable[None]]
"""Raises when the request must not be sent any more. It is told whether what leaves next is the last of it."""


class NoAnswer(Transient):
    """There was no answer, or not the whole. `sent` is true when the other side may have acted on the request nevertheless."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@lru_cache(maxsize=2)
def _tls(_purpose: str) -> ssl.SSLContext:
    """What is trusted, read once for the process."""
    return httpcore2.default_ssl_context()


class Client:
    """Sends requests. `tls` and `backend` are for tests and for operators with an authority of their own."""

    def __init__(
        self,
        allow: AllowList,
        clock: Clock,
        resolver: Resolver | None = None,
        *,
        public_url: str = "",
        tls: ssl.SSLContext | None = None,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._clock = clock
        about = f" (+{public_url})" if public_url and VALUE.fullmatch(public_url) else ""
        self._user_agent = f"smhub/{__version__}{about}"
        guarded, context = GuardedBackend(allow, resolver, backend), tls or _tls("http")
        self._guarded = guarded
        # The pools write into theirs that HTTP is spoken.
        self.wire_tls = tls or _tls("wire")
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=CONNECTIONS,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=guarded,
        )
        self._streams = httpcore2.AsyncConnectionPool(
            ssl_context=context, max_connections=STREAMS, max_keepalive_connections=0, network_backend=guarded
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._streams.aclose()
        await self._pool.aclose()

    async def dial(self, host: str, port: int, ports: frozenset[int]) -> httpcore2.AsyncNetworkStream:
        """A connection to a judged address that is not for HTTP; whoever dials closes it."""
        return await self._guarded.dial(host, port, ports)

    @asynccontextmanager
    async def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        silence: float,
        private_headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[tuple[Response, AsyncIterator[bytes]]]:
        """A GET whose answer does not end: its head, and the pieces as they come, uncompressed. Each piece has `silence` seconds."""
        target = _target(url)
        told = _checked(headers) | _checked(private_headers)
        async with self._answered(target, told, good=200) as (response, _, pieces):
            yield response, self._pieces(pieces, target, silence)

    @asynccontextmanager
    async def upgrade(
        self, url: str, headers: Mapping[str, str], asked: Mapping[str, str], *, private_headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[Response, httpcore2.AsyncNetworkStream | None]]:
        """A GET that asks, by `asked`, to speak another protocol: the head, and the connection if the other side agreed (101)."""
        told = _checked(headers) | _checked(private_headers) | dict(asked)
        async with self._answered(_target(url), told, good=101) as (response, answer, _):
            yield response, answer.extensions["network_stream"] if response.status == 101 else None

    @asynccontextmanager
    async def _answered(
        self, target: Url, headers: Mapping[str, str], *, good: int
    ) -> AsyncIterator[tuple[Response, httpcore2.Response, AsyncIterator[bytes]]]:
        """A GET whose connection stays open. The head has DEADLINE seconds; a body of another status than `good` is in it, cut off at 64 KiB.

        No redirects: what lies elsewhere would get our credentials for as long as the stream is open. Raises as `send`.
        """
        ours = {"host": target.authority, "user-agent": self._user_agent, "accept-encoding": "identity"}
        where = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.target)
        request = httpcore2.Request("GET", where, headers=[*ours.items(), *headers.items()])
        answer = await self._heard(self._streams.handle_async_request(request), target, DEADLINE)
        pieces = answer.aiter_stream()
        try:
            if sum(len(name) + len(value) + 4 for name, value in answer.headers) > MAX_HEADERS:
                raise PayloadMalformed(f"The headers of the answer are larger than {MAX_HEADERS} bytes.")
            found, body = _headers(answer.headers), b""
            if answer.status not in (good, 101):
                while len(body) < PIECE and (piece := await self._heard(anext(pieces, b""), target, DEADLINE)):
                    body += piece
            yield Response(status=answer.status, headers=found, body=body[:PIECE], url=str(target)), answer, pieces
        finally:
            await pieces.aclose()
            await answer.aclose()

    async def _pieces(self, pieces: AsyncIterator[bytes], target: Url, silence: float) -> AsyncIterator[bytes]:
        while piece := await self._heard(anext(pieces, b""), target, silence):
            yield piece

    async def _heard(self, coming: Awaitable[Any], target: Url, seconds: float) -> Any:
        """What comes within this time."""
        try:
            async with asyncio.timeout(seconds):
                return await coming
        except TimeoutError:
            raise NoAnswer(f"GET {target.host}: nothing was heard for {seconds:g} seconds.", sent=False) from None
        except FAILURES as error:
            raise NoAnswer(f"GET {target.host}: the connection broke ({type(error).__name__}).", sent=False) from None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        deadline: float = DEADLINE,
        max_raw: int = MAX_RAW,
        max_bytes: int = MAX_BYTES,
        max_redirects: int = MAX_REDIRECTS,
        private_headers: Mapping[str, str] | None = None,
        fence: Fence | None = None,
    ) -> Response:
        """Send it and read the whole answer, whatever its status. Redirects are followed for GET and HEAD only.

        `private_headers` go to the first origin and to no other. `fence` is awaited right before the first byte leaves, and again before
        the last piece of the body; what it raises is passed on, and no whole request was sent. Raises NoAnswer, PayloadMalformed,
        AddressRefused, ConfigInvalid.
        """
        if not TOKEN.fullmatch(method):
            raise ConfigInvalid("The method is not one of HTTP.")
        target = _target(url)
        call = _Call(method, _checked(headers), _checked(private_headers), max_raw, max_bytes)
        begun = self._clock.monotonic()
        upload = _Upload(body, fence)
        outcome = "failed"
        try:
            async with asyncio.timeout(deadline):
                response = await self._follow(call, target, upload, max_redirects)
            outcome = f"answered {response.status}"
            return response
        except TimeoutError:
            raise NoAnswer(f"{method} {target.host}: no whole answer within {deadline:g} seconds.", sent=upload.sent) from None
        except FAILURES as error:
            raise NoAnswer(f"{method} {target.host}: no answer ({type(error).__name__}).", sent=upload.sent) from None
        finally:
            log.debug("%s %s %s after %.3f s", method, target.host, outcome, self._clock.monotonic() - begun)

    async def _follow(self, call: _Call, first: Url, upload: _Upload, max_redirects: int) -> Response:
        url, permanent, only_permanent = first, None, True
        headers = call.headers | call.private
        for _ in range(max_redirects + 1):
            response = await self._exchange(call, url, headers, upload)
            location = response.headers.get("location")
            if call.method not in READS or response.status not in REDIRECTS or not location:
                return Response(
                    status=response.status,
                    headers=response.headers,
                    body=response.body,
                    url=str(url),
                    permanent_url=str(permanent) if permanent else None,
                )
            try:
                following = url.join(location)
            except ValueError as error:
                raise PayloadMalformed(f"{first.host} redirects to an address that cannot be called: {error}.") from None
            if url.scheme == "https" and following.scheme == "http":
                raise PayloadMalformed(f"{first.host} redirects from https to http, where everybody could listen.")
            if following.origin != url.origin:
                headers = {name: value for name, value in headers.items() if name in CARRIED}
                upload.body = b""
            only_permanent = only_permanent and response.status in PERMANENT
            permanent = following if only_permanent else permanent
            url = following
        raise PayloadMalformed(f"{first.host} redirects more than {max_redirects} times.")

    async def _exchange(self, call: _Call, url: Url, headers: dict[str, str], upload: _Upload) -> Response:
        ours = {"host": url.authority, "user-agent": self._user_agent, "accept-encoding": ACCEPTED}
        if upload.body or call.method not in READS:
            ours["content-length"] = str(len(upload.body))
        async with self._pool.stream(
            call.method,
            httpcore2.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
            headers=[*ours.items(), *headers.items()],
            content=aiter(upload) if upload.body else None,
            extensions={"trace": upload.trace},
        ) as answer:
            if sum(len(name) + len(value) + 4 for name, value in answer.headers) > MAX_HEADERS:
                raise PayloadMalformed(f"The headers of the answer are larger than {MAX_HEADERS} bytes.")
            found = _headers(answer.headers)
            body = b""
            # The body of a redirect that is followed is of no interest: leaving it closes the connection.
            if not (call.method in READS and answer.status in REDIRECTS and found.get("location")):
                body = await _body(call, answer, found)
        return Response(status=answer.status, headers=found, body=body, url=str(url))


class _Call(msgspec.Struct, frozen=True):
    """What stays the same over redirects."""

    method: str
    headers: dict[str, str]
    private: dict[str, str]
    max_raw: int
    max_bytes: int


class _Upload:
    """The body on its way out. `sent` turns true with its last piece: from then on the other side may have acted."""

    def __init__(self, body: bytes, fence: Fence | None) -> None:
        self.body = body
        self.fence = fence
        self.sent = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), PIECE):
            last = start + PIECE >= len(self.body)
            # Without its end nobody may act on it, and who slept since the first byte left must not bring it to its end.
            if last and self.fence is not None:
                await self.fence(True)
            self.sent = last
            yield self.body[start : start + PIECE]

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Called by the pool at every step. A request without a body is sent when its headers are."""
        if name != "http11.send_request_headers.started":
            return
        if self.fence is not None:
            await self.fence(not self.body)
        if not self.body:
            self.sent = True


async def _body(call: _Call, answer: httpcore2.Response, headers: Mapping[str, str]) -> bytes:
    length = headers.get("content-length", "")
    if call.method != "HEAD" and answer.status not in EMPTY and length.isdecimal() and int(length[:20]) > call.max_raw:
        raise too_large(call.max_raw)
    unpacked = Decompressor(headers.get("content-encoding", ""), call.max_bytes)
    raw = 0
    async with aclosing(answer.aiter_stream()) as pieces:
        async for piece in pieces:
            raw += len(piece)
            if raw > call.max_raw:
                raise too_large(call.max_raw)
            unpacked.feed(piece)
    return unpacked.finish()


def _target(url: str) -> Url:
    try:
        return urls.read(url)
    except ValueError as error:
        raise ConfigInvalid(f"The address cannot be called: {error}.", field="url") from None


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; what comes several times is joined with commas. Not UTF-8 is read as Latin-1."""
    found: dict[str, str] = {}
    for name, value in raw:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _checked(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers with names in lower case. Raises ConfigInvalid, which never quotes a value."""
    found: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            raise ConfigInvalid("A header holds characters that have no place in it.", field="headers")
        if name.lower() in OURS:
            raise ConfigInvalid(f"The header {name} is not set by connectors.", field="headers")
        found[name.lower()] = value.strip()
    return found
