"""Broken in how they page."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from smhub.sdk import BadItem, ConnectorError, Gone, Item, Mention, Page, PayloadMalformed, Response, Tombstone
from smhub.testing.mutants.reference import Cursor, Numbered, Reference, Row, item
from smhub.testing.mutants.registry import breaks

E_PAGE = 40


def seq(raw: bytes) -> int:
    """The number of an element."""
    return msgspec.json.decode(raw, type=Numbered).seq


class Changed(Reference):
    """Hands every item on through `changed`."""

    @abstractmethod
    def changed(self, one: Item) -> Item | None:
        """The item as this connector hands it over."""

    def wanted(self, found: list[Item]) -> list[Item]:
        return [one for given in super().wanted(found) if (one := self.changed(given)) is not None]


@breaks(17)
class CountsAnew(Reference):
    """Ids count from the start of each visit."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        number = 0
        async for page in super().fetch_mentions(cursor):
            items = []
            for one in page.items:
                number += 1
                items.append(msgspec.structs.replace(one, external_id=f"n{number}") if isinstance(one, Mention) else one)
            yield msgspec.structs.replace(page, items=items)


@breaks(17)
class LeavesOutTheLast(Reference):
    """The last element of every page is left out."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        async for page in super().fetch_mentions(cursor):
            yield msgspec.structs.replace(page, items=page.items[:-1])


@breaks(18)
class StartsAnew(Reference):
    """Every visit begins at the beginning."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        async for page in super().fetch_mentions(None):
            yield page


@breaks(19)
class MovesOnFirst(Reference):
    """The cursor moves on before the items are handed over."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        async for page in super().fetch_mentions(cursor):
            yield Page(items=(), cursor=page.cursor)
            yield Page(items=page.items, cursor=Cursor(page.cursor.after + 0))


@breaks(19, 27)
class NewestAtOnce(Reference):
    """It walks from the newest down, and remembers the newest at once."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        known = cursor.after if cursor else 0
        below, top = 1 << 40, 0
        while rows := [raw for raw in await self.rows(below=below) if seq(raw) > known]:
            top, below = top or seq(rows[0]), seq(rows[-1])
            yield Page(items=self.wanted([item(raw) for raw in reversed(rows)]), cursor=Cursor(top))


class TimeCursor(msgspec.Struct, frozen=True):
    since: datetime | None = None


@breaks(20)
class GoesByTheClock(Reference):
    """It goes on after the time of the last one: others of the same second are skipped."""

    Cursor = TimeCursor  # type: ignore[assignment]

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        since = cursor.since if cursor else None
        while rows := await self.rows(**({"since": since.isoformat()} if since else {})):
            since = max(msgspec.json.decode(raw, type=Row).at for raw in rows)
            yield Page(items=self.wanted([item(raw) for raw in rows]), cursor=TimeCursor(since))


@breaks(21)
class TakesTheLatest(Reference):
    """At the end it remembers what is the newest then, and not what it has handed over."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        after = cursor.after if cursor else 0
        rows = await self.rows(after=after)
        while rows:
            after = max(after, *map(seq, rows))
            more = await self.rows(after=after) if len(rows) == E_PAGE else []
            if not more:
                after = (await self.http.get("/latest", Numbered)).seq
            yield Page(items=self.wanted([item(raw) for raw in rows]), cursor=Cursor(after))
            rows = more


@breaks(22)
class AllOrNothing(Reference):
    """The whole page is decoded at once: one bad element spoils it."""

    async def rows(self, **params: str | int) -> list[bytes]:
        found = await self.http.get("/mentions", list[Row], params={"limit": E_PAGE, **params})
        return [msgspec.json.encode(row) for row in found]


@breaks(22)
class DropsBadItems(Changed):
    """What it cannot read vanishes without a word."""

    def changed(self, one: Item) -> Item | None:
        return None if isinstance(one, BadItem) else one


@breaks(23)
class GarbageIsNothing(Reference):
    """An answer that it cannot read counts as the end of the list."""

    async def rows(self, **params: str | int) -> list[bytes]:
        try:
            return await super().rows(**params)
        except PayloadMalformed:
            return []


@breaks(23)
class GarbageIsABug(Reference):
    """An answer that it cannot read is an error of the parser."""

    async def rows(self, **params: str | int) -> list[bytes]:
        response = await self.http.request("GET", "/mentions", params={"limit": E_PAGE, **params})
        return [msgspec.json.encode(one) for one in msgspec.json.decode(response.body)]


class LongCursor(msgspec.Struct, frozen=True):
    after: int = 0
    seen: tuple[str, ...] = ()


@breaks(24)
class RemembersAll(Reference):
    """The cursor holds every id that was ever seen."""

    Cursor = LongCursor  # type: ignore[assignment]

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        seen = cursor.seen if cursor else ()
        async for page in super().fetch_mentions(cursor):
            seen += tuple(one.external_id for one in page.items if isinstance(one, Mention))
            yield msgspec.structs.replace(page, cursor=LongCursor(page.cursor.after, seen))


@breaks(24)
class UntypedCursor(Reference):
    """The cursor is a dictionary."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        async for page in super().fetch_mentions(cursor):
            yield msgspec.structs.replace(page, cursor={"after": page.cursor.after})


