"""Commands of other houses, and where in .cache they are installed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def run(*command: str | Path, cwd: Path, seconds: int = 300) -> str:
    """What a command says; a failure of it fails the test."""
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
    environment.pop("PYTHONPATH", None)
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


def installed(name: str, *locks: Path) -> tuple[Path, Path, bool]:
    """A folder in .cache for what these locks say, its stamp, and whether it is there already."""
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:16]
    folder = ROOT / ".cache" / f"{name}-{digest}"
    return folder, folder / "installed.stamp", (folder / "installed.stamp").is_file()
