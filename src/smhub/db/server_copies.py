"""Copies of a PostgreSQL database: made and read by PostgreSQL's own programs, which must be on the PATH.

A restore puts the old tables aside, in a schema of their own. While it lasts there is a schema HALFWAY, and no hub starts: what was brought
back must not be worked on before it is known to be unclear.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession

from smhub.db.file_copies import CopyError
from smhub.db.migrate import SchemaError
from smhub.db.read import connect_to_postgres

MAGIC = b"PGDMP"
HALFWAY, ASIDE = "smhub_restoring", "before_restore"
NOT_KNOWN = 'unrecognized configuration parameter "transaction_timeout"'
"""A pg_restore of version 17 or newer sets it on older servers too; it does not matter."""
FINISH = f"drop schema {HALFWAY}"


async def refuse_half_restored(url: str) -> None:
    """Raise SchemaError when a restore was begun here and not finished."""
    connection = await connect(url)
    try:
        if await is_halfway(connection):
            raise SchemaError("A restore was begun here and is not finished. Run `smhub restore` again, with --replace.")
    finally:
        await connection.close()


async def connect(url: str) -> Any:
    """A connection that is not taken for a hub's."""
    return await connect_to_postgres(url, application_name="smhub restore")


async def program(name: str, url: str) -> str:
    """Where it is. Raises CopyError when it is missing, or too old for the server."""
    found = shutil.which(name)
    if found is None:
        raise CopyError(
            f"{name} is not on the PATH. It comes with PostgreSQL's client programs (Debian: postgresql-client, Alpine: postgresql-client, "
            "macOS: libpq); install them in the server's version or a newer one, or run this where they are."
        )
    connection = await connect(url)
    try:
        server = connection.get_server_version().major
    finally:
        await connection.close()
    _, said, _ = await _run(found, url, "--version")
    version = re.search(r"(\d+)[.\d]*", said)
    if version is None or int(version[1]) < server:
        raise CopyError(
            f"{found} is of version {version[1] if version else 'unknown'}, the server of {server}, and an older {name} cannot handle it. "
            f"Install PostgreSQL's client programs of version {server} or newer, and put them first on the PATH."
        )
    return found


async def dump(url: str, target: Path) -> None:
    """A consistent copy in one file, readable by its owner only."""
    pg_dump = await program("pg_dump", url)
    target.touch(mode=0o600)
    code, _, wrong = await _run(
        pg_dump,
        url,
        "--format=custom",
        "--schema=public",
        "--no-owner",
        "--no-privileges",
        f"--file={target}",
        f"--dbname={_plain(url)}",
    )
    if code != 0:
        raise CopyError(f"pg_dump failed: {wrong.strip()}")


async def revision(url: str, file: Path, table: str) -> str | None:
    """What stands in a version table of the copy; None: it has no such table."""
    pg_restore = await program("pg_restore", url)
    code, said, wrong = await _run(pg_restore, url, "--data-only", f"--table={table}", "--file=-", str(file))
    if code != 0:
        raise CopyError(f"{file} cannot be read: {wrong.strip()}")
    found = re.search(r"^COPY .*;\n(.+)\n\\\.$", said, re.MULTILINE)
    return found[1] if found else None


async def bring_back(url: str, file: Path) -> None:
    """Put the copy's tables into the empty schema public."""
    pg_restore = await program("pg_restore", url)
    _, _, wrong = await _run(pg_restore, url, "--schema=public", "--no-owner", "--no-privileges", f"--dbname={_plain(url)}", str(file))
    errors = [line for line in wrong.splitlines() if "error:" in line and NOT_KNOWN not in line]
    if errors:
        raise CopyError(f"pg_restore failed: {'; '.join(errors[:3])}")


async def make_way(connection: Any) -> str | None:
    """Begin: put the present tables aside. Returns the schema that holds them, None when there were none."""
    async with connection.transaction():
        if await is_halfway(connection):
            # Cut off the last time: what is in public is half a copy, and the old tables are aside already.
            aside: str | None = await connection.fetchval(f"select obj_description('{HALFWAY}'::regnamespace, 'pg_namespace')")
            await connection.execute("drop schema public cascade")
        else:
            await connection.execute(f"create schema {HALFWAY}")
            if await is_empty(connection):
                return None
            aside = await _free(connection)
            await connection.execute(f"comment on schema {HALFWAY} is '{aside}'")
            await connection.execute(f"alter schema public rename to {aside}")
        await connection.execute("create schema public")
        await connection.execute("grant usage on schema public to public")
    return aside


async def give_up(connection: Any, aside: str | None) -> None:
    """Undo make_way: the old tables are back."""
    async with connection.transaction():
        await connection.execute("drop schema public cascade")
        await connection.execute(f"alter schema {aside} rename to public" if aside else "create schema public")
        await connection.execute(FINISH)


async def finish(session: AsyncSession) -> None:
    """In the transaction after which a hub may start."""
    await session.execute(text(FINISH))


async def is_halfway(connection: Any) -> bool:
    """Whether a restore is under way, or was cut off."""
    return bool(await connection.fetchval("select to_regnamespace($1) is not null", HALFWAY))


async def is_empty(connection: Any) -> bool:
    """Whether there is no table in public."""
    return not await connection.fetchval("select exists (select from pg_tables where schemaname = 'public')")


async def _free(connection: Any) -> str:
    name, number = ASIDE, 1
    while await connection.fetchval("select to_regnamespace($1) is not null", name):
        number += 1
        name = f"{ASIDE}_{number}"
    return name


def _plain(url: str) -> str:
    """The address without the password: others on this machine may see what a program is called with."""
    full = make_url(url)
    return URL.create("postgresql", full.username, None, full.host, full.port, full.database, full.query).render_as_string()


async def _run(path: str, url: str, *words: str) -> tuple[int, str, str]:
    password = make_url(url).password
    environment = {**os.environ, "LC_ALL": "C", **({"PGPASSWORD": str(password)} if password else {})}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        path, *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment
    )
    try:
        said, wrong = await process.communicate()
    except BaseException:
        process.kill()
        raise
    return await process.wait(), said.decode(errors="replace"), wrong.decode(errors="replace")
