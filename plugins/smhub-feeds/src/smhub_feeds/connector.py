"""The connector: asks politely, reads under limits, remembers little."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Meta

from smhub.sdk import (
    Account,
    BadItem,
    Challenge,
    ConfigInvalid,
    Connector,
    FetchesMentions,
    Gone,
    Hmac,
    Item,
    Page,
    Rate,
    RawRequest,
    ReceivesWebhooks,
    Response,
    Secret,
    Unsupported,
)
from smhub_feeds import websub
from smhub_feeds.cursor import REMEMBERED, Place, digest, ids, mark, moved, pack, sendable, unpack
from smhub_feeds.document import MAX_BYTES, Document
from smhub_feeds.jsonfeed import is_json, read_json
from smhub_feeds.mentions import feed_time, identity, mention, published
from smhub_feeds.reader import READER, NotAFeed

PAGE = 200
NEWS = timedelta(days=7)
RENEW = timedelta(days=1)
ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one feed."""

    url: Annotated[
        str,
        Meta(
            title="Address of the feed",
            description="RSS, Atom or JSON Feed. A name and password have fields of their own.",
            pattern=r"^https?://[^\s/@?#]+([/?#]\S*)?$",
            max_length=1000,
            examples=["https://news.example/feed.xml"],
        ),
    ]
    username: Annotated[
        str, Meta(title="Name", description="For feeds behind Basic authentication.", pattern="^[^:]*$", max_length=200)
    ] = ""
    password: Annotated[Secret | None, Meta(title="Password")] = None


class Found(NamedTuple):
    """Something to hand over, with the mark under which it is remembered."""

    mark: bytes
    at: datetime
    item: Item


