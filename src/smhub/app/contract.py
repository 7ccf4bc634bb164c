"""The contract as files: core.json without any plugin, smhub.json with the bundled ones. The core is a part of the whole, byte for byte."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from smhub.app.create import describing_app
from smhub.app.making import make_runtime
from smhub.app.openapi import document
from smhub.settings import Settings

BASE = "http://127.0.0.1:8000"


def documents() -> dict[str, bytes]:
    """Both documents by file name, as they are to be written."""
    return {"core.json": _text(made(only_core=True)), "smhub.json": _text(made(only_core=False))}


def made(*, only_core: bool) -> dict[str, Any]:
    """One document. Whatever else is installed or set on this machine has no part in it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/none.db")
        runtime = make_runtime(settings, plugins=() if only_core else None)
        try:
            return document(describing_app(runtime), base_url=BASE)
        finally:
            asyncio.run(runtime.database.close())


def _text(data: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data), indent=1) + b"\n"


def write_files(folder: Path) -> list[Path]:
    """Write both; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, data in documents().items():
        (folder / name).write_bytes(data)
        written.append(folder / name)
    return written


def check_files(folder: Path) -> list[str]:
    """The names of the files that are missing or not current."""
    return [name for name, data in documents().items() if not (folder / name).is_file() or (folder / name).read_bytes() != data]
