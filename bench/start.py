"""From starting `smhub serve` on a prepared SQLite database to its first 200, and the memory of API and worker together.

Bounds: 2 s warm; 220 MB together. The floor of the time is an interpreter that imports Litestar and SQLAlchemy. Memory is the
proportional share (PSS), so pages that both processes share count once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from bench.common import free_port, percentile, show

ROUNDS = 5


def run() -> None:
    with tempfile.TemporaryDirectory(prefix="smhub-bench-") as folder:
        environment = {**os.environ, "SMHUB_DATABASE_URL": f"sqlite:///{folder}/hub.db", "SMHUB_LOG": "error"}
        times, memory = [], 0.0
        for _ in range(ROUNDS):
            seconds, memory = _once(environment)
            times.append(seconds)
        bare = percentile([_bare() for _ in range(ROUNDS)], 0.5)
        show("start", "sqlite", percentile(times, 0.5), "s", bare, ROUNDS)
        show("memory", "sqlite", memory, "MB", 220.0, 2)


def _once(environment: dict[str, str]) -> tuple[float, float]:
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "smhub", "serve", "--demo", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1):
                break
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        time.sleep(6)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        return seconds, sum(share(one.pid) for one in family)
    finally:
        process.terminate()
        process.wait()


def share(pid: int) -> float:
    """The memory of a process in MB, pages that it shares counted in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import litestar, sqlalchemy.ext.asyncio"], check=True)
    return time.perf_counter() - began
