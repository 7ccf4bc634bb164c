"""The processes: an API process that on SQLite starts and watches one worker, and the worker itself."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from smhub.app.create import create_app
from smhub.hub.runtime import Runtime
from smhub.settings import Settings, SettingsError
from smhub.work.models import Worker
from smhub.work.running import Runner

log = structlog.get_logger("smhub.serve")
DRAIN = 30.0
SILENCE = timedelta(seconds=45)


async def serve(runtime: Runtime, *, worker: bool, ready: Callable[[], None] | None = None) -> None:
    """Serve the API until SIGTERM or SIGINT; then finish what is running."""
    settings = runtime.settings
    config = uvicorn.Config(
        create_app(runtime),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(DRAIN),
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
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
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "smhub", "work", "--child", env=_environment(runtime.settings)
        )
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


async def work(runtime: Runtime) -> None:
    """Run jobs until SIGTERM or SIGINT; then take nothing new and finish what is running, within half a minute."""
    runner = Runner(runtime, slots=runtime.settings.worker_slots)
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    def drain() -> None:
        if not draining:
            draining.append(asyncio.create_task(runner.drain(DRAIN)))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)
    if runtime.database.dialect == "sqlite":
        # Only one works here, so whoever is still listed was killed.
        async with runtime.database.write() as session:
            await session.execute(delete(Worker))
    log.info("worker_started", worker=runner.name, slots=runtime.settings.worker_slots)
    await runner.run()
    await asyncio.gather(*draining)
    await runtime.net.close()
    await runtime.database.close()
    log.info("worker_ended", worker=runner.name)


@contextmanager
def only_worker(settings: Settings) -> Iterator[None]:
    """On SQLite there is one worker: a second one is refused."""
    if not settings.sqlite:
        yield
        return
    file = Path(settings.data_folder) / "worker.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(
                f"A worker is running on {settings.sqlite_path} already (`smhub serve` starts one). "
                "SQLite has one writer; for several workers use PostgreSQL: SMHUB_DATABASE_URL=postgresql://…"
            ) from error
        yield
