"""`smhub restore`: a backup takes the hub's place, and a new epoch begins.

Between the backup and the restore the hub went on: it said things, and told events, of which the backup does not know. So in one transaction
all that may have gone out since becomes unclear, events go on above every `seq` that was ever given out, and leases end. Only a database in
which that is done can be started.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.app.starting import all_scripts
from smhub.app.supervising import only_worker
from smhub.db import epochs, file_copies, server_copies
from smhub.db.clock import set_clock
from smhub.db.engine import Database
from smhub.db.file_copies import CopyError
from smhub.db.migrate import core_scripts, migrate, refuse_newer
from smhub.deliveries.restoring import Unclear, all_unclear
from smhub.events.log import Fact, leap, record
from smhub.hub.runtime import Runtime
from smhub.organisations.models import Organisation
from smhub.settings import SettingsError
from smhub.time import wire
from smhub.work.suspects import release_all

SEEN = 30
RUNNING = "Stop `smhub serve` and `smhub work` on every machine first, and run this again."


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `kept`: where the database is that was there before."""

    epoch: int
    backup_at: datetime
    unclear: Unclear
    migrated: list[str]
    kept: str | None = None


async def restore(runtime: Runtime, file: Path, *, replace: bool = False) -> Restored:
    """Put a backup into the place of the hub's database. Raises CopyError, or SchemaError when it is newer than the code; then nothing was
    changed."""
    try:
        with file.open("rb") as backup:
            begins = backup.read(len(file_copies.MAGIC))
    except OSError as error:
        raise CopyError(f"{file} cannot be read: {error.strerror or error}.") from error
    sqlite = begins == file_copies.MAGIC
    if not sqlite and not begins.startswith(server_copies.MAGIC):
        raise CopyError(f"{file} is not a backup of smhub.")
    if sqlite != runtime.settings.sqlite:
        of, here = ("SQLite", "PostgreSQL") if sqlite else ("PostgreSQL", "SQLite")
        raise CopyError(f"{file} is a backup of an {of} database, and SMHUB_DATABASE_URL names one of {here}.".replace("an P", "a P"))
    return await (_into_file if sqlite else _into_server)(runtime, file, replace)


async def _into_file(runtime: Runtime, file: Path, replace: bool) -> Restored:
    place = runtime.settings.sqlite_path
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_worker(runtime.settings))
        except SettingsError as error:
            raise CopyError(f"A worker is running on {place}. {RUNNING}") from error
        if not replace and not file_copies.is_empty(place):
            raise CopyError(f"{place} holds a hub already. With --replace the backup takes its place, and it is kept beside.")
        _refuse_used(place)
        new = place.with_name(f"{place.name}.restoring")
        file_copies.take_away(new)
        try:
            await asyncio.to_thread(file_copies.copy, file, new, "integrity_check")
            if not file_copies.has_table(new, core_scripts().version_table):
                raise CopyError(f"{file} is not a backup of smhub.")
            done = await _opened(runtime, f"sqlite:///{new}")
            file_copies.let_go(new)
            file_copies.synced(new)
            # Somebody may have begun meanwhile.
            _refuse_used(place)
            kept = file_copies.put(new, place)
        finally:
            file_copies.take_away(new)
    return msgspec.structs.replace(done, kept=str(kept) if kept else None)


def _refuse_used(place: Path) -> None:
    if place.exists() and not file_copies.let_go(place):
        raise CopyError(f"{place} is in use. {RUNNING}")


async def _into_server(runtime: Runtime, file: Path, replace: bool) -> Restored:
    url = runtime.settings.database_url
    for one in all_scripts(runtime.hub):
        known = await server_copies.revision(url, file, one.version_table)
        if one.owner == "core" and known is None:
            raise CopyError(f"{file} is not a backup of smhub.")
        refuse_newer(one, known)
    connection = await server_copies.connect(url)
    try:
        await _refuse_running(connection)
        if not replace and (await server_copies.is_halfway(connection) or not await server_copies.is_empty(connection)):
            raise CopyError(
                f"The database holds a hub already. With --replace the backup takes its place, and it is kept in a schema {server_copies.ASIDE}."
            )
        aside = await server_copies.make_way(connection)
        try:
            await server_copies.bring_back(url, file)
            done = await _opened(runtime, url)
        except BaseException:
            await runtime.database.close()
            await server_copies.give_up(connection, aside)
            raise
    except asyncpg.InsufficientPrivilegeError as error:
        raise CopyError(f"The database's user may not do this: {error}. It must own the schema public and may make others.") from error
    finally:
        await connection.close()
    return msgspec.structs.replace(done, kept=f"the schema {aside}" if aside else None)


async def _refuse_running(connection: Any) -> None:
    others = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'smhub'"
    if await connection.fetchval(others):
        raise CopyError(f"A hub is connected to this database. {RUNNING}")
    if await connection.fetchval("select to_regclass('public.core_worker') is not null"):
        seen = await connection.fetchval(f"select max(seen_at) > now() - interval '{SEEN} seconds' from public.core_worker")  # noqa: S608
        if seen:
            raise CopyError(f"A worker was here less than {SEEN} seconds ago. {RUNNING} After a crash, wait for {SEEN} seconds.")


async def _opened(runtime: Runtime, url: str) -> Restored:
    """Bring the copy up to date, and let a new epoch begin in it."""
    migrated = await migrate(url, all_scripts(runtime.hub))
    database = Database(url)
    try:
        await set_clock(runtime.clock, database)
        async with database.write() as session:
            done = await _new_epoch(session, runtime)
            if not runtime.settings.sqlite:
                await server_copies.finish(session)
    finally:
        await database.close()
    return msgspec.structs.replace(done, migrated=migrated)


async def _new_epoch(session: AsyncSession, runtime: Runtime) -> Restored:
    now = runtime.clock.now()
    last = await epochs.newest(session)
    # A copy that was made by hand does not know its own time: then it is as old as the last one that does.
    backup_at = min(last.backup_at or last.began_at, now)
    epoch = await epochs.begin(session, epochs.RESTORED, now)
    await release_all(session, runtime)
    await leap(session, (now - backup_at).total_seconds())
    for organisation_id in (await session.scalars(select(Organisation.id).order_by(Organisation.id))).all():
        fact = Fact(
            organisation_id=organisation_id,
            type="organisation.restored",
            subject_type="organisation",
            subject_id=organisation_id,
            at=now,
            data={"epoch": epoch.number, "backup_at": wire(backup_at)},
        )
        await record(session, fact)
    unclear = await all_unclear(session, runtime, backup_at)
    return Restored(epoch=epoch.number, backup_at=backup_at, unclear=unclear, migrated=[])
