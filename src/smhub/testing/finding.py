"""Finds what is to be checked: the connectors of an installed plugin, of a package's folder or of a single file, and their fakes."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import msgspec

from smhub import __version__
from smhub.sdk import Connector, Plugin, PluginContext
from smhub.testing import GROUP
from smhub.testing.network import FakeNetwork

PLUGINS = "smhub.plugins.v1"
EXAMPLE = '[project.entry-points."smhub.testing.v1"]\n{network} = "{package}.fake:Fake"'


class NothingToCheck(Exception):
    """There is no such plugin, no connector in it, or no fake for it; the text says what to do."""


class Found(msgspec.Struct, frozen=True):
    """A connector, the plugin that hands it over, and the fake of its network."""

    connector: type[Connector[Any]]
    plugin: Plugin
    fake: type[FakeNetwork]

    @property
    def folder(self) -> Path:
        """Where its package lies: the place of conformance.json."""
        module = sys.modules[self.connector.__module__.partition(".")[0]]
        return Path(module.__file__ or ".").parent


class NoConnector(NothingToCheck):
    """A plugin without a connector: the kit has nothing to say about it."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(f"The plugin {plugin.id} has no connector; the kit checks connectors.")
        self.plugin = plugin


def find(what: str) -> list[Found]:
    """The connectors of an installed plugin (its id, or its package's name), of a package's folder, or of a single file."""
    path = Path(what)
    if path.suffix == ".py" and path.is_file():
        return _of_file(path)
    return _of_entries(*_entries(what))


def find_plugins(what: str) -> list[Plugin]:
    """As `find`, the plugins alone: for what needs no fake."""
    path = Path(what)
    if path.suffix == ".py" and path.is_file():
        return [_in_file(path)[0]]
    return [_made(entry) for entry in _entries(what)[0]]


def _entries(what: str) -> tuple[list[EntryPoint], list[EntryPoint]]:
    path = Path(what)
    if path.is_dir():
        return _in_folder(path)
    plugins = [one for one in entry_points(group=PLUGINS) if what in (one.name, one.dist.name if one.dist else None)]
    if not plugins:
        known = ", ".join(sorted({one.name for one in entry_points(group=PLUGINS)})) or "none"
        raise NothingToCheck(f"No plugin called {what!r} is installed, and there is no such folder or file. Installed: {known}.")
    return plugins, list(entry_points(group=GROUP))


def _in_folder(folder: Path) -> tuple[list[EntryPoint], list[EntryPoint]]:
    """What pyproject.toml says, whether it is installed or not."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise NothingToCheck(f"{folder / 'pyproject.toml'} cannot be read: {error}") from error
    told = project.get("entry-points", {})
    source = folder / "src" if (folder / "src").is_dir() else folder
    sys.path.insert(0, str(source.absolute()))
    importlib.invalidate_caches()
    found = [[EntryPoint(name, value, group) for name, value in told.get(group, {}).items()] for group in (PLUGINS, GROUP)]
    if not found[0]:
        raise NothingToCheck(f'{folder / "pyproject.toml"} names no plugin: it has no [project.entry-points."{PLUGINS}"].')
    return found[0], found[1]


def _of_entries(plugins: Sequence[EntryPoint], fakes: Sequence[EntryPoint]) -> list[Found]:
    found = []
    for entry in plugins:
        made = _made(entry)
        for connector in connectors(made):
            fake = next((one for one in fakes if one.name == connector.network), None)
            if fake is None:
                example = EXAMPLE.format(network=connector.network, package=connector.__module__.partition(".")[0])
                raise NothingToCheck(f"There is no fake for the network {connector.network!r}. Write one and name it:\n\n{example}")
            found.append(Found(connector, made, _fake(_loaded(fake), fake.value)))
    return found


def _made(entry: EntryPoint) -> Plugin:
    plugin = _loaded(entry)
    made = plugin() if isinstance(plugin, type) else plugin
    if not isinstance(made, Plugin):
        raise NothingToCheck(f"{entry.value} is not a smhub.sdk.Plugin.")
    if made.id != entry.name:
        raise NothingToCheck(f"The entry point is called {entry.name!r}, the plugin {made.id!r}; both must be the same.")
    return made


def _of_file(path: Path) -> list[Found]:
    """One file with a Plugin and a FakeNetwork for each of its networks, which `network` of the fake names when there are several."""
    plugin, fakes = _in_file(path)
    found = []
    for connector in connectors(plugin):
        fitting = [one for one in fakes if len(fakes) == 1 or getattr(one, "network", None) == connector.network]
        if not fitting:
            raise NothingToCheck(f"{path} has several fakes; give the one of {connector.network!r} `network = {connector.network!r}`.")
        found.append(Found(connector, plugin, fitting[0]))
    return found


def _in_file(path: Path) -> tuple[Plugin, list[type[FakeNetwork]]]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise NothingToCheck(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    mine = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == path.stem]
    plugins = [one for one in mine if issubclass(one, Plugin)]
    fakes = [one for one in mine if issubclass(one, FakeNetwork)]
    if len(plugins) != 1 or (not fakes and _has_connector(plugins[0])):
        raise NothingToCheck(f"{path} must define one Plugin and a FakeNetwork; it defines {len(plugins)} and {len(fakes)}.")
    return plugins[0](), fakes


def _has_connector(plugin: type[Plugin]) -> bool:
    return bool(plugin().register_connectors(PluginContext(smhub_version=__version__)))


def connectors(plugin: Plugin) -> Sequence[type[Connector[Any]]]:
    """What it hands over; NoConnector when that is nothing."""
    found = plugin.register_connectors(PluginContext(smhub_version=__version__))
    if not found:
        raise NoConnector(plugin)
    return found


def _loaded(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        raise NothingToCheck(f"{entry.value} cannot be imported: {type(error).__name__}: {error}") from error


def _fake(found: Any, value: str) -> type[FakeNetwork]:
    if not (isinstance(found, type) and issubclass(found, FakeNetwork)):
        raise NothingToCheck(f"{value} is not a class derived from smhub.testing.FakeNetwork.")
    return found
