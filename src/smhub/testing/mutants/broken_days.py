"""Broken in what only shows in the long run: memory, and bad days."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from smhub.sdk import ConnectorError, Draft, Item, Page, Pending, Published
from smhub.testing.mutants.reference import Cursor, Numbered, Reference
from smhub.testing.mutants.registry import breaks


@breaks(40)
class Remembers(Reference):
    """It keeps everything that it read, in case it comes again."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.known: dict[int, Item] = {}

    def wanted(self, found: list[Item]) -> list[Item]:
        for one in found:
            self.known[len(self.known)] = one
        return super().wanted(found)


@breaks(40)
class Collects(Reference):
    """It reads everything before it hands over the first page."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        for page in [page async for page in super().fetch_mentions(cursor)]:
            yield page


@breaks(75)
class JumpsAhead(Reference):
    """After an error it goes on with what is newest, and what lies between is lost."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        try:
            async for page in super().fetch_mentions(cursor):
                yield page
        except ConnectorError:
            newest = await self.http.get("/latest", Numbered)
            yield Page(items=[], cursor=Cursor(newest.seq))


@breaks(75)
class SaysItAgain(Reference):
    """What fails is said again at once, under another key."""

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        try:
            return await super().say(draft, key, to)
        except ConnectorError:
            return await super().say(msgspec.structs.replace(draft), key[::-1], to)