@breaks(25)
class NeverEnds(Reference):
    """When there is nothing more, it asks again."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        after = cursor.after if cursor else 0
        while True:
            rows = await self.rows(after=after)
            after = max([after, *map(seq, rows)])
            yield Page(items=self.wanted([item(raw) for raw in rows]), cursor=Cursor(after))


@breaks(26)
class ForgottenIsGone(Reference):
    """A place that the network forgot is taken for an account that is gone."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return Gone("gone", status=410) if response.status == 410 else super().map_error(response)


@breaks(28)
class StumblesOverOldCursors(Reference):
    """Today's field is looked for in a cursor of yesterday."""

    @classmethod
    def migrate_cursor(cls, old: dict[str, Any], version: int) -> dict[str, Any] | None:
        return {"after": old["after"]}


@breaks(29)
class EditIsAnother(Changed):
    """An edited post is another one."""

    def changed(self, one: Item) -> Item:
        edited = isinstance(one, Mention) and one.edited_at
        return msgspec.structs.replace(one, external_id=f"{one.external_id}-e") if isinstance(one, Mention) and edited else one


@breaks(29)
class HidesEdits(Changed):
    """It does not say when a post was edited."""

    def changed(self, one: Item) -> Item:
        return msgspec.structs.replace(one, edited_at=None) if isinstance(one, Mention) else one


@breaks(30)
class KeepsTheDeleted(Changed):
    """What was deleted is passed over."""

    def changed(self, one: Item) -> Item | None:
        return None if isinstance(one, Tombstone) else one


@breaks(31)
class NeedsSomebody(Reference):
    """It looks at the last element before it knows that there is one."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        after = cursor.after if cursor else 0
        rows = await self.rows(after=after)
        last = seq(rows[-1])
        async for page in super().fetch_mentions(cursor):
            yield msgspec.structs.replace(page, missed=None if last else "")


@breaks(32)
class TakesEverything(Reference):
    """A back-fill brings everything that there ever was."""

    def wanted(self, found: list[Item]) -> list[Item]:
        return found


@breaks(43)
class Composes(Changed):
    """Accented letters get another form."""

    def changed(self, one: Item) -> Item:
        return msgspec.structs.replace(one, text=unicodedata.normalize("NFC", one.text)) if isinstance(one, Mention) else one


@breaks(43)
class CutsText(Changed):
    """A long text is cut."""

    def changed(self, one: Item) -> Item:
        return msgspec.structs.replace(one, text=one.text[:200]) if isinstance(one, Mention) else one


@breaks(43)
class OnlyTheBasicPlane(Changed):
    """What lies beyond the basic plane is dropped."""

    def changed(self, one: Item) -> Item:
        kept = "".join(char for char in one.text if ord(char) < 0x10000) if isinstance(one, Mention) else ""
        return msgspec.structs.replace(one, text=kept) if isinstance(one, Mention) else one


@breaks(44)
class NaiveTimes(Changed):
    """Its times have no zone."""

    def changed(self, one: Item) -> Item:
        return msgspec.structs.replace(one, published_at=one.published_at.replace(tzinfo=None)) if isinstance(one, Mention) else one


@breaks(45)
class ForgetsTheZone(Changed):
    """It takes the hands of the clock for UTC, whatever zone they stand in."""

    def changed(self, one: Item) -> Item:
        from datetime import UTC

        return msgspec.structs.replace(one, published_at=one.published_at.replace(tzinfo=UTC)) if isinstance(one, Mention) else one


@breaks(46)
class BelievesItsClock(Changed):
    """What was said "in the future" is left out, and never looked at again."""

    def changed(self, one: Item) -> Item | None:
        ahead = isinstance(one, Mention) and one.published_at > self.context.clock.now() + timedelta(minutes=5)
        return None if ahead else one


@breaks(47)
class MarkupAsText(Changed):
    """Markup is handed over as text."""

    def changed(self, one: Item) -> Item:
        return msgspec.structs.replace(one, text=one.html, html=None) if isinstance(one, Mention) and one.html else one
