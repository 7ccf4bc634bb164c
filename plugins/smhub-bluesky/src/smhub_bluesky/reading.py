"""Mentions and searches: down a list that tells the newest first, until what is known; then another look at what was handed over lately."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from smhub.sdk import (
    BadItem,
    ConnectorContext,
    ContentRejected,
    CursorExpired,
    Gone,
    Http,
    Item,
    Page,
    PayloadMalformed,
    Response,
    Search,
    Tombstone,
)
from smhub_bluesky.entities import POSTS, Notifications, Post, Posts, Sign, Stored
from smhub_bluesky.mentions import mark, mention, parts_of, read_post
from smhub_bluesky.settings import Known, Place, Settings, Spot
from smhub_bluesky.xrpc import path

REASONS = ("mention", "reply", "quote")
PAGE = 40
REMEMBERED = 45
LARGEST_CURSOR = 3800
LATE = timedelta(hours=2)
"""Lists are sorted by the time at which a post says it was written, when that is earlier than its arrival: one may come in below others that
are known. What stands beside the known on the same page is handed over too when it is not older than this."""

MANY = 25
"""getPosts gives no more at once."""

WORDS = 10
"""How many words are searched for in a visit; with more of them they take turns."""


class Row(NamedTuple):
    """An element of a list; `at` is None when not even its time can be read."""

    at: datetime | None
    raw: bytes


T = TypeVar("T")
Ask = Callable[[str], Awaitable[tuple[Sequence[Row], str]]]


class Reader:
    """One visit. `place` moves on with every page."""

    def __init__(self, http: Http, config: Settings, context: ConnectorContext, cursor: Place | None, me: str) -> None:
        self.http, self.context = http, context
        at = cursor or Place()
        self.place = msgspec.structs.replace(at, turn=at.turn + 1, page=0, me=me)
        self.marks = {known.post: known.mark for known in at.known}
        self.since = context.since or context.clock.now() - timedelta(days=config.first_days)

    async def mentions(self) -> AsyncIterator[Page]:
        """Everything that mentions, answers or quotes us, from the cursor on."""

        async def ask(below: str) -> tuple[Sequence[Row], str]:
            query: list[tuple[str, str | int]] = [("reasons", one) for one in REASONS]
            return await self._list("app.bsky.notification.listNotifications", query, below, Notifications)

        async for rows, spot in self._down(ask, self.place.mentions):
            yield self._page(self._handed(rows), msgspec.structs.replace(self.place, mentions=spot))
        if self.context.until is None:
            yield self._page(await self._again(), self.place)

    async def search(self, query: Search) -> AsyncIterator[Page]:
        """Posts with one of these words."""
        words = sorted({word.strip().casefold() for word in query.words if word.strip()})
        languages = {language.casefold().partition("-")[0] for language in query.languages}
        names = {word: blake2b(word.encode(), digest_size=4).hexdigest() for word in words}
        kept = {name: spot for name, spot in self.place.words.items() if name in names.values()}
        self.place = msgspec.structs.replace(self.place, words=kept)
        begin = self.place.turn * WORDS if len(words) > WORDS else 0
        for number in range(len(words) if self.context.until else min(WORDS, len(words))):
            word = words[(begin + number) % len(words)]

            async def ask(below: str, word: str = word) -> tuple[Sequence[Row], str]:
                phrase = word if word.startswith("#") or " " not in word else f'"{word.replace(chr(34), "")}"'
                return await self._list("app.bsky.feed.searchPosts", [("q", phrase), ("sort", "latest")], below, Posts)

            name = names[word]
            async for rows, spot in self._down(ask, self.place.words.get(name, Spot())):
                place = msgspec.structs.replace(self.place, words={**self.place.words, name: spot})
                yield self._page(self._handed(rows, languages), place)
        if words and self.context.until is None:
            yield self._page(await self._again(), self.place)

    def _reached(self, top: str, known: str) -> str:
        """Everything up to here is stored. A time that is still to come is not believed: what is said until then would lie below it."""
        return max(min(top, _told(self.context.clock.now())), known)

    async def _list(
        self, method: str, query: Sequence[tuple[str, str | int]], below: str, form: type[Notifications | Posts]
    ) -> tuple[Sequence[Row], str]:
        """One answer, the newest first, and where it goes on; empty at the end."""
        asked = [*query, ("limit", PAGE), *([("cursor", below)] if below else [])]
        try:
            response = await self.http.request("GET", f"{path(method)}?{urlencode(asked)}")
        except PayloadMalformed as error:
            if below and error.status == 400:
                raise CursorExpired("Bluesky no longer goes on from this place in its list.", status=400) from None
            raise
        found = _decoded(response, form)
        raws = found.notifications if isinstance(found, Notifications) else found.posts
        return [_row(bytes(raw)) for raw in raws], found.cursor or ""

    async def _down(self, ask: Ask, spot: Spot) -> AsyncIterator[tuple[Sequence[Row], Spot]]:
        """Pages down to what is known. `known` never moves before the hole is closed, so a crash between two pages loses nothing."""
        until = self.context.until
        resumed = bool(spot.below)
        while True:
            rows, below = await ask(spot.below)
            times = [row.at for row in rows if row.at is not None]
            known = datetime.fromisoformat(spot.known) if spot.known else self.since
            top = spot.top or (_told(max(times)) if times else spot.known)
            closed = not rows or not below or below == spot.below or any(at < known for at in times)
            lowest = known if not spot.known else max(known - LATE, self.since)
            wanted = [row for row in rows if row.at is None or (row.at >= lowest and (until is None or row.at <= until))]
            spot = Spot(known=self._reached(top, spot.known)) if closed else Spot(known=spot.known, top=top, below=below)
            yield list(reversed(wanted)), spot
            if closed and not resumed:
                return
            # Above a hole that an earlier visit left there may be something new.
            resumed = resumed and not closed

    def _handed(self, rows: Iterable[Row], languages: set[str] | None = None) -> list[Item]:
        """What is new or changed among them, and from now on known."""
        items: list[Item] = []
        for row in rows:
            post = read_post(row.raw)
            if isinstance(post, BadItem):
                items.append(post)
            elif not (post.reason and post.reason not in REASONS):
                langs = {one.casefold().partition("-")[0] for one in post.record.langs or ()}
                if not (languages and langs and not languages & langs):
                    items += self._new(post)
        return items

    def _new(self, post: Post) -> list[Item]:
        known = mark(post)
        before = self.marks.get(known.post)
        if before == known.mark or post.author.did == self.place.me or parts_of(post.uri)[1] != POSTS:
            return []
        self.marks.pop(known.post, None)
        self.marks[known.post] = known.mark
        return [mention(post, None if before is None else self.context.clock.now())]

    def _page(self, items: Sequence[Item], place: Place) -> Page:
        """A page whose cursor differs from every other: its number counts too."""
        newest = tuple(Known(post, of) for post, of in self.marks.items())[-REMEMBERED:]
        self.place = msgspec.structs.replace(place, page=self.place.page + 1, known=newest)
        while newest and len(msgspec.json.encode(self.place)) > LARGEST_CURSOR:
            newest = newest[1:]
            self.place = msgspec.structs.replace(self.place, known=newest)
        return Page(items=items, cursor=self.place)

    async def _again(self) -> list[Item]:
        """Look at some of what was handed over lately: what was edited is handed over again, what is gone as gone."""
        parts = [self.place.known[begin : begin + MANY] for begin in range(0, len(self.place.known), MANY)]
        if not parts:
            return []
        looked = {_uri(one.post): one.post for one in parts[self.place.turn % len(parts)]}
        query = urlencode([("uris", uri) for uri in looked])
        found = _decoded(await self.http.request("GET", f"{path('app.bsky.feed.getPosts')}?{query}"), Posts)
        posts = [read_post(bytes(raw)) for raw in found.posts]
        items: list[Item] = []
        for post in posts:
            if isinstance(post, Post):
                items += self._new(post)
        there = {post.uri for post in posts if isinstance(post, Post)}
        if len(there) == len(posts):
            for uri in sorted(looked.keys() - there):
                items += await self._gone(uri, looked[uri])
        return items

    async def _gone(self, uri: str, post: str) -> list[Item]:
        """A post that is not shown to us may belong to somebody who blocked us; deleted is what the author's repository says is not there."""
        who, collection, key = parts_of(uri)
        try:
            await self.http.get(path("com.atproto.repo.getRecord"), Stored, params={"repo": who, "collection": collection, "rkey": key})
        except Gone:
            self.marks.pop(post, None)
            return [Tombstone(external_id=uri)]
        except (ContentRejected, PayloadMalformed):
            pass
        return []


def _uri(post: str) -> str:
    who, _, key = post.partition("/")
    return f"at://{who}/{POSTS}/{key}"


def _row(raw: bytes) -> Row:
    try:
        at = msgspec.json.decode(raw, type=Sign).indexedAt
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Row(None, raw)
    return Row(at if at.tzinfo is not None else None, raw)


def _told(at: datetime) -> str:
    """In UTC and always as long, so that texts compare as the times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _decoded(response: Response, form: type[T]) -> T:
    try:
        return msgspec.json.decode(response.body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PayloadMalformed("Bluesky answered in an unexpected form: no list.", status=response.status) from None
