"""A report over a quarter with a million mentions, asked of the API, against the plain SQL over the mentions that says the same.

Bound: 2 s. Counting that million beforehand is shown beside it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import msgspec
from sqlalchemy import select, text

from bench.common import START, databases, hub, seed, show, the_organisation
from smhub.app.create import create_app
from smhub.hub.runtime import Runtime
from smhub.mentions.models import Mention
from smhub.time import wire
from smhub_monitoring.reports.counting import count_again

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
ROUNDS = 3
AT_ONCE = 5000
MOODS = ("positive", "negative", "neutral", None)
INTENTS = ("question", "complaint", "praise", None, None)
ENDS = START + timedelta(days=90)
GROUPED = ["mentions", "potential_reach", "net_sentiment"]
QUESTIONS: dict[str, dict[str, Any]] = {
    "report": {"metrics": GROUPED, "group_by": ["day", "network"]},
    "report_delay": {"metrics": ["detection_delay", "answered_within_goal"]},
}
FLOOR = {
    "sqlite": "select substr(published_at, 1, 10) d, network, json_extract(annotations, '$.mood.value') m, count(*) from core_mention"
    " where published_at >= '{begins}' and published_at < '{ends}' group by 1, 2, 3",
    "postgresql": "select date_trunc('day', published_at) d, network, annotations #>> '{{mood,value}}' m, count(*) from core_mention"
    " where published_at >= '{begins}' and published_at < '{ends}' group by 1, 2, 3",
}


def run() -> None:
    with databases() as found:
        for database, url in found:
            asyncio.run(_one(database, url))


async def _one(database: str, url: str) -> None:
    async with hub(url) as (runtime, key):
        organisation_id = await the_organisation(runtime)
        await seed(runtime, organisation_id, ROWS)
        await _spread(runtime)
        counted = await _count(runtime, organisation_id)
        times = {"begins": wire(START), "ends": wire(ENDS)}
        floor = await _median(lambda: _plainly(runtime, FLOOR[database].format(**times)))
        show("report_counting", database, ROWS / counted, "mentions/s", 0, ROWS)
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=create_app(runtime)),  # type: ignore[arg-type]
            base_url="http://bench",
            headers={"Authorization": f"Bearer {key}"},
            timeout=120,
        )
        for name, question in QUESTIONS.items():
            body = {**question, "from": START.isoformat(), "to": ENDS.isoformat(), "time_zone": "Europe/Berlin", "compare": "none"}
            show(name, database, await _median(lambda body=body: _asked(client, body)), "s", floor, ROWS)  # type: ignore[misc]
        await client.aclose()


async def _spread(runtime: Runtime) -> None:
    """Over the whole quarter, with moods and intents, on four networks."""
    chance = random.Random(1)
    choices = [
        {key: {"value": value} for key, value in (("mood", mood), ("intent", intent)) if value} for mood in MOODS for intent in INTENTS
    ]
    seconds = (ENDS - START).total_seconds()
    async with runtime.database.write() as session:
        ids = (await session.scalars(select(Mention.id).order_by(Mention.id))).all()
    for start in range(0, len(ids), AT_ONCE):
        rows = []
        for number, id_ in enumerate(ids[start : start + AT_ONCE], start):
            at: datetime = START + timedelta(seconds=int(number * seconds / len(ids)))
            said = msgspec.json.encode(chance.choice(choices)).decode()
            rows.append({"id": _id(runtime, id_), "at": _at(runtime, at), "said": said, "network": f"network{chance.randrange(4)}"})
        async with runtime.database.write() as session:
            cast = "cast(:said as jsonb)" if runtime.database.dialect == "postgresql" else ":said"
            changed = f"update core_mention set published_at = :at, annotations = {cast}, network = :network where id = :id"
            await (await session.connection()).execute(text(changed), rows)


def _id(runtime: Runtime, id_: UUID) -> Any:
    return str(id_) if runtime.database.dialect == "sqlite" else id_


def _at(runtime: Runtime, at: datetime) -> Any:
    return wire(at) if runtime.database.dialect == "sqlite" else at


async def _count(runtime: Runtime, organisation_id: UUID) -> float:
    began = time.perf_counter()
    async with runtime.database.read() as session:
        ids = (await session.scalars(select(Mention.id).order_by(Mention.published_at))).all()
    for start in range(0, len(ids), AT_ONCE):
        async with runtime.database.write() as session:
            await count_again(session, organisation_id, ids[start : start + AT_ONCE])
    if runtime.database.dialect == "postgresql":
        async with runtime.database.write() as session:
            await session.execute(text("analyze monitoring_hourly"))
            await session.execute(text("analyze monitoring_counted"))
    return time.perf_counter() - began


async def _median(work: Callable[[], Awaitable[None]]) -> float:
    """The median round."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work()
        rounds.append(time.perf_counter() - began)
    return sorted(rounds)[ROUNDS // 2]


async def _plainly(runtime: Runtime, statement: str) -> None:
    async with runtime.database.read() as session:
        (await session.execute(text(statement))).all()


async def _asked(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post("/v1/monitoring/reports/run", json=body)
    assert answer.status_code == 200 and answer.json()["rows"], answer.text
