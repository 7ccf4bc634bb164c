"""The worker process. `python -m smhub.app.working` is what `smhub serve` starts beside the API; it loads no web framework."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy import delete

from smhub import log as logging_
from smhub import settings as settings_
from smhub.app.making import make_runtime
from smhub.hub.runtime import Runtime
from smhub.settings import Settings, SettingsError
from smhub.work.models import Worker
from smhub.work.running import Runner

log = structlog.get_logger("smhub.worker")
DRAIN = 30.0
PATIENCE = 60.0


async def work(runtime: Runtime, *, child: bool = False) -> None:
    """Run jobs until SIGTERM or SIGINT; then take nothing new and finish what is running, within half a minute. A `child` also stops
    when its parent is gone."""
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
    orphaned = asyncio.create_task(_until_orphaned(drain)) if child else None
    log.info("worker_started", worker=runner.name, slots=runtime.settings.worker_slots)
    await runner.run()
    if orphaned is not None:
        orphaned.cancel()
    await asyncio.gather(*draining)
    await runtime.net.close()
    await runtime.database.close()
    log.info("worker_ended", worker=runner.name)


async def _until_orphaned(drain: Callable[[], None]) -> None:
    """A worker whose parent was killed stops by itself, so that the next one finds its place free."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1.0)
    drain()


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


def main() -> None:
    """Work on a database that the parent has brought up to date."""
    try:
        settings = settings_.read(os.environ)
        logging_.configure(settings.log, settings.log_format)
        with only_worker(settings):
            asyncio.run(work(make_runtime(settings, wait=PATIENCE), child=True))
    except SettingsError as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
