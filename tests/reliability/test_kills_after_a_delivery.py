"""kill -9 of the API process right after it acknowledged a webhook's delivery: the delivery is there, and is taken in once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from sqlalchemy import select

import hooked
import world
from hooked import body_of, said, signed
from smhub.channels.models import WebhookDelivery

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from test_kills_of_the_api import Api, mortal  # noqa: E402

KILLS = 8
AT_ONCE = 4


async def until_killed(api: Api, path: str, first: int, acknowledged: set[int]) -> int:
    """Several deliver, one after the other each; some answers later the API is killed. The next number."""
    number = first
    over = asyncio.Event()
    enough = len(acknowledged) + 3 + first % 5

    async def one(client: httpx2.AsyncClient) -> None:
        nonlocal number
        while not over.is_set():
            mine, number = number, number + 1
            body = body_of(said(str(mine)))
            try:
                answer = await client.post(path, content=body, headers=signed(body, datetime.now(UTC), f"d{mine}"))
            except httpx2.HTTPError:
                return
            assert answer.status_code == 200, answer.text
            acknowledged.add(mine)
            if len(acknowledged) >= enough and not over.is_set():
                over.set()
                assert await api.end(signal.SIGKILL) == signal.SIGKILL

    async with httpx2.AsyncClient(base_url=api.address, timeout=20) as client:
        await asyncio.gather(*(one(client) for _ in range(AT_ONCE)))
    return number


async def test_a_delivery_that_was_acknowledged_survives_the_death_of_the_api(database_url: str) -> None:
    async with world.start(database_url) as hub:
        new = {"network": "quick", "name": "Shop", "settings": {"secret": hooked.SECRET}}
        channel = await hub.post("/v1/channels", new)
        key = hub.key
    path = "/v1/hooks/" + channel["webhook"]["callback_url"].rpartition("/")[2]
    acknowledged: set[int] = set()
    number, began = 0, time.monotonic()
    async with mortal(database_url) as api:
        for _ in range(KILLS):
            await api.start()
            await api.serves()
            number = await until_killed(api, path, number, acknowledged)
    async with world.start(database_url, again=(key, world.StandingClock(datetime.now(UTC)))) as hub:
        async with hub.database.read() as session:
            stored = len((await session.scalars(select(WebhookDelivery.id))).all())
        assert stored >= len(acknowledged) >= KILLS * 3
        await hub.work(minutes=1)
        await hub.work(minutes=1)
        taken = [int(one["external_id"]) for one in await hub.mentions()]
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"kills": KILLS, "sent": number, "acknowledged": len(acknowledged), "stored": stored, "seconds": seconds}))
    assert len(taken) == len(set(taken)) == stored
    assert acknowledged - set(taken) == set()
