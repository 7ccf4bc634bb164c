"""The test cases of feedparser itself: from the source distribution of the version that we use, brought by pip once."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "6.0.14"
ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "feedparser"
_HEADER = re.compile(rb"^Header:\s+([^:]+):(.+)$", re.MULTILINE)


def folder() -> Path:
    """The folder `tests` of feedparser; downloaded when it is not there. Fails loudly without a package index."""
    tests = CACHE / f"feedparser-{VERSION}" / "tests"
    if tests.is_dir():
        return tests
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", scratch, f"feedparser=={VERSION}"], check=True, timeout=180)
        with tarfile.open(Path(scratch) / f"feedparser-{VERSION}.tar.gz") as archive:
            archive.extractall(scratch, filter="data")
        if not tests.is_dir():  # somebody else may have been faster
            (Path(scratch) / f"feedparser-{VERSION}").rename(CACHE / f"feedparser-{VERSION}")
    return tests


def cases(*names: str) -> list[Path]:
    """The files of these folders, in one order."""
    base = folder()
    return sorted(path for name in names for path in (base / name).rglob("*") if path.is_file())


def headers(path: Path, body: bytes) -> dict[str, str]:
    """How a case wants to be served: `Header:` lines in its comment; compressed ones by their name."""
    if path.parent.name == "compression":
        return {"Content-Encoding": "gzip" if path.name.endswith("gz") else "deflate", "Content-Type": "application/xml"}
    found = {name.decode().strip().title(): value.decode("utf-8", "replace").strip() for name, value in _HEADER.findall(body)}
    found.setdefault("Content-Type", "application/xml")
    return found
