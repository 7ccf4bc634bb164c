"""The connector: what the core may ask of a Mastodon account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from smhub.sdk import (
    Account,
    AuthExpired,
    ConfigInvalid,
    Connector,
    ConnectorError,
    Deletes,
    Draft,
    Edits,
    FetchesMentions,
    Gone,
    MentionRef,
    Metrics,
    OutcomeUnknown,
    Page,
    PayloadMalformed,
    Pending,
    PermissionMissing,
    Published,
    Publishes,
    Rate,
    Replies,
    ReportsMetrics,
    Response,
    Safety,
    Search,
    Searches,
    Streams,
    StreamsSearches,
    ValidatesContent,
    Violation,
)
from smhub_mastodon.entities import Profile, Status
from smhub_mastodon.hearing import Listener
from smhub_mastodon.instance import DEFAULT, limits_of, read_instance, read_software, safety_of, told_error
from smhub_mastodon.mentions import absolute, read_status
from smhub_mastodon.reading import MANY, MENTIONS, NO_SUCH_CALL, Reader
from smhub_mastodon.saying import OURS, Words, change, find, say, who_we_are, words_of
from smhub_mastodon.settings import Place, Settings
from smhub_mastodon.uploads import is_ready, upload
from smhub_mastodon.walking import elements

SCOPES = (
    ("/api/v1/accounts/", "read:accounts"),
    ("/api/v1/notifications", "read:notifications"),
    ("/api/v1/streaming/user", "read"),
    ("/api/v2/search", "read:search"),
    ("/api/v2/media", "write:media"),
    ("/api/v1/", "read:statuses"),
)
"""Which scope an address needs for reading; the server only says that one is missing."""

COUNTS = {"replies": "replies_count", "shares": "reblogs_count", "likes": "favourites_count", "quotes": "quotes_count"}


class Unsent(msgspec.Struct, frozen=True, kw_only=True):
    """A status whose files the server still works on."""

    words: Words
    key: str
    since: datetime


class _App(msgspec.Struct, frozen=True):
    scopes: tuple[str, ...] = ()


class Mastodon(
    Connector[Settings],
    FetchesMentions,
    Searches,
    Streams,
    StreamsSearches,
    Publishes,
    Replies,
    Edits,
    Deletes,
    ReportsMetrics,
    ValidatesContent,
):
    """One account on a Mastodon server, or on one that speaks its API."""

    network = "mastodon"
    title = "Mastodon"
    Config = Settings
    Cursor = Place
    poll_seconds = 60
    limits = DEFAULT
    rates = (Rate(calls=300, seconds=300, key="account", remaining="X-RateLimit-Remaining", reset="X-RateLimit-Reset"),)
    # Which of the two a server deserves, verify finds out.
    safety: ClassVar[Safety] = "lookup"
    key_seconds = 3600.0
    # The servers' proxies give up on a request after a minute, the server itself then still ends what it began, and it keeps the key
    # only after it has made the status: a second request must not come before that, and lists may lag a little behind.
    settle_seconds = 90.0
    checked_against = "mastodon-mock 0.6.1, a server that imitates Mastodon's API; not yet run against a live Mastodon server"

    @classmethod
    def base_url(cls, config: Settings) -> str:
        return config.address

    @classmethod
    def headers(cls, config: Settings) -> dict[str, str]:
        return {"Authorization": f"Bearer {config.token.reveal()}"}

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        path = urlsplit(response.url).path
        # The streaming server says 401 where the rest says 403 (streaming/index.js: "Access token does not have the required scopes").
        lacks = response.status == 403 or (response.status == 401 and path.startswith("/api/v1/streaming"))
        if not lacks or "scope" not in told_error(response).lower():
            return None
        scope = next((scope for begin, scope in SCOPES if path.startswith(begin)), "read")
        return PermissionMissing(f"The token lacks the scope {scope}.", scopes=(scope,), status=403)

    async def verify(self) -> Account:
        try:
            me = await who_we_are(self.http)
        except (Gone, PayloadMalformed):
            raise ConfigInvalid("There is no server with Mastodon's API at this address.", field="base_url") from None
        await self.http.request("GET", MENTIONS, params={"limit": 1})
        instance = await read_instance(self.http)
        handle = absolute(me.acct, instance.name(self.config.address))
        return Account(
            external_id=handle.lower(),
            handle=handle,
            name=me.display_name or "",
            url=me.url,
            scopes=await self._scopes(),
            limits=limits_of(instance),
            safety=safety_of(await read_software(self.http, self.config.address)),
        )

    async def _scopes(self) -> tuple[str, ...]:
        """The scopes of the application, where the server tells them; the token has no others."""
        try:
            return (await self.http.get("/api/v1/apps/verify_credentials", _App)).scopes
        except (AuthExpired, Gone, PayloadMalformed, PermissionMissing):
            # Some servers answer 401 for a token that no application stands behind; that it is good was seen before.
            return ()

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in Reader(self.http, self.config, self.context, cursor).mentions():
            yield page

    async def search(self, query: Search, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in Reader(self.http, self.config, self.context, cursor).search(query):
            yield page

    async def stream(self, cursor: None) -> AsyncIterator[Page]:
        async for page in Listener(self.http, self.config).mentions():
            yield page

    async def stream_search(self, query: Search, cursor: None) -> AsyncIterator[Page]:
        async for page in Listener(self.http, self.config).search(query):
            yield page

    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        return await self._out(draft, key, None)

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published | Pending:
        return await self._out(draft, key, to)

    async def _out(self, draft: Draft, key: str, to: MentionRef | None) -> Published | Pending:
        words = await words_of(self.http, self.config, draft, to, await self._me(to))
        sent = [await upload(self.http, media, f"{key}-{number}") for number, media in enumerate(draft.media)]
        words = msgspec.structs.replace(words, media_ids=tuple(id_ for id_, _ in sent))
        if all(ready for _, ready in sent):
            return await say(self.http, words, key)
        return Pending(state=msgspec.to_builtins(Unsent(words=words, key=key, since=self.context.clock.now())))

    async def _me(self, to: MentionRef | None) -> Profile:
        # Only an answer has to know who we are: so as not to address ourselves.
        return await who_we_are(self.http) if to is not None else Profile(id="", acct="")

    async def check_publish(self, pending: Pending) -> Published | Pending:
        unsent = msgspec.convert(pending.state, Unsent)
        for media_id in unsent.words.media_ids:
            if not await is_ready(self.http, media_id):
                return pending
        found = await find(self.http, unsent.words, len(unsent.words.media_ids), unsent.since, await who_we_are(self.http))
        return found or await say(self.http, unsent.words, unsent.key)

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        me = await who_we_are(self.http)
        try:
            words = await words_of(self.http, self.config, draft, to, me)
        except Gone as error:
            raise OutcomeUnknown(error.message) from None
        return await find(self.http, words, len(draft.media), since, me)

    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        sent = [await upload(self.http, media, f"{key}-{number}") for number, media in enumerate(draft.media)]
        return await change(self.http, external_id, draft, [id_ for id_, _ in sent], await who_we_are(self.http))

    async def delete(self, external_id: str) -> None:
        try:
            await self.http.delete(f"/api/v1/statuses/{quote(external_id, safe='')}")
        except PermissionMissing as error:
            raise (PermissionMissing(error.message, scopes=("write:statuses",)) if error.scopes else error) from None

    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        now = self.context.clock.now()
        statuses: list[Status] = []
        for begin in range(0, len(external_ids), MANY):
            statuses += await self._many(external_ids[begin : begin + MANY])
        return [Metrics(external_id=one.id, observed_at=now, values=_counts(one)) for one in statuses]

    async def _many(self, ids: Sequence[str]) -> list[Status]:
        path = "/api/v1/statuses?" + urlencode([("id[]", one) for one in ids], safe="[]")
        response = await self.http.request("GET", path, accept=NO_SUCH_CALL)
        if response.status == 200:
            found = [read_status(raw) for raw in elements(response)]
        else:
            answers = [await self.http.request("GET", f"/api/v1/statuses/{quote(one, safe='')}", accept=(404, 410)) for one in ids]
            found = [read_status(answer.body) for answer in answers if answer.status == 200]
        return [one for one in found if isinstance(one, Status)]

    def validate(self, draft: Draft) -> list[Violation]:
        found = []
        if not draft.text.strip() and not draft.media:
            found.append(Violation(field="text", code="empty", detail="a post without files needs a text"))
        if len(draft.media) > 1 and any(not media.media_type.startswith("image/") for media in draft.media):
            detail = "several images, or one video or sound, but not both"
            found.append(Violation(field="media", code="mixed_media", detail=detail))
        if draft.visibility is not None and draft.visibility not in OURS:
            found.append(Violation(field="visibility", code="unknown_visibility", detail=f"one of {', '.join(OURS)}"))
        return found


def _counts(status: Status) -> dict[str, int]:
    told: Mapping[str, Any] = {name: getattr(status, field) for name, field in COUNTS.items()}
    return {name: value for name, value in told.items() if value is not None and value >= 0}