class Feeds(Connector[Settings], FetchesMentions, ReceivesWebhooks):
    """One feed, of whichever kind; polled, and told of by the hub that it names."""

    network = "feeds"
    title = "RSS, Atom or JSON feed"
    Config = Settings
    Cursor = Place
    poll_seconds = 300
    rates = (Rate(calls=30, seconds=60, key="host"),)
    webhook = Hmac(header="X-Hub-Signature", algorithm="named")
    handshakes = frozenset({"GET"})
    confirms = True
    checked_against = "the test cases of feedparser 6.0.14, read through a local server"

    @classmethod
    def base_url(cls, config: Settings) -> str:
        parts = urlsplit(config.url)
        return f"{parts.scheme}://{parts.netloc}"

    @classmethod
    def headers(cls, config: Settings) -> dict[str, str]:
        if not config.username and config.password is None:
            return {}
        password = config.password.reveal() if config.password else ""
        return {"Authorization": "Basic " + b64encode(f"{config.username}:{password}".encode()).decode()}

    async def verify(self) -> Account:
        response, _ = await self._ask(Place())
        try:
            document = await _read(response)
        except NotAFeed as error:
            raise ConfigInvalid(error.message, field="url") from None
        title = document.title or self.config.url
        return Account(external_id=document.id or self.config.url, handle=title, name=title, url=document.link or None)

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        source = digest(self.config.url.encode(), 8).hex()
        known_feed = cursor is not None and cursor.source == source
        at = cursor if cursor and known_feed else self._begin(source)
        response, at = await self._ask(at)
        fingerprint = digest(response.body, 16).hex()
        if response.status == 304 or fingerprint == at.digest:
            yield Page(items=(), cursor=at)
            return
        document = await _read(response)
        found = self._found(document, at)
        known = unpack(at.known)
        missed = _missed(document, found, known)
        # Later visits need no `since`: what it kept out is remembered, unless the feed is longer than our memory.
        since = at.since if not known_feed or document.total > REMEMBERED else 0
        until = self.context.until
        wanted = [one for one in found if (not since or one.at.timestamp() >= since) and (not until or one.at <= until)]
        fresh = [one for one in wanted if one.mark not in known]
        # Before the last page the answer counts as unread: who comes back from here must not be told "nothing new".
        unread = msgspec.structs.replace(at, etag="", modified="", digest="")
        while len(fresh) > PAGE:
            page, fresh = fresh[:PAGE], fresh[PAGE:]
            handed = [one.mark for one in wanted[: wanted.index(page[-1]) + 1]]
            yield Page(items=[one.item for one in page], cursor=msgspec.structs.replace(unread, known=pack(handed)), missed=missed)
            missed = None
        end = unread
        if until is None:
            etag, modified = (sendable(response.headers.get(name)) for name in ("etag", "last-modified"))
            end = msgspec.structs.replace(at, etag=etag, modified=modified, digest=fingerprint)
        remembered = pack([one.mark for one in (found if until is None else wanted)])
        end = msgspec.structs.replace(end, known=remembered or at.known)
        yield Page(items=[one.item for one in fresh], cursor=end, missed=missed)

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        # A delivery is a feed, and is read in the child process.
        return websub.answer(request, self.context.subscription) or []

    async def read_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        """The delivered feed, read as one that was asked for. What is old in it is left to the polls: they know where they began."""
        if request.method != "POST":
            return self.parse_webhook(request)
        try:
            document = await _read(Response(status=200, headers=request.headers, body=request.body, url=self.config.url))
        except NotAFeed:
            return []
        now = self.context.clock.now()
        return [one.item for one in self._found(document, Place(first=int(now.timestamp()))) if one.at >= now - NEWS]

    async def subscribe(self, callback_url: str) -> None:
        await websub.ask(self.http, websub.the(await self._offer()), "subscribe", callback_url, self._secret())

    async def check_subscription(self, callback_url: str) -> bool:
        """Hubs cannot be asked; they said for how long they deliver, and are asked to go on a day before that is over."""
        told = self.context.subscription
        return told is not None and told.confirmed_until is not None and told.confirmed_until - self.context.clock.now() > RENEW

    async def unsubscribe(self, callback_url: str) -> None:
        if (offered := await self._offer()) is not None:
            await websub.ask(self.http, offered, "unsubscribe", callback_url, self._secret())

    async def _offer(self) -> websub.Offer | None:
        """Who tells of this feed, as it says today."""
        response, _ = await self._ask(Place())
        links = websub.linked(response)
        document = None if links.get("hub") and links.get("self") else await _read(response)
        return websub.offer(response, document)

    def _secret(self) -> Secret:
        told = self.context.subscription
        if told is None or told.secret is None:
            raise Unsupported("The hub has no secret for this channel; connect it anew.")
        return told.secret

    def _begin(self, source: str) -> Place:
        since = self.context.since
        return Place(source=source, first=int(self.context.clock.now().timestamp()), since=int(since.timestamp()) if since else 0)

    async def _ask(self, at: Place) -> tuple[Response, Place]:
        """The answer, and the cursor with the address to use from now on."""
        url = at.moved_to or self.config.url
        headers = {"Accept": ACCEPT, **at.conditions()}
        try:
            response = await self.http.request("GET", url, headers=headers, accept=(304,), max_bytes=MAX_BYTES)
        except Gone:
            if not at.moved_to:
                raise
            # It moved, and is gone there: perhaps it is back where it was.
            return await self._ask(msgspec.structs.replace(at, moved_to="", etag="", modified=""))
        return response, msgspec.structs.replace(at, moved_to=moved(url, self.config.url, response.permanent_url))

    def _found(self, document: Document, at: Place) -> list[Found]:
        """Everything in the document, oldest first."""
        now = self.context.clock.now()
        # An entry without a date is as old as the feed says; else it came now. In a feed longer than our memory nobody can tell
        # a new one from a forgotten one, and all of them keep the time of our first visit.
        first = datetime.fromtimestamp(at.first, now.tzinfo)
        stamp = feed_time(document) or (first if document.total > REMEMBERED else now)
        found = [Found(mark("", one.raw), stamp, BadItem(raw=one.raw, error=one.error)) for one in document.unread]
        for entry in reversed(document.entries):
            when = published(entry, stamp)
            item = mention(entry, document, self.config.url, when)
            found.append(Found(mark(identity(entry), msgspec.msgpack.encode(entry)), when, item))
        return sorted(found, key=lambda one: one.at)


async def _read(response: Response) -> Document:
    if is_json(response.body):
        return read_json(response.body, response.url)
    told = {name: response.headers[name] for name in ("content-type", "content-language") if name in response.headers}
    try:
        location = urljoin(response.url, response.headers.get("content-location", ""))
    except ValueError:
        location = response.url
    return await READER.read(response.body, {**told, "content-location": location})


def _missed(document: Document, found: list[Found], known: frozenset[bytes]) -> str | None:
    if ids(known) & ids(one.mark for one in found):
        return None
    if known and found:
        return "none of the entries known so far is in the feed any more; some may have come and gone in between"
    if document.total > len(found):
        return f"the feed has {document.total} entries, the newest {len(found)} were read"
    return None
