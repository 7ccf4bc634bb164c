"""GET /v1/mentions, a page of 50 with the key checked, against a bare Litestar handler that answers the same bytes.

Bounds: requests/s at least 0.15 of the bare handler's; p50 with a million mentions at most 1.3 times that with ten thousand.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import asyncpg

from bench import load
from bench.common import again, databases, free_port, hub, percentile, seed, show, the_organisation
from bench.served import server

SMALL = 10_000
LARGE = int(os.environ.get("BENCH_ROWS", "1000000"))
PATH = "/v1/mentions?limit=50"


def run() -> None:
    with databases() as found:
        for database, url in found:
            asyncio.run(_fill(url, SMALL, 0))
            ours, bare = _ours_and_bare(url)
            show("list", database, ours.rate, "requests/s", bare.rate, len(ours.seconds))
            grown = asyncio.run(_copy(url))
            asyncio.run(_fill(grown, LARGE - SMALL, SMALL))
            large, small = _large_and_small(grown, url)
            p50 = (percentile(large.seconds, 0.5) * 1000, percentile(small.seconds, 0.5) * 1000)
            show("list_p50_at_a_million", database, p50[0], "ms", p50[1], LARGE)


KEY: list[str] = []
ROUNDS = 5


def _ours_and_bare(url: str) -> tuple[load.Load, load.Load]:
    """Ours, and the bare handler that answers the same bytes."""
    ours, bare = free_port(), free_port()
    with server(ours, url=url), tempfile.NamedTemporaryFile(suffix=".json") as file:
        Path(file.name).write_bytes(asyncio.run(load.run(ours, PATH, key=KEY[0], seconds=1.0)).body)
        with server(bare, body=Path(file.name)):
            return _in_turns((ours, KEY[0]), (bare, None))


def _large_and_small(large: str, small: str) -> tuple[load.Load, load.Load]:
    """The same hub with a million mentions, and with ten thousand."""
    ports = free_port(), free_port()
    with server(ports[0], url=large), server(ports[1], url=small):
        for port in ports:
            asyncio.run(load.run(port, PATH, key=KEY[0], seconds=1.0))
        return _in_turns((ports[0], KEY[0]), (ports[1], KEY[0]))


def _in_turns(one: tuple[int, str | None], other: tuple[int, str | None]) -> tuple[load.Load, load.Load]:
    """Both in turns, so that a slow minute of the machine hits both; the median round of each."""
    rounds = [[asyncio.run(load.run(port, PATH, key=key, seconds=2.0)) for port, key in (one, other)] for _ in range(ROUNDS)]
    first, second = (sorted(which, key=lambda each: each.rate)[ROUNDS // 2] for which in zip(*rounds, strict=True))
    return first, second


async def _copy(url: str) -> str:
    """A copy of a database that nobody has open, beside it."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        grown = file.with_name("grown.db")
        shutil.copy(file, grown)
        return f"sqlite:///{grown}"
    connection = await asyncpg.connect(url.rsplit("/", 1)[0] + "/template1?" + url.partition("?")[2])
    name = url.rsplit("/", 1)[1].partition("?")[0]
    await connection.execute(f"create database grown template {name}")
    await connection.close()
    return url.replace(f"/{name}?", "/grown?")


async def _fill(url: str, count: int, start: int) -> None:
    if start == 0:
        async with hub(url) as (runtime, key):
            KEY[:] = [key]
            await seed(runtime, await the_organisation(runtime), count)
        return
    runtime = again(url)
    await seed(runtime, await the_organisation(runtime), count, start=start)
    await runtime.database.close()
