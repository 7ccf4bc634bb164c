"""What a package says of the conformance of its connectors: the conformance.json that `smhub plugin check --badge` wrote into it."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from smhub.sdk import Connector

FILE = "conformance.json"


class Badge(msgspec.Struct, frozen=True, kw_only=True):
    """One connector as the kit found it; `level` None: not even bronze."""

    network: str
    kit: str
    level: str | None
    at: datetime


class _File(msgspec.Struct, frozen=True):
    connectors: tuple[Badge, ...] = ()


def badge_of(connector: type[Connector[Any]]) -> Badge | None:
    """What the connector's package says of it; None when it says nothing that can be read."""
    module = sys.modules.get(connector.__module__.partition(".")[0])
    if module is None or not module.__file__:
        return None
    return next((one for one in _read(Path(module.__file__).parent / FILE) if one.network == connector.network), None)


@lru_cache(maxsize=256)
def _read(path: Path) -> tuple[Badge, ...]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).connectors
    except (OSError, msgspec.DecodeError):
        return ()
