"""Tools of other houses, installed from their locks into .cache: the linter and the generators of clients."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from foreign_tools import HERE, ROOT, installed, run


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder with Redocly's linter, openapi-typescript, openapi-fetch and the TypeScript compiler."""
    files = [HERE / name for name in ("package.json", "package-lock.json", ".npmrc")]
    folder, stamp, there = installed("contract", *files)
    if not there:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, folder)
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
        stamp.touch()
    return folder


@pytest.fixture(scope="session")
def generator() -> Path:
    """The bin folder of an environment with openapi-python-client and what its clients need."""
    lock = ROOT / "requirements" / "clients.txt"
    folder, stamp, there = installed("clients", lock)
    if not there:
        run(sys.executable, "-m", "venv", "--clear", folder, cwd=ROOT)
        run(
            folder / "bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            lock,
            cwd=ROOT,
        )
        stamp.touch()
    return folder / "bin"
