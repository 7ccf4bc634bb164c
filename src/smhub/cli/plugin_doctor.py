"""`smhub plugin doctor`: how each plugin fares, why, and what to do. One that is broken keeps nobody from being examined."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from smhub import __version__
from smhub.db.migrate import SchemaError, Scripts, head
from smhub.hub import loader
from smhub.hub.loader import Hub, PluginRecord
from smhub.settings import Settings

MARKS = {"ok": "ok  ", "off": "off ", "error": "BAD "}
WAYS = (
    ("hooks describe", "Make the hook an ordinary method. What takes time belongs into the objects that it returns."),
    ("is spoken by", "Two plugins speak one network. Switch one of both off: smhub plugin disable {id}"),
    ("ModuleNotFoundError", "Install what it imports, and name it in the dependencies of its package."),
    ("not installed", "Install it, or take its name out: smhub plugin disable {id}"),
    ("it requires", "Install and switch on what it requires."),
    ("made for smhub.plugins", "Upgrade smhub, or install an older version of {package}."),
    ("it needs smhub", "Install a version of {package} that fits smhub {smhub}, or another smhub."),
    ("makes no form", "Give the settings types that JSON has: see docs/plugins.md, Connectors."),
    ("must return", "Return what docs/plugins.md, Hooks, says."),
    ("must begin with", "Rename it: what a plugin brings carries the plugin's id."),
)
"""By what stands in the reason: what to do."""

OTHERWISE = "Mend it, or switch it off: smhub plugin disable {id}"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing about one plugin; `plugin` is `smhub` for what concerns all."""

    level: Literal["ok", "off", "error"]
    plugin: str
    text: str
    way_out: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at every plugin that is found. Those that are off are not imported."""
    hub = loader.load(settings.plugins, settings.plugin_folder)
    python = ".".join(map(str, sys.version_info[:3]))
    found = [Finding(level="ok", plugin="smhub", text=f"version {__version__}, contract {loader.GROUP}, Python {python}")]
    for record in sorted(hub.records.values(), key=lambda one: one.id):
        found += [_state(record), *_dependencies(record), *_migrations(hub, record)]
    return found


def _state(record: PluginRecord) -> Finding:
    named = f"{record.state} {record.version or ''}".strip()
    if record.state == "loaded":
        return Finding(level="ok", plugin=record.id, text=named)
    if record.state == "disabled":
        return Finding(level="off", plugin=record.id, text=named, way_out=f"smhub plugin enable {record.id}")
    return Finding(level="error", plugin=record.id, text=f"{named}: {record.reason}", way_out=_way_out(record))


def _way_out(record: PluginRecord) -> str:
    way = next((way for word, way in WAYS if word in (record.reason or "")), OTHERWISE)
    return way.format(id=record.id, package=record.distribution or record.id, smhub=__version__)


def _dependencies(record: PluginRecord) -> list[Finding]:
    """What its package says that it needs, against what is installed; also of one that is off, before somebody switches it on."""
    try:
        wanted = requires(record.distribution) if record.distribution and not Path(record.distribution).is_file() else None
    except PackageNotFoundError:
        return []
    return [
        Finding(level="error", plugin=record.id, text=lack, way_out=f"pip install {line!r}")
        for line in wanted or ()
        if (lack := _lack(line)) is not None
    ]


def _lack(line: str) -> str | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return f"its package names {line!r}, which is no requirement"
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        there = __version__ if requirement.name == "smhub" else version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement} is not installed"
    return None if requirement.specifier.contains(there, prereleases=True) else f"{requirement} is needed, {there} is installed"


def _migrations(hub: Hub, record: PluginRecord) -> list[Finding]:
    found = []
    for plugin, folder in hub.migrations:
        if plugin == record.id:
            try:
                found.append(Finding(level="ok", plugin=plugin, text=f"migrations up to {head(Scripts(plugin, folder))}"))
            except SchemaError as error:
                way = "Every script but the first names the one before it as down_revision; there is one first and one last."
                found.append(Finding(level="error", plugin=plugin, text=str(error), way_out=way))
    return found
