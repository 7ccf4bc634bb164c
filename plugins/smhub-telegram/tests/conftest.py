from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from described import Described

from smhub.net import ConnectorHttp, client_inside
from smhub.sdk import ConnectorContext, Page, StandingClock, read_settings
from smhub.testing.wire import Wire
from smhub_telegram.connector import Telegram
from smhub_telegram.fake import AT, Server


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(AT + timedelta(seconds=20))


@pytest.fixture
def network(clock: StandingClock) -> Described:
    made = Described()
    made.clock = clock
    return made


@pytest.fixture
def server(network: Described) -> Server:
    """The Bot API; every request and answer is held against its description."""
    return network.server


@pytest.fixture
def wire(network: Described) -> Wire:
    """The way there, on which things go wrong."""
    return Wire(network)


@pytest.fixture
async def connect(network: Described, wire: Wire, clock: StandingClock) -> AsyncIterator[Callable[..., Telegram]]:
    """A connector of the bot, through the hub's own http."""
    client = client_inside(wire.inside, clock)

    def make(until: datetime | None = None, told: bool = False, **more: Any) -> Telegram:
        config = read_settings(Telegram.Config, {**network.config("https://api.test"), **more})
        http = ConnectorHttp(
            client=client,
            network="telegram",
            clock=clock,
            base_url=Telegram.base_url(config),
            secret_path=Telegram.secret_path(config),
            map_error=Telegram.map_error,
        )
        return Telegram(config, http, ConnectorContext(clock=clock, until=until, told=told))

    yield make
    await client.aclose()


@pytest.fixture
def fetch() -> Callable[..., Any]:
    async def fetch(connector: Telegram, cursor: Any = None) -> Page:
        """All pages as one."""
        pages = [page async for page in connector.fetch_mentions(cursor)]
        missed = next((page.missed for page in pages if page.missed), None)
        items = [item for page in pages for item in page.items]
        return Page(items=items, cursor=pages[-1].cursor if pages else cursor, missed=missed)

    return fetch
