"""Taking in through the real path, 500 a page: dedupe, versions, sightings, search, events, cursor, routing.

The floor: the same rows put into the same tables with the same indexes by the raw driver, a transaction a page. Bound: 0.25 of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Any

import asyncpg
from sqlalchemy import select

from bench.common import databases, empty, hub, show
from smhub.channels.actions import set_up
from smhub.channels.connecting import connect
from smhub.channels.models import Channel, Intake
from smhub.db.migrate import core_scripts, migrate
from smhub.departments.models import Department
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.mentions.pages import store_page
from smhub.mentions.polling import POLL, PollIntake
from smhub.mentions.source import Source
from smhub.organisations.models import Organisation
from smhub.sdk import Page, read_settings
from smhub.work.models import Job
from smhub.work.queue import JobContext, later
from smhub.work.running import Runner

MENTIONS = 20_000
PAGE = 500
TABLES = {
    "core_author": "id",
    "core_mention": "id",
    "core_sighting": "mention_id",
    "core_search_doc": "mention_id",
    "core_event": "seq",
}


def run() -> None:
    with databases() as found:
        for database, url in found:
            rate, rows, mentions = asyncio.run(_ours(url))
            floor = asyncio.run(_floor(url, rows, mentions))
            show("take_in", database, rate, "mentions/s", floor, mentions)


async def _ours(url: str) -> tuple[float, dict[str, list[tuple[Any, ...]]], int]:
    async with hub(url) as (runtime, _):
        source, pages = await _pages(runtime)
        context = await _context(runtime, source)
        runner = Runner(runtime)
        await runner.register()
        began = time.perf_counter()
        count = 0
        for page in pages:
            count += (await store_page(context, source, page)).new
        await _route_all(runner)
        seconds = time.perf_counter() - began
        return count / seconds, await _rows(url), count


async def _route_all(runner: Runner) -> None:
    """The jobs that follow taking in; everything else waits."""
    runner._last_tick = float("inf")
    while True:
        started = await runner.step()
        while runner._running:
            await asyncio.wait(runner._running.values())
        if not started and not runner._ended:
            return


async def _pages(runtime: Runtime) -> tuple[Source, list[Page]]:
    """The simulator's mentions, made before the clock starts."""
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        organisation = (await session.scalars(select(Organisation))).one()
        for number in range(8):
            session.add(_department(organisation, number, now))
        channel = Channel(
            organisation_id=organisation.id, id=new_id(), network="simulator", name="bench", settings={}, created_at=now, version=1
        )
        await set_up(session, runtime, channel, {"backlog": MENTIONS, "page_size": PAGE, "edits": 0, "deletes": 0})
        intake = (await session.scalars(select(Intake))).one()
        intake.next_poll_at = None
        source = Source(organisation_id=organisation.id, intake_id=intake.id, network="simulator", channel_id=channel.id)
    connector = connect(runtime, channel, read_settings(runtime.hub.connectors["simulator"].Config, dict(channel.settings)))
    return source, [page async for page in connector.fetch_mentions(None)]  # type: ignore[attr-defined]


def _department(organisation: Organisation, number: int, now: Any) -> Department:
    words = ["liefer", "rechnung", "app", "bewerb", "presse", "danke", "kaputt", "invoice"]
    return Department(
        organisation_id=organisation.id,
        id=new_id(),
        name=f"D{number}",
        slug=f"d{number}",
        path=f"d{number}",
        time_zone="Europe/Berlin",
        opening_hours=[],
        closed_days=[],
        keywords=[words[number], f"seldom{number}"],
        created_at=now,
        version=1,
    )


async def _context(runtime: Runtime, source: Source) -> JobContext:
    """A job that is ours, as the worker would hold it."""
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        job_id = await later(session, POLL, PollIntake(intake_id=source.intake_id), now=now, organisation_id=source.organisation_id)
        job = await session.get_one(Job, job_id)
        job.state, job.attempt, job.worker = "running", 1, "bench"
        job.lease_until = now.replace(year=now.year + 1)
    assert job_id is not None
    return JobContext(runtime=runtime, job_id=job_id, organisation_id=source.organisation_id, attempt=1, max_attempts=1)


async def _rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """What was written, as the driver gives it."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        found = {table: connection.execute(f"select * from {table}{_order(table)}").fetchall() for table in (*TABLES, *PARENTS)}
        connection.close()
        return found
    postgres = await asyncpg.connect(url)
    rows = {}
    for table in (*TABLES, *PARENTS):
        hidden = (
            "select seq, organisation_id, mention_id, terms from core_search_doc"
            if table == "core_search_doc"
            else f"select * from {table}"
        )
        rows[table] = [tuple(row) for row in await postgres.fetch(hidden + _order(table))]
    await postgres.close()
    return rows


def _order(table: str) -> str:
    return f" order by {TABLES[table]}" if table in TABLES else ""


PARENTS = ("core_organisation", "core_department", "core_channel", "core_intake")


async def _floor(url: str, rows: dict[str, list[tuple[Any, ...]]], mentions: int) -> float:
    """The same rows by the raw driver, in as many transactions."""
    pages = max(1, mentions // PAGE)
    if url.startswith("sqlite"):
        fresh = url.replace("hub.db", "floor.db")
        await migrate(fresh, [core_scripts()])
        connection = sqlite3.connect(fresh.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-20000"):
            connection.execute(f"pragma {pragma}")
        for table in PARENTS:
            connection.executemany(_insert(table, rows[table], "?"), rows[table])
        began = time.perf_counter()
        for part in range(pages):
            connection.execute("begin immediate")
            for table in TABLES:
                some = _part(rows[table], part, pages, whole=table == "core_author")
                if some:
                    connection.executemany(_insert(table, some, "?"), some)
            connection.execute("commit")
        seconds = time.perf_counter() - began
        connection.close()
        return mentions / seconds
    await empty(url)
    await migrate(url, [core_scripts()])
    postgres = await asyncpg.connect(url)
    for table in PARENTS:
        await postgres.executemany(_insert(table, rows[table], "$"), rows[table])
    began = time.perf_counter()
    for part in range(pages):
        async with postgres.transaction():
            for table in TABLES:
                some = _part(rows[table], part, pages, whole=table == "core_author")
                if some:
                    await postgres.executemany(_insert(table, some, "$"), some)
    seconds = time.perf_counter() - began
    await postgres.close()
    return mentions / seconds


def _part(rows: list[tuple[Any, ...]], part: int, pages: int, *, whole: bool) -> list[tuple[Any, ...]]:
    """A page's share; all authors come with the first page, so that every reference finds its row."""
    if whole:
        return rows if part == 0 else []
    size = -(-len(rows) // pages)
    return rows[part * size : (part + 1) * size]


def _insert(table: str, rows: list[tuple[Any, ...]], mark: str) -> str:
    names = " (seq, organisation_id, mention_id, terms)" if table == "core_search_doc" else ""
    count = len(rows[0]) if rows else 1
    marks = ",".join("?" if mark == "?" else f"${n}" for n in range(1, count + 1))
    return f"insert into {table}{names} values ({marks})"
