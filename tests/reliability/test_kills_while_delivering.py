"""kill -9 at every named point while things are said, on a fast and on a slow network that loses answers: nothing is out twice, nothing
is lost, and what cannot be known is shown as unknown."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import world
from loud import SAFETIES, LoudPlugin, Square, square
from smhub.deliveries.models import Attempt, Delivery

HERE = Path(__file__).parent
POINTS = (
    "work.claimed",
    "deliver.before_taken",
    "deliver.taken",
    "deliver.first_byte",
    "deliver.last_byte",
    "deliver.answered",
    "deliver.before_settled",
    "deliver.settled",
)
CHANNELS = 4
SETTLE = 0.6


async def filled(url: str, allowed: str, count: int) -> dict[str, str]:
    """A hub with channels of all four kinds and `count` things to say, in a process that does not work; their safety by text."""
    said: dict[str, str] = {}
    async with world.start(url, plugins=[LoudPlugin()], allow_private_hosts=allowed, requests_per_minute=100_000) as hub:
        channels = []
        for safety in SAFETIES:
            for number in range(CHANNELS):
                body = {"network": f"loud-{safety}", "name": f"{safety} {number}", "settings": {"base_url": f"http://{allowed}"}}
                channels.append((safety, (await hub.post("/v1/channels", body))["id"]))
        for number in range(count):
            safety, channel = channels[number % len(channels)]
            text = f"{safety} {number}"
            said[text] = safety
            await hub.post(f"/v1/channels/{channel}/posts", {"text": text, "max_lateness_seconds": 30 * 86_400})
    return said


async def killed(url: str, allowed: str, plan: list[tuple[str, int]]) -> dict[str, Any]:
    script = [sys.executable, str(HERE / "killed_sender.py"), url, allowed, json.dumps(plan)]
    environment = {**os.environ, "LOUD_SETTLE_SECONDS": str(SETTLE)}
    process = await asyncio.create_subprocess_exec(*script, stdout=asyncio.subprocess.PIPE, env=environment)
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    done: dict[str, Any] = json.loads(out.splitlines()[-1])
    return done


async def wrong(url: str, network: Square, said: dict[str, str]) -> dict[str, list[str]]:
    """What is out twice, what is lost, and what does not stand here as it stands there."""
    await network.settled()
    out = Counter(network.texts())
    runtime = world.make_runtime(world.Settings(database_url=url, secret_keys=world.KEYS), plugins=[LoudPlugin()])
    async with runtime.database.read() as session:
        rows = {row.text: row for row in await session.scalars(select(Delivery))}
        attempts = {one.id: one for one in await session.scalars(select(Attempt))}
    await runtime.net.close()
    await runtime.database.close()
    found: dict[str, list[str]] = {"twice": [], "lost": [], "guessed": []}
    found["twice"] = [text for text, count in out.items() if count > 1]
    for text, safety in said.items():
        row = rows[text]
        if row.state == "published":
            there = next((post for post in network.posts if post["id"] == row.external_id), None)
            if there is None or there["text"] != text:
                found["guessed"].append(f"{text}: {row.external_id}")
        elif safety == "none" and row.state == "unknown":
            last = attempts[row.attempt_id]
            if not (row.reason_code and last.ended_at and last.state == "unknown"):
                found["lost"].append(f"{text}: no evidence")
        else:
            found["lost"].append(f"{text}: {row.state} {row.reason_code}")
    return found


async def story(url: str, plan: list[tuple[str, int]], count: int, *, work_seconds: float) -> dict[str, Any]:
    async with square(work_seconds) as (network, port):
        allowed = f"127.0.0.1:{port}"
        said = await filled(url, allowed, count)
        asked = 0

        def fate(method: str, path: str) -> str:
            nonlocal asked
            asked += method == "POST"
            return "lose" if method == "POST" and asked % 5 == 0 else "ok"

        network.script = fate
        done = await killed(url, allowed, plan)
        return {**done, "said": len(said), **await wrong(url, network, said)}


@pytest.mark.parametrize("work_seconds", [0.0, 0.3], ids=["fast", "slow"])
async def test_killed_at_every_named_point_nothing_is_said_twice_and_nothing_is_lost(database_url: str, work_seconds: float) -> None:
    chance = random.Random(7)
    plan = [(point, hit) for point in POINTS for hit in (1, 2, 3, 4, 5, 6, 7)]
    chance.shuffle(plan)
    done = await story(database_url, plan, 6 * len(plan), work_seconds=work_seconds)
    assert done["kills"] == len(plan), done
    assert (done["twice"], done["lost"], done["guessed"]) == ([], [], [])


@pytest.mark.soak
@pytest.mark.parametrize("work_seconds", [0.0, 0.3], ids=["fast", "slow"])
async def test_five_hundred_kills_say_nothing_twice_and_lose_nothing(database_url: str, work_seconds: float) -> None:
    chance = random.Random(2026)
    plan = [(chance.choice(POINTS), chance.randint(1, 12)) for _ in range(520)]
    done = await story(database_url, plan, 12 * len(plan), work_seconds=work_seconds)
    shown = {name: len(value) if isinstance(value, list) else value for name, value in done.items()}
    print(json.dumps({"database": database_url.split(":", maxsplit=1)[0], "network": work_seconds, **shown}))
    assert done["kills"] >= 500
    assert (done["twice"], done["lost"], done["guessed"]) == ([], [], [])
