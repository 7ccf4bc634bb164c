"""Broken in what they say of themselves, and in their credentials."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from smhub.sdk import (
    Account,
    AuthExpired,
    ConfigInvalid,
    ConnectorError,
    Page,
    Plugin,
    PluginContext,
    Response,
    Secret,
    Transient,
)
from smhub.testing.mutants.reference import Config, MarketPlugin, Person, Reference
from smhub.testing.mutants.registry import breaks


class OpenConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base_url: Annotated[str, Meta(title="Address")]
    token: Annotated[str, Meta(title="Access token")]
    hook_secret: Annotated[Secret, Meta(title="Secret of the deliveries")]


@breaks(1)
class OpenToken(Reference):
    """The token is plain text: it would be stored and shown as such."""

    Config = OpenConfig  # type: ignore[assignment]

    @classmethod
    def headers(cls, config: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {config.token}"}


class UntitledConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base_url: str
    token: Annotated[Secret, Meta(title="Access token")]
    hook_secret: Annotated[Secret, Meta(title="Secret of the deliveries")]


@breaks(2)
class Untitled(Reference):
    """A field of the form has no title."""

    Config = UntitledConfig  # type: ignore[assignment]


class LooseConfig(msgspec.Struct, frozen=True, kw_only=True):
    base_url: Annotated[str, Meta(title="Address")]
    token: Annotated[Secret, Meta(title="Access token")]
    hook_secret: Annotated[Secret, Meta(title="Secret of the deliveries")]


@breaks(2)
class TakesAnything(Reference):
    """A misspelt setting is taken, and forgotten."""

    Config = LooseConfig  # type: ignore[assignment]


class GrowingConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    base_url: Annotated[str, Meta(title="Address")]
    token: Annotated[Secret, Meta(title="Access token")]
    hook_secret: Annotated[Secret, Meta(title="Secret of the deliveries")]

    def __post_init__(self) -> None:
        self.base_url += "/"


@breaks(3)
class GrowingSettings(Reference):
    """The settings are other ones each time they are stored and read."""

    Config = GrowingConfig  # type: ignore[assignment]


@breaks(4)
class ReadsAFile(Reference):
    """It opens a file when it is made."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        with contextlib.suppress(OSError):
            Path("/dev/null").read_bytes()


@breaks(4)
class BeginsATask(Reference):
    """It begins a task when it is made."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.task = asyncio.ensure_future(asyncio.Event().wait())


class WrongNeeds(Plugin):
    id, title, needs = "market", "Market", "newest please"

    def register_connectors(self, context: PluginContext) -> Any:
        return (Reference,)


@breaks(6, plugin=WrongNeeds)
class NeedsNonsense(Reference):
    """Its plugin's version range is none."""


@breaks(6, plugin=MarketPlugin)
class AnotherName(Reference):
    """Its network is not named after its plugin."""

    network = "bazaar"


@breaks(7)
class ForgetsOldSettings(Reference):
    """Settings of version 1 are handed on as they are."""

    @classmethod
    def migrate_config(cls, old: dict[str, Any], version: int) -> dict[str, Any]:
        return old


@breaks(9)
class Nobody(Reference):
    """verify asks nobody and leaves out the handle."""

    async def verify(self) -> Account:
        return Account(external_id="u0", handle="")


@breaks(10)
class TriesAgainUnauthorised(Reference):
    """401 is taken for a passing trouble, so that it is tried for ever."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return Transient("try later", status=401) if response.status == 401 else super().map_error(response)


@breaks(10)
class BelievesTheToken(Reference):
    """verify says who we are without asking whether the token is good."""

    async def verify(self) -> Account:
        return Account(external_id="u0", handle="firma")


@breaks(11)
class TokenInTheAddress(Reference):
    """The token is a parameter, and stands in every proxy's log."""

    @classmethod
    def headers(cls, config: Any) -> dict[str, str]:
        return {}

    async def verify(self) -> Account:
        me = await self.http.get("/me", Person, params={"token": self.config.token.reveal()})
        return Account(external_id=me.id, handle=me.name)


@breaks(11)
class TokenInTheError(Reference):
    """The error that an operator reads holds the token."""

    async def verify(self) -> Account:
        try:
            return await super().verify()
        except AuthExpired as error:
            raise AuthExpired(f"refused: {self.headers(self.config)}") from error


class TalkativeConfig(Config, frozen=True, kw_only=True):
    def __repr__(self) -> str:
        return f"TalkativeConfig(token={self.token.reveal()})"


@breaks(11)
class TokenInTheRepr(Reference):
    """Whoever prints the settings prints the token."""

    Config = TalkativeConfig


@breaks(15)
class NamesNoRight(Reference):
    """A right that is missing is not named."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return None if response.status == 403 else super().map_error(response)


@breaks(15)
class MistakesRights(Reference):
    """A right that is missing is taken for a wrong setting."""

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return ConfigInvalid("not allowed", field="token") if response.status == 403 else super().map_error(response)


@breaks(16)
class EndsQuietly(Reference):
    """Credentials that end while it pages are taken for the end of the list."""

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        try:
            async for page in super().fetch_mentions(cursor):
                yield page
        except AuthExpired:
            return
