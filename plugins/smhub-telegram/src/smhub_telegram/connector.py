"""The connector: what the core may ask of a bot on Telegram."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import ClassVar
from urllib.parse import quote

import msgspec

from smhub.sdk import (
    Account,
    Challenge,
    ConfigInvalid,
    Connector,
    ConnectorError,
    ContentRejected,
    Deletes,
    Draft,
    Edits,
    FetchesMentions,
    Gone,
    Hmac,
    Item,
    MentionRef,
    Page,
    PayloadMalformed,
    PermissionMissing,
    Published,
    Publishes,
    Rate,
    RawRequest,
    ReceivesWebhooks,
    Replies,
    Response,
    Safety,
    ValidatesContent,
    Violation,
)
from smhub_telegram.api import REFUSED, WRITING, meaning, refusal, told
from smhub_telegram.entities import Found, HookInfo, Me, Member
from smhub_telegram.mentions import T_ME, read
from smhub_telegram.reading import KINDS, updates
from smhub_telegram.saying import LIMITS, change, chat_of, say, take_back, violations
from smhub_telegram.settings import Place, Settings

SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Telegram(Connector[Settings], FetchesMentions, ReceivesWebhooks, Publishes, Replies, Edits, Deletes, ValidatesContent):
    """One bot, in all its chats."""

    network = "telegram"
    title = "Telegram"
    Config = Settings
    Cursor = Place
    poll_seconds = 30
    limits = LIMITS
    # https://core.telegram.org/bots/faq: about 30 messages in a second over all chats; the limits of single chats only the 429 tells.
    rates = (Rate(calls=30, seconds=1, key="account"),)
    safety: ClassVar[Safety] = "none"
    webhook = Hmac(header="X-Telegram-Bot-Api-Secret-Token", secret_field="secret", algorithm="plain")  # noqa: S106
    checked_against = (
        "the machine-readable description of Bot API 10.3, and a server of our own that stands in for it; not yet run against Telegram"
    )

    @classmethod
    def base_url(cls, config: Settings) -> str:
        return config.address

    @classmethod
    def secret_path(cls, config: Settings) -> str:
        return f"/bot{quote(config.token.reveal(), safe=':')}"

    @classmethod
    def map_error(cls, response: Response) -> ConnectorError | None:
        return meaning(response)

    async def verify(self) -> Account:
        if not SECRET.fullmatch(self.config.secret.reveal()):
            raise ConfigInvalid("The secret has 1 to 256 of A-Z, a-z, 0-9, _ and -.", field="secret")
        try:
            me = (await self.http.get("/getMe", Me)).result
        except (Gone, PayloadMalformed):
            raise ConfigInvalid("There is no Bot API at this address.", field="base_url") from None
        if self.config.chat:
            await self._may_write(me.id)
        handle = f"@{me.username}" if me.username else me.first_name
        return Account(external_id=str(me.id), handle=handle, name=me.first_name, url=f"{T_ME}/{me.username}" if me.username else None)

    async def _may_write(self, me: int) -> None:
        """Whether posts can go where they are to go."""
        chat = chat_of(self.config.chat)
        kind = await self._kind(chat)
        if kind == "private":
            return
        found = (await self.http.get("/getChatMember", Member, params={"chat_id": chat, "user_id": me})).result
        away = found.status in ("left", "kicked")
        silent = found.can_post_messages is not True if kind == "channel" else found.can_send_messages is False
        if away or (silent and found.status != "creator"):
            right = "can_post_messages" if kind == "channel" else WRITING
            raise PermissionMissing(
                "The bot may not write in the chat of the settings. Make it an administrator there.", scopes=(right,)
            )

    async def _kind(self, chat: str | int) -> str:
        response = await self.http.request("GET", "/getChat", params={"chat_id": chat}, accept=REFUSED)
        if response.status in REFUSED:
            raise refusal(response, answers=False)
        try:
            return msgspec.json.decode(response.body, type=Found).result.type
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PayloadMalformed("Telegram answered in an unexpected form: no chat.", status=response.status) from None

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        async for page in updates(self.http, self.config, self.context, cursor):
            yield page

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        return list(read(self.config, request.body))

    async def subscribe(self, callback_url: str) -> None:
        words = {"url": callback_url, "secret_token": self.config.secret.reveal(), "allowed_updates": KINDS}
        response = await self.http.request("POST", "/setWebhook", json=words, key="subscribe", accept=REFUSED)
        if response.status in REFUSED:
            raise ContentRejected(f"Telegram does not take the address: {told(response).description}", status=response.status)

    async def check_subscription(self, callback_url: str) -> bool:
        return (await self.http.get("/getWebhookInfo", HookInfo)).result.url == callback_url

    async def unsubscribe(self, callback_url: str) -> None:
        # A bot has one webhook: another address than this one is somebody else's, or our new one.
        if await self.check_subscription(callback_url):
            await self.http.request("POST", "/deleteWebhook", json={"drop_pending_updates": False}, key="unsubscribe")

    async def publish(self, draft: Draft, key: str) -> Published:
        return await say(self.http, draft, chat_of(self.config.chat))

    async def reply(self, to: MentionRef, draft: Draft, key: str) -> Published:
        return await say(self.http, draft, "", to)

    async def edit(self, external_id: str, draft: Draft, key: str) -> Published:
        return await change(self.http, external_id, draft)

    async def delete(self, external_id: str) -> None:
        await take_back(self.http, external_id)

    def validate(self, draft: Draft) -> list[Violation]:
        return violations(draft)
