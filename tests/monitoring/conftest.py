from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import world
from echo import EchoPlugin
from smhub_monitoring.plugin import MonitoringPlugin


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[world.Hub]:
    """The whole hub, with the network Echo and monitoring."""
    async with world.start(database_url, plugins=[EchoPlugin(), MonitoringPlugin()], shared=True) as started:
        yield started
