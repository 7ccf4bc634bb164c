"""`smhub plugin enable` and `disable`: the line `plugins` of the settings file, and nothing else of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from smhub import settings as settings_
from smhub.hub import loader

LINE = re.compile(r"^plugins[ \t]*=.*$", re.MULTILINE)
EXAMPLE = re.compile(r"^#[ \t]*plugins[ \t]*=.*$", re.MULTILINE)
AFTERWARDS = "It holds from the next start of each process: `smhub serve`, `smhub work`."


class CannotSwitch(Exception):
    """Nothing was changed; the text says why, and what to do."""


def switch(name: str, *, on: bool, environment: Mapping[str, str]) -> str:
    """Write it down, and say what was done. Raises CannotSwitch and SettingsError; the file then stays as it was."""
    settings = settings_.read(environment)
    bundled = {found.id: bundled for found, bundled in loader.discover(settings.plugin_folder)}
    before = [word.strip() for word in settings.plugins.split(",") if word.strip()]
    if name not in bundled and (on or name not in before):
        raise CannotSwitch(f"No plugin called {name!r} is installed. Installed: {', '.join(sorted(bundled)) or 'none'}.")
    after = _changed(before, name, on=on, by_itself=bundled.get(name, False) or "*" in before)
    if after == before:
        return f"{name} is {'on' if on else 'off'} already."
    value = ",".join(after)
    for variable in ("SMHUB_PLUGINS", "SMHUB_PLUGINS_FILE"):
        if variable in environment:
            raise CannotSwitch(f"{variable} is set and overrides the settings file. Change it there: SMHUB_PLUGINS={value}")
    file = Path(environment.get("SMHUB_CONFIG", "smhub.toml"))
    _write(file, value)
    return f'{name} is {"on" if on else "off"}: plugins = "{value}" in {file}. {AFTERWARDS}'


def _changed(words: list[str], name: str, *, on: bool, by_itself: bool) -> list[str]:
    """`by_itself`: it is on unless somebody says otherwise."""
    left = [word for word in words if word not in (name, f"-{name}")]
    if on:
        return words if name in words and f"-{name}" not in words else left if by_itself else [*left, name]
    return words if f"-{name}" in words else [*left, f"-{name}"] if by_itself else left


def _write(file: Path, value: str) -> None:
    """All other lines stay, comments too; the file is replaced in one step."""
    text = file.read_text("utf-8") if file.exists() else ""
    line = f'plugins = "{value}"'
    for pattern in (LINE, EXAMPLE):
        if pattern.search(text):
            new = pattern.sub(lambda _: line, text, count=1)
            break
    else:
        new = f"{line}\n{text}"
    if tomllib.loads(new) != tomllib.loads(text) | {"plugins": value}:
        raise CannotSwitch(f"{file} writes `plugins` in a way that this command does not know. Change it by hand: {line}")
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(new, "utf-8")
    if file.exists():
        beside.chmod(file.stat().st_mode & 0o777)
    beside.replace(file)
