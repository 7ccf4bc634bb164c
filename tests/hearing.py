"""A hub that monitors, and what is said to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import world
from echo import EchoPlugin, mention
from smhub.sdk import Author
from smhub_monitoring.plugin import MonitoringPlugin
from world import Hub

_numbers = count(1)


@asynccontextmanager
async def monitoring(url: str, **more: Any) -> AsyncIterator[Hub]:
    """A hub with the plugin and one channel on echo."""
    async with world.start(url, plugins=[EchoPlugin(), MonitoringPlugin()], shared=True, **more) as hub:
        await hub.connect()
        yield hub


def said(hub: Hub, text: str, *, ago: timedelta = timedelta(0), author: str = "a1", followers: int | None = None, **more: Any) -> Any:
    """A mention from a while ago."""
    number = next(_numbers)
    at: datetime = hub.clock.now() - ago
    who = Author(external_id=author, handle=author, name=author, followers=followers)
    return mention(f"m{number}", text, published_at=at, author=who, **more)


async def hear(hub: Hub, *items: Any) -> None:
    """Take it in, let the hub do what follows, and let the rules look at it."""
    hub.echo.says(*items)
    await hub.work(minutes=5)
    await hub.work(seconds=31)
