"""GET /v1/mentions, a page of 50 with the key checked, against a bare Litestar handler that answers the same bytes.

Bounds: requests/s at least 0.15 of the bare handler's; p50 with a million mentions at most 1.3 times that with ten thousand.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

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
            key = KEY[0]
            small, bare = _side_by_side(url, key)
            show("list", database, small.rate, "requests/s", bare.rate, len(small.seconds))
            asyncio.run(_fill(url, LARGE - SMALL, SMALL))
            large = _measure(url, key)
            p50 = (percentile(large.seconds, 0.5) * 1000, percentile(small.seconds, 0.5) * 1000)
            show("list_p50_at_a_million", database, p50[0], "ms", p50[1], LARGE)


KEY: list[str] = []
ROUNDS = 5


def _side_by_side(url: str, key: str) -> tuple[load.Load, load.Load]:
    """Ours and the bare handler's in turns, so that a slow minute of the machine hits both; the median round of each."""
    ours, bare = free_port(), free_port()
    with server(ours, url=url), tempfile.NamedTemporaryFile(suffix=".json") as file:
        Path(file.name).write_bytes(asyncio.run(load.run(ours, PATH, key=key, seconds=1.0)).body)
        with server(bare, body=Path(file.name)):
            rounds = [
                (asyncio.run(load.run(ours, PATH, key=key, seconds=2.0)), asyncio.run(load.run(bare, PATH, key=None, seconds=2.0)))
                for _ in range(ROUNDS)
            ]
    middle = ROUNDS // 2
    return tuple(sorted(which, key=lambda one: one.rate)[middle] for which in zip(*rounds, strict=True))


async def _fill(url: str, count: int, start: int) -> None:
    if start == 0:
        async with hub(url) as (runtime, key):
            KEY[:] = [key]
            await seed(runtime, await the_organisation(runtime), count)
        return
    runtime = again(url)
    await seed(runtime, await the_organisation(runtime), count, start=start)
    await runtime.database.close()


def _measure(url: str, key: str) -> load.Load:
    port = free_port()
    with server(port, url=url):
        asyncio.run(load.run(port, PATH, key=key, seconds=1.0))
        return asyncio.run(load.run(port, PATH, key=key))
