"""`smhub backup`: a consistent copy of everything that is stored, while the hub goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import msgspec

from smhub.db import epochs, file_copies, server_copies
from smhub.db.clock import set_clock
from smhub.db.file_copies import CopyError
from smhub.db.migrate import SchemaError, revisions
from smhub.hub.runtime import Runtime


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: where, how many bytes, when it was begun, and each owner's revision of the schema."""

    file: Path
    size: int
    at: datetime
    revisions: dict[str, str]


async def backup(runtime: Runtime, to: Path) -> Written:
    """Write a copy to a file, or under a name with the time into a folder. Raises CopyError, also when the file exists."""
    if runtime.settings.sqlite and file_copies.is_empty(runtime.settings.sqlite_path):
        raise CopyError(f"There is no hub in {runtime.settings.sqlite_path}; check SMHUB_DATABASE_URL.")
    if not runtime.settings.sqlite:
        await server_copies.program("pg_dump", runtime.settings.database_url)
    await set_clock(runtime.clock, runtime.database)
    at = runtime.clock.now()
    end = "db" if runtime.settings.sqlite else "dump"
    file = to / f"smhub-{at:%Y%m%dT%H%M%SZ}.{end}" if to.is_dir() else to
    if file.exists():
        raise CopyError(f"{file} exists already; nothing was overwritten. Name another file, or a folder.")
    known = await _noted(runtime, at)
    part = file.with_name(f".{file.name}.part")
    try:
        if runtime.settings.sqlite:
            await asyncio.to_thread(file_copies.copy, runtime.settings.sqlite_path, part, "quick_check")
        else:
            await server_copies.dump(runtime.settings.database_url, part)
        file_copies.synced(part)
        part.rename(file)
    except OSError as error:
        raise CopyError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        file_copies.take_away(part)
    file_copies.synced(file.parent)
    return Written(file=file, size=file.stat().st_size, at=at, revisions=known)


async def _noted(runtime: Runtime, at: datetime) -> dict[str, str]:
    """Write down that a backup is begun now, so that the copy knows how old it is."""
    async with runtime.database.write() as session:
        known = await (await session.connection()).run_sync(revisions)
        if known.get("core", "") < "c0004":
            raise SchemaError("The database is older than the backups of this version. Run `smhub migrate` first.")
        (await epochs.newest(session)).backup_at = at
    return known
