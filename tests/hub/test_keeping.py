"""`smhub backup` and `smhub restore`, as an operator uses them: what they refuse, what they say, and what they leave alone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result
from sqlalchemy import text

from smhub.app.making import make_runtime
from smhub.app.supervising import only_worker
from smhub.cli import main
from smhub.db.engine import Database
from smhub.db.migrate import config, core_scripts
from smhub.settings import Settings
from world import KEYS

Run = Callable[..., Result]
NEWEST = ScriptDirectory.from_config(config(core_scripts())).get_current_head()


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: None) -> Run:
    """The command line of a hub that was started once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMHUB_DATABASE_URL", database_url)
    monkeypatch.setenv("SMHUB_SECRET_KEYS", KEYS.reveal())
    monkeypatch.setenv("SMHUB_LOG", "error")

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, list(words))

    assert invoke("migrate").exit_code == 0
    return invoke


def sql(url: str, *statements: str) -> list[Any]:
    """Run statements; the first column of what the last one found."""

    async def execute() -> list[Any]:
        database = Database(url)
        try:
            async with database.write() as session:
                for statement in statements:
                    found = await session.execute(text(statement))
                return list(found.scalars()) if found.returns_rows else []
        finally:
            await database.close()

    return asyncio.run(execute())


def name_of(url: str) -> str:
    return sql(url, "select name from core_organisation")[0]  # type: ignore[no-any-return]


def rename(url: str, name: str) -> None:
    sql(url, f"update core_organisation set name = '{name}'")


