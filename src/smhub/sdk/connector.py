"""A connector speaks one network. A capability is an implemented class below: what is not implemented is not offered.

A connector is stateless: its only state is the cursor that it yields. It is made anew for each call, with typed settings and an
`http` of ours. It imports `smhub.sdk` and nothing else of smhub.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from smhub.sdk.errors import ConnectorError, Unsupported
from smhub.sdk.http import Http, Rate, Response
from smhub.sdk.items import Account, Draft, Item, MentionRef, Metrics, Page, Pending, Published, Safety, Search
from smhub.sdk.limits import Limits, Violation
from smhub.sdk.oauth import OAuth2
from smhub.sdk.webhooks import Challenge, Hmac, RawRequest, Subscription
from smhub.time import Clock

C = TypeVar("C", bound=msgspec.Struct)


class ConnectorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a connector may know of its surroundings.

    `since`: how far back to go when there is no cursor yet. `until`: stop there (a back-fill of a gap). `seed`: a number that stays
    the same for this channel or listener. `told`: the network delivers by itself (webhooks), as far as the hub knows; asking it is only
    the net underneath. `subscription`: to which of the hub's addresses, and how, where a call is about that.
    """

    clock: Clock
    since: datetime | None = None
    until: datetime | None = None
    seed: int = 0
    told: bool = False
    subscription: Subscription | None = None


class Connector(ABC, Generic[C]):
    """The base of all. `Config` and `Cursor` are msgspec Structs; `network` is the word in `network:mastodon`.

    `ports`: where the network is spoken to without HTTP; `http.wire` goes to these ports and, for what an operator allows, to no others.
    `auth`: a person lets us in by OAuth 2, and the hub keeps the token. None: the credentials are settings.
    """

    network: ClassVar[str]
    title: ClassVar[str] = ""
    Config: ClassVar[type[msgspec.Struct]]
    Cursor: ClassVar[type[msgspec.Struct]]
    config_version: ClassVar[int] = 1
    cursor_version: ClassVar[int] = 1
    limits: ClassVar[Limits] = Limits()
    rates: ClassVar[tuple[Rate, ...]] = ()
    poll_seconds: ClassVar[int | None] = None
    checked_against: ClassVar[str] = ""
    auth: ClassVar[OAuth2 | None] = None
    ports: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, config: C, http: Http, context: ConnectorContext) -> None:
        self.config, self.http, self.context = config, http, context

    @classmethod
    def base_url(cls, config: C) -> str:
        """Where relative addresses of `http` start; empty when only absolute ones are used."""
        return str(getattr(config, "base_url", ""))

    @classmethod
    def headers(cls, config: C) -> dict[str, str]:
        """Sent with every request to `base_url`'s host and to no other: the place for `Authorization`."""
        return {}

    @classmethod
    def secret_path(cls, config: C) -> str:
        """What stands in front of every path at `base_url`, for networks that take their credentials in the address (`/bot<token>`). It is
        put in when a request leaves, and stands in no error, log or `Response.url`; redirects are not followed then. Quoted, with a slash
        in front; empty for all others."""
        return ""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        """For networks that hide an error in a good answer, or mean another one by a status. None: the usual mapping."""
        return None

    @classmethod
    def migrate_config(cls, old: dict[str, Any], version: int) -> dict[str, Any]:
        """Settings of an older `config_version` in today's form."""
        return old

    @classmethod
    def migrate_cursor(cls, old: dict[str, Any], version: int) -> dict[str, Any] | None:
        """A cursor of an older `cursor_version` in today's form; None starts afresh, with a gap."""
        return None

    @abstractmethod
    async def verify(self) -> Account:
        """Ask the network who we are. Raises AuthExpired, ConfigInvalid(field) and the rest."""


class FetchesMentions(ABC):
    @abstractmethod
    def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        """Pages, oldest first, from `cursor` (None: the first time) until there is nothing more. Inclusive: overlap is fine."""


class Searches(ABC):
    @abstractmethod
    def search(self, query: Search, cursor: Any) -> AsyncIterator[Page]:
        """As `fetch_mentions`, for what others say. The hub filters afterwards; find rather too much than too little."""


class Streams(ABC):
    """Is told by an open connection, `http.events` or `http.messages`, what happens. The connector reads it; everything else is the hub's:
    it keeps one reader for each channel over all workers, begins again after an end or an error with back-off and jitter, and polls
    underneath, so that what a stream missed is late and not lost. End or raise when the connection ends; never wait or begin again yourself.

    `StreamCursor`: the Struct by which the network continues where it was cut off, None where it cannot. It is kept apart from the cursor
    of the polls. `stream_silence`: after so many seconds without a sign of life (a heartbeat counts) a connection is taken for dead.
    """

    StreamCursor: ClassVar[type[msgspec.Struct] | None] = None
    stream_silence: ClassVar[float] = 90.0

    @abstractmethod
    def stream(self, cursor: Any) -> AsyncIterator[Page]:
        """Pages as things happen, one for each message; `cursor` of a page is a StreamCursor, or None where there is none."""


