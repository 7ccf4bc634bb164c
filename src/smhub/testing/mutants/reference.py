"""The reference: a connector that passes everything, once for each way to say something exactly once."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from smhub.sdk import (
    Account,
    Author,
    BadItem,
    Challenge,
    Connector,
    ConnectorError,
    CursorExpired,
    Deletes,
    Draft,
    Duplicate,
    Edits,
    FetchesMentions,
    Hmac,
    Item,
    Limits,
    MediaLimit,
    Mention,
    MentionRef,
    Metrics,
    OAuth2,
    Page,
    Pending,
    PermissionMissing,
    Plugin,
    PluginContext,
    Published,
    Publishes,
    Rate,
    RawRequest,
    ReceivesWebhooks,
    Replies,
    ReportsMetrics,
    Response,
    Safety,
    Secret,
    Streams,
    Tombstone,
    ValidatesContent,
    Violation,
)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base_url: Annotated[str, Meta(title="Address", pattern="^https://")]
    token: Annotated[Secret, Meta(title="Access token")]
    hook_secret: Annotated[Secret, Meta(title="Secret of the deliveries")]


class Cursor(msgspec.Struct, frozen=True):
    after: int = 0


class Person(msgspec.Struct):
    id: str
    name: str


class Row(msgspec.Struct):
    seq: int
    id: str
    at: datetime
    by: Person
    text: str = ""
    html: str | None = None
    edited_at: datetime | None = None
    deleted: bool = False


class Numbered(msgspec.Struct):
    seq: int


class Said(msgspec.Struct):
    id: str
    text: str = ""
    to: str | None = None
    at: datetime | None = None


class Container(msgspec.Struct):
    ready: bool = False
    post: str | None = None


class Count(msgspec.Struct):
    id: str
    likes: int
    shares: int


class Problem(msgspec.Struct):
    error: str = ""
    scope: str = ""
    id: str = ""


def item(raw: bytes) -> Item:
    """One element of a list."""
    try:
        row = msgspec.json.decode(raw, type=Row)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return BadItem(raw=raw, error=f"unreadable: {type(error).__name__}")
    if row.deleted:
        return Tombstone(external_id=row.id)
    return Mention(
        external_id=row.id,
        author=Author(external_id=row.by.id, handle=row.by.name),
        published_at=row.at,
        edited_at=row.edited_at,
        text=row.text,
        html=row.html,
    )


class Reference(
    Connector[Config],
    FetchesMentions,
    Publishes,
    Replies,
    Deletes,
    Edits,
    ReportsMetrics,
    ValidatesContent,
    ReceivesWebhooks,
    Streams,
):
    network, title = "market", "Market"
    Config, Cursor = Config, Cursor
    config_version = cursor_version = 2
    limits = Limits(max=120, count="graphemes", max_media=2, media=(MediaLimit(media_type="image/png", max_bytes=1000),))
    rates: ClassVar[tuple[Rate, ...]] = (Rate(calls=5000, seconds=60, remaining="X-Left", reset="X-Reset"),)
    safety: ClassVar[Safety] = "key"
    webhook = Hmac(header="X-Signature", secret_field="hook_secret", prefix="v1=", timestamp_header="X-Timestamp")  # noqa: S106
    checked_against = "a network that does not exist"

    @classmethod
    def headers(cls, config: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {config.token.reveal()}"}

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        if response.status not in (403, 409, 410):
            return None
        try:
            told = msgspec.json.decode(response.body, type=Problem)
        except msgspec.DecodeError:
            return None
        match told.error:
            case "scope":
                return PermissionMissing("A right is missing.", scopes=(told.scope,))
            case "forgotten":
                return CursorExpired("The market forgot the place.")
            case "duplicate":
                return Duplicate("The market has it already.", external_id=told.id)
        return None

    @classmethod
    def migrate_config(cls, old: dict[str, Any], version: int) -> dict[str, Any]:
        return {**{name: value for name, value in old.items() if name != "server"}, "base_url": old["server"]}

    @classmethod
    def migrate_cursor(cls, old: dict[str, Any], version: int) -> dict[str, Any] | None:
        return {"after": int(old["at"])}

    async def verify(self) -> Account:
        me = await self.http.get("/me", Person)
        return Account(external_id=me.id, handle=me.name)

    async def fetch_mentions(self, cursor: Any) -> AsyncIterator[Page]:
        after = cursor.after if cursor else 0
        while rows := await self.rows(after=after):
            after = max(msgspec.json.decode(raw, type=Numbered).seq for raw in rows)
            yield Page(items=self.wanted([item(raw) for raw in rows]), cursor=Cursor(after))

    async def rows(self, **params: str | int) -> list[bytes]:
        """One answer, element by element."""
        found = await self.http.get("/mentions", list[msgspec.Raw], params={"limit": 40, **params})
        return [bytes(raw) for raw in found]

    def wanted(self, found: list[Item]) -> list[Item]:
        """Within the time that was asked for."""
        since, until = self.context.since, self.context.until
        return [
            one
            for one in found
            if not isinstance(one, Mention)
            or ((since is None or one.published_at >= since) and (until is None or one.published_at <= until))
        ]

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        async for event in self.http.events("/stream"):
            yield Page(items=[item(event.data.encode())], cursor=None)

    async def publish(self, draft: Draft, key: str) -> Published | Pending:
        return await self.say(draft, key, None)

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published | Pending:
        return await self.say(draft, key, to.external_id)

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        said = await self.http.post("/posts", Said, json=await self.words(draft, to, key), key=key)
        return Published(external_id=said.id)

    async def words(self, draft: Draft, to: str | None, key: str) -> dict[str, Any]:
        """What is sent, with the files on the server."""
        files = []
        for number, media in enumerate(draft.media):
            content = base64.b64encode(media.content).decode()
            file = {"type": media.media_type, "content": content, "alt": media.alt_text}
            files.append((await self.http.post("/files", Said, json=file, key=f"{key}-{number}")).id)
        return {"text": draft.text, "to": to, "files": files}

    async def delete(self, external_id: str) -> None:
        await self.http.delete(f"/posts/{external_id}")

    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        await self.http.request("PUT", f"/posts/{external_id}", json={"text": draft.text})
        return Published(external_id=external_id)

    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        now = self.context.clock.now()
        path = "/counts?" + "&".join(f"id={one}" for one in external_ids)
        found = await self.http.get(path, list[Count])
        return [Metrics(external_id=one.id, observed_at=now, values={"likes": one.likes, "shares": one.shares}) for one in found]

    def validate(self, draft: Draft) -> list[Violation]:
        return [] if draft.text.strip() else [Violation(field="text", code="empty", detail="say something")]

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        if request.method == "GET":
            return Challenge(body=request.query.get("challenge", ""))
        try:
            return [item(bytes(raw)) for raw in msgspec.json.decode(request.body, type=list[msgspec.Raw])]
        except msgspec.DecodeError:
            return [BadItem(raw=request.body, error="an unknown event")]

    async def subscribe(self, callback_url: str) -> None:
        for other in await self.http.get("/hooks", list[str]):
            if other != callback_url:
                await self.unsubscribe(other)
        await self.http.request("PUT", "/hooks", params={"address": callback_url})

    async def check_subscription(self, callback_url: str) -> bool:
        return callback_url in await self.http.get("/hooks", list[str])

    async def unsubscribe(self, callback_url: str) -> None:
        await self.http.request("DELETE", "/hooks", params={"address": callback_url})


class ByContainer(Reference):
    """Two phases: a container is made, and published when it is ready."""

    safety = "container"

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        made = await self.http.post("/containers", Said, json=await self.words(draft, to, key))
        return Pending(state=made.id, check_after=5.0)

    async def check_publish(self, pending: Pending) -> Published | Pending:
        known = await self.http.get(f"/containers/{pending.state}", Container)
        if known.post is not None:
            return Published(external_id=known.post)
        if not known.ready:
            return pending
        said = await self.http.post(f"/containers/{pending.state}/publish", Said)
        return Published(external_id=said.id)


class ByLookup(Reference):
    """The network has no keys, but tells what is out."""

    safety: ClassVar[Safety] = "lookup"

    async def say(self, draft: Draft, key: str, to: str | None) -> Published | Pending:
        return Published(external_id=(await self.http.post("/posts", Said, json=await self.words(draft, to, key))).id)

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        parent = to.external_id if to else None
        said = await self.http.get("/posts", list[Said])
        found = [one for one in said if one.text == draft.text and one.to == parent and (one.at is None or one.at >= since)]
        return Published(external_id=found[0].id) if found else None


class ByNothing(ByLookup):
    """Neither keys nor a way to look: a person decides."""

    safety = "none"

    async def find_published(self, draft: Draft, key: str, since: datetime, to: MentionRef | None = None) -> Published | None:
        return await Publishes.find_published(self, draft, key, since, to)


class OAuthConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base_url: Annotated[str, Meta(title="Address", pattern="^https://")]
    hook_secret: Annotated[Secret, Meta(title="Secret of the deliveries")]


class ByOAuth(Reference):
    """A person lets us in: there is no token in the settings."""

    Config = OAuthConfig  # type: ignore[assignment]
    auth = OAuth2(authorize_url="{base_url}/oauth/authorize", token_url="{base_url}/oauth/token", scopes=("read", "write"))  # noqa: S106

    @classmethod
    def headers(cls, config: Any) -> dict[str, str]:
        return {}


class ByWebSocket(Reference):
    """Its stream is a WebSocket."""

    async def stream(self, cursor: Any) -> AsyncIterator[Page]:
        async for message in self.http.messages("/stream"):
            yield Page(items=[item(message.encode() if isinstance(message, str) else message)], cursor=None)


class MarketPlugin(Plugin):
    id, title = "market", "Market"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Reference,)


REFERENCES: tuple[type[Connector[Any]], ...] = (Reference, ByContainer, ByLookup, ByNothing)
