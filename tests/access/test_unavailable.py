"""The database does not serve for a while: who writes is told to come again, nobody is told a lie, and afterwards all is well."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import asyncpg

from smhub.db import engine
from smhub.db.engine import is_unavailable
from world import Hub, start


async def test_while_another_writes_a_writer_is_asked_to_wait_and_readers_go_on(database_url: str) -> None:
    async with start(database_url) as hub:
        await hub.post("/v1/members", {"name": "Before"})
        lock = await _lock(hub)
        began = time.monotonic()
        writing = asyncio.create_task(hub.admin.patch("/v1/organisation", json={"name": "During"}))
        await asyncio.sleep(0.3)
        assert (await hub.admin.get("/v1/members")).status_code == 200
        assert time.monotonic() - began < 3
        answer = await writing
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert engine.WAIT - 1 < time.monotonic() - began < engine.WAIT + 3
        await _unlock(lock)
        assert (await hub.admin.patch("/v1/organisation", json={"name": "After"})).status_code == 200
        assert (await hub.get("/v1/organisation"))["name"] == "After"


async def _lock(hub: Hub) -> sqlite3.Connection | asyncpg.Connection:
    if hub.database.dialect == "sqlite":
        connection = sqlite3.connect(hub.database.url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("begin immediate")
        return connection
    other = await asyncpg.connect(hub.database.url)
    await other.execute("begin; select * from core_organisation for update")
    return other


async def _unlock(lock: sqlite3.Connection | asyncpg.Connection) -> None:
    if isinstance(lock, sqlite3.Connection):
        lock.execute("rollback")
        lock.close()
    else:
        await lock.execute("rollback")
        await lock.close()


async def test_after_all_connections_were_cut_the_hub_finds_back(hub: Hub) -> None:
    await asyncio.gather(*(hub.admin.get("/v1/members") for _ in range(6)))
    await hub.post("/v1/members", {"name": "Before"})
    await _cut(hub)
    seen = [await hub.admin.get("/v1/members") for _ in range(6)]
    seen += [await hub.admin.post("/v1/members", json={"name": f"m{n}"}) for n in range(20)]
    assert {answer.status_code for answer in seen} <= {200, 201, 503}, [one.text for one in seen if one.status_code not in (200, 201)]
    assert all("retry-after" in one.headers for one in seen if one.status_code == 503)
    assert seen[-1].status_code == 201
    said = {answer.json()["name"] for answer in seen if answer.status_code == 201}
    stored = {one["name"] for one in (await hub.get("/v1/members", params={"limit": 200}))["items"]}
    assert said <= stored


async def _cut(hub: Hub) -> None:
    if hub.database.dialect == "postgresql":
        other = await asyncpg.connect(hub.database.url)
        await other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        await other.close()
    else:
        await hub.database.close()
        hub.database.reader.__init__(hub.database.url.removeprefix("sqlite:///"))  # type: ignore[misc]


def test_what_may_pass_is_told_from_what_is_wrong() -> None:
    for passing in (
        sqlite3.OperationalError("database is locked"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.TooManyConnectionsError("sorry, too many connections"),
        ConnectionResetError(),
        TimeoutError(),
    ):
        assert is_unavailable(passing), passing
    for wrong in (sqlite3.OperationalError("no such table: x"), asyncpg.UndefinedTableError("x"), ValueError("database is locked")):
        assert not is_unavailable(wrong), wrong
