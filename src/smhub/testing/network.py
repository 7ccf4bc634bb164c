"""What the author of a connector writes: a small network in memory. Faults, lost answers and the clock are the kit's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from smhub.sdk import RawRequest, StandingClock


class NotOffered(Exception):
    """The network has no such thing: raised by the helpers below that a fake does not override. The checks that need it do not apply,
    and the report says so."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the connector sent. Header names are in lower case; `target` is path and query as they came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters; each name may come several times."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def param(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return self.query.get(name, [default])[0]

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the network answers."""

    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


def answer(data: Any = None, status: int = 200, **headers: str) -> Answer:
    """JSON; `_` in a header's name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers={"content-type": "application/json", **named}, body=msgspec.json.encode(data))


CLOSED = b"\x88\x02\x03\xe8"
"""The frame that ends a WebSocket without an error (1000)."""


def framed(message: str | bytes) -> bytes:
    """A message as a WebSocket carries it (RFC 6455): text, or bytes of a binary one."""
    data = message.encode() if isinstance(message, str) else message
    kind, size = b"\x81" if isinstance(message, str) else b"\x82", len(data)
    if size < 126:
        return kind + bytes([size]) + data
    return kind + (b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)) + data


def websocket(request: Request, frames: bytes) -> Answer:
    """Open the WebSocket that the request asks for, send these frames, and close it."""
    from smhub.net.sockets import accepted

    if request.headers.get("upgrade", "").lower() != "websocket":
        return answer({"error": "this is a WebSocket"}, 426)
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accepted(request.headers["sec-websocket-key"])}
    return Answer(status=101, headers=headers, body=frames + CLOSED)


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """Something of ours that stands on the network now. `reply_to` is the external id that it answers, `alts` the alternative texts of
    its files."""

    external_id: str
    text: str
    reply_to: str | None = None
    alts: tuple[str, ...] = ()


class Talk(ABC):
    """One connection of a network that does not speak HTTP. Encryption is not seen here."""

    @abstractmethod
    def greeting(self) -> bytes:
        """What it says before it was asked."""

    @abstractmethod
    def hear(self, data: bytes) -> bytes:
        """What it answers to one write of the connector, which the kit counts as one request; empty while it waits for more."""


class FakeNetwork(ABC):
    """Derive from it. One is made for each check, without arguments. `clock` is the kit's; take every time from it.

    `many`: so many mentions need at least three pages of the connector. Helpers that your network cannot have are left as they are.
    `hook_secret` is the hub's own, with which deliveries are signed where `webhook` names no setting. `telling` is what an open stream
    tells: answer it, as `text/event-stream`, where the connector opens its stream; or `websocket(request, self.telling)` where that is a
    WebSocket, and then `told` and `bad_telling` give `framed` messages.
    `tokens`: of a connector with `auth`, the access tokens that are good just now. The kit is the token endpoint and fills them in.
    `holds`: how many mentions it can give out at most; None: as many as there are.
    """

    many: ClassVar[int] = 95
    holds: ClassVar[int | None] = None
    telling: bytes = b""
    hook_secret: str = "kit-own-secret-3f8a"  # noqa: S105

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.tokens: set[str] = set()

    @abstractmethod
    def config(self, base_url: str) -> dict[str, Any]:
        """Settings that are right, with credentials that this network takes. `base_url` (https) is where it answers."""

    @abstractmethod
    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer one request as the network would."""

    def talk(self, port: int) -> Talk:
        """Somebody connects to one of the connector's `ports`."""
        raise NotOffered("the network speaks HTTP")

    def in_words(self, answer: Answer, request: Request) -> bytes:
        """For a network without HTTP: how it says to this write what HTTP says with a status of 400 or more; with 200 the body is what it
        says. `request.target` is the port, `request.body` what was written."""
        raise NotOffered("the network does not speak HTTP and says nothing like it")

    def bad_config(self, base_url: str) -> dict[str, Any]:
        """The same settings with credentials that are refused."""
        raise NotOffered("the fake has no `bad_config`")

    def add(self, text: str, *, at: datetime | None = None) -> str:
        """Somebody mentions us, at a time or now; the mention's external id."""
        raise NotOffered("the fake has no `add`")

    def add_html(self, html: str) -> str:
        """As `add`, for a network that lets people write HTML: it is passed on as it is."""
        raise NotOffered("the network has no HTML")

    def edit(self, external_id: str, text: str) -> None:
        """The author changes the words."""
        raise NotOffered("the network does not tell of edits")

    def delete(self, external_id: str) -> None:
        """The author takes it back."""
        raise NotOffered("the network does not tell of deletions")

    def malformed(self) -> None:
        """Among the mentions comes one element that nobody can read."""
        raise NotOffered("the fake has no `malformed`")

    def forget(self) -> None:
        """The network no longer knows the places that it gave out: cursors end."""
        raise NotOffered("the network's cursors do not end")

    def rewind(self) -> None:  # noqa: B027
        """What was taken is there again. For networks that give each thing only once (a queue): called before the kit reads everything
        from the start again, and before each new hub. Nothing to do for those that can be asked twice."""

    def budget(self, remaining: int, reset_at: datetime) -> Mapping[str, str]:
        """The headers by which the network says how many calls are left, and until when."""
        raise NotOffered("the network does not tell its budget")

    def scope_missing(self) -> Answer:
        """How the network says that the credentials are good but lack a right."""
        raise NotOffered("the network has no scopes")

    def posts(self) -> Sequence[Post]:
        """What stands there of ours, the oldest first."""
        raise NotOffered("the fake has no `posts`")

    def never_ready(self) -> None:
        """From now on the network never finishes what it works on."""
        raise NotOffered("the network finishes everything at once")

    def refuses_repetition(self) -> None:
        """From now on the network answers the same words a second time with "I have this already"."""
        raise NotOffered("the network takes the same words twice")

    def delivery(self, external_id: str) -> RawRequest:
        """The webhook by which the network would tell of this mention, signed."""
        raise NotOffered("the fake has no `delivery`")

    def odd_delivery(self) -> RawRequest:
        """A webhook of a kind that the connector does not know, signed."""
        raise NotOffered("the fake has no `odd_delivery`")

    def told(self, external_id: str) -> bytes:
        """The message by which an open stream would tell of this mention as it is now: new, edited or deleted."""
        raise NotOffered("the fake has no `told`")

    def bad_telling(self) -> bytes:
        """A message of the kind that tells of a mention, but nobody can read what it tells."""
        raise NotOffered("the fake has no `bad_telling`")

    def challenge(self) -> tuple[RawRequest, str]:
        """The handshake with which the network tries an address, and the answer that it expects."""
        raise NotOffered("the network has no handshake")

    def subscriptions(self) -> Sequence[str]:
        """The addresses to which the network delivers now."""
        raise NotOffered("the fake has no `subscriptions`")

    def old_configs(self) -> Mapping[int, dict[str, Any]]:
        """Settings of each older `config_version`, as they were stored."""
        return {}

    def old_cursors(self) -> Mapping[int, dict[str, Any]]:
        """A cursor of each older `cursor_version`, as it was stored."""
        return {}
