"""Broken in what the network tells by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec

from smhub.sdk import AuthExpired, Challenge, Item, Mention, Page, RawRequest, Tombstone, Transient
from smhub.testing.mutants.market import Telegraph
from smhub.testing.mutants.reference import ByWebSocket, Reference, item
from smhub.testing.mutants.registry import breaks


class Changed(Reference):
    """What is told goes through `changed`."""

    def changed(self, one: Item) -> Item | None:
        return one

    def _all(self, found: list[Item]) -> list[Item]:
        return [one for each in found if (one := self.changed(each)) is not None]

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        found = super().parse_webhook(request)
        return self._all(found) if isinstance(found, list) else found


@breaks(63)
class NumbersDeliveries(Changed):
    """A mention's id is the number of its delivery."""

    number: ClassVar[int] = 0

    def changed(self, one: Item) -> Item | None:
        NumbersDeliveries.number += 1
        return msgspec.structs.replace(one, external_id=f"d{self.number}") if isinstance(one, Mention) else one


@breaks(64)
class OtherIds(Changed):
    """Deliveries name mentions otherwise than the list does."""

    def changed(self, one: Item) -> Item | None:
        return msgspec.structs.replace(one, external_id=f"hook-{one.external_id}") if isinstance(one, Mention) else one


@breaks(65)
class OnlyNewOnes(Changed):
    """Edits that are delivered are left out."""

    def changed(self, one: Item) -> Item | None:
        return None if isinstance(one, Mention) and one.edited_at else one


@breaks(65)
class StreamsNoDeletions(Reference):
    """Deletions that the stream tells are left out."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        async for page in super().stream(cursor):
            yield Page(items=[one for one in page.items if not isinstance(one, Tombstone)], cursor=None)


@breaks(66)
class EditedJustNow(Reference):
    """What the stream tells was always edited just now."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        async for page in super().stream(cursor):
            now = self.context.clock.now()
            items = [msgspec.structs.replace(one, edited_at=now) if isinstance(one, Mention) else one for one in page.items]
            yield Page(items=items, cursor=None)


@breaks(76)
class OneBadSpoilsAll(Reference):
    """A message that cannot be read ends the stream."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        async for event in self.http.events("/stream"):
            msgspec.json.decode(event.data, type=dict[str, Any])["id"]
            yield Page(items=[item(event.data.encode())], cursor=None)


@breaks(77)
class OpensItAgain(Reference):
    """When the stream breaks it opens it again by itself."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        for _ in range(3):
            try:
                async for page in super().stream(cursor):
                    yield page
                return
            except Transient:
                continue
        raise Transient("it does not work")


@breaks(77)
class SwallowsTheRefusal(Reference):
    """Credentials that are refused end the stream as if nothing was wrong."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        try:
            async for page in super().stream(cursor):
                yield page
        except AuthExpired:
            return


@breaks(76, fake=Telegraph)
class OneBadFrameSpoilsAll(ByWebSocket):
    """A message of its WebSocket that cannot be read ends it."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        async for message in self.http.messages("/stream"):
            raw = message.encode() if isinstance(message, str) else message
            msgspec.json.decode(raw, type=dict[str, Any])["id"]
            yield Page(items=[item(raw)], cursor=None)


@breaks(77, fake=Telegraph)
class OpensItsSocketAgain(ByWebSocket):
    """When its WebSocket breaks it opens it again by itself."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        for _ in range(2):
            try:
                async for page in super().stream(cursor):
                    yield page
                return
            except Transient:
                continue
        raise Transient("it does not work")
