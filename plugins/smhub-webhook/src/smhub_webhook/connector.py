"""The connector: signed JSON comes in, signed JSON goes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from smhub.sdk import (
    Account,
    Challenge,
    ConfigInvalid,
    Connector,
    Draft,
    Hmac,
    Item,
    Limits,
    MentionRef,
    Published,
    Publishes,
    RawRequest,
    ReceivesWebhooks,
    Replies,
    Response,
    Secret,
    Unsupported,
)
from smhub_webhook.reading import read
from smhub_webhook.settings import Settings

STANDARD = Hmac.standard("secret")


class Nowhere(msgspec.Struct, frozen=True):
    """There is no place to go on from: it is never asked."""


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goes out."""

    type: str
    text: str
    id: str
    in_reply_to: str | None = None
    thread: str | None = None
    language: str | None = None


class Told(msgspec.Struct, frozen=True):
    """What the other system may say of it."""

    id: str | int | None = None
    url: str | None = None


class Webhook(Connector[Settings], ReceivesWebhooks, Publishes, Replies):
    """A system that speaks signed JSON."""

    network = "webhook"
    title = "Webhook"
    Config = Settings
    Cursor = Nowhere
    webhook = STANDARD
    limits = Limits(max=100_000)
    safety = "key"
    settle_seconds = 60.0
    checked_against = "itself, and the public vectors of Standard Webhooks"

    async def verify(self) -> Account:
        for field, secret in (("secret", self.config.secret), ("post_secret", self.config.post_secret)):
            try:
                STANDARD.sign(b"", secret or self.config.secret)
            except ValueError as error:
                raise ConfigInvalid(str(error), field=field) from error
        return Account(external_id="webhook", handle="webhook", url=self.config.post_url or None)

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        stamp = request.headers.get("webhook-timestamp", "0")
        return read(self.config, request.body, datetime.fromtimestamp(int(stamp), UTC))

    async def subscribe(self, callback_url: str) -> None:
        raise Unsupported("enter the channel's callback_url and secret in the other system")

    async def check_subscription(self, callback_url: str) -> bool:
        raise Unsupported("the other system cannot be asked")

    async def unsubscribe(self, callback_url: str) -> None:
        raise Unsupported("take the callback_url away in the other system")

    async def publish(self, draft: Draft, key: str) -> Published:
        return await self._say(Said(type="post", text=draft.text, id=key, language=draft.language), draft, key)

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published:
        said = Said(type="reply", text=draft.text, id=key, in_reply_to=to.external_id, thread=to.root, language=draft.language)
        return await self._say(said, draft, key)

    async def _say(self, said: Said, draft: Draft, key: str) -> Published:
        """The key is the id of the delivery: a receiver that keeps to Standard Webhooks takes it once."""
        if not self.config.post_url:
            raise ConfigInvalid("there is no address that takes our words", field="post_url")
        if draft.media:
            raise Unsupported("files cannot be sent to a webhook")
        body = msgspec.json.encode(said)
        stamp = str(int(self.context.clock.now().timestamp()))
        secret: Secret = self.config.post_secret or self.config.secret
        headers = {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": stamp,
            "webhook-signature": STANDARD.prefix + STANDARD.sign(body, secret, timestamp=stamp, delivery=key),
        }
        return _published(await self.http.request("POST", self.config.post_url, headers=headers, body=body, key=key), key)


def _published(answer: Response, key: str) -> Published:
    """It was taken. What it is called over there is told by the answer, if it says so; else it is called by our key."""
    told: Any = None
    try:
        told = msgspec.json.decode(answer.body, type=Told)
    except (msgspec.DecodeError, UnicodeError):
        return Published(external_id=key)
    return Published(external_id=str(told.id) if told.id is not None else key, url=told.url)
