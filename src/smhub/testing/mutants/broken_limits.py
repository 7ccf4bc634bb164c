"""Broken when the network says wait, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec

from smhub.sdk import Account, AuthExpired, ConnectorError, Item, Page, PayloadMalformed, Rate, RateLimited, Response, Transient
from smhub.testing.mutants.reference import Person, Reference
from smhub.testing.mutants.registry import breaks


@breaks(33)
class AsksAgain(Reference):
    """It asks again at once when it is to wait."""

    async def rows(self, **params: str | int) -> list[bytes]:
        try:
            return await super().rows(**params)
        except RateLimited:
            return await super().rows(**params)


@breaks(33)
class Sleeps(Reference):
    """It sleeps before it says that it is to wait."""

    async def verify(self) -> Account:
        try:
            return await super().verify()
        except RateLimited as error:
            await asyncio.sleep(error.retry_after or 1)
            raise


@breaks(33)
class KnowsNoDates(Reference):
    """It reads the wait itself, and only as seconds."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        if response.status != 429:
            return super().map_error(response)
        text = response.headers.get("retry-after", "")
        return RateLimited("wait", retry_after=float(text) if text.isdecimal() else 1.0)


@breaks(34)
class HandsOverAtTheEnd(Reference):
    """All pages are read before the first is handed over: a wait in between loses them all."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        found: list[Item] = []
        last: Any = None
        async for page in super().fetch_mentions(cursor):
            found, last = [*found, *page.items], page.cursor
        if last is not None:
            yield Page(items=found, cursor=last)


@breaks(35)
class BelievesEveryWait(Reference):
    """It waits for years when a header says so."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        if response.status != 429:
            return super().map_error(response)
        try:
            return RateLimited("wait", retry_after=float(response.headers.get("retry-after", "")))
        except ValueError:
            return RateLimited("wait")


@breaks(36)
class KnowsNoBudget(Reference):
    """It does not declare the headers that tell what is left."""

    rates: ClassVar[tuple[Rate, ...]] = (Rate(calls=5000, seconds=60),)


@breaks(37)
class DownIsGoodbye(Reference):
    """A network that is down is taken for credentials that ended: somebody has to sign in for nothing."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return AuthExpired("down", status=response.status) if response.status >= 500 else super().map_error(response)


@breaks(37)
class DownIsNothing(Reference):
    """A network that is down counts as one that has nothing to say."""

    async def rows(self, **params: str | int) -> list[bytes]:
        try:
            return await super().rows(**params)
        except Transient:
            return []


@breaks(38)
class CannotBeStopped(Reference):
    """Whoever wants to stop it is ignored."""

    async def rows(self, **params: str | int) -> list[bytes]:
        try:
            return await super().rows(**params)
        except asyncio.CancelledError:
            return []


@breaks(39)
class TakesAllBytes(Reference):
    """It lets answers be as large as they like."""

    async def verify(self) -> Account:
        response = await self.http.request("GET", "/me", max_bytes=1 << 40)
        try:
            me = msgspec.json.decode(response.body, type=Person)
        except msgspec.DecodeError as error:
            raise PayloadMalformed("no JSON") from error
        return Account(external_id=me.id, handle=me.name)


@breaks(41)
class LeavesATask(Reference):
    """A task of it goes on when nobody needs it any more."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        self.task = asyncio.ensure_future(asyncio.Event().wait())
        async for page in super().fetch_mentions(cursor):
            yield page


@breaks(42)
class VeryPatient(Reference):
    """It waits an hour for an answer."""

    async def verify(self) -> Account:
        response = await self.http.request("GET", "/me", deadline=3600.0)
        me = msgspec.json.decode(response.body, type=Person)
        return Account(external_id=me.id, handle=me.name)
