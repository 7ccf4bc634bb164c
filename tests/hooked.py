"""A network that delivers by webhook, and exists in the test only. A delivery is JSON; what it says becomes items."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from echo import AT, mention
from smhub.sdk import (
    Account,
    BadItem,
    Challenge,
    Connector,
    FetchesMentions,
    Hmac,
    Item,
    Page,
    RawRequest,
    ReceivesWebhooks,
    Secret,
    Tombstone,
)

RULE = Hmac(
    header="X-Hooked-Signature",
    secret_field="secret",
    prefix="sha256=",
    timestamp_header="X-Hooked-Time",
    delivery_header="X-Hooked-Delivery",
)
SECRET = "s3cret"


class HookedConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    secret: Annotated[Secret, Meta(title="Signing secret")]
    word: Annotated[str, Meta(title="Verification word")] = "swordfish"


class HookedCursor(msgspec.Struct, frozen=True):
    at: int = 0


class HookedWorld:
    """What the network knows of us, and how its connector behaves."""

    def __init__(self) -> None:
        self.subscribed: list[str] = []
        self.asked: list[str] = []
        self.error: BaseException | None = None
        self.manner = ""
        self.pages: list[list[Item]] = []
        self.fetched = 0
        self.parsed = 0


class Hooked(Connector[HookedConfig], ReceivesWebhooks, FetchesMentions):
    network, title = "hooked", "Hooked"
    Config, Cursor = HookedConfig, HookedCursor
    checked_against = "nothing: it is a fake for tests"
    webhook = RULE
    handshakes = frozenset({"GET", "POST"})
    world: ClassVar[HookedWorld] = HookedWorld()

    async def verify(self) -> Account:
        return Account(external_id="1", handle="hooked")

    async def fetch_mentions(self, cursor: HookedCursor | None) -> AsyncIterator[Page]:
        at = cursor.at if cursor else 0
        self.world.fetched += 1
        for page in self.world.pages[at:]:
            at += 1
            yield Page(items=page, cursor=HookedCursor(at))

    def parse_webhook(self, request: RawRequest) -> Challenge | list[Item]:
        self.world.parsed += 1
        match self.world.manner:
            case "hangs":
                time.sleep(0.4)
            case "raises":
                raise ZeroDivisionError
            case "exits":
                raise SystemExit(3)
            case "gives something else":
                return 7  # type: ignore[return-value]
        if request.method == "GET":
            return Challenge(body=request.query["challenge"]) if request.query.get("word") == self.config.word else []
        said = json.loads(request.body)
        if "challenge" in said:
            return Challenge(body=json.dumps({"challenge": said["challenge"]}), media_type="application/json")
        return [item_of(one) for one in said["items"]]

    async def subscribe(self, callback_url: str) -> None:
        self._asked("subscribe", callback_url)
        if callback_url not in self.world.subscribed:
            self.world.subscribed.append(callback_url)

    async def check_subscription(self, callback_url: str) -> bool:
        self._asked("check", callback_url)
        return callback_url in self.world.subscribed

    async def unsubscribe(self, callback_url: str) -> None:
        self._asked("unsubscribe", callback_url)
        if callback_url in self.world.subscribed:
            self.world.subscribed.remove(callback_url)

    def _asked(self, what: str, callback_url: str) -> None:
        self.world.asked.append(what)
        if self.world.error is not None:
            raise self.world.error


class Quick(Hooked):
    """One whose network asks nothing before it delivers."""

    network, title = "quick", "Quick"
    handshakes = frozenset()


class Told(Connector[HookedConfig], ReceivesWebhooks):
    """One that cannot be polled, and at whose network a person enters the address."""

    network, title = "told", "Told"
    Config, Cursor = HookedConfig, HookedCursor
    checked_against = "nothing: it is a fake for tests"
    webhook = msgspec.structs.replace(RULE, timestamp_header=None, delivery_header=None)

    async def verify(self) -> Account:
        return Account(external_id="1", handle="told")

    parse_webhook = Hooked.parse_webhook
    world = Hooked.world

    async def subscribe(self, callback_url: str) -> None:
        from smhub.sdk import Unsupported

        raise Unsupported("a person enters the address")

    async def check_subscription(self, callback_url: str) -> bool:
        await self.subscribe(callback_url)
        return False

    async def unsubscribe(self, callback_url: str) -> None:
        await self.subscribe(callback_url)


def item_of(said: dict[str, Any]) -> Item:
    at = AT + timedelta(minutes=said.get("at", 0))
    match said["what"]:
        case "deleted":
            return Tombstone(external_id=said["id"], at=at)
        case "unreadable":
            return BadItem(raw=b"?", error="unreadable")
        case _:
            return mention(said["id"], said.get("text", "Hallo"), edited_at=at if said.get("at") else None)


def said(id_: str, text: str = "Hallo", at: int = 0) -> dict[str, Any]:
    return {"what": "said", "id": id_, "text": text, "at": at}


def deleted(id_: str, at: int = 1) -> dict[str, Any]:
    return {"what": "deleted", "id": id_, "at": at}


def body_of(*items: dict[str, Any]) -> bytes:
    return json.dumps({"items": items}).encode()


def signed(body: bytes, at: datetime, delivery: str = "", *, secret: str = SECRET, rule: Hmac = RULE) -> dict[str, str]:
    """The headers of a delivery."""
    stamp = str(int(at.timestamp()))
    headers = {rule.header: rule.prefix + rule.sign(body, Secret(secret), timestamp=stamp, delivery=delivery)}
    if rule.timestamp_header:
        headers[rule.timestamp_header] = stamp
    if delivery and rule.delivery_header:
        headers[rule.delivery_header] = delivery
    return headers
