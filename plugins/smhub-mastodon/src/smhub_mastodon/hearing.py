"""Listening: the server tells of mentions, edits and deletions as they happen (docs.joinmastodon.org/methods/streaming).

It tells nothing of what passed before, and knows no place to continue from: that is left to the polls.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import msgspec

from smhub.sdk import BadItem, Gone, Http, Item, Page, PayloadMalformed, Search, ServerEvent, Tombstone, Unsupported
from smhub_mastodon.entities import Profile, Status
from smhub_mastodon.instance import Instance, read_instance
from smhub_mastodon.mentions import mention, read_status
from smhub_mastodon.reading import of_notification
from smhub_mastodon.settings import Settings

SILENCE = 75.0
"""Mastodon says `:thump` every fifteen seconds; others every half minute."""

TAGS = 4
"""How many hashtags are listened to, each by a connection of its own; the others are polled."""

REMEMBERED = 2000
"""Deletions are told of everything that passes by. Only what was handed over from this stream is handed over as gone."""

QUEUED = 50


class Listener:
    """One visit to the server's streams."""

    def __init__(self, http: Http, config: Settings) -> None:
        self.http, self.config = http, config
        self.domain = self.me = ""
        self.address = ""
        self.told: OrderedDict[str, None] = OrderedDict()

    async def mentions(self) -> AsyncIterator[Page]:
        """What happens to us."""
        await self._find_out()
        async with aclosing(self._events("user", {})) as events:
            async for event in events:
                for page in self._page(self._of_user(event)):
                    yield page

    async def search(self, query: Search) -> AsyncIterator[Page]:
        """Posts with one of these hashtags."""
        tags = sorted({word.strip().removeprefix("#").casefold() for word in query.words})
        tags = [tag for tag in tags if tag.replace("_", "").isalnum() and not tag.isdecimal()][:TAGS]
        if not tags:
            raise Unsupported("None of the words can be a hashtag; Mastodon has streams of nothing else.")
        await self._find_out()
        languages = {language.casefold().partition("-")[0] for language in query.languages}
        async with aclosing(together([self._events("hashtag", {"tag": tag}) for tag in tags])) as events:
            async for event in events:
                for page in self._page(self._of_tag(event, languages)):
                    yield page

    async def _find_out(self) -> None:
        instance = await read_instance(self.http)
        self.domain = instance.name(self.config.address)
        self.address = streaming_address(instance, self.config.address)
        self.me = (await self.http.get("/api/v1/accounts/verify_credentials", Profile)).id

    async def _events(self, stream: str, params: dict[str, str | int]) -> AsyncGenerator[ServerEvent, None]:
        """As server-sent events, and where the server has none by a WebSocket, as GoToSocial, Pleroma and Akkoma do."""
        # Elsewhere the hub shows nobody our token; this host is one that our server named, and a part of it.
        home, token = self.address == self.config.address, self.config.token.reveal()
        headers = {} if home else {"authorization": f"Bearer {token}"}
        base, heard = f"{self.address}/api/v1/streaming", False
        try:
            told: Any = self.http.events(f"{base}/{stream}", params=params, headers=headers, silence=SILENCE)
            async with aclosing(told) as events:
                async for event in events:
                    heard = True
                    yield event
            return
        except (Gone, PayloadMalformed):
            if heard:
                raise
        # Where browsers can show a token; not every server looks for another place.
        headers |= {"sec-websocket-protocol": token}
        told = self.http.messages(base, params={"stream": stream, **params}, headers=headers, silence=SILENCE)
        async with aclosing(told) as messages:
            async for message in messages:
                yield _event(message)

    def _of_user(self, event: ServerEvent) -> list[Item]:
        if event.name == "notification":
            found = of_notification(event.data.encode())
            return [found] if isinstance(found, BadItem) else self._handed(found)
        if event.name == "status.update":
            status = read_status(event.data.encode())
            ours = isinstance(status, Status) and (status.id in self.told or any(person.id == self.me for person in status.mentions))
            # What the home timeline brings beside that is not ours, and whether it can be read does not matter.
            return self._handed(status) if ours and isinstance(status, Status) else []
        return self._gone(event)

    def _of_tag(self, event: ServerEvent, languages: set[str]) -> list[Item]:
        if event.name not in ("update", "status.update"):
            return self._gone(event)
        status = read_status(event.data.encode())
        if isinstance(status, BadItem):
            return [status]
        other = languages and status.language and status.language.casefold().partition("-")[0] not in languages
        return [] if other else self._handed(status)

    def _handed(self, status: Status | None) -> list[Item]:
        if status is None or status.reblog is not None or status.account.id == self.me:
            return []
        self.told[status.id] = None
        while len(self.told) > REMEMBERED:
            self.told.popitem(last=False)
        return [mention(status, self.config.scope, self.domain)]

    def _gone(self, event: ServerEvent) -> list[Item]:
        if event.name != "delete" or event.data not in self.told:
            return []
        del self.told[event.data]
        return [Tombstone(external_id=event.data, scope=self.config.scope)]

    def _page(self, items: Sequence[Item]) -> list[Page]:
        return [Page(items=items, cursor=None)] if items else []


class _Told(msgspec.Struct, frozen=True):
    """A message of a WebSocket (https://docs.joinmastodon.org/methods/streaming/#websocket); the payload is JSON in a text."""

    event: str
    payload: str = ""


def _event(message: str | bytes) -> ServerEvent:
    try:
        told = msgspec.json.decode(message, type=_Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Kept as a notification that cannot be read.
        return ServerEvent(name="notification", data=message if isinstance(message, str) else "")
    return ServerEvent(name=told.event, data=told.payload)


def streaming_address(instance: Instance, address: str) -> str:
    """Where the server's streams are: at itself, or at a host below its own that it names, by https."""
    told = instance.configuration.get("urls")
    url = told.get("streaming") if isinstance(told, dict) else None
    parts = urlsplit(url) if isinstance(url, str) else None
    host = urlsplit(address).hostname or ""
    if parts is None or parts.scheme not in ("wss", "https") or not (parts.hostname or "").endswith(f".{host}"):
        return address
    return f"https://{parts.netloc}"


async def together(streams: Sequence[AsyncIterator[ServerEvent]]) -> AsyncGenerator[ServerEvent, None]:
    """The messages of several streams as they come. One that ends or fails ends all: the hub opens them again."""
    if len(streams) == 1:
        async for event in streams[0]:
            yield event
        return
    told: asyncio.Queue[ServerEvent] = asyncio.Queue(QUEUED)

    async def hear(stream: AsyncIterator[ServerEvent]) -> None:
        async for event in stream:
            await told.put(event)

    parts = [asyncio.create_task(hear(stream)) for stream in streams]
    getting = asyncio.create_task(told.get())
    try:
        while True:
            done, _ = await asyncio.wait([getting, *parts], return_when=asyncio.FIRST_COMPLETED)
            if getting in done:
                yield getting.result()
                getting = asyncio.create_task(told.get())
                continue
            for part in done:
                part.result()
            return
    finally:
        for task in (getting, *parts):
            task.cancel()
        await asyncio.gather(getting, *parts, return_exceptions=True)
