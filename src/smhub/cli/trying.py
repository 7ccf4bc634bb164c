"""`smhub plugin try` and `record`: a connector against the real network, without a hub and without a trace."""

from __future__ import annotations

import contextlib
import textwrap
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from smhub.net import AllowList, Client, ConnectorHttp, Credentials, SessionInHand
from smhub.sdk import (
    BadItem,
    Connector,
    ConnectorContext,
    ConnectorError,
    FetchesMentions,
    Item,
    Page,
    Search,
    Searches,
    SignsIn,
    Tombstone,
    read_settings,
)
from smhub.settings import Settings
from smhub.testing.finding import connectors, find_plugins
from smhub.testing.recording import RecordingClient, Unscrubbed, secrets_of
from smhub.time import SystemClock

SHOWN = 20
WIDE = 100


class CannotTry(Exception):
    """The settings are not enough, or the network said no; the text says what to do."""


def prepared(
    what: str, network: str | None, file: Path | None, environment: Mapping[str, str]
) -> tuple[type[Connector[Any]], msgspec.Struct]:
    """The connector and its settings. Raises NothingToCheck and CannotTry, with no secret in them."""
    found = [one for plugin in find_plugins(what) for one in connectors(plugin)]
    fitting = [one for one in found if network in (None, one.network)]
    if len(fitting) != 1:
        raise CannotTry(f"Say which network with --network: {', '.join(one.network for one in found)}.")
    kind = fitting[0]
    raw = _from_file(file) if file else {}
    prefix = f"{kind.network.upper().replace('-', '_')}_"
    fields = kind.Config.__struct_fields__
    raw |= {name: environment[prefix + name.upper()] for name in fields if prefix + name.upper() in environment}
    try:
        return kind, read_settings(kind.Config, raw, strict=False)
    except msgspec.ValidationError as error:
        names = ", ".join(f"{prefix}{name.upper()}" for name in fields)
        raise CannotTry(f"The settings do not fit: {error}. Give a file with --settings, or set {names}.") from None


def _from_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8")
        read = tomllib.loads(text) if file.suffix == ".toml" else msgspec.json.decode(text, type=dict[str, Any])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise CannotTry(f"{file} cannot be read as settings ({type(error).__name__}); it must be JSON or TOML.") from None
    return read


async def first_page(
    kind: type[Connector[Any]], config: msgspec.Struct, settings: Settings, *, words: Sequence[str] = (), record: Path | None = None
) -> None:
    """Ask who we are, then for the first page, and show both. With `record` the answers are written, scrubbed."""
    if kind.auth is not None:
        raise CannotTry(f"{kind.network} lets a person decide (OAuth 2), and only a hub can do that: see docs/connectors/oauth.md.")
    if record and issubclass(kind, SignsIn):
        raise CannotTry(
            f"{kind.network} answers with a session, and its tokens must not be written down; `smhub plugin try` shows the page."
        )
    clock = SystemClock()
    allow = AllowList.parse(settings.allow_private_hosts)
    client = RecordingClient(allow, clock) if record else Client(allow, clock, public_url=settings.public_url)

    def http_with(credentials: Credentials | None) -> ConnectorHttp:
        return ConnectorHttp(
            client=client,
            network=kind.network,
            clock=clock,
            base_url=kind.base_url(config),
            headers=kind.headers(config),
            secret_path=kind.secret_path(config),
            rates=kind.rates,
            map_error=kind.map_error,
            credentials=credentials,
        )

    http = http_with(SessionInHand(kind, config, http_with) if issubclass(kind, SignsIn) else None)
    try:
        await _show(kind(config, http, ConnectorContext(clock=clock)), words)
    except ConnectorError as error:
        raise CannotTry(_without(config, f"{type(error).__name__}: {error.message}")) from None
    finally:
        await client.aclose()
    if record and isinstance(client, RecordingClient):
        try:
            count = client.write(record, kind, config)
        except Unscrubbed as error:
            raise CannotTry(str(error)) from None
        click.echo(f"wrote {record}: {count} answers. Read it before you publish it.")


def _without(config: msgspec.Struct, text: str) -> str:
    for secret in secrets_of(config):
        text = text.replace(secret, "***")
    return text


async def _show(connector: Connector[Any], words: Sequence[str]) -> None:
    def say(text: str) -> None:
        click.echo(_without(connector.config, text))

    me = await connector.verify()
    say(f"{connector.network}: {me.handle} (id {me.external_id})" + (f", scopes {' '.join(me.scopes)}" if me.scopes else ""))
    pages = _pages(connector, words)
    if pages is None:
        say("It does not fetch mentions; there is no page to show." if not words else "It does not search.")
        return
    async with contextlib.aclosing(pages) as opened:  # type: ignore[type-var]
        page = await anext(aiter(opened), None)
    if page is None:
        say("There is no page: nobody said anything yet.")
        return
    cursor = msgspec.json.encode(page.cursor).decode()
    say(f"{len(page.items)} items, the oldest first; cursor {cursor}")
    for item in page.items[:SHOWN]:
        say(_line(item))
    if len(page.items) > SHOWN:
        say(f"and {len(page.items) - SHOWN} more")


def _pages(connector: Connector[Any], words: Sequence[str]) -> AsyncIterator[Page] | None:
    if words:
        return connector.search(Search(words=tuple(words)), None) if isinstance(connector, Searches) else None
    return connector.fetch_mentions(None) if isinstance(connector, FetchesMentions) else None


def _line(item: Item) -> str:
    if isinstance(item, Tombstone):
        return f"  deleted   {item.external_id}"
    if isinstance(item, BadItem):
        return f"  unreadable: {item.error}"
    who = f"@{item.author.handle}" if item.author else "somebody"
    text = textwrap.shorten(item.text or item.html or item.title or "", WIDE, placeholder="…")
    return f"  {item.published_at:%Y-%m-%d %H:%M} {item.external_id} {who}: {text}"
