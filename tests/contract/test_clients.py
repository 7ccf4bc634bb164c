"""The document pleases a linter, and clients generated from it work: today, and with a hub of the future."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from foreign_tools import run
from future_hub import future_hub

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
DOCUMENTS = ("core.json", "smhub.json")
pytestmark = pytest.mark.xdist_group("clients")


@contextmanager
def real_hub(folder: Path) -> Iterator[tuple[str, str]]:
    """`smhub serve` as an operator starts it: its address and its first admin's key."""
    key = subprocess.run([sys.executable, "-m", "smhub", "key", "new"], capture_output=True, text=True, check=True).stdout.split()[-1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "SMHUB_DATABASE_URL": f"sqlite:///{folder}/hub.db",
        "SMHUB_BOOTSTRAP_KEY": key,
        "SMHUB_PORT": str(port),
    }
    with (folder / "hub.log").open("wb") as log:
        command = [sys.executable, "-m", "smhub", "serve", "--no-demo"]
        serving = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while not answers(f"{url}/livez"):
            assert serving.poll() is None and time.monotonic() < end, (folder / "hub.log").read_text()
            time.sleep(0.1)
        yield url, key
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_linter_finds_nothing(node: Path, name: str) -> None:
    said = run(
        node / "node_modules/.bin/redocly", "lint", "--extends=recommended", "--max-problems=50", ROOT / "openapi" / name, cwd=node
    )
    assert "Your API description is valid" in said and "warning" not in said.lower().replace("deprecation warning", ""), said


def python_client(generator: Path, name: str, folder: Path) -> Path:
    (folder / "config.yaml").write_text("post_hooks: []\n")
    words = ("generate", "--path", ROOT / "openapi" / name, "--output-path", folder / "client", "--config", folder / "config.yaml")
    said = run(generator / "openapi-python-client", *words, "--fail-on-warning", cwd=folder)
    assert "warning" not in said.lower(), said
    return folder / "client"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_python_client_is_made_without_a_warning_and_is_typed(generator: Path, tmp_path: Path, name: str) -> None:
    client = python_client(generator, name, tmp_path)
    shutil.copy(HERE / "use_client.py", client)
    run(generator / "mypy", "--strict", "smhub_client", "use_client.py", cwd=client)


def test_the_python_client_works_with_the_hub_of_today_and_of_the_future(generator: Path, tmp_path: Path) -> None:
    client = python_client(generator, "smhub.json", tmp_path)
    shutil.copy(HERE / "use_client.py", client)
    with real_hub(tmp_path) as (url, key):
        run(generator / "python", "use_client.py", "happy", url, key, cwd=client)
    with future_hub() as url:
        run(generator / "python", "use_client.py", "future", url, "a-key", cwd=client)


def test_the_typescript_client_compiles_and_works_with_the_hub_of_today_and_of_the_future(node: Path, tmp_path: Path) -> None:
    bins = node / "node_modules/.bin"
    (tmp_path / "node_modules").symlink_to(node / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / "use_client.ts", tmp_path)
    for name in DOCUMENTS:
        # What has a default may be left out of a request, so it is optional.
        run(
            bins / "openapi-typescript",
            ROOT / "openapi" / name,
            "-o",
            tmp_path / "api.ts",
            "--default-non-nullable=false",
            cwd=tmp_path,
        )
        options = ("--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--skipLibCheck", "false")
        target = ("--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom,dom.iterable")
        run(bins / "tsc", *options, *target, "use_client.ts", cwd=tmp_path)
    with real_hub(tmp_path) as (url, key):
        run("node", "use_client.js", "happy", url, key, cwd=tmp_path)
    with future_hub() as url:
        run("node", "use_client.js", "future", url, "a-key", cwd=tmp_path)
