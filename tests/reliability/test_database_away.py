"""The database is full, or gone: who reads goes on where that is possible, who writes is told to come again, no plugin is asked for what
could not be written down; and once it is back nobody has to be restarted."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

import world
from echo import mention
from servers import on_server
from world import Hub


class Door:
    """Stands between a hub and its server, and can be shut."""

    def __init__(self, folder: Path, behind: Path) -> None:
        self._path, self._behind = folder / behind.name, behind
        self._server: asyncio.Server | None = None
        self._through: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._enter, self._path)

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._through:
            writer.transport.abort()
        self._path.unlink(missing_ok=True)
        await asyncio.sleep(0.05)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(self._behind)
        self._through |= {writer, outer}
        await asyncio.gather(self._carry(reader, outer), self._carry(inner, writer))
        self._through -= {writer, outer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
        writer.close()


class Trouble:
    """A hub whose database can be put out of service and back. `reads`: whether reading goes on."""

    def __init__(self, hub: Hub, begin: Callable[[], Any], end: Callable[[], Any], *, reads: bool) -> None:
        self.hub, self.begin, self.end, self.reads = hub, begin, end, reads


@asynccontextmanager
async def gone(postgres: str, template: str, folder: Path) -> AsyncIterator[Trouble]:
    name = f"t{uuid.uuid4().hex}"
    on = asyncio.get_running_loop().run_in_executor
    await on(None, on_server, postgres, f"create database {name} template {template}")
    url = postgres.format(name)
    socket = next(Path(parse_qs(urlsplit(url).query)["host"][0]).glob(".s.PGSQL.*[0-9]"))
    short = Path(await on(None, lambda: subprocess.check_output(["mktemp", "-d"], text=True).strip()))
    door = Door(short, socket)
    await door.open()
    async with world.start(url.replace(str(socket.parent), str(short))) as hub:
        yield Trouble(hub, door.shut, door.open, reads=False)
    await door.shut()
    shutil.rmtree(short)
    await on(None, on_server, postgres, f"drop database {name} with (force)")


@asynccontextmanager
async def full_of_pages(template: Path, folder: Path) -> AsyncIterator[Trouble]:
    shutil.copy(template, folder / "hub.db")
    async with world.start(f"sqlite:///{folder / 'hub.db'}") as hub:

        async def at_most(pages: str) -> None:
            async with hub.database.write() as session:
                await session.execute(text(f"pragma max_page_count = {pages}"))

        yield Trouble(hub, lambda: at_most("1"), lambda: at_most("1000000000"), reads=True)


@asynccontextmanager
async def full_disk(template: Path, disk: Path) -> AsyncIterator[Trouble]:
    shutil.copy(template, disk / "hub.db")
    async with world.start(f"sqlite:///{disk / 'hub.db'}") as hub:
        filler = disk / "filler"

        async def fill() -> None:
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 4096)

        async def clear() -> None:
            filler.unlink()

        yield Trouble(hub, fill, clear, reads=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 32 MB; None where we may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True).returncode != 0:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=["gone", "full of pages", "full disk"])
async def trouble(
    request: pytest.FixtureRequest, tmp_path: Path, disk: Path | None, sqlite_template: Path, postgres: str, postgres_template: str
) -> AsyncIterator[Trouble]:
    if request.param == "gone":
        making = gone(postgres, postgres_template, tmp_path)
    elif request.param == "full disk" and disk is not None:
        making = full_disk(sqlite_template, disk)
    else:
        making = full_of_pages(sqlite_template, tmp_path)
    async with making as made:
        yield made


async def test_while_it_is_away_nothing_is_begun_or_half_done_and_then_all_goes_on(trouble: Trouble) -> None:
    hub = trouble.hub
    await hub.connect()
    await hub.work()
    working = asyncio.create_task(hub.runner.run())
    words = [f"{n}" + "x" * 90 for n in range(50)]
    await trouble.begin()
    fetched = hub.echo.fetched
    hub.echo.says(mention("1", "while it was away"))
    hub.clock.forward(hours=1)
    told: list[str] = []
    seen = [await hub.admin.post("/v1/departments", json={"name": f"d{n}", "slug": f"d{n}", "keywords": words}) for n in range(20)]
    for answer in seen:
        assert answer.status_code in (201, 503), answer.text
        if answer.status_code == 503:
            assert answer.json()["code"] == "unavailable"
            assert int(answer.headers["retry-after"]) >= 1
        else:
            told.append(answer.json()["name"])
    assert {answer.status_code for answer in seen[-3:]} == {503}
    read = await hub.admin.get("/v1/mentions")
    assert read.status_code == (200 if trouble.reads else 503), read.text
    await asyncio.sleep(2.5)
    assert hub.echo.fetched == fetched
    assert not working.done()
    await trouble.end()
    async with asyncio.timeout(30):
        while not [one async for one in _found(hub)]:
            await asyncio.sleep(0.1)
    assert [one["name"] for one in (await hub.get("/v1/departments"))["items"]][::-1] == told
    await hub.post("/v1/departments", {"name": "after", "slug": "after"})
    (intake,) = (await hub.get("/v1/intakes"))["items"]
    assert (intake["state"], intake["failures"]) == ("active", 0)
    hub.runner.stop()
    await working


async def _found(hub: Hub) -> AsyncIterator[dict[str, Any]]:
    answer = await hub.admin.get("/v1/mentions")
    for one in answer.json().get("items", []):
        yield one


async def test_a_server_without_room_for_connections_is_busy_and_not_broken(
    postgres: str, postgres_template: str, tmp_path: Path
) -> None:
    async with gone(postgres, postgres_template, tmp_path) as trouble:
        hub = trouble.hub
        await hub.get("/v1/members")
        others: list[asyncpg.Connection] = []
        with suppress(asyncpg.PostgresError):
            while True:
                others.append(await asyncpg.connect(postgres.format("postgres")))
        working = asyncio.create_task(hub.runner.run())
        seen = await asyncio.gather(*(hub.admin.post("/v1/members", json={"name": f"m{n}"}) for n in range(12)))
        seen += await asyncio.gather(*(hub.admin.get("/v1/members") for n in range(12)))
        assert {answer.status_code for answer in seen} <= {200, 201, 503}, [one.text for one in seen if one.status_code == 500]
        assert 503 in {answer.status_code for answer in seen}
        for other in others:
            await other.close()
        async with asyncio.timeout(20):
            while (await hub.admin.post("/v1/members", json={"name": "after"})).status_code != 201:
                await asyncio.sleep(0.1)
        assert not working.done()
        hub.runner.stop()
        await working
