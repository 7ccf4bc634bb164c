"""A back-fill of a million by the real worker process: how fast, and how much memory at most. Bound: 300 MB a process.

The floor is the simulator alone making the same mentions.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time

import psutil
from sqlalchemy import func, select

from bench.common import KEYS, hub, show
from smhub.channels.actions import set_up
from smhub.channels.connecting import connect
from smhub.channels.models import Channel, Intake
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.mentions.models import Mention
from smhub.organisations.models import Organisation
from smhub.sdk import read_settings

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))


def run() -> None:
    with tempfile.TemporaryDirectory(prefix="smhub-bench-") as folder:
        asyncio.run(_one(f"sqlite:///{folder}/hub.db"))


async def _one(url: str) -> None:
    async with hub(url) as (runtime, _):
        now = runtime.clock.now()
        async with runtime.database.write() as session:
            organisation = (await session.scalars(select(Organisation))).one()
            channel = Channel(
                organisation_id=organisation.id, id=new_id(), network="simulator", name="bench", settings={}, created_at=now, version=1
            )
            await set_up(session, runtime, channel, {"backlog": ROWS, "page_size": 500, "per_minute": 1})
        connector = connect(runtime, channel, read_settings(runtime.hub.connectors["simulator"].Config, dict(channel.settings)))
        began = time.perf_counter()
        made = 0
        async for page in connector.fetch_mentions(None):  # type: ignore[attr-defined]
            made += len(page.items)
        floor = made / (time.perf_counter() - began)
        environment = {**os.environ, "SMHUB_DATABASE_URL": url, "SMHUB_SECRET_KEYS": KEYS.reveal(), "SMHUB_LOG": "error"}
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "smhub", "work"], env=environment)
        worst = 0.0
        count = 0
        try:
            while count < ROWS * 0.9 or (await _due(runtime)):
                await asyncio.sleep(2.0)
                # The worker is a child of the command, which supervises it.
                worst = max([worst, *(one.memory_info().rss / 2**20 for one in psutil.Process(process.pid).children())])
                async with runtime.database.read() as session:
                    count = (await session.execute(select(func.count()).select_from(Mention))).scalar_one()
        finally:
            seconds = time.perf_counter() - began
            process.terminate()
            process.wait()
        show("back_fill", "sqlite", count / seconds, "mentions/s", floor, count)
        show("back_fill_memory", "sqlite", worst, "MB", 300.0, count)


async def _due(runtime: Runtime) -> bool:
    """Whether the intake has not come to its end yet."""
    async with runtime.database.read() as session:
        return (await session.execute(select(Intake.last_success_at))).scalar_one() is None
