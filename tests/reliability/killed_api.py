"""Run as a script: the API process of `smhub serve --no-worker` again and again, for somebody else to kill.

    python killed_api.py DATABASE_URL PORT

Each byte on stdin starts it; the end of stdin ends everything. It says `pid N`, `ready` once it serves, and `ended STATUS` as os.waitpid
tells it. Each life is a process of its own: forked, so that the imports are paid once, and before anything is opened.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from echo import EchoPlugin
from smhub import log
from smhub.app.making import make_runtime
from smhub.app.serving import serve
from smhub.app.starting import prepare
from smhub.secret import Secret
from smhub.settings import Settings


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(3)


async def live(url: str, port: int) -> None:
    settings = Settings(
        database_url=url, port=port, secret_keys=Secret("t1:" + "ab" * 32), log="critical", requests_per_minute=10_000_000
    )
    runtime = make_runtime(settings, plugins=[EchoPlugin()])
    await prepare(runtime)
    await serve(runtime, worker=False, ready=lambda: say("ready"))
    await runtime.net.close()
    await runtime.database.close()


def main(url: str, port: int) -> None:
    log.configure("critical", "json")
    while os.read(0, 1):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                threading.Thread(target=end_with_stdin, daemon=True).start()
                asyncio.run(live(url, port))
                code = 0
            finally:
                os._exit(code)
        say(f"pid {child}")
        say(f"ended {os.waitpid(child, 0)[1]}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
