"""The connector: what the core may ask of a room on Matrix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import ClassVar

from smhub.sdk import (
    Account,
    ConfigInvalid,
    Connector,
    ConnectorError,
    Deletes,
    Draft,
    Edits,
    FetchesMentions,
    Gone,
    MentionRef,
    Page,
    PayloadMalformed,
    Published,
    Publishes,
    Replies,
    Response,
    Safety,
    ValidatesContent,
    Violation,
)
from smhub_matrix.api import meaning, member, room_of, who_we_are
from smhub_matrix.reading import Reader
from smhub_matrix.saying import LIMITS, change, find, say, take_back, violations
from smhub_matrix.settings import Place, Settings


class Matrix(Connector[Settings], FetchesMentions, Publishes, Replies, Edits, Deletes, ValidatesContent):
    """One room, as an account that is in it sees it."""

    network = "matrix"
    title = "Matrix"
    Config = Settings
    Cursor = Place
    poll_seconds = 60
    limits = LIMITS
    # PUT …/send/…/{txnId}: "used by the server to ensure idempotency of requests", for one access token. The specification names no time;
    # Synapse keeps the ids for a day, Dendrite for half an hour at least.
    safety: ClassVar[Safety] = "key"
    key_seconds = 1800.0
    settle_seconds = 60.0
    checked_against = "Synapse 1.163.2 on this machine; not yet run against a public homeserver, nor against other software"

    @classmethod
    def base_url(cls, config: Settings) -> str:
        return config.address

    @classmethod
    def headers(cls, config: Settings) -> dict[str, str]:
        return {"Authorization": f"Bearer {config.token.reveal()}"}

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return meaning(response)

    async def verify(self) -> Account:
        try:
            me = await who_we_are(self.http)
        except (Gone, PayloadMalformed):
            raise ConfigInvalid("There is no homeserver of Matrix at this address.", field="base_url") from None
        found = await member(self.http, await room_of(self.http, self.config), me)
        return Account(external_id=me, handle=me, name=found.displayname or "", url=f"https://matrix.to/#/{me}")

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in Reader(self.http, self.config, self.context, cursor).mentions():
            yield page

    async def publish(self, draft: Draft, key: str) -> Published:
        return await say(self.http, await self._room(), draft, key, None)

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published:
        return await say(self.http, await self._room(), draft, key, to)

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        return await find(self.http, await self._room(), key, since)

    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        return await change(self.http, await self._room(), external_id, draft)

    async def delete(self, external_id: str) -> None:
        await take_back(self.http, await self._room(), external_id)

    async def _room(self) -> str:
        return await room_of(self.http, self.config)

    def validate(self, draft: Draft) -> list[Violation]:
        return violations(draft)
