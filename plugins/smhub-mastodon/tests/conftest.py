from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mastodon_server import Server

from smhub.net import AllowList, Client, ConnectorHttp
from smhub.sdk import ConnectorContext, Page, StandingClock, read_settings
from smhub_mastodon.connector import Mastodon
from smhub_mastodon.fake import AT


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(AT + timedelta(seconds=20))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A Mastodon."""
    fake = Server()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def gotosocial() -> AsyncIterator[Server]:
    """Another software with the same API."""
    fake = Server("gotosocial")
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def connect(clock: StandingClock) -> AsyncIterator[Callable[..., Mastodon]]:
    """A connector to a server, through the hub's own way out."""
    clients: list[Client] = []

    def make(
        server: Server, since: datetime | None = None, until: datetime | None = None, token: str = "tok-firma", **more: Any
    ) -> Mastodon:
        config = read_settings(Mastodon.Config, {"base_url": server.url, "token": token, **more})
        client = Client(AllowList.parse(f"127.0.0.1:{server.port}"), clock)
        clients.append(client)
        http = ConnectorHttp(
            client=client,
            network="mastodon",
            clock=clock,
            base_url=Mastodon.base_url(config),
            headers=Mastodon.headers(config),
            rates=Mastodon.rates,
            map_error=Mastodon.map_error,
        )
        return Mastodon(config, http, ConnectorContext(clock=clock, since=since, until=until))

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def fetch() -> Callable[..., Any]:
    async def fetch(connector: Mastodon, cursor: Any = None, query: Any = None) -> Page:
        """All pages as one."""
        found = connector.search(query, cursor) if query else connector.fetch_mentions(cursor)
        pages = [page async for page in found]
        return Page(items=[item for page in pages for item in page.items], cursor=pages[-1].cursor)

    return fetch
