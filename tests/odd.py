"""A network with bad manners: what its connector does is a setting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec

from echo import mention
from smhub.sdk import (
    Account,
    Annotation,
    Connector,
    FetchesMentions,
    Interceptor,
    InterceptorContext,
    Item,
    MentionView,
    Page,
    Plugin,
    PluginContext,
    Search,
    Searches,
)


class OddConfig(msgspec.Struct, kw_only=True):
    manner: str = ""


class OddCursor(msgspec.Struct, frozen=True):
    at: int = 0
    padding: str = ""


class Odd(Connector[OddConfig], FetchesMentions, Searches):
    network, title = "odd", "Odd"
    Config, Cursor = OddConfig, OddCursor
    checked_against = "nothing: it is a fake for tests"
    items: ClassVar[list[Item]] = []
    asked_from: ClassVar[list[Any]] = []
    yielded = 0
    understands: ClassVar[bool] = True
    filling: ClassVar[asyncio.Event] = asyncio.Event()

    @classmethod
    def migrate_cursor(cls, old: dict[str, Any], version: int) -> dict[str, Any] | None:
        return {"at": old["at"] + 100} if cls.understands else None

    async def verify(self) -> Account:
        return Account(external_id="1", handle="odd")

    async def fetch_mentions(self, cursor: OddCursor | None) -> AsyncIterator[Page]:
        Odd.asked_from.append(cursor)
        if self.context.until is not None:
            await Odd.filling.wait()
        match self.config.manner:
            case "hangs":
                await asyncio.sleep(3600)
            case "no page":
                yield "not a page"  # type: ignore[misc]
            case "large cursor":
                yield Page(items=[mention("large")], cursor=OddCursor(1, "x" * 4096))
            case "endless":
                while True:
                    Odd.yielded += 1
                    yield Page(items=[mention("endless")], cursor=OddCursor(1))
            case _:
                yield Page(items=Odd.items, cursor=OddCursor((cursor.at if cursor else 0) + 1))

    def search(self, query: Search, cursor: OddCursor | None) -> AsyncIterator[Page]:
        return self.fetch_mentions(cursor)


async def is_sure(context: InterceptorContext, mention: MentionView) -> list[Annotation]:
    return [Annotation(key="mood", value=f"program: {mention.text}", confidence=1.0)]


class OddPlugin(Plugin):
    id, title = "odd", "Odd"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Odd]

    def register_interceptors(self, context: PluginContext) -> list[Interceptor]:
        return [Interceptor(point="mention.annotate", handler=is_sure, name="sure")]
