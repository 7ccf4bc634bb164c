"""`smhub work` several times on PostgreSQL, once on SQLite: real processes that share the jobs, each done once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from sqlalchemy import func, select

from smhub.sdk import Job as JobKind
from smhub.work.models import Job, Worker
from smhub.work.queue import later
from world import KEYS, Hub

JOBS = 300
SOON = 60.0


@asynccontextmanager
async def workers(hub: Hub, folder: Path, count: int) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """So many processes of `smhub work`, once all have shown themselves; ended as an operator ends them."""
    (folder / "plugins").mkdir()
    shutil.copy(Path(__file__).with_name("tally.py"), folder / "plugins")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SMHUB_")}
    environment = {
        **plain,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SMHUB_DATABASE_URL": hub.database.url,
        "SMHUB_SECRET_KEYS": KEYS.reveal(),
        "SMHUB_PLUGINS": "tally",
        "SMHUB_PLUGIN_FOLDER": str(folder / "plugins"),
        "SMHUB_WORKER_SLOTS": "5",
        "SMHUB_LOG": "warning",
    }
    with (folder / "workers.log").open("wb") as log:
        command = [sys.executable, "-m", "smhub", "work"]
        started = [subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) for _ in range(count)]
    try:
        async with asyncio.timeout(SOON):
            while await seen(hub) < count:
                assert all(one.poll() is None for one in started), (folder / "workers.log").read_text()
                await asyncio.sleep(0.05)
        yield started
    finally:
        for one in started:
            one.send_signal(signal.SIGTERM)
        codes = [one.wait(30) for one in started]
    assert codes == [0] * count, (folder / "workers.log").read_text()


async def seen(hub: Hub) -> int:
    async with hub.database.read() as session:
        return (await session.execute(select(func.count()).select_from(Worker))).scalar_one()


async def left(hub: Hub) -> int:
    async with hub.database.read() as session:
        return (await session.execute(select(func.count()).where(Job.name == "tally.count", Job.state != "done"))).scalar_one()


async def test_worker_processes_share_the_jobs_and_each_job_runs_once(hub: Hub, tmp_path: Path) -> None:
    count = 3 if hub.database.dialect == "postgresql" else 1
    tally = tmp_path / "tally.txt"
    kind = JobKind(name="tally.count", handler=_elsewhere)
    async with workers(hub, tmp_path, count) as started:
        ids = []
        for _ in range(JOBS // 30):
            async with hub.database.write() as session:
                ids += [await later(session, kind, str(tally), now=hub.clock.now()) for _ in range(30)]
        async with asyncio.timeout(SOON):
            while await left(hub):
                await asyncio.sleep(0.05)
        pids = {child.pid for one in started for child in psutil.Process(one.pid).children()}
    runs = [line.split() for line in tally.read_text().splitlines()]
    assert Counter(job_id for job_id, _, _ in runs) == Counter(map(str, ids))
    assert {attempt for _, attempt, _ in runs} == {"1"}
    by_worker = Counter(int(pid) for _, _, pid in runs)
    assert by_worker.keys() == pids
    assert min(by_worker.values()) > JOBS / count / 5, by_worker
    assert await seen(hub) == 0


async def _elsewhere(context: object, payload: object) -> None:
    raise AssertionError("the worker processes run it")
