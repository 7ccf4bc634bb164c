"""A server process for a benchmark: the hub's API on a database that stands already, or a bare handler that answers given bytes,
one that hands what is sent to it to everybody who listens, or one that takes whatever is sent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.response import Stream
from uvicorn import Config, Server

from bench.common import KEYS
from smhub.app.create import create_app
from smhub.app.making import make_runtime
from smhub.settings import Settings


@contextlib.contextmanager
def server(port: int, *, url: str = "", body: Path | None = None, streams: bool = False, takes: bool = False) -> Iterator[int]:
    """Start one and wait until it listens; gives its process id."""
    arguments = [
        sys.executable,
        "-m",
        "bench.served",
        str(port),
        "streams" if streams else "takes" if takes else url or "-",
        str(body or "-"),
    ]
    process = subprocess.Popen(arguments, env=os.environ)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _streams() -> Litestar:
    queues: list[asyncio.Queue[bytes]] = []

    @get("/stream")
    async def stream() -> Stream:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues.append(queue)

        async def lines() -> AsyncIterator[bytes]:
            yield b"retry: 2000\n\n"
            while True:
                yield await queue.get()

        return Stream(lines(), media_type="text/event-stream")

    @post("/hand-on", status_code=204)
    async def hand_on(request: Request[Any, Any, Any]) -> None:
        line = await request.body()
        for queue in queues:
            queue.put_nowait(line)

    return Litestar([stream, hand_on], openapi_config=None, logging_config=None)


def _takes() -> Litestar:
    @post("/take", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> str:
        await request.body()
        return "ok"

    return Litestar([take], openapi_config=None, logging_config=None)


def main() -> None:
    """`python -m bench.served PORT URL BODY`."""
    port, url, body = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if body != "-":
        content = Path(body).read_bytes()

        @get("/v1/mentions", sync_to_thread=False)
        def bare() -> Response[bytes]:
            return Response(content, media_type="application/json")

        app = Litestar([bare], openapi_config=None)
    elif url == "streams":
        app = _streams()
    elif url == "takes":
        app = _takes()
    else:
        settings = Settings(
            database_url=url,
            secret_keys=KEYS,
            requests_per_minute=10_000_000,
            log="error",
            plugin_folder=os.environ.get("SMHUB_PLUGIN_FOLDER", ""),
            plugins=os.environ.get("SMHUB_PLUGINS", ""),
            allow_private_hosts=os.environ.get("SMHUB_ALLOW_PRIVATE_HOSTS", ""),
        )
        app = create_app(make_runtime(settings))
    asyncio.run(Server(Config(app, port=port, log_config=None, access_log=False)).serve())


if __name__ == "__main__":
    main()
