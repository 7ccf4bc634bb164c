"""`smhub doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import shutil
import sqlite3
from typing import Literal

import msgspec
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from smhub.access.keyring import Unreadable
from smhub.access.models import StoredSecret
from smhub.app import starting
from smhub.app.hub_api import check
from smhub.app.making import make_runtime
from smhub.db.migrate import SchemaError, pending
from smhub.hub.runtime import Runtime
from smhub.settings import Settings

LITTLE_DISK = 1 << 30


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    level: Literal["ok", "warning", "error"]
    name: str
    text: str


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; raises SettingsError when the settings themselves are wrong."""
    runtime = make_runtime(settings)
    try:
        found = [Finding("ok", "settings", "they are valid"), *_address(settings), *_plugins(runtime), *_disk(settings)]
        found += await _database(runtime)
        return found
    finally:
        await runtime.net.close()
        await runtime.database.close()


def _address(settings: Settings) -> list[Finding]:
    if settings.public_url or settings.host in ("127.0.0.1", "localhost", "::1"):
        return [Finding("ok", "address", settings.base_url)]
    return [Finding("warning", "address", "the hub listens beyond this machine; set SMHUB_PUBLIC_URL to the address that others use")]


def _plugins(runtime: Runtime) -> list[Finding]:
    found = []
    for one in sorted(runtime.hub.records.values(), key=lambda record: record.id):
        bad = one.state in ("load_failed", "incompatible")
        found.append(Finding("error" if bad else "ok", f"plugin {one.id}", f"{one.state}: {one.reason}" if one.reason else one.state))
    return found


def _disk(settings: Settings) -> list[Finding]:
    if not settings.sqlite:
        return []
    free = shutil.disk_usage(settings.data_folder if settings.data_folder.exists() else ".").free
    if free < LITTLE_DISK:
        return [Finding("warning", "disk", f"only {free >> 20} MiB are free in {settings.data_folder}; make room before writes fail")]
    return [Finding("ok", "disk", f"{free >> 30} GiB are free in {settings.data_folder}")]


async def _database(runtime: Runtime) -> list[Finding]:
    try:
        async with runtime.database.read() as session:
            await session.execute(text("select 1"))
            connection = await session.connection()
            behind = await connection.run_sync(pending, starting.all_scripts(runtime.hub))
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        return [Finding("error", "database", f"it does not answer ({type(error).__name__}); check SMHUB_DATABASE_URL")]
    except SchemaError as error:
        return [Finding("error", "schema", str(error))]
    found = [Finding("ok", "database", runtime.database.dialect)]
    if behind:
        return [*found, Finding("warning", "schema", f"older than the code ({', '.join(behind)}); run `smhub migrate`")]
    found.append(Finding("ok", "schema", "up to date"))
    health = await check(runtime)
    found += [
        Finding("ok" if one.ok else "warning", one.name, one.detail if one.ok else f"{one.detail}; start `smhub serve` or `smhub work`")
        for one in health.checks
        if one.name == "worker"
    ]
    return [*found, await _secrets(runtime)]


async def _secrets(runtime: Runtime) -> Finding:
    unreadable = old = 0
    async with runtime.database.read() as session:
        for row in (await session.scalars(select(StoredSecret))).all():
            old += row.key_id != runtime.keyring.newest
            try:
                runtime.keyring.open(
                    row.key_id,
                    row.sealed,
                    organisation_id=row.organisation_id,
                    table=row.owner_table,
                    row_id=row.owner_id,
                    column=row.name,
                )
            except Unreadable:
                unreadable += 1
    if unreadable:
        return Finding("error", "secrets", f"{unreadable} cannot be opened; bring the missing key back into SMHUB_SECRET_KEYS")
    if old:
        return Finding("warning", "secrets", f"{old} are sealed with an older key; run `smhub key seal` before you take it away")
    return Finding("ok", "secrets", "all can be opened")
