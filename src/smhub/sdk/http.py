"""The `http` that a connector is given. Credentials, budgets, deadlines, size caps and the private-address guard are in it.

The plugin never sleeps, never retries and never maps a status: that happened once, in here's implementation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from smhub.sdk.items import BadItem
from smhub.sdk.wire import Wire

T = TypeVar("T")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, decompressed within the caps. `headers` has lower-case names; `url` is where redirects ended.

    `permanent_url` is the address after leading permanent redirects (301, 308) only, None when there were none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    permanent_url: str | None = None


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a stream of server-sent events. `name` is "message" where the server gives none; `id` the last that it gave."""

    name: str = "message"
    data: str = ""
    id: str = ""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that the network declares: `calls` in `seconds` for each `key` (account, app, ip or host).

    `remaining` and `reset` name the headers that tell the truth; the budget is shared by all workers.
    """

    calls: int
    seconds: float
    key: str = "account"
    remaining: str | None = None
    reset: str | None = None


class Http(Protocol):
    """HTTP for connectors. Every method raises errors of `smhub.sdk.errors` and nothing else.

    `url` is absolute or starts with / (then it is joined to the connector's base address). `key` is sent as Idempotency-Key.
    Defaults: 30 s in all, 5 MiB raw and 20 MiB decompressed, 3 redirects, each checked again.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        key: str | None = None,
        prepares: bool = False,
        accept: tuple[int, ...] = (),
        max_bytes: int | None = None,
        deadline: float | None = None,
    ) -> Response:
        """Send one request. Statuses from 400 become errors, unless they stand in `accept`.

        `prepares`: a write that nobody sees, such as the upload of a file that the next request attaches. It may be repeated, so a lost
        answer leaves nothing unclear. Never set it on the request that publishes.
        """
        ...

    async def get(self, url: str, into: type[T], *, params: Mapping[str, str | int] | None = None) -> T:
        """GET and decode the JSON into the given type; PayloadMalformed when it does not fit."""
        ...

    async def items(self, url: str, into: type[T], *, params: Mapping[str, str | int] | None = None) -> list[T | BadItem]:
        """GET a JSON list, element by element: one bad element becomes a BadItem and never kills the page."""
        ...

    async def post(self, url: str, into: type[T], *, json: Any = None, key: str | None = None) -> T:
        """POST JSON and decode the answer."""
        ...

    async def delete(self, url: str) -> None:
        """DELETE; Gone when it is not there."""
        ...

    def events(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float = 90.0,
    ) -> AsyncIterator[ServerEvent]:
        """GET a stream of server-sent events and give its messages as they come (WHATWG HTML, "Server-sent events").

        Statuses from 400 become errors as with `request`. It ends when the server ends it. Transient when nothing, not even a heartbeat,
        was heard for `silence` seconds; PayloadMalformed for a message above 1 MiB and for what is no event stream. No redirects.
        """
        ...

    def messages(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        say: Sequence[str] = (),
        silence: float = 90.0,
    ) -> AsyncIterator[str | bytes]:
        """Open a WebSocket (RFC 6455; `wss://` may stand in the address) and give its messages as they come: str, or bytes of a binary one.
        What stands in `say` is sent first.

        Statuses from 400 become errors as with `request`. It ends when the server closes it without an error; other codes of a close are
        asked of `map_error`, as a Response with the code as its status and the reason as its body, and else mean: 3000 AuthExpired, 1008
        and 3003 PermissionMissing, 1013 RateLimited, 1002, 1003, 1007, 1009 and 1010 PayloadMalformed, all others Transient. The hub pings
        and answers pings. Transient when nothing, not even a pong, was heard for `silence` seconds; PayloadMalformed for a message above
        1 MiB and for what is no WebSocket. No redirects, no compression.
        """
        ...

    def wire(
        self, host: str, port: int, *, tls: bool = True, deadline: float = 30.0, max_bytes: int = 20 * 1024 * 1024
    ) -> AbstractAsyncContextManager[Wire]:
        """Open a connection to a network that does not speak HTTP; `async with` closes it.

        The connector names the `ports`. `deadline` (seconds) and `max_bytes` hold for each question and its answer. `tls`: encrypted from the
        first byte, the certificate verified; without it `start_tls` may follow. ConfigInvalid when the address or the port is refused.
        """
        ...
