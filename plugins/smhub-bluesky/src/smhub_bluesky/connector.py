"""The connector: what the core may ask of a Bluesky account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import ClassVar
from urllib.parse import urlencode

import msgspec

from smhub.sdk import (
    Account,
    ConfigInvalid,
    Connector,
    ConnectorError,
    Deletes,
    Draft,
    FetchesMentions,
    Gone,
    Http,
    Limits,
    MentionRef,
    Metrics,
    Page,
    PayloadMalformed,
    Published,
    Publishes,
    Rate,
    Replies,
    ReportsMetrics,
    Response,
    Safety,
    Search,
    Searches,
    Session,
    SignsIn,
    StreamsSearches,
    Unsupported,
    ValidatesContent,
    Violation,
)
from smhub_bluesky import pictures
from smhub_bluesky.entities import Post, Posts
from smhub_bluesky.hearing import Ear
from smhub_bluesky.mentions import APP, read_post
from smhub_bluesky.reading import MANY, Reader
from smhub_bluesky.saying import say, take_back, violations
from smhub_bluesky.settings import Heard, Place, Settings
from smhub_bluesky.xrpc import meaning, path, renew, sign_in

COUNTS = {"likes": "likeCount", "shares": "repostCount", "replies": "replyCount", "quotes": "quoteCount"}


class _Me(msgspec.Struct, frozen=True):
    did: str
    handle: str


class Bluesky(
    Connector[Settings],
    SignsIn,
    FetchesMentions,
    Searches,
    StreamsSearches,
    Publishes,
    Replies,
    Deletes,
    ReportsMetrics,
    ValidatesContent,
):
    """One account on Bluesky, or on another server of the AT Protocol."""

    network = "bluesky"
    title = "Bluesky"
    Config = Settings
    Cursor = Place
    StreamCursor = Heard
    poll_seconds = 60
    # app.bsky.feed.post: text maxGraphemes 300, maxLength 3000 (bytes of UTF-8).
    limits = Limits(max=300, count="graphemes", max_bytes=3000, max_media=pictures.MOST, media=pictures.LIMITS)
    # https://docs.bsky.app/docs/advanced-guides/rate-limits: 3000 requests in 5 minutes for an address.
    rates = (Rate(calls=3000, seconds=300, key="host", remaining="RateLimit-Remaining", reset="RateLimit-Reset"),)
    # A post is created at an address that follows from the key, and nowhere else.
    safety: ClassVar[Safety] = "key"
    key_seconds = 0.0
    settle_seconds = 60.0
    checked_against = "the reference PDS and AppView (@atproto/dev-env 0.6.7) on this machine; not yet run against bsky.social"

    @classmethod
    def base_url(cls, config: Settings) -> str:
        return config.address

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return meaning(response)

    @classmethod
    async def sign_in(cls, config: Settings, http: Http) -> Session:
        return await sign_in(config, http)

    @classmethod
    async def renew_session(cls, config: Settings, http: Http, session: Session) -> Session:
        return await renew(http)

    async def verify(self) -> Account:
        try:
            me = await self._me()
        except (Gone, PayloadMalformed):
            raise ConfigInvalid("There is no server of the AT Protocol at this address.", field="base_url") from None
        return Account(external_id=me.did, handle=me.handle, url=f"{APP}/profile/{me.did}")

    async def _me(self) -> _Me:
        return await self.http.get(path("com.atproto.server.getSession"), _Me)

    async def _reader(self, cursor: Place | None) -> Reader:
        me = cursor.me if cursor is not None and cursor.me else (await self._me()).did
        return Reader(self.http, self.config, self.context, cursor, me)

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in (await self._reader(cursor)).mentions():
            yield page

    async def search(self, query: Search, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in (await self._reader(cursor)).search(query):
            yield page

    async def stream_search(self, query: Search, cursor: Heard | None) -> AsyncIterator[Page]:
        address = self.config.jetstream.rstrip("/")
        if not address:
            raise Unsupported("No Jetstream is named in the settings.")
        ear = Ear(self.http, address, self.context, query, (await self._me()).did)
        async with aclosing(ear.pages(cursor, self.stream_silence)) as pages:
            async for page in pages:
                yield page

    async def publish(self, draft: Draft, key: str) -> Published:
        return await say(self.http, (await self._me()).did, draft, key, None, self.context.clock.now())

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published:
        return await say(self.http, (await self._me()).did, draft, key, to, self.context.clock.now())

    async def delete(self, external_id: str) -> None:
        await take_back(self.http, external_id)

    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        now = self.context.clock.now()
        posts: list[Post] = []
        for begin in range(0, len(external_ids), MANY):
            query = urlencode([("uris", one) for one in external_ids[begin : begin + MANY]])
            found = await self.http.get(f"{path('app.bsky.feed.getPosts')}?{query}", Posts)
            posts += [post for raw in found.posts if isinstance(post := read_post(bytes(raw)), Post)]
        return [Metrics(external_id=one.uri, observed_at=now, values=_counts(one)) for one in posts]

    def validate(self, draft: Draft) -> list[Violation]:
        return violations(draft)


def _counts(post: Post) -> dict[str, int]:
    told = {name: getattr(post, field) for name, field in COUNTS.items()}
    return {name: value for name, value in told.items() if isinstance(value, int) and value >= 0}
