"""Migrations: the core's and each plugin's, one version table each, in one transaction, safe when several processes start at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from smhub.db.engine import postgres_engine, sqlite_engine

LOCK = 7_362_018
VERSIONS = "alembic_version_"


class SchemaError(Exception):
    """The database and the code do not fit together; the text says what to do."""


class Scripts(msgspec.Struct, frozen=True):
    """Whose migrations, and the folder that holds its `versions`. The tables of `owner` begin with `<owner>_`."""

    owner: str
    folder: Path

    @property
    def version_table(self) -> str:
        return f"{VERSIONS}{self.owner}"


def core_scripts() -> Scripts:
    """The core's own: beside the package in a wheel, at the top of a checkout."""
    packaged = Path(__file__).parents[1] / "_migrations"
    return Scripts("core", packaged if packaged.exists() else Path(__file__).parents[3] / "migrations")


async def migrate(url: str, scripts: Sequence[Scripts]) -> list[str]:
    """Bring the database to the newest schema; returns what was done, in words. Nothing is half done when it fails."""
    sqlite = url.startswith("sqlite")
    if sqlite:
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        # Rebuilding a table with foreign keys on would empty the tables that refer to it.
        engine = sqlite_engine(str(path), foreign_keys=False)
    else:
        engine = postgres_engine(url, 1)
    try:
        async with engine.begin() as connection:
            if not sqlite:
                await connection.execute(text("set local lock_timeout = '120s'"))
                await connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
                await connection.execute(text("set local lock_timeout = '5s'"))
            return await connection.run_sync(_upgrade_all, scripts)
    finally:
        await engine.dispose()


def _upgrade_all(connection: Connection, scripts: Sequence[Scripts]) -> list[str]:
    done = []
    for one in scripts:
        before = current(connection, one)
        refuse_newer(one, before)
        command.upgrade(config(one, connection), "heads")
        after = current(connection, one)
        if after != before:
            done.append(f"{one.owner}: {before or 'empty'} to {after}")
    if connection.dialect.name == "sqlite" and (broken := connection.execute(text("pragma foreign_key_check")).all()):
        raise SchemaError(f"A migration left references to nowhere: {broken[:5]}. Nothing was changed.")
    return done


def config(scripts: Scripts, connection: Connection | None = None, **attributes: Any) -> Config:
    """Alembic's settings for one owner."""
    made = Config()
    made.set_main_option("script_location", str(core_scripts().folder))
    made.set_main_option("path_separator", "newline")
    made.set_main_option("version_locations", str(scripts.folder / "versions"))
    made.attributes.update(connection=connection, version_table=scripts.version_table, prefix=f"{scripts.owner}_", **attributes)
    return made


def head(scripts: Scripts) -> str:
    """The newest revision of the scripts; SchemaError when they are no chain that ends in one."""
    try:
        found = ScriptDirectory(str(scripts.folder)).get_heads()
    except (CommandError, RevisionError, OSError) as error:
        raise SchemaError(f"the migrations in {scripts.folder} cannot be read: {error}") from error
    if len(found) != 1:
        raise SchemaError(
            f"the migrations in {scripts.folder} end in {len(found)} places: {', '.join(sorted(found)) or 'there are none'}"
        )
    return found[0]


def current(connection: Connection, scripts: Scripts) -> str | None:
    """The revision that the database is at, None when it has none of these tables."""
    context = MigrationContext.configure(connection, opts={"version_table": scripts.version_table})
    return context.get_current_revision()


def revisions(connection: Connection) -> dict[str, str]:
    """The revision of each owner that has tables here, plugins that are not loaded included."""
    tables = [name for name in inspect(connection).get_table_names() if name.startswith(VERSIONS)]
    asked = {name.removeprefix(VERSIONS): text(f'select version_num from "{name}"') for name in sorted(tables)}  # noqa: S608
    return {owner: str(connection.execute(ask).scalar_one()) for owner, ask in asked.items()}


def refuse_newer(scripts: Scripts, revision: str | None) -> None:
    """Raise SchemaError when the database was written by newer code."""
    directory = ScriptDirectory.from_config(config(scripts))
    known = {script.revision for script in directory.walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaError(
            f"The database is newer than this smhub: {scripts.owner} is at revision {revision}, which this version does not know. "
            "Start the newer version again, or restore a backup that was made before the upgrade."
        )


def pending(connection: Connection, scripts: Sequence[Scripts]) -> list[str]:
    """The owners whose schema is older than the code; raises SchemaError when one is newer."""
    behind = []
    for one in scripts:
        revision = current(connection, one)
        refuse_newer(one, revision)
        if revision != ScriptDirectory.from_config(config(one)).get_current_head():
            behind.append(one.owner)
    return behind
