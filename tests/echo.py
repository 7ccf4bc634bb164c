"""A network that exists in the test only: it says what the test put into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from smhub.sdk import (
    Account,
    AuthExpired,
    Author,
    Connector,
    ConnectorError,
    Deletes,
    Draft,
    Edits,
    FetchesMentions,
    Item,
    Limits,
    Media,
    MediaLimit,
    Mention,
    MentionRef,
    OAuth2,
    Page,
    Plugin,
    PluginContext,
    Published,
    Publishes,
    Replies,
    Search,
    Searches,
    Secret,
)

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


class EchoConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: Annotated[str, Meta(title="Account", min_length=1)] = "firma"
    token: Annotated[Secret | None, Meta(title="Token")] = None


class EchoCursor(msgspec.Struct, frozen=True):
    at: int = 0


class World:
    """What the network holds: pages of items in order, an error to raise instead, and a gate that holds up who asks."""

    def __init__(self) -> None:
        self.pages: list[list[Item]] = []
        self.error: BaseException | None = None
        self.missed: str | None = None
        self.fetched = 0
        self.hold: asyncio.Event | None = None
        self.held = False
        self.tokens: list[str] = []
        self.said: list[str] = []
        self.files: list[tuple[Media, ...]] = []
        self.say_error: BaseException | None = None

    def says(self, *items: Item) -> None:
        self.pages.append(list(items))


def mention(external_id: str, text: str = "Hallo", **more: Any) -> Mention:
    return Mention(
        **{
            "external_id": external_id,
            "author": Author(external_id="a1", handle="kundin", name="Eine Kundin"),
            "text": text,
            "published_at": AT,
            "url": f"https://echo.invalid/{external_id}",
            **more,
        }
    )


class Echo(Connector[EchoConfig], FetchesMentions, Searches, Publishes, Replies, Edits, Deletes):
    network, title = "echo", "Echo"
    Config, Cursor = EchoConfig, EchoCursor
    checked_against = "nothing: it is a fake for tests"
    safety = "none"
    limits = Limits(max_media=4, media=(MediaLimit(media_type="image/*", max_bytes=100_000, max_width=1000),), max_alt_text=100)
    world: ClassVar[World] = World()

    async def verify(self) -> Account:
        if self.config.token is not None:
            self.world.tokens.append(self.config.token.reveal())
        if self.world.error is not None:
            raise self.world.error
        if self.config.account == "locked":
            raise AuthExpired("the token was refused")
        return Account(external_id="1", handle=self.config.account)

    async def fetch_mentions(self, cursor: EchoCursor | None) -> AsyncIterator[Page]:
        at = cursor.at if cursor else 0
        self.world.fetched += 1
        if self.world.hold is not None:
            self.world.held = True
            await self.world.hold.wait()
        while at < len(self.world.pages):
            if self.world.error is not None:
                raise self.world.error
            at += 1
            yield Page(items=self.world.pages[at - 1], cursor=EchoCursor(at), missed=self.world.missed)
        if self.world.error is not None:
            raise self.world.error

    async def publish(self, draft: Draft, key: str) -> Published:
        if self.world.say_error is not None:
            raise self.world.say_error
        self.world.said.append(draft.text)
        self.world.files.append(draft.media)
        return Published(external_id=f"said-{len(self.world.said)}", url="https://echo.invalid/said")

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published:
        return await self.publish(draft, key)

    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        return Published(external_id=external_id)

    async def delete(self, external_id: str) -> None:
        return None

    async def search(self, query: Search, cursor: EchoCursor | None) -> AsyncIterator[Page]:
        async for page in self.fetch_mentions(cursor):
            words = [word.lower() for word in query.words]
            found = [item for item in page.items if isinstance(item, Mention) and any(word in item.text.lower() for word in words)]
            yield Page(items=found, cursor=page.cursor)


class EchoDoor(Echo):
    """The same, but a person has to let us in. Nobody answers at its addresses."""

    network, title = "echo-door", "Echo behind a door"
    auth = OAuth2(authorize_url="https://echo.invalid/authorize", token_url="https://echo.invalid/token", scopes=("read",))


class EchoSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    greeting: Annotated[str, Meta(max_length=50)] = "Hallo"
    token: Secret | None = None


class EchoPlugin(Plugin):
    id, title = "echo", "Echo"

    def register_settings(self, context: PluginContext) -> type[msgspec.Struct]:
        return EchoSettings

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        from hooked import Hooked, Quick, Told

        return [Echo, EchoDoor, Hooked, Quick, Told]


__all__ = ["AT", "ConnectorError", "Echo", "EchoPlugin", "World", "mention"]
