"""Listening for words: a Jetstream tells every post of the network as it is written (github.com/bluesky-social/jetstream).

It tells only the records: who wrote one is asked of our own server, for what has a word in it and for nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import msgspec

from smhub.sdk import BadItem, ConnectorContext, ConnectorError, Http, Item, Mention, Page, Search, Tombstone
from smhub_bluesky.entities import POSTS, Post, Profile, Record
from smhub_bluesky.mentions import mention
from smhub_bluesky.settings import Heard
from smhub_bluesky.text import whole
from smhub_bluesky.xrpc import path

OVERLAP = 5_000_000
"""Microseconds by which a stream is begun again before the last that was heard; what comes twice is known."""

MISSED = 60_000_000
"""Posts come every second. When a stream that was continued begins so much later, the server does not keep what lies between."""

KEEP = 10_000_000
"""How often the place is handed over while nothing is found, in the time of the network."""

LARGEST_POST = 256 * 1024
REMEMBERED = 5000
"""Deletions are told of every post. Only what was handed over from this stream is handed over as gone."""

PROFILES = 2000
GONE = frozenset({"deleted", "takendown"})


class Commit(msgspec.Struct, frozen=True):
    """What happened to one record. `record` is not read before its words are."""

    operation: str
    collection: str
    rkey: str
    cid: str = ""
    record: msgspec.Raw = msgspec.Raw(b"null")


class Account(msgspec.Struct, frozen=True):
    """How an account stands now."""

    active: bool = True
    status: str = ""


class Event(msgspec.Struct, frozen=True):
    """A message of a Jetstream. `time_us` is its cursor."""

    did: str
    time_us: int
    kind: str = ""
    commit: Commit | None = None
    account: Account | None = None


class Ear:
    """One visit to a Jetstream."""

    def __init__(self, http: Http, address: str, context: ConnectorContext, query: Search, me: str) -> None:
        self.http, self.address, self.context, self.query, self.me = http, address, context, query, me
        self.languages = {language.casefold().partition("-")[0] for language in query.languages}
        self.told: OrderedDict[str, None] = OrderedDict()
        self.people: OrderedDict[str, Profile] = OrderedDict()

    async def pages(self, cursor: Heard | None, silence: float) -> AsyncGenerator[Page, None]:
        """What is said with one of the words, and the place, as it goes on."""
        params: dict[str, str | int] = {"wantedCollections": POSTS, "maxMessageSizeBytes": LARGEST_POST}
        asked = cursor.time_us - OVERLAP if cursor is not None else None
        if asked is not None:
            params["cursor"] = asked
        kept = 0
        async for message in self.http.messages(f"{self.address}/subscribe", params=params, silence=silence):
            raw = message.encode() if isinstance(message, str) else message
            try:
                event = msgspec.json.decode(raw, type=Event)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                yield Page(items=[BadItem(raw=raw, error="not a message of a Jetstream")], cursor=Heard(kept) if kept else None)
                continue
            missed = None
            if asked is not None and not kept and event.time_us > asked + MISSED:
                missed = "the Jetstream does not keep what lies between"
            items = await self._items(event, raw)
            if items or missed or event.time_us >= kept + KEEP:
                kept = event.time_us
                yield Page(items=items, cursor=Heard(time_us=kept), missed=missed)

    async def _items(self, event: Event, raw: bytes) -> list[Item]:
        if event.kind == "account" and event.account is not None and not event.account.active and event.account.status in GONE:
            return [self._gone(uri) for uri in list(self.told) if uri.startswith(f"at://{event.did}/")]
        commit = event.commit
        if event.kind != "commit" or commit is None or commit.collection != POSTS or event.did == self.me:
            return []
        uri = f"at://{event.did}/{POSTS}/{commit.rkey}"
        if commit.operation == "delete":
            return [self._gone(uri)] if uri in self.told else []
        try:
            record = msgspec.json.decode(commit.record, type=Record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Of what cannot be read only that is kept which may be meant for us.
            return [BadItem(raw=raw, error="not a post: its record")] if self.query.finds(raw.decode("utf-8", "replace")) else []
        if not self._wanted(record) and not (commit.operation == "update" and uri in self.told):
            return []
        return [await self._mention(event, commit, uri, record)]

    def _wanted(self, record: Record) -> bool:
        languages = {one.casefold().partition("-")[0] for one in record.langs or ()}
        return not (self.languages and languages and not languages & self.languages) and self.query.finds(
            whole(record.text, record.facets or ())
        )

    async def _mention(self, event: Event, commit: Commit, uri: str, record: Record) -> Mention:
        at = datetime.fromtimestamp(event.time_us / 1_000_000, UTC)
        self.told[uri] = None
        if len(self.told) > REMEMBERED:
            self.told.popitem(last=False)
        post = Post(uri=uri, cid=commit.cid, author=await self._author(event.did), record=record, indexedAt=at)
        return mention(post, at if commit.operation == "update" else None)

    def _gone(self, uri: str) -> Tombstone:
        del self.told[uri]
        return Tombstone(external_id=uri)

    async def _author(self, did: str) -> Profile:
        """Who wrote it. When our server does not say, or not now, they are called by their DID until a search finds them."""
        if did not in self.people:
            try:
                self.people[did] = await self.http.get(path("app.bsky.actor.getProfile"), Profile, params={"actor": did})
            except ConnectorError:
                return Profile(did=did, handle=did)
            if len(self.people) > PROFILES:
                self.people.popitem(last=False)
        return self.people[did]
