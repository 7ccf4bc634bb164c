"""Migrations make what the models say, bear three starters at once, and refuse what is newer."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

import smhub.app.tables
from servers import on_server
from smhub.db.engine import postgres_engine, sqlite_engine
from smhub.db.migrate import SchemaError, config, core_scripts, migrate, pending
from smhub.db.types import Base

assert smhub.app.tables.MODULES


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"m{uuid.uuid4().hex}"
    on_server(server, f"create database {name}")
    yield server.format(name)
    on_server(server, f"drop database {name} with (force)")


def engine_of(url: str):
    return sqlite_engine(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else postgres_engine(url)


async def test_three_that_start_at_once_do_it_once(empty_url: str) -> None:
    done = await asyncio.gather(*(migrate(empty_url, [core_scripts()]) for _ in range(3)))
    assert sorted(len(one) for one in done) == [0, 0, 1]
    engine = engine_of(empty_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(pending, [core_scripts()]) == []
    await engine.dispose()


async def test_who_opens_a_new_file_waits_for_another_that_writes_its_first_table(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    other.execute("create table t (x)")
    migrating = asyncio.create_task(migrate(f"sqlite:///{path}", [core_scripts()]))
    await asyncio.sleep(0.3)
    assert not migrating.done()
    other.execute("commit")
    other.close()
    assert len(await migrating) == 1


async def test_the_migrations_make_exactly_what_the_models_say(empty_url: str) -> None:
    await migrate(empty_url, [core_scripts()])
    engine = engine_of(empty_url)
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync: command.check(config(core_scripts(), sync, metadata=Base.metadata)))
    await engine.dispose()


async def test_a_database_that_is_newer_than_the_code_is_refused_and_left_alone(empty_url: str) -> None:
    await migrate(empty_url, [core_scripts()])
    engine = engine_of(empty_url)
    async with engine.begin() as connection:
        await connection.execute(text("update alembic_version_core set version_num = 'c9999'"))
    with pytest.raises(SchemaError, match=r"newer than this smhub.*c9999"):
        await migrate(empty_url, [core_scripts()])
    async with engine.connect() as connection:
        assert (await connection.execute(text("select version_num from alembic_version_core"))).scalar_one() == "c9999"
    await engine.dispose()