def test_a_backup_says_what_it_wrote_and_takes_the_place_of_what_is_there_which_is_kept(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    rename(database_url, "Before")
    answer = run("backup")
    assert answer.exit_code == 0, answer.output
    (file,) = tmp_path.glob("smhub-*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"Wrote {file.name}: {file.stat().st_size:,} bytes, schema core {NEWEST}" in answer.output
    assert "SMHUB_SECRET_KEYS, which are not in it" in answer.output
    rename(database_url, "After")
    refused = run("restore", file.name)
    assert (refused.exit_code, "With --replace" in refused.output) == (1, True)
    assert name_of(database_url) == "After"
    answer = run("restore", file.name, "--replace")
    assert answer.exit_code == 0, answer.output
    assert "epoch 2 begins" in answer.output
    assert "API keys that were revoked since are valid again" in answer.output
    assert name_of(database_url) == "Before"
    if database_url.startswith("sqlite"):
        assert name_of(f"sqlite:///{tmp_path / 'hub.db.before-restore'}") == "After"
        assert sorted(one.name for one in tmp_path.glob("hub.db*")) == ["hub.db", "hub.db.before-restore"]
    else:
        assert sql(database_url, "select name from before_restore.core_organisation") == ["After"]
    assert run("restore", file.name, "--replace").exit_code == 0, "what is kept already is not in the way"
    assert "up to date" in run("migrate").output
    assert run("doctor").exit_code == 0


def test_a_backup_goes_into_an_empty_database(run: Run, database_url: str, tmp_path: Path) -> None:
    rename(database_url, "Before")
    assert run("backup", "copy").exit_code == 0
    if database_url.startswith("sqlite"):
        (tmp_path / "hub.db").unlink()
    else:
        sql(database_url, "drop schema public cascade", "create schema public")
    answer = run("restore", "copy")
    assert answer.exit_code == 0, answer.output
    assert "kept" not in answer.output
    assert name_of(database_url) == "Before"


def test_an_existing_file_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("mine")
    answer = run("backup", "copy")
    assert (answer.exit_code, "exists already" in answer.output) == (1, True)
    assert (tmp_path / "copy").read_text() == "mine"
    answer = run("backup", "no/such/folder")
    assert (answer.exit_code, "cannot be written" in answer.output or "pg_dump failed" in answer.output) == (1, True)


def test_nothing_is_restored_while_a_hub_runs(run: Run, database_url: str) -> None:
    assert run("backup", "copy").exit_code == 0

    async def with_an_api() -> Result:
        runtime = make_runtime(Settings(database_url=database_url, secret_keys=KEYS), plugins=[])
        async with runtime.database.read() as session:
            await session.execute(text("select 1 from core_organisation"))
        try:
            return await asyncio.to_thread(run, "restore", "copy", "--replace")
        finally:
            await runtime.net.close()
            await runtime.database.close()

    refused = asyncio.run(with_an_api())
    assert (refused.exit_code, "Stop `smhub serve`" in refused.output) == (1, True), refused.output
    if database_url.startswith("sqlite"):
        with only_worker(Settings(database_url=database_url)):
            refused = run("restore", "copy", "--replace")
        assert "A worker is running" in refused.output
    else:
        sql(database_url, "insert into core_worker (id, started_at, seen_at, running) values ('w', now(), now(), 0)")
        refused = run("restore", "copy", "--replace")
        assert "A worker was here" in refused.output
    assert refused.exit_code == 1
    sql(database_url, "delete from core_worker")
    assert run("restore", "copy", "--replace").exit_code == 0


def test_a_backup_that_is_newer_than_the_code_is_refused_and_nothing_is_changed(run: Run, database_url: str) -> None:
    sql(database_url, "update alembic_version_core set version_num = 'c9999'")
    assert run("backup", "copy").exit_code == 0
    sql(database_url, f"update alembic_version_core set version_num = '{NEWEST}'")
    rename(database_url, "Mine")
    refused = run("restore", "copy", "--replace")
    assert (refused.exit_code, "newer than this smhub: core is at revision c9999" in refused.output) == (1, True)
    assert name_of(database_url) == "Mine"


def test_what_is_no_backup_or_one_of_another_kind_is_refused(run: Run, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("Guten Tag")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table t (x)")
    other.close()
    assert "is not a backup of smhub" in run("restore", "words", "--replace").output
    assert "cannot be read" in run("restore", "nothing", "--replace").output
    said = run("restore", "other.db", "--replace").output
    assert ("is not a backup of smhub" if database_url.startswith("sqlite") else "is a backup of an SQLite database") in said
    (tmp_path / "dump").write_bytes(b"PGDMP" + bytes(100))
    said = run("restore", "dump", "--replace").output
    assert ("is a backup of a PostgreSQL database" if database_url.startswith("sqlite") else "cannot be read") in said
    assert name_of(database_url) == "My organisation"


def test_a_damaged_backup_is_refused_and_the_hub_is_as_it_was(run: Run, database_url: str, tmp_path: Path) -> None:
    assert run("backup", "copy").exit_code == 0
    whole = (tmp_path / "copy").read_bytes()
    (tmp_path / "copy").write_bytes(whole[: len(whole) // 2])
    rename(database_url, "Mine")
    refused = run("restore", "copy", "--replace")
    assert (refused.exit_code, refused.output.startswith("Error: ")) == (1, True), refused.output
    assert name_of(database_url) == "Mine"
    assert run("doctor").exit_code == 0
    assert [one.name for one in tmp_path.glob("*restoring*")] == []


def test_a_copy_that_was_made_by_hand_is_taken_for_older_than_it_is(run: Run, database_url: str, tmp_path: Path) -> None:
    assert run("backup", "copy").exit_code == 0
    noted = sql(database_url, "select backup_at from core_epoch")[0]
    if database_url.startswith("sqlite"):
        (tmp_path / "by-hand").write_bytes((tmp_path / "hub.db").read_bytes())
        assert run("restore", "by-hand", "--replace").exit_code == 0
        assert sql(database_url, "select backup_at from core_epoch order by number") == [noted, None]
        return
    sql(database_url, "update core_epoch set backup_at = null")
    assert run("backup", "later").exit_code == 0
    assert sql(database_url, "select backup_at from core_epoch")[0] > noted


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_missing_or_too_old_program_is_told_with_the_way_out(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    answer = run("backup", "copy")
    assert (answer.exit_code, "pg_dump is not on the PATH" in answer.output, "postgresql-client" in answer.output) == (1, True, True)
    old = tmp_path / "bin/pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    old.chmod(0o755)
    answer = run("backup", "copy")
    assert (answer.exit_code, "of version 9, the server of" in answer.output) == (1, True)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_hub_does_not_start_in_what_was_restored_by_half_and_the_restore_can_be_run_again(run: Run, database_url: str) -> None:
    rename(database_url, "Before")
    assert run("backup", "copy").exit_code == 0

    async def cut_off() -> None:
        from smhub.db import server_copies

        connection: asyncpg.Connection = await server_copies.connect(database_url)
        await server_copies.make_way(connection)
        await connection.close()
        await server_copies.bring_back(database_url, Path("copy"))

    asyncio.run(cut_off())
    for command in ("migrate", "work"):
        refused = run(command)
        assert (refused.exit_code, "not finished" in refused.output) == (1, True), refused.output
    assert run("restore", "copy").exit_code == 1
    answer = run("restore", "copy", "--replace")
    assert answer.exit_code == 0, answer.output
    assert (name_of(database_url), sql(database_url, "select max(number) from core_epoch")) == ("Before", [2])
    assert sql(database_url, "select name from before_restore.core_organisation") == ["Before"]
