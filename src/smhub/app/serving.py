"""The processes: an API process that on SQLite starts and watches one worker, and the worker itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
import uvicorn
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from smhub.app.create import create_app
from smhub.hub.runtime import Runtime
from smhub.settings import Settings, SettingsError
from smhub.work.models import Worker

log = structlog.get_logger("smhub.serve")
DRAIN = 30.0
SILENCE = timedelta(seconds=45)


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
    )
    server = _Server(config)

    def leave() -> None:
        # A stream would go on until it is cut off.
        app.state["live"].end_all()
        server.leave()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    async with _watched_worker(runtime) if worker else contextlib.nullcontext():
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if ready is not None and server.started:
            ready()
        try:
            await serving
        except SystemExit as error:
            raise SettingsError(f"Cannot listen on {settings.host}:{settings.port}; is something else running there?") from error


@asynccontextmanager
async def _watched_worker(runtime: Runtime) -> AsyncIterator[None]:
    """A worker process beside the API: restarted when it ends, killed and restarted when it says nothing any more."""
    watching = asyncio.create_task(_watch(runtime))
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _watch(runtime: Runtime) -> None:
    pause = 0.5
    while True:
        started = runtime.clock.monotonic()
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "smhub.app.working", env=_environment(runtime.settings))
        try:
            await _until_it_ends(runtime, process)
        except asyncio.CancelledError:
            await _end(process)
            raise
        long_enough = runtime.clock.monotonic() - started > 60
        pause = 0.5 if long_enough else min(pause * 2, 30.0)
        log.warning("worker_ended", code=process.returncode, restart_in=pause)
        await asyncio.sleep(pause)


async def _until_it_ends(runtime: Runtime, process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10.0)
            return
        if await _is_silent(runtime):
            log.error("worker_silent", pid=process.pid)
            process.kill()
            await process.wait()


async def _is_silent(runtime: Runtime) -> bool:
    try:
        async with runtime.database.read() as session:
            seen = (await session.execute(select(func.max(Worker.seen_at)))).scalar_one_or_none()
    except (SQLAlchemyError, OSError):
        return False
    return seen is not None and runtime.clock.now() - seen > SILENCE


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), DRAIN + 5)
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    """What the worker is started with: this process' environment, with the database that flags may have changed."""
    return {**os.environ, "SMHUB_DATABASE_URL": settings.database_url}
