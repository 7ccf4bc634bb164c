"""Run as a script: a real worker that stops itself (SIGSTOP) once at a point named by the test.

    python paused_worker.py DATABASE_URL ALLOWED_HOST FOLDER LEASE_SECONDS

The file `armed` in the folder names the point; of several workers the first that passes it takes the file (it is `paused-PID` then) and
stops. LEASE_SECONDS below the real ones shorten the lease, its heartbeat and the Fence's patience in proportion. That is for tests
only: they have no setting, because workers that disagree about them would take each other's work. The end of stdin ends everything.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from loud import LoudPlugin
from smhub import faults, log
from smhub.app.making import make_runtime
from smhub.app.working import work
from smhub.deliveries import sending
from smhub.secret import Secret
from smhub.settings import Settings
from smhub.work import leases, running


def stop_where_told(folder: Path) -> None:
    armed = folder / "armed"

    def passing(name: str) -> None:
        try:
            if armed.read_text() != name:
                return
            armed.rename(folder / f"paused-{os.getpid()}")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGSTOP)

    faults.hook = passing


def shorten(lease: float) -> None:
    share = lease / leases.LEASE.total_seconds()
    leases.LEASE = timedelta(seconds=lease)
    running.HEARTBEAT *= share
    sending.FRESH *= share


def end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(3)


def main(url: str, allowed: str, folder: Path, lease: float) -> None:
    log.configure("info", "json")
    threading.Thread(target=end_with_stdin, daemon=True).start()
    shorten(lease)
    stop_where_told(folder)
    settings = Settings(database_url=url, secret_keys=Secret("t1:" + "ab" * 32), log="info", allow_private_hosts=allowed)
    asyncio.run(work(make_runtime(settings, plugins=[LoudPlugin()])))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
