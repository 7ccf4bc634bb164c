"""A hub as it runs in production, in processes of its own, and what one sees of it from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from smhub.access.keys import new_key

PATIENCE = 30.0
PLUGINS = Path(__file__).parent / "reliability/plugins"


def environment(**settings: str) -> dict[str, str]:
    """Ours, without settings of the hub but these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SMHUB_")}
    return {**plain, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **settings}


def until(what: Callable[[], Any], seconds: float = PATIENCE, *, why: str = "it did not come") -> Any:
    """What it tells as soon as it tells something."""
    end = time.monotonic() + seconds
    while not (told := what()):
        assert time.monotonic() < end, why
        time.sleep(0.05)
    return told


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(one) for one in listed.read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def is_worker(pid: int, name: str = "worker-") -> bool:
    try:
        return alive(pid) and b"smhub.app.working\0" + name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Running:
    """`smhub serve`, and on PostgreSQL `smhub work` beside it."""

    def __init__(self, serving: subprocess.Popen[bytes], working: subprocess.Popen[bytes], port: int, key: str, said: Path) -> None:
        self.serving, self.working = serving, working
        self.key = key
        self.address = f"http://127.0.0.1:{port}"
        self.headers = {"Authorization": f"Bearer {key}"}
        self.client = httpx2.Client(base_url=self.address, headers=self.headers, timeout=20)
        self._said = said

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(path, params=params).raise_for_status().json()

    def channel(self, **settings: Any) -> str:
        """Connect a rowdy channel; its id."""
        made = self.client.post("/v1/channels", json={"network": "rowdy", "name": "Rowdy", "settings": settings})
        return made.raise_for_status().json()["id"]  # type: ignore[no-any-return]

    def health(self, channel_id: str) -> dict[str, Any]:
        return self.get(f"/v1/channels/{channel_id}")["health"]  # type: ignore[no-any-return]

    def mentions(self, channel_id: str) -> int:
        found = {one["channel_id"]: one["mentions"] for one in self.get("/v1/intakes", limit=200)["items"]}
        return found[channel_id]  # type: ignore[no-any-return]

    def worker(self, *, other_than: int = 0) -> int:
        """The pid of its worker, once there is one."""
        found: list[int] = until(lambda: [one for one in children(self.working.pid) if is_worker(one) and one != other_than])
        return found[0]

    def said(self) -> str:
        return self._said.read_text("utf-8", "replace")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell its supervisor; how it ended."""
        self.working.send_signal(number)
        return self.working.wait(PATIENCE)


@contextmanager
def running(url: str, folder: Path, *, key: str = "", **settings: str) -> Iterator[Running]:
    """A hub on this migrated database, with the plugin rowdy; `key` is that of one that ran on it before."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = key or new_key().text().reveal()
    usual = {
        "SMHUB_DATABASE_URL": url,
        "SMHUB_PORT": str(port),
        "SMHUB_BOOTSTRAP_KEY": key,
        "SMHUB_SECRET_KEYS": "t1:" + "ab" * 32,
        "SMHUB_PLUGINS": "rowdy",
        "SMHUB_PLUGIN_FOLDER": str(PLUGINS),
        "SMHUB_LOG_FORMAT": "json",
        "SMHUB_REQUESTS_PER_MINUTE": "1000000",
    }
    given = environment(**{**usual, **settings})
    said = folder / "said"
    with said.open("wb") as log:
        started = [subprocess.Popen([sys.executable, "-m", "smhub", "serve"], cwd=folder, env=given, stdout=log, stderr=log)]
    hub = Running(started[0], started[0], port, key, said)
    try:
        until(lambda: _answers(hub), why="it did not start")
        if not url.startswith("sqlite"):
            with said.open("ab") as log:
                started.append(subprocess.Popen([sys.executable, "-m", "smhub", "work"], cwd=folder, env=given, stdout=log, stderr=log))
            hub.working = started[1]
        yield hub
    finally:
        hub.client.close()
        for process in reversed(started):
            process.kill()
            process.wait()


def _answers(hub: Running) -> bool:
    assert hub.serving.poll() is None, hub.said()
    try:
        return hub.client.get("/livez").status_code == 200
    except httpx2.TransportError:
        return False
