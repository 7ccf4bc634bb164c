from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from feed_web import PlainHttp, Web

from smhub.sdk import ConnectorContext, Page, StandingClock, read_settings
from smhub_feeds.connector import Feeds
from smhub_feeds.reader import READER


@pytest.fixture(scope="session", autouse=True)
def children() -> Iterator[None]:
    yield
    READER.close()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(scope="session")
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture
def feeds(web: Web, clock: StandingClock) -> Callable[..., Feeds]:
    def make(path: str = "/feed", since: datetime | None = None, until: datetime | None = None, **more: Any) -> Feeds:
        config = read_settings(Feeds.Config, {"url": web.address + path, **more})
        http = PlainHttp(Feeds.base_url(config), Feeds.headers(config))
        return Feeds(config, http, ConnectorContext(clock=clock, since=since, until=until))

    return make


@pytest.fixture
def fetch() -> Callable[..., Any]:
    async def fetch(connector: Feeds, cursor: Any = None) -> Page:
        """All pages as one."""
        pages = [page async for page in connector.fetch_mentions(cursor)]
        items = [item for page in pages for item in page.items]
        return Page(items=items, cursor=pages[-1].cursor, missed=next((page.missed for page in pages if page.missed), None))

    return fetch
