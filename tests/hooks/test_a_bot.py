"""A bot whose queue and webhook exclude each other (smhub_telegram), through the whole hub: asked, told, and asked again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

import world
from smhub.sdk import StandingClock
from smhub_telegram.fake import SECRET, TOKEN, Server, refused
from smhub_telegram.plugin import TelegramPlugin


class Telegram(Server):
    """The Bot API on a socket of this machine. `lose(call, number)`: the answer gets lost after it was carried out. The hub of the tests has
    no certificate, so an address without one is taken."""

    def __init__(self, clock: Callable[[], StandingClock]) -> None:
        super().__init__()
        self._clock = clock
        self.lose: Callable[[str, int], bool] = lambda call, number: False
        self.url = ""
        self.odd = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.now = self._clock().now()
                call = target.partition("?")[0].rpartition("/")[2]
                status, content = self.answer(method, target, body)
                if self.lose(call, self.asked[call]):
                    return
                data = json.dumps(content).encode()
                writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


class Stage:
    """A hub and the bot that it speaks through."""

    def __init__(self, hub: world.Hub, telegram: Telegram) -> None:
        self.hub, self.telegram = hub, telegram

    async def channel(self) -> dict[str, Any]:
        settings = {"base_url": self.telegram.url, "token": TOKEN, "secret": SECRET, "chat": "@firma_news"}
        made = await self.hub.post("/v1/channels", {"network": "telegram", "name": "Bot", "settings": settings})
        await self.hub.work()
        return made  # type: ignore[no-any-return]

    async def shown(self, channel: dict[str, Any]) -> dict[str, Any]:
        return await self.hub.get(f"/v1/channels/{channel['id']}")  # type: ignore[no-any-return]

    async def deliver(self, channel: dict[str, Any], secret: str = SECRET) -> httpx2.Response:
        """Telegram delivers its newest update."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret, "Content-Type": "application/json"}
        body = json.dumps(self.telegram.updates[-1]).encode()
        return await self.hub.as_key(None).post(channel["webhook"]["callback_url"], content=body, headers=headers)


