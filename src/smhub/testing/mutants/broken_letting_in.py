"""Broken in how they get in: OAuth 2, secrets that are replaced, subscriptions."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from smhub.sdk import Account, AuthExpired, Challenge, ConnectorError, Item, Page, RawRequest, Response, Transient
from smhub.testing.mutants.market import OAuthMarket
from smhub.testing.mutants.reference import ByOAuth, Reference
from smhub.testing.mutants.registry import breaks


@breaks(12, fake=OAuthMarket)
class TakesTheEndForWeather(ByOAuth):
    """A token that ended is taken for a passing trouble, so that nobody renews it."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return Transient("try later", status=401) if response.status == 401 else super().map_error(response)


@breaks(13, fake=OAuthMarket)
class HopesForTheBest(ByOAuth):
    """A lost authorisation is called passing: it is polled for ever, and nobody is told."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        try:
            async for page in super().fetch_mentions(cursor):
                yield page
        except AuthExpired as error:
            raise Transient("perhaps it comes back") from error


@breaks(12, 14, fake=OAuthMarket)
class RenewsByItself(ByOAuth):
    """It asks for a token by itself, beside the hub."""

    async def verify(self) -> Account:
        with contextlib.suppress(ConnectorError):
            await self.http.request("POST", "/oauth/token", body=b"grant_type=refresh_token", key="mine")
        return await super().verify()


@breaks(69)
class ChecksAgain(Reference):
    """It compares the signature once more, with the one secret that it knows."""

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        good = self.webhook.verify(request, self.config.hook_secret, self.context.clock.now().timestamp())
        return super().parse_webhook(request) if good or request.method == "GET" else []


@breaks(70)
class AddsEachTime(Reference):
    """Subscribing a second time makes a second subscription."""

    async def subscribe(self, callback_url: str) -> None:
        await self.http.request("POST", "/hooks", params={"address": callback_url}, key="hook")


@breaks(70)
class EndsAll(Reference):
    """Ending the old address ends the new one as well."""

    async def unsubscribe(self, callback_url: str) -> None:
        for one in await self.http.get("/hooks", list[str]):
            await super().unsubscribe(one)


@breaks(70)
class SaysYes(Reference):
    """It says that the network delivers without looking."""

    async def check_subscription(self, callback_url: str) -> bool:
        return True
