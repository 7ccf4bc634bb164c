from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from smhub.net import ConnectorHttp, client_inside
from smhub.sdk import ConnectorContext, Page, StandingClock, read_settings
from smhub.testing.wire import Wire
from smhub_matrix.connector import Matrix
from smhub_matrix.fake import AT, Fake, Homeserver


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(AT + timedelta(seconds=20))


@pytest.fixture
def network(clock: StandingClock) -> Fake:
    made = Fake()
    made.clock = clock
    return made


@pytest.fixture
def server(network: Fake) -> Homeserver:
    """Where firma has its account."""
    return network.server


@pytest.fixture
async def connect(network: Fake, clock: StandingClock) -> AsyncIterator[Callable[..., Matrix]]:
    """A connector to the room, through the hub's own http."""
    client = client_inside(Wire(network).inside, clock)

    def make(since: datetime | None = None, until: datetime | None = None, **more: Any) -> Matrix:
        config = read_settings(Matrix.Config, {**network.config("https://home.test"), **more})
        http = ConnectorHttp(
            client=client,
            network="matrix",
            clock=clock,
            base_url=Matrix.base_url(config),
            headers=Matrix.headers(config),
            map_error=Matrix.map_error,
        )
        return Matrix(config, http, ConnectorContext(clock=clock, since=since, until=until))

    yield make
    await client.aclose()


@pytest.fixture
def fetch() -> Callable[..., Any]:
    async def fetch(connector: Matrix, cursor: Any = None) -> Page:
        """All pages as one."""
        pages = [page async for page in connector.fetch_mentions(cursor)]
        cursors = [page.cursor for page in pages]
        return Page(items=[item for page in pages for item in page.items], cursor=cursors[-1] if cursors else cursor)

    return fetch
