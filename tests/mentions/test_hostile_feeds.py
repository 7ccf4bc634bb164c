"""Feeds that mean harm, read through the real way out: each is refused with its reason, and the good one beside them goes on."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

import world
from echo import EchoPlugin
from smhub_feeds.plugin import FeedsPlugin

GOOD = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>http://news.invalid/</link>
<item><guid>1</guid><title>First</title><description>The kettle is broken</description></item>
<item><guid>2</guid><title>Second</title><description>The kettle is fine</description></item></channel></rss>"""
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY x SYSTEM "file:///etc/hostname">]><rss version="2.0"><channel><title>&b;</title>
<item><guid>1</guid><title>&x;</title></item></channel></rss>"""
PAGE = b"<!doctype html><html><head><title>Not here</title></head><body><p>We have moved.</p></body></html>"
BOMB = gzip.compress(GOOD + b" " * 60_000_000, 9)


def said(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Web:
    """A server that answers each path in its own way, and one on another port that nobody may reach."""

    def __init__(self) -> None:
        self.url = self.hidden = ""
        self.reached: list[str] = []
        self.sent = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            self.reached.append(path)
            if path == "/endless":
                writer.write(b"HTTP/1.1 200 Said\r\nContent-Type: application/rss+xml\r\nConnection: close\r\n\r\n" + GOOD[:200])
                while True:
                    writer.write(b"<!-- more -->" * 5000)
                    self.sent += 65_000
                    await writer.drain()
            writer.write(
                {
                    "/good": said(GOOD, "Content-Type: application/rss+xml"),
                    "/bomb": said(BOMB, "Content-Type: application/rss+xml", "Content-Encoding: gzip"),
                    "/laughs": said(LAUGHS, "Content-Type: application/rss+xml"),
                    "/page": said(PAGE, "Content-Type: text/html"),
                    "/inwards": said(b"", f"Location: {self.hidden}/secret", status=302),
                    "/secret": said(GOOD, "Content-Type: application/rss+xml"),
                }[path]
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    web = Web()
    servers = [await asyncio.start_server(web.answer, "127.0.0.1", 0) for _ in range(2)]
    web.url, web.hidden = (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers)
    yield web
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_each_hostile_feed_says_why_it_is_not_read_and_harms_nobody_else(database_url: str, web: Web) -> None:
    allowed = web.url.removeprefix("http://")
    async with world.start(database_url, plugins=[FeedsPlugin(), EchoPlugin()], allow_private_hosts=allowed) as hub:
        names: dict[str, str] = {}
        for name in ("bomb", "laughs", "endless", "inwards", "page", "good"):
            made = await hub.post("/v1/channels", {"network": "feeds", "name": name, "settings": {"url": f"{web.url}/{name}"}})
            names[made["id"]] = name
        for _ in range(3):
            await hub.work(hours=2)
        found: dict[str, dict[str, Any]] = {names[one["channel_id"]]: one for one in (await hub.get("/v1/intakes"))["items"]}
        told = {name: (one["state"], one["reason_code"], one["reason"]) for name, one in found.items()}
        private = "127.0.0.1 is not called: it is not a public address. An operator may allow it with SMHUB_ALLOW_PRIVATE_HOSTS."
        assert told == {
            "bomb": ("degraded", "payload_malformed", "The answer is larger than 5242880 bytes."),
            "laughs": ("degraded", "payload_malformed", "the feed declares entities, and those are not read"),
            "endless": ("degraded", "payload_malformed", "The answer is larger than 5242880 bytes."),
            "page": ("degraded", "payload_malformed", "this is neither RSS nor Atom nor JSON Feed"),
            "inwards": ("config_error", "config_invalid", private),
            "good": ("active", None, None),
        }
        assert {one["external_id"] for one in await hub.mentions()} == {"1", "2"}
    assert "/secret" not in web.reached
    assert web.sent < 3 * 20_000_000
