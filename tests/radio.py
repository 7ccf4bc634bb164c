"""A network that speaks to those who listen: what a test says is heard by every open stream, and can be asked for as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import ClassVar

import msgspec

from echo import EchoConfig, EchoCursor, mention
from smhub.sdk import (
    Account,
    Connector,
    FetchesMentions,
    Item,
    Mention,
    Page,
    Plugin,
    PluginContext,
    Search,
    Searches,
    Streams,
    StreamsSearches,
)


class Place(msgspec.Struct, frozen=True):
    number: int


class Air:
    """`said` is what the network holds. `live` is what is told by streams, each with its number; a stream without a place begins at its end."""

    def __init__(self) -> None:
        self.said: list[Item] = []
        self.live: list[Item] = []
        self.error: BaseException | None = None
        self.poll_error: BaseException | None = None
        self.silent = False
        self.listening = 0
        self.most = 0
        self.places: list[int | None] = []
        self.polls = 0
        self.cut = False
        self._news = asyncio.Event()

    def says(self, *texts: str, live: bool = True) -> None:
        items = [mention(f"m{len(self.said) + number}", text) for number, text in enumerate(texts)]
        self.said += items
        if live:
            self.tells(items)

    def tells(self, items: Iterable[Item]) -> None:
        self.live += items
        self.ring()

    def ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def breaks(self, error: BaseException | None) -> None:
        """Every open stream ends: with an error, or just so."""
        self.error, self.cut = error, True
        self.ring()

    async def listen(self, at: int | None) -> AsyncIterator[tuple[int, Item | None]]:
        if self.error is not None:
            raise self.error
        self.places.append(at)
        self.listening += 1
        self.most = max(self.most, self.listening)
        self.cut = False
        number = len(self.live) if at is None else at
        try:
            if not self.silent:
                yield number, None
            while True:
                while number < len(self.live):
                    number += 1
                    yield number, self.live[number - 1]
                if self.cut:
                    if self.error is not None:
                        raise self.error
                    return
                await self._news.wait()
        finally:
            self.listening -= 1


class Radio(Connector[EchoConfig], FetchesMentions, Searches, Streams, StreamsSearches):
    """It can be listened to, and asked. Its streams have no place to continue from."""

    network, title = "radio", "Radio"
    Config, Cursor = EchoConfig, EchoCursor
    checked_against = "nothing: it is a fake for tests"
    air: ClassVar[Air] = Air()

    async def verify(self) -> Account:
        return Account(external_id="1", handle="firma")

    async def fetch_mentions(self, cursor: EchoCursor | None) -> AsyncIterator[Page]:
        self.air.polls += 1
        if self.air.poll_error is not None:
            raise self.air.poll_error
        at = cursor.at if cursor else 0
        if at < len(self.air.said):
            yield Page(items=self.air.said[at:], cursor=EchoCursor(len(self.air.said)))

    async def search(self, query: Search, cursor: EchoCursor | None) -> AsyncIterator[Page]:
        async for page in self.fetch_mentions(cursor):
            yield page

    async def stream(self, cursor: Place | None) -> AsyncIterator[Page]:
        async for number, item in self.air.listen(cursor.number if cursor else None):
            yield Page(items=[] if item is None else [item], cursor=None if self.StreamCursor is None else Place(number))

    async def stream_search(self, query: Search, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in self.stream(cursor):
            yield page


class Tape(Connector[EchoConfig], Streams):
    """It can only be listened to, and continues where it was cut off."""

    network, title = "tape", "Tape"
    Config, Cursor, StreamCursor = EchoConfig, EchoCursor, Place
    checked_against = "nothing: it is a fake for tests"
    verify, stream, air = Radio.verify, Radio.stream, Radio.air


class RadioPlugin(Plugin):
    id, title = "radio", "Radio"

    def register_connectors(self, context: PluginContext) -> tuple[type[Connector[EchoConfig]], ...]:
        return (Radio, Tape)


def fresh() -> Air:
    """A silent network, for the next test."""
    Radio.air = Tape.air = Air()
    return Radio.air


__all__ = ["Air", "Mention", "Radio", "RadioPlugin", "Tape", "fresh"]
