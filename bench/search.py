"""Searching words among a million mentions: p95 of GET /v1/mentions?q=… against the bare full-text statement by the raw driver.

Bound: at most 3 times the bare statement's p95.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx2

from bench.common import again, databases, hub, percentile, seed, show, the_organisation
from smhub.app.create import create_app
from smhub.db.search import organisation_term, terms

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
QUERIES = ("lieferung", "delivery", "lieferung paket", "selten1000", "selten500000", "rechnung -paket", "kaputt (app OR gutschein)")
ROUNDS = 12


def run() -> None:
    with databases() as found:
        for database, url in found:
            asyncio.run(_one(database, url))


async def _one(database: str, url: str) -> None:
    async with hub(url) as (runtime, key):
        organisation_id = await the_organisation(runtime)
        await seed(runtime, organisation_id, ROWS)
    runtime = again(url)
    app: Any = create_app(runtime)
    transport = httpx2.ASGITransport(app=app)
    ours: list[float] = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://bench", headers={"Authorization": f"Bearer {key}"}) as client:
        for number in range(ROUNDS):
            for query in QUERIES:
                began = time.perf_counter()
                answer = await client.get(f"/v1/mentions?limit=50&q={quote(query)}")
                assert answer.status_code == 200, answer.text
                if number:
                    ours.append(time.perf_counter() - began)
    bare = await _bare(url, organisation_id)
    await runtime.database.close()
    show("search", database, percentile(ours, 0.95) * 1000, "ms p95", percentile(bare, 0.95) * 1000, ROWS)


async def _bare(url: str, organisation_id: UUID) -> list[float]:
    """The full-text statement alone: the newest 50 ids for each query's positive words."""
    own = organisation_term(organisation_id)
    asked = [
        [terms(word, "de") for word in query.replace("(", "").replace(")", "").replace("OR ", "").split() if word[0] != "-"]
        for query in QUERIES
    ]
    times: list[float] = []
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        sql = (
            "select d.mention_id from core_search_fts f join core_search_doc d on d.seq = f.rowid "
            "where core_search_fts match ? order by f.rowid desc limit 50"
        )
        for number in range(ROUNDS):
            for words in asked:
                expression = " AND ".join(f'"{word.split()[0]}"' for word in (own, *words))
                began = time.perf_counter()
                connection.execute(sql, (expression,)).fetchall()
                if number:
                    times.append(time.perf_counter() - began)
        connection.close()
        return times
    postgres = await asyncpg.connect(url)
    sql = "select mention_id from core_search_doc where tsv @@ $1::text::tsquery order by seq desc limit 50"
    for number in range(ROUNDS):
        for words in asked:
            expression = " & ".join(f"'{word.split()[0]}'" for word in (own, *words))
            began = time.perf_counter()
            await postgres.fetch(sql, expression)
            if number:
                times.append(time.perf_counter() - began)
    await postgres.close()
    return times
