"""Real answers in a file, and out of it again: recorded without secrets and people, replayed to a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from smhub.net import Asked, Client, ConnectorHttp, Inside, client_inside
from smhub.sdk import (
    Account,
    Connector,
    ConnectorContext,
    FetchesMentions,
    Page,
    Response,
    Secret,
    StandingClock,
    read_settings,
    secret_fields,
)
from smhub.testing.scrubbing import Scrubber

KEPT = ("content-type", "link", "retry-after")
LIMITS = "x-ratelimit"
HIDDEN = "recorded"
HOME = "https://network.recorded"
"""In place of the server's own address."""


class Unscrubbed(Exception):
    """An answer came in a form in which nobody can find the people; nothing was written."""


class Exchange(msgspec.Struct, frozen=True):
    """One question and its answer. `target` is path and query; `body` is the JSON."""

    method: str
    target: str
    status: int
    headers: dict[str, str]
    body: Any


class Recording(msgspec.Struct, frozen=True):
    """A file of `smhub plugin record`. `settings` are those of the connector, its secrets replaced."""

    network: str
    settings: dict[str, Any]
    exchanges: list[Exchange]


class Replayed(msgspec.Struct, frozen=True):
    """What the connector made of a recording: who we are, and the pages as far as the recording goes."""

    account: Account
    pages: list[Page]


def secrets_of(config: msgspec.Struct) -> list[str]:
    """The secrets in the settings, the longest first, so that one that contains another leaves nothing behind."""
    found = [getattr(config, name) for name in secret_fields(type(config))]
    return sorted((one.reveal() for one in found if isinstance(one, Secret)), key=len, reverse=True)


class RecordingClient(Client):
    """The hub's own client, which keeps what it was asked and what came."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._kept: list[tuple[str, str, Response]] = []

    async def send(self, method: str, url: str, *given: Any, **more: Any) -> Response:
        response = await super().send(method, url, *given, **more)
        self._kept.append((method, url, response))
        return response

    def write(self, file: Path, kind: type[Connector[Any]], config: msgspec.Struct) -> int:
        """Write everything, scrubbed; how many answers. Raises Unscrubbed for what is no JSON."""
        base = urlsplit(kind.base_url(config))
        scrubber = Scrubber(secrets_of(config), {f"{base.scheme}://{base.netloc}": HOME} if base.netloc else {})
        hidden = secret_fields(kind.Config)
        plain = {name: msgspec.to_builtins(getattr(config, name)) for name in config.__struct_fields__ if name not in hidden}
        bodies = [_json(url, response) for _, url, response in self._kept]
        for body in bodies:
            scrubber.learn(body)
        exchanges = [
            Exchange(
                method=method,
                target=scrubber.plain(_target(url).replace(kind.secret_path(config) or "\0", "", 1)),
                status=response.status,
                headers={name: scrubber.plain(value) for name, value in response.headers.items() if _is_kept(name)},
                body=scrubber.scrubbed(body),
            )
            for (method, url, response), body in zip(self._kept, bodies, strict=True)
        ]
        settings = {name: scrubber.plain(value) if isinstance(value, str) else value for name, value in plain.items()}
        # A secret that may be left out is left out when it was: None needs no placeholder.
        settings |= {name: HIDDEN for name in hidden if getattr(config, name) is not None}
        recording = Recording(kind.network, settings, exchanges)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(recording), indent=1) + b"\n")
        return len(exchanges)


def _json(url: str, response: Response) -> Any:
    if not response.body:
        return None
    try:
        return msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        host = urlsplit(url).hostname
        raise Unscrubbed(
            f"{host} answered with something that is no JSON; people could not be taken out, so nothing was written."
        ) from None


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _is_kept(name: str) -> bool:
    return name in KEPT or name.startswith(LIMITS)


def replayed(connector: type[Connector[Any]], file: Path) -> Replayed:
    """Let a connector read a recording: what it makes of what the real network said. Not to be called in a running event loop.

    A question that is not in the recording ends the pages; before the first page it raises what the connector makes of a 404.
    """
    return asyncio.run(replay(connector, msgspec.json.decode(file.read_bytes(), type=Recording)))


async def replay(kind: type[Connector[Any]], recording: Recording) -> Replayed:
    """As `replayed`, within a loop."""
    left = list(recording.exchanges)
    beyond: list[str] = []

    async def serve(asked: Asked) -> AsyncIterator[bytes]:
        found = next((one for one in left if (one.method, one.target) == (asked.method, asked.target)), None)
        if found is None:
            beyond.append(asked.target)
            yield _bytes(404, {}, b"null")
            return
        left.remove(found)
        yield _bytes(found.status, found.headers, b"" if found.body is None else msgspec.json.encode(found.body))

    clock = StandingClock()
    client = client_inside(Inside(serve), clock)
    config = read_settings(kind.Config, recording.settings)
    http = ConnectorHttp(
        client=client,
        network=kind.network,
        clock=clock,
        base_url=kind.base_url(config),
        headers=kind.headers(config),
        map_error=kind.map_error,
    )
    try:
        connector = kind(config, http, ConnectorContext(clock=clock))
        account = await connector.verify()
        pages: list[Page] = []
        if isinstance(connector, FetchesMentions):
            try:
                async for page in connector.fetch_mentions(None):
                    pages.append(page)
            except Exception:
                if not pages or not beyond:
                    raise
        return Replayed(account, pages)
    finally:
        await client.aclose()


def _bytes(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    told = {**headers, "content-length": str(len(body)), "connection": "close"}
    lines = [f"HTTP/1.1 {status} Recorded", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
