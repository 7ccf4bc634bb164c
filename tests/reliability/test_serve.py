"""The processes as an operator meets them: the worker that is killed comes back, the end is orderly, a wrong start says why."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from running import PATIENCE, children, environment, is_worker, until


def smhub(folder: Path, *arguments: str, module: str = "smhub", **settings: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


class Served:
    """`smhub serve --demo` on a free port, with SQLite in the folder."""

    def __init__(self, process: subprocess.Popen[str], port: int, key: str) -> None:
        self.process = process
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"})

    def worker(self, *, other_than: int = 0) -> int:
        """The pid of its worker, once there is one."""
        found: list[int] = until(lambda: [one for one in children(self.process.pid) if is_worker(one) and one != other_than])
        return found[0]

    def mentions(self) -> int:
        """How many were brought in so far."""
        answer = self._client.get("/v1/intakes").raise_for_status()
        return sum(one["mentions"] for one in answer.json()["items"])

    def end(self) -> int:
        self._client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = smhub(folder, "serve", "--demo", "--port", str(port))
    assert process.stdout is not None
    try:
        said = ""
        while (key := re.search(r"smhub_\w+", said)) is None:
            line = process.stdout.readline()
            assert line, f"it ended:\n{said}"
            said += line if line.startswith("  smhub_") else ""
        yield Served(process, port, key.group())
    finally:
        for pid in [*children(process.pid), process.pid]:
            if process.poll() is None:
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_a_hub_survives_its_worker_refuses_a_second_one_and_ends_with_both(tmp_path: Path) -> None:
    with serving(tmp_path) as hub:
        first = hub.worker()
        until(hub.mentions)
        # As an operator starts it, and as a second `serve` would.
        for refused in [smhub(tmp_path, "work"), smhub(tmp_path, "serve", "--port", "1")]:
            said, _ = refused.communicate(timeout=PATIENCE)
            assert refused.returncode == 1
            assert "A worker is running on data/smhub.db already" in said
            assert "SMHUB_DATABASE_URL=postgresql://" in said
            assert "Traceback" not in said
        os.kill(first, signal.SIGKILL)
        before = hub.mentions()
        second = hub.worker(other_than=first)
        until(lambda: hub.mentions() > before)
        assert hub.end() == 0
        until(lambda: not is_worker(second), 1.0)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("SMHUB_PORT", "abc", "SMHUB_PORT is not valid"),
        ("SMHUB_PROT", "1", "Unknown variable SMHUB_PROT. Did you mean SMHUB_PORT?"),
        ("SMHUB_DATABASE_URL", "mysql://x", "SMHUB_DATABASE_URL is not valid"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(tmp_path: Path, name: str, value: str, why: str) -> None:
    process = smhub(tmp_path, "serve", **{name: value})
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert why in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
