"""`smhub plugin dev`: the author types, and reads it over the API; a changed file begins the hub anew."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from smhub.access.keys import new_key
from smhub.cli import main

WITHIN = 60.0


class Desk:
    """The command as it runs, what it printed, and a way to type."""

    def __init__(self, folder: Path, what: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.key = new_key().text().reveal()
        self.printed: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smhub", "plugin", "dev", what, "--port", str(self.port)],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": ":".join(one for one in sys.path if one),
                "SMHUB_BOOTSTRAP_KEY": self.key,
                "SMHUB_POLL_SECONDS": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.printed.extend(self.process.stdout)

    def types(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def asks(self, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        answer = httpx2.get(url, headers=headers) if body is None else httpx2.post(url, headers=headers, json=body)
        answer.raise_for_status()
        return answer.json()

    def texts(self) -> set[str]:
        return {one["text"] for one in self.asks("/v1/mentions")["items"]}

    def until(self, holds: Callable[[], Any]) -> Any:
        end = time.monotonic() + WITHIN
        while time.monotonic() < end:
            try:
                found = holds()
            except httpx2.HTTPError:
                found = None
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come to pass:\n" + "".join(self.printed))

    def ends(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(WITHIN) == 0, "".join(self.printed)
        self.reading.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(main, ["plugin", "new", "parrot", "--caps", "fetch,publish,reply", "--single"])
    assert made.exit_code == 0, made.output
    (file,) = tmp_path.glob("*.py")
    yield file


def test_what_is_typed_is_a_mention_and_after_a_change_it_is_there_again(parrot: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path, parrot.name)
    try:
        desk.until(lambda: "Docs" in "".join(desk.printed))
        desk.types("Wo bleibt mein Paket?")
        desk.until(lambda: desk.texts() == {"Wo bleibt mein Paket?"})
        (channel,) = desk.asks("/v1/channels")["items"]
        desk.asks(f"/v1/channels/{channel['id']}/posts", {"text": "Es ist unterwegs."})
        desk.types("/posts")
        desk.until(lambda: [line for line in desk.printed if re.search(r"\d+: Es ist unterwegs\.", line)] or desk.types("/posts"))
        parrot.write_text(parrot.read_text("utf-8") + "\n# changed\n", "utf-8")
        desk.until(lambda: "the hub begins anew" in "".join(desk.printed))
        desk.until(lambda: desk.texts() == {"Wo bleibt mein Paket?"})
        parrot.write_text("what is this", "utf-8")
        desk.until(lambda: "cannot be imported" in "".join(desk.printed))
        assert desk.process.poll() is None
    finally:
        desk.ends()


def test_without_a_plugin_there_is_nothing_to_develop() -> None:
    answer = CliRunner().invoke(main, ["plugin", "dev", "nobody"])
    assert (answer.exit_code, "No plugin called 'nobody'" in answer.output) == (1, True)