@asynccontextmanager
async def a_bot(database_url: str, **more: Any) -> AsyncIterator[Stage]:
    clocks: list[StandingClock] = []
    telegram = Telegram(lambda: clocks[0])
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(telegram.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    telegram.url = f"http://127.0.0.1:{port}"
    try:
        allow = f"127.0.0.1:{port}"
        async with world.start(database_url, plugins=[TelegramPlugin()], shared=True, allow_private_hosts=allow, **more) as hub:
            clocks.append(hub.clock)
            telegram.now = hub.clock.now()
            yield Stage(hub, telegram)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def test_a_hub_that_nobody_can_call_asks_and_confirms_what_is_stored(database_url: str) -> None:
    async with a_bot(database_url) as stage:
        hub, telegram = stage.hub, stage.telegram
        channel = await stage.channel()
        assert (await stage.shown(channel))["webhook"]["state"] == "waiting"
        telegram.now = hub.clock.now()
        said = [telegram.says(f"Nummer {number}") for number in range(130)]
        await hub.work(minutes=1)
        assert {one["external_id"] for one in await hub.mentions()} == set(said)
        telegram.edit(said[0], "Nummer null")
        await hub.work(minutes=1)
        assert telegram.confirmed == telegram.updates[129]["update_id"] + 1
        (edited,) = [one for one in await hub.mentions() if one["external_id"] == said[0]]
        assert (edited["text"], edited["content_state"]) == ("Nummer null", "edited")
        (network,) = [one for one in (await hub.get("/v1/networks"))["items"] if one["network"] == "telegram"]
        assert "not yet run against Telegram" in json.dumps(network) + json.dumps(await hub.get("/v1/plugins"))


async def test_told_by_its_webhook_it_is_not_asked_and_afterwards_asked_again(database_url: str) -> None:
    async with a_bot(database_url, allow_http_webhooks=True) as stage:
        hub, telegram = stage.hub, stage.telegram
        channel = await stage.channel()
        await hub.work()
        shown = await stage.shown(channel)
        assert shown["webhook"]["state"] == "subscribed"
        assert telegram.hook["url"].endswith(channel["webhook"]["callback_url"].removeprefix("http://"))
        assert telegram.hook["secret_token"] == SECRET
        said = telegram.says("Mein Kessel leckt", hub.clock.now())
        assert (await stage.deliver(channel, "another-secret")).status_code == 401
        for _ in range(2):
            assert (await stage.deliver(channel)).status_code == 200
        await hub.work()
        # In the same second, which is all that Telegram tells of a time.
        telegram.now = hub.clock.now()
        telegram.edit(said, "Mein Kessel leckt nicht mehr")
        assert (await stage.deliver(channel)).status_code == 200
        await hub.work(minutes=20)
        assert [(one["external_id"], one["text"]) for one in await hub.mentions()] == [(said, "Mein Kessel leckt nicht mehr")]
        # The polls underneath were told 409, and that is well.
        assert telegram.asked["getUpdates"] > 0
        assert (await stage.shown(channel))["health"]["state"] == "active"

        # Somebody else sets a webhook: at its next look the hub takes its own again.
        telegram.hook = {"url": "https://elsewhere.test/hook"}
        await hub.work(minutes=70)
        assert telegram.hook["secret_token"] == SECRET

        await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
        await hub.work(minutes=1)
        assert telegram.hook["url"] == ""


async def test_a_webhook_of_somebody_else_is_said_and_nothing_is_lost(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with a_bot(database_url) as stage:
        hub, telegram = stage.hub, stage.telegram
        channel = await stage.channel()
        telegram.hook = {"url": "https://elsewhere.test/hook"}
        for _ in range(4):
            await hub.work(minutes=10)
        health = (await stage.shown(channel))["health"]
        assert (health["state"], health["reason_code"]) == ("degraded", "transient")
        assert "deleteWebhook" in health["reason"]
        telegram.hook = {"url": ""}
        said = telegram.says("Hallo?", hub.clock.now())
        await hub.work(minutes=70)
        assert [one["external_id"] for one in await hub.mentions()] == [said]
        assert (await stage.shown(channel))["health"]["state"] == "active"
        everything = [await hub.get(path) for path in ("/v1/events", "/v1/intakes", "/v1/channels", "/v1/gaps")]
        assert TOKEN.partition(":")[2] not in json.dumps(everything) + caplog.text


async def test_an_answer_whose_outcome_nobody_knows_goes_to_a_person(database_url: str) -> None:
    async with a_bot(database_url) as stage:
        hub, telegram = stage.hub, stage.telegram
        await stage.channel()
        asked = telegram.says("Wo bleibt er?", hub.clock.now())
        await hub.work(minutes=1)
        (mention,) = await hub.mentions()
        telegram.lose = lambda call, number: call == "sendMessage" and number == 1
        path = f"/v1/mentions/{mention['id']}/replies"
        first = await hub.post(path, {"text": "Kommt morgen"})
        for _ in range(5):
            await hub.work(minutes=30)
        lost = await hub.get(f"/v1/deliveries/{first['id']}")
        assert (lost["state"], telegram.asked["sendMessage"]) == ("unknown", 1)

        second = await hub.post(path, {"text": "Kommt heute", "after_reply_id": first["id"]})
        telegram.faults.append(
            lambda call, words: refused(403, "Forbidden: bot was blocked by the user") if call == "sendMessage" else None
        )
        await hub.work(minutes=1)
        row = await hub.get(f"/v1/deliveries/{second['id']}")
        assert (row["state"], row["reason_code"]) == ("refused", "gone")
        telegram.faults.clear()
        third = await hub.post(path, {"text": "Doch noch", "after_reply_id": first["id"]})
        await hub.work(minutes=1)
        row = await hub.get(f"/v1/deliveries/{third['id']}")
        assert (row["state"], row["settled_by"]) == ("published", None)
        assert [f"{one['chat']['id']}/{one['reply_to_message']['message_id']}" for one in telegram.ours()] == [asked, asked]
