"""The worker process: `python -m smhub.app.working` is what a Supervisor starts. It loads no web framework."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import structlog
from sqlalchemy import delete

from smhub import log as logging_
from smhub import settings as settings_
from smhub.app.collecting import settle
from smhub.app.making import make_runtime
from smhub.app.watchdog import Watchdog, bind, resident
from smhub.hub.runtime import Runtime
from smhub.settings import SettingsError
from smhub.work.models import Worker
from smhub.work.running import Runner

log = structlog.get_logger("smhub.worker")
PATIENCE = 60.0


async def work(runtime: Runtime, *, name: str | None = None, suspects: bool = False, watchdog: Watchdog | None = None) -> None:
    """Run jobs until told to end; then take nothing new and finish what is running, within `drain_seconds`. With `suspects` run those alone,
    and end when there are none left. Without a watchdog, SIGTERM and SIGINT tell."""
    settings = runtime.settings
    slots = 1 if suspects else settings.worker_slots
    endless = 0 if suspects else settings.worker_streams
    runner = Runner(runtime, slots=slots, endless=endless, name=name, suspects=suspects, stuck=watchdog.stuck if watchdog else None)
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    def drain() -> None:
        if not draining:
            draining.append(asyncio.create_task(runner.drain(settings.drain_seconds)))

    if watchdog is not None:
        watchdog.start(drain)
    else:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, drain)
        if runtime.database.dialect == "sqlite":
            # Only one works here, so whoever is still listed was killed.
            async with runtime.database.write() as session:
                await session.execute(delete(Worker))
    log.info("worker_started", worker=runner.name, slots=slots, suspects=suspects)
    await runner.run()
    await asyncio.gather(*draining)
    await runtime.net.close()
    await runtime.database.close()
    log.info("worker_ended", worker=runner.name, memory_mb=resident() >> 20)
    if watchdog is not None:
        watchdog.done()


def main(name: str, talk: str, lifeline: str, role: str) -> None:
    """Work on a database that the parent has brought up to date."""
    try:
        settings = settings_.read(os.environ)
        memory = settings.worker_memory_mb << 20
        bind(int(lifeline), memory)
        logging_.configure(settings.log, settings.log_format)
        watchdog = Watchdog(socket.socket(fileno=int(talk)), stuck=settings.stuck_seconds, memory=memory)
        os.set_inheritable(int(talk), False)
        runtime = make_runtime(settings, wait=PATIENCE)
        settle()
        asyncio.run(work(runtime, name=name, suspects=role == "suspects", watchdog=watchdog))
    except SettingsError as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit("Error: this is started by `smhub serve` and `smhub work`.")
    main(*sys.argv[1:])
