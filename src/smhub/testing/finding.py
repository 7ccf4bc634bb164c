"""Finds what is to be checked: the connectors of installed plugins, or of a folder or file, and the fakes that belong to them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import msgspec

from smhub.hub import loader
from smhub.sdk import Connector, Plugin, PluginContext
from smhub.testing.network import FakeNetwork
from smhub.version import VERSION

GROUP = "smhub.testing.v1"


class NothingToCheck(Exception):
    """There is no such plugin, no connector in it, or no fake for it; the text says what to do."""


class Found(msgspec.Struct, frozen=True):
    """A connector, with the plugin that hands it over, the fake of its network, and the folder of its package."""

    connector: type[Connector[Any]]
    plugin: Plugin
    fake: type[FakeNetwork]
    folder: Path


def find(what: str) -> list[Found]:
    """The connectors of an installed plugin, by its id or its package's name; of a package's folder; or of a single file."""
    path = Path(what)
    if path.is_dir():
        plugins, fakes = _of_folder(path)
    elif path.suffix == ".py":
        plugins, fakes = _of_file(path)
    else:
        plugins, fakes = _installed(what), list(entry_points(group=GROUP))
    return [one for entry in plugins for one in _of_plugin(entry, fakes)]
