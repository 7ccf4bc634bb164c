from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from smhub.net import ConnectorHttp, Credentials, SessionInHand, client_inside
from smhub.sdk import ConnectorContext, Page, StandingClock, read_settings
from smhub.testing.wire import Wire
from smhub_bluesky.connector import Bluesky
from smhub_bluesky.fake import AT, Fake, Server


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(AT + timedelta(seconds=20))


@pytest.fixture
def network(clock: StandingClock) -> Fake:
    made = Fake()
    made.clock = clock
    return made


@pytest.fixture
def server(network: Fake) -> Server:
    """Where firma has its account."""
    return network.server


@pytest.fixture
async def connect(network: Fake, clock: StandingClock) -> AsyncIterator[Callable[..., Bluesky]]:
    """A connector to the server, through the hub's own http."""
    client = client_inside(Wire(network).inside, clock)

    def make(since: datetime | None = None, until: datetime | None = None, **more: Any) -> Bluesky:
        config = read_settings(Bluesky.Config, {**network.config("https://pds.test"), **more})

        def http_with(credentials: Credentials | None) -> ConnectorHttp:
            return ConnectorHttp(
                client=client,
                network="bluesky",
                clock=clock,
                base_url=Bluesky.base_url(config),
                rates=Bluesky.rates,
                map_error=Bluesky.map_error,
                credentials=credentials,
            )

        http = http_with(SessionInHand(Bluesky, config, http_with))
        return Bluesky(config, http, ConnectorContext(clock=clock, since=since, until=until))

    yield make
    await client.aclose()


@pytest.fixture
def fetch() -> Callable[..., Any]:
    async def fetch(connector: Bluesky, cursor: Any = None, query: Any = None) -> Page:
        """All pages as one."""
        found = connector.search(query, cursor) if query else connector.fetch_mentions(cursor)
        pages = [page async for page in found]
        return Page(items=[item for page in pages for item in page.items], cursor=pages[-1].cursor)

    return fetch