class StreamsSearches(ABC):
    """As Streams, for what others say: the reader of a listener. `StreamCursor` and `stream_silence` mean the same."""

    StreamCursor: ClassVar[type[msgspec.Struct] | None] = None
    stream_silence: ClassVar[float] = 90.0

    @abstractmethod
    def stream_search(self, query: Search, cursor: Any) -> AsyncIterator[Page]:
        """As `stream`. The hub filters afterwards. Raise Unsupported when the network has no stream for these words."""


class ReceivesWebhooks(ABC):
    """Is told what happens instead of asking. The hub stores a delivery as it came and answers at once; a worker takes it in.

    `webhook` says how deliveries are signed. `handshakes` names the methods (GET, POST) by which the network asks whether the address is
    ours; only then is `parse_webhook` called before the answer. A GET carries no signature: compare what it brings with the settings.
    `confirms`: the network confirms a subscription by such a GET, with a lease; until it did, the channel does not count as subscribed. It
    is asked in the same way whether it may end, for a minute after `unsubscribe`.
    """

    webhook: ClassVar[Hmac]
    handshakes: ClassVar[frozenset[str]] = frozenset()
    confirms: ClassVar[bool] = False

    @abstractmethod
    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        """Pure, no I/O, under 50 ms. The signature of a POST has been checked. What it does not know is an empty list, never an error."""

    async def read_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        """What a stored delivery says. For those that take longer to read than `parse_webhook` may: in the worker, within half a minute,
        beside others, and still without asking anybody."""
        return self.parse_webhook(request)

    @abstractmethod
    async def subscribe(self, callback_url: str) -> None:
        """Ask the network to deliver; calling it twice is harmless. Unsupported: a person enters the address there."""

    @abstractmethod
    async def check_subscription(self, callback_url: str) -> bool:
        """Whether the network still delivers to this address."""

    @abstractmethod
    async def unsubscribe(self, callback_url: str) -> None:
        """Stop the deliveries; harmless when there are none."""


class Publishes(ABC):
    """Says something in public, exactly once. `safety` is what the network offers for that:

    key        it honours a key of ours for `key_seconds` (0: for ever): the same request may be repeated
    container  two phases: `publish` makes a container and answers Pending; `check_publish` looks at it before it publishes it
    lookup     we find our own post with `find_published`
    none       there is no proof that it is not out: after an unclear outcome a person decides. With `find_published` the hub looks first,
               and what it finds is out; what it does not find stays unclear, and is never said again by itself

    `settle_seconds`: how long a request whose answer was lost may still be worked on over there. The hub waits as long before it
    repeats or looks. Where servers of one network differ, `verify` says so in `Account.safety`; the class then names the weaker one.
    Raise OutcomeUnknown only when nobody can know; the hub itself sees whether a write went out.
    """

    safety: ClassVar[Safety]
    key_seconds: ClassVar[float] = 0.0
    settle_seconds: ClassVar[float] = 60.0

    @abstractmethod
    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        """Say it. `key` (32 characters of 0-9a-f) belongs to this delivery for ever: the same at every try."""

    async def check_publish(self, pending: Pending) -> Published | Pending:
        """Ask how far the network is, and finish what it has ready; safety `container` needs it. It bears being called twice."""
        raise Unsupported("this connector never answers Pending")

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        """Look whether it is out, said by us after `since` (in answer to `to`); safety `lookup` needs it. None: surely not."""
        raise Unsupported("this connector cannot look for its own posts")


class Replies(ABC):
    @abstractmethod
    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published | Pending:
        """Answer a mention, under the same safety as `publish`."""


class Deletes(ABC):
    @abstractmethod
    async def delete(self, external_id: str) -> None:
        """Take it back; Gone when it is not there."""


class Edits(ABC):
    @abstractmethod
    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        """Replace what we said by this; doing it twice is doing it once."""


class ReportsMetrics(ABC):
    @abstractmethod
    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        """Absolute counts; one that is gone is left out and does not fail the rest."""


class Moderates(ABC):
    @abstractmethod
    async def hide(self, external_id: str, hidden: bool) -> None:
        """Hide somebody's comment on our own presence, or show it again."""

    @abstractmethod
    async def like(self, external_id: str, liked: bool) -> None:
        """Like, or take the like back."""


class ValidatesContent(ABC):
    @abstractmethod
    def validate(self, draft: Draft) -> list[Violation]:
        """What the limits cannot say. Pure, under 5 ms."""


CAPABILITIES: dict[str, type] = {
    "fetches_mentions": FetchesMentions,
    "searches": Searches,
    "streams": Streams,
    "streams_searches": StreamsSearches,
    "receives_webhooks": ReceivesWebhooks,
    "publishes": Publishes,
    "replies": Replies,
    "deletes": Deletes,
    "edits": Edits,
    "reports_metrics": ReportsMetrics,
    "moderates": Moderates,
    "validates_content": ValidatesContent,
}


def capabilities(connector: type[Connector[Any]]) -> tuple[str, ...]:
    """What the connector can, in the order of the design: the classes that it implements."""
    return tuple(name for name, kind in CAPABILITIES.items() if issubclass(connector, kind))
