"""A server process for a benchmark: the hub's API on a database that stands already, or a bare handler that answers given bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from litestar import Litestar, Response, get
from uvicorn import Config, Server

from bench.common import KEYS
from smhub.app.create import create_app
from smhub.app.making import make_runtime
from smhub.settings import Settings


@contextlib.contextmanager
def server(port: int, *, url: str = "", body: Path | None = None) -> Iterator[int]:
    """Start one and wait until it listens; gives its process id."""
    arguments = [sys.executable, "-m", "bench.served", str(port), url or "-", str(body or "-")]
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


def main() -> None:
    """`python -m bench.served PORT URL BODY`."""
    port, url, body = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if body != "-":
        content = Path(body).read_bytes()

        @get("/v1/mentions", sync_to_thread=False)
        def bare() -> Response[bytes]:
            return Response(content, media_type="application/json")

        app = Litestar([bare], openapi_config=None)
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
