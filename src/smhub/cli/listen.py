"""`smhub listen`: a hub's events on a developer's machine."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode, urlsplit

import click
import msgspec

from smhub.net import AllowList, Client
from smhub.sdk import ConnectorError
from smhub.secret import Secret
from smhub.time import SystemClock

WAIT = 1.0
TRIES = 8


class ListenError(Exception):
    """The hub or the address does not answer as it should; the text says how."""


class _Page(msgspec.Struct):
    items: list[dict[str, Any]]
    last_seq: int


async def listen(
    address: str, *, hub_url: str, key: Secret, after: int | None, types: tuple[str, ...] = (), once: bool = False
) -> None:
    """Follow the events and hand each on, in order; each one until it was taken."""
    # The operator named both addresses, so they may be private.
    client = Client(AllowList.parse(",".join(sorted({_place(url) for url in (hub_url, address) if url != "-"}))), SystemClock())
    try:
        at = after if after is not None else await _latest(client, hub_url, key)
        while True:
            page = await _page(client, hub_url, key, at)
            for event in page.items:
                if not types or event["type"] in types:
                    await _hand_on(client, address, event)
            at = page.last_seq
            if not page.items:
                if once:
                    return
                await asyncio.sleep(WAIT)
    finally:
        await client.aclose()


def _place(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ListenError(f"{url!r} is not an http address")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


async def _latest(client: Client, hub_url: str, key: Secret) -> int:
    at = 0
    while (page := await _page(client, hub_url, key, at)).items:
        at = page.last_seq
    return at


async def _page(client: Client, hub_url: str, key: Secret, at: int) -> _Page:
    url = f"{hub_url.rstrip('/')}/v1/events?{urlencode({'after': at, 'limit': 200})}"
    for attempt in range(TRIES):
        try:
            answer = await client.send("GET", url, private_headers={"Authorization": f"Bearer {key.reveal()}"})
        except ConnectorError:
            await asyncio.sleep(min(2.0**attempt, 30.0))
            continue
        if answer.status == 200:
            return msgspec.json.decode(answer.body, type=_Page)
        if answer.status not in (429, 503):
            raise ListenError(f"the hub answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
        await asyncio.sleep(min(2.0**attempt, 30.0))
    raise ListenError(f"the hub at {hub_url} does not answer")


async def _hand_on(client: Client, address: str, event: dict[str, Any]) -> None:
    body = msgspec.json.encode(event)
    if address == "-":
        click.echo(body.decode())
        return
    for attempt in range(TRIES):
        try:
            answer = await client.send("POST", address, {"Content-Type": "application/json"}, body)
            click.echo(f"{event['seq']} {event['type']} -> {answer.status}")
            if answer.status < 300:
                return
        except ConnectorError as error:
            click.echo(f"{event['seq']} {event['type']} -> {error.message}")
        await asyncio.sleep(min(2.0**attempt, 30.0))
    raise ListenError(f"{address} did not take event {event['seq']} in {TRIES} tries; go on with --after {event['seq'] - 1}")
