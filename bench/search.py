"""Searching words among a million mentions: p95 of GET /v1/mentions?q=… against the bare full-text statement by the raw driver.

Bound: at most 3 times the bare statement that brings the page's rows, too. Against the ids alone it is shown, without a bound: any answer
has to fetch fifty mentions and be written as JSON, which costs more than finding them.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from bench.common import again, databases, hub, percentile, seed, show, the_organisation
from smhub.app.collecting import settle
from smhub.app.create import create_app
from smhub.db.search import Match
from smhub.mentions.fields import mention_fields
from smhub.query import compile_sql, parse

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
QUERIES = ("lieferung", "delivery", "lieferung paket", "selten1000", "selten500000", "rechnung -paket", "kaputt (app OR gutschein)")
ROUNDS = 40


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
    settle()
    ours: list[float] = []
    for number in range(ROUNDS):
        for query in QUERIES:
            began = time.perf_counter()
            await _ask(app, key, f"limit=50&q={quote(query)}")
            if number:
                ours.append(time.perf_counter() - began)
    await runtime.database.close()
    p95 = percentile(ours, 0.95) * 1000
    for name, statement in (("search", ROWS_TOO), ("search_against_ids", IDS)):
        show(name, database, p95, "ms p95", percentile(await _bare(url, organisation_id, statement), 0.95) * 1000, ROWS)


async def _ask(app: Any, key: str, query: str) -> None:
    """GET /v1/mentions as a server hands it to the app: the client's own time is not the hub's."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/mentions",
        "raw_path": b"/v1/mentions",
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"bench"), (b"authorization", f"Bearer {key}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    await app(scope, receive, send)
    assert told[0]["status"] == 200, told


def _asked(organisation_id: UUID) -> list[Match]:
    """The queries as the full-text index is asked."""
    fields = mention_fields([])
    found = [
        compile_sql(
            parse(query, fields), fields, organisation_id=organisation_id, now=datetime.now(UTC), time_zone=ZoneInfo("UTC")
        ).match
        for query in QUERIES
    ]
    return [match for match in found if match is not None]


IDS = "select d.mention_id from {found} order by {order} desc limit 50"
ROWS_TOO = (
    "select m.*, a.handle, a.name, a.avatar_url from {found} join core_mention m on m.organisation_id = d.organisation_id "
    "and m.id = d.mention_id left join core_author a on a.organisation_id = m.organisation_id and a.id = m.author_id "
    "order by {order} desc limit 50"
)


async def _bare(url: str, organisation_id: UUID, statement: str) -> list[float]:
    """The full-text statement by the raw driver, with the same expression."""
    times: list[float] = []
    asked = _asked(organisation_id)
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        found = "core_search_fts f join core_search_doc d on d.seq = f.rowid and f.core_search_fts match ?"
        sql = statement.format(found=found, order="f.rowid")
        for number in range(ROUNDS):
            for match in asked:
                began = time.perf_counter()
                connection.execute(sql, (match.fts5.value,)).fetchall()
                if number:
                    times.append(time.perf_counter() - began)
        connection.close()
        return times
    postgres = await asyncpg.connect(url)
    sql = statement.format(found="(select * from core_search_doc where tsv @@ $1::text::tsquery) d", order="d.seq")
    for number in range(ROUNDS):
        for match in asked:
            began = time.perf_counter()
            await postgres.fetch(sql, match.tsquery.value)
            if number:
                times.append(time.perf_counter() - began)
    await postgres.close()
    return times
