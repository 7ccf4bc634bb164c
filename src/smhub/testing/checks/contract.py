"""Contract and config: what the connector says of itself, before it asks anybody."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import Any

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from smhub.sdk import read_settings, secret_fields, settings_schema
from smhub.testing.registry import NotApplicable, check
from smhub.testing.trial import Trial

GROUP = "Contract and config"
SECRET = re.compile(r"(?i)(^|_)(token|secret|password|passwd|passphrase|api_?key|private_?key|credentials?|cookie|session)s?($|_)")
NETWORK = re.compile(r"[a-z][a-z0-9_-]*")
IMPORT_SECONDS = 0.3
HEAVY = ("litestar", "sqlalchemy")
IMPORT = """
import sys, time
import smhub.sdk
began = time.process_time()
import {module}
print(time.process_time() - began, *[name for name in {heavy!r} if name in sys.modules])
"""
DOORS = frozenset({"open", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system"})
_opened: list[str] | None = None
_watching = False


@check(1, "bronze", "What looks like a secret in the settings is a Secret")
async def secrets_are_secret(t: Trial) -> None:
    names = [name for name in _properties(t) if SECRET.search(name)]
    open_ = [name for name in names if name not in secret_fields(t.kind.Config)]
    t.expect(
        not open_,
        done="looked at the names of the settings",
        expected="every token, password or key is of the type smhub.sdk.Secret",
        came=f"plain: {', '.join(open_)}",
    )


@check(2, "bronze", "The settings make a form: titles, and nothing unknown is taken")
async def settings_make_a_form(t: Trial) -> None:
    untitled = [name for name, field in _properties(t).items() if not field.get("title")]
    t.expect(
        not untitled,
        done="made the form of Config",
        expected="a title for each field: Annotated[str, Meta(title=…)]",
        came=f"none for {', '.join(untitled)}",
    )
    done = "read the settings with a field that does not exist"
    try:
        t.config({**t.settings(), "no_such_field": 1})
    except msgspec.ValidationError:
        return
    t.expect(False, done=done, expected="forbid_unknown_fields=True refuses it", came="it was taken")


@check(3, "bronze", "Settings that were stored are read back as they were")
async def settings_come_back(t: Trial) -> None:
    schema = msgspec.json.decode(msgspec.json.encode(settings_schema(t.kind.Config)))
    t.expect(schema.get("type") == "object", done="made the form's schema", expected="an object", came=schema)
    first = t.config()
    stored = msgspec.json.decode(msgspec.json.encode(_stored(first)))
    again = t.config(stored)
    t.expect(first == again, done="stored the settings and read them back", expected=repr(first), came=repr(again))


@check(4, "bronze", "Making a connector asks nobody, opens nothing and begins nothing")
async def nothing_happens_in_init(t: Trial) -> None:
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    with watched() as opened:
        t.connect()
        await asyncio.sleep(0)
    began = [f"{len(asyncio.all_tasks()) - tasks} tasks"] if len(asyncio.all_tasks()) > tasks else []
    began += ["a thread"] if threading.active_count() > threads else []
    came = [*opened, *began, *(f"{one.method} {one.path}" for one in t.wire.requests)]
    t.expect(not came, done="made a connector", expected="no request, file, connection, process, task or thread", came=", ".join(came))


@check(5, "bronze", "Importing it costs little and brings neither litestar nor sqlalchemy")
async def importing_is_cheap(t: Trial) -> None:
    module = t.kind.__module__
    if is_single_file(module):
        raise NotApplicable("it was loaded from a single file")
    code = IMPORT.format(module=module, heavy=HEAVY)
    ran = await asyncio.to_thread(_ran, code)
    t.expect(ran.returncode == 0, done=f"imported {module} by itself", expected="it is imported", came=ran.stderr[-200:])
    seconds, *heavy = ran.stdout.split()
    t.expect(
        not heavy, done=f"imported {module} after smhub.sdk", expected="neither litestar nor sqlalchemy", came=f"it brings {heavy}"
    )
    t.expect(
        float(seconds) < IMPORT_SECONDS,
        done=f"imported {module} after smhub.sdk",
        expected=f"less than {IMPORT_SECONDS} s of processor time",
        came=f"{float(seconds):.2f} s",
    )


@check(6, "bronze", "The plugin's version range is one, and its id begins the names of its networks")
async def names_fit(t: Trial) -> None:
    if t.plugin is None:
        raise NotApplicable("it was checked without its plugin")
    try:
        SpecifierSet(t.plugin.needs)
    except InvalidSpecifier:
        t.expect(False, done="read the plugin's `needs`", expected='a version range such as ">=0.1,<2"', came=t.plugin.needs)
    network = t.kind.network
    t.expect(NETWORK.fullmatch(network), done="read `network`", expected="a word of a-z, 0-9, - and _", came=network)
    t.expect(
        network.startswith(t.plugin.id),
        done="compared the plugin's id with the network",
        expected=f"a network that begins with {t.plugin.id}",
        came=network,
    )


@check(7, "bronze", "Settings of every older version still work")
async def old_settings_work(t: Trial) -> None:
    if t.kind.config_version == 1:
        raise NotApplicable("config_version is 1: there are no older settings")
    old = t.fake.old_configs()
    for version in range(1, t.kind.config_version):
        t.expect(version in old, done="asked the fake for old_configs()", expected=f"settings of version {version}", came=sorted(old))
        done = f"brought settings of version {version} into today's form"
        try:
            read_settings(t.kind.Config, t.kind.migrate_config(dict(old[version]), version))
        except Exception as error:
            t.expect(False, done=done, expected="settings that Config takes", came=error)


def is_single_file(module: str) -> bool:
    """Whether the module cannot be imported by its name: somebody loaded its file."""
    return PathFinder.find_spec(module.partition(".")[0]) is None


def _properties(t: Trial) -> dict[str, Any]:
    found: dict[str, Any] = settings_schema(t.kind.Config).get("properties", {})
    return found


def _stored(config: msgspec.Struct) -> dict[str, Any]:
    """What the hub keeps: plain values, and the secrets beside them."""
    secrets = secret_fields(type(config))
    values = {name: getattr(config, name) for name in config.__struct_fields__}
    revealed = {name: value.reveal() if value is not None else None for name, value in values.items() if name in secrets}
    return {name: msgspec.to_builtins(value) for name, value in values.items() if name not in secrets} | revealed


def _ran(code: str) -> subprocess.CompletedProcess[str]:
    path = [one for one in sys.path if one]
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"], capture_output=True, text=True, check=False, timeout=60
    )


def quickest(doing: Callable[[], Any]) -> float:
    """The seconds of the quickest of three: others on this machine may hold up one."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        doing()
        took.append(time.perf_counter() - began)
    return min(took)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What is opened meanwhile, by the name of Python's audit event."""
    global _opened, _watching
    if not _watching:
        sys.addaudithook(_heard)
        _watching = True
    _opened, here = [], threading.get_ident()
    _thread[0] = here
    try:
        yield _opened
    finally:
        _opened = None


_thread = [0]


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event in DOORS and threading.get_ident() == _thread[0]:
        _opened.append(event)
