"""`smhub healthy`: whether the hub on this machine can serve."""

from __future__ import annotations

from smhub.net import AllowList, Client
from smhub.sdk import ConnectorError
from smhub.settings import Settings
from smhub.time import SystemClock

DEADLINE = 5.0
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


async def is_ready(settings: Settings) -> bool:
    """What `/readyz` says; False too when nobody answers."""
    place = f"{EVERY_ADDRESS.get(settings.host, settings.host)}:{settings.port}"
    # The operator's own hub, so it may be private.
    client = Client(AllowList.parse(place), SystemClock())
    try:
        return (await client.send("GET", f"http://{place}/readyz", deadline=DEADLINE)).status == 200
    except ConnectorError:
        return False
    finally:
        await client.aclose()
