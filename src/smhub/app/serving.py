"""The API process, and on SQLite the worker that it supervises."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

import uvicorn

from smhub.app.collecting import settle
from smhub.app.create import create_app
from smhub.app.supervising import supervised
from smhub.hub.runtime import Runtime
from smhub.settings import SettingsError

DRAIN = 30.0


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours: it would raise them again at its end, and the worker would be left behind."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def leave(self) -> None:
        """Finish what is running; a second signal cuts it off."""
        self.force_exit = self.should_exit
        self.should_exit = True


async def serve(runtime: Runtime, *, worker: bool, ready: Callable[[], None] | None = None) -> None:
    """Serve the API until SIGTERM or SIGINT; then finish what is running."""
    settings = runtime.settings
    app = create_app(runtime)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(DRAIN),
        proxy_headers=False,
        ws="none",
    )
    server = _Server(config)

    def leave() -> None:
        # A stream would go on until it is cut off.
        app.state["live"].end_all()
        server.leave()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    # The worker loads what the API has loaded; one after the other is ready sooner than both at once.
    up = asyncio.Event()
    async with supervised(runtime, after=up) if worker else contextlib.nullcontext():
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        settle()
        if server.started:
            up.set()
            if ready is not None:
                ready()
        try:
            await serving
        except SystemExit as error:
            raise SettingsError(f"Cannot listen on {settings.host}:{settings.port}; is something else running there?") from error
