"""`smhub plugin dev`: a hub whose network is the plugin's own fake, begun anew whenever a file of the plugin changes."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import click
import msgspec
from sqlalchemy import select

from smhub.access.keys import new_key
from smhub.app import serving, starting
from smhub.app.making import make_runtime
from smhub.channels.actions import set_up
from smhub.channels.models import Channel
from smhub.cli.showing import tail
from smhub.hub.runtime import Runtime
from smhub.ids import new_id
from smhub.net import Asked, Inside, Net, client_inside
from smhub.organisations.models import Organisation
from smhub.sdk import StandingClock
from smhub.settings import Settings
from smhub.testing.finding import PLUGINS, Found, NothingToCheck, find
from smhub.testing.network import Answer, FakeNetwork, NotOffered, Request
from smhub.testing.wire import as_bytes
from smhub.time import SystemClock
from smhub.work.running import Runner

LOOK = 0.3
PATIENCE = 15.0
"""Seconds for a hub to end what it is doing."""
HELP = "Type a line: somebody says it. /edit ID TEXT, /delete ID: they change it. /posts: what stands there of ours. Ctrl-C ends."


class CannotDevelop(Exception):
    """There is nothing to develop, or it needs what a fake cannot be; the text says what to do."""


# Watching


def develop(what: str, port: int, *, environment: Mapping[str, str]) -> None:
    """Run the hub as a child process until SIGINT or SIGTERM; begin it anew when a file changes, and say again to it what was typed."""
    places = sources(what)
    typed: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, typed), daemon=True).start()
    key = environment.get("SMHUB_BOOTSTRAP_KEY") or new_key().text().reveal()
    said: list[str] = []
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # An exception out of nowhere could leave the child's lock held, and nobody would ever come to its end.
        signal.signal(number, lambda *_: ending.set())
    while not ending.is_set():
        with tempfile.TemporaryDirectory(prefix="smhub-dev-") as folder:
            seen = _looks(places)
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "smhub", "plugin", "dev", what, "--port", str(port), "--once"],
                env={
                    **environment,
                    "SMHUB_BOOTSTRAP_KEY": key,
                    "SMHUB_DATABASE_URL": f"sqlite:///{Path(folder) / 'hub.db'}",
                    "SMHUB_POLL_SECONDS": environment.get("SMHUB_POLL_SECONDS", "5"),
                },
                stdin=subprocess.PIPE,
                text=True,
            )
            try:
                for line in said:
                    _tell(child, line)
                _until_changed(child, places, seen, typed, said, ending)
            finally:
                _end(child)
            if not ending.is_set():
                click.echo("\nA file changed: the hub begins anew.")


def sources(what: str) -> list[Path]:
    """Where the plugin's files lie: a file, a package's folder, or that of an installed plugin. Raises NothingToCheck."""
    path = Path(what)
    if path.is_file():
        return [path]
    if path.is_dir():
        return [path / "src" if (path / "src").is_dir() else path]
    for one in entry_points(group=PLUGINS):
        spec = find_spec(one.module.partition(".")[0]) if what in (one.name, one.dist.name if one.dist else None) else None
        if spec is not None and spec.origin is not None:
            return [Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)]
    raise NothingToCheck(f"No plugin called {what!r} is installed, and there is no such folder or file.")


def _looks(places: Sequence[Path]) -> dict[Path, int]:
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
    found = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            found[file] = file.stat().st_mtime_ns
    return found


def _until_changed(
    child: subprocess.Popen[str],
    places: Sequence[Path],
    seen: dict[Path, int],
    typed: queue.Queue[str],
    said: list[str],
    ending: threading.Event,
) -> None:
    over = False
    while not ending.is_set() and _looks(places) == seen:
        if child.poll() is not None and not over:
            over = True
            click.echo("The hub ended. It begins anew when a file of the plugin changes.")
        with contextlib.suppress(queue.Empty):
            line = typed.get(timeout=LOOK)
            said.append(line)
            _tell(child, line)


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _tell(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.write(line.rstrip("\n") + "\n")
        child.stdin.flush()


def _read(of: IO[str], into: queue.Queue[str]) -> None:
    for line in of:
        if line.strip():
            into.put(line)


# The hub


class _Now(StandingClock):
    """The fake's clock, but it does not stand."""

    def __init__(self) -> None:
        super().__init__()
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now()

    def monotonic(self) -> float:
        return self._real.monotonic()


async def once(what: str, settings: Settings) -> None:
    """Serve a hub with one channel for each connector of the plugin, its worker in the same process, until it is told to end."""
    found = find(what)
    lets_decide = [one.connector.network for one in found if one.connector.auth is not None]
    if lets_decide:
        raise CannotDevelop(f"{lets_decide[0]} lets a person decide (OAuth 2), and a fake is nobody: see docs/connectors/oauth.md.")
    fakes: dict[str, FakeNetwork] = {}
    for one in found:
        fakes[f"{one.connector.network}.test"] = fake = one.fake()
        fake.clock = _Now()
    plain = make_runtime(settings, plugins=list({id(one.plugin): one.plugin for one in found}.values()))
    client = client_inside(Inside(lambda asked: _answered(fakes, asked)), plain.clock)
    runtime = msgspec.structs.replace(plain, net=Net(settings, plain.clock, plain.database, client=client))
    await starting.prepare(runtime)
    await _connect(runtime, found, fakes)
    runner = Runner(runtime, name="dev")
    parts = [asyncio.create_task(part) for part in (runner.run(), tail(runtime), _listen(fakes))]
    try:
        await serving.serve(runtime, worker=False, ready=lambda: _banner(settings, found))
    finally:
        runner.stop()
        await parts[0]
        for part in parts[1:]:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


async def _connect(runtime: Runtime, found: Sequence[Found], fakes: Mapping[str, FakeNetwork]) -> None:
    now = runtime.clock.now()
    async with runtime.database.write() as session:
        organisation_id = (await session.execute(select(Organisation.id))).scalar_one()
        for one in found:
            network = one.connector.network
            channel = Channel(
                organisation_id=organisation_id,
                id=new_id(),
                network=network,
                name=f"{network} (fake)",
                settings={},
                department_id=None,
                created_at=now,
                version=1,
            )
            await set_up(session, runtime, channel, fakes[f"{network}.test"].config(f"https://{network}.test"))


async def _answered(fakes: Mapping[str, FakeNetwork], asked: Asked) -> AsyncIterator[bytes]:
    """What the fake answers. When it fails it is a network that fails, and the author reads why."""
    host = asked.headers.get("host", "").partition(":")[0]
    fake = fakes.get(host) or next(iter(fakes.values()))
    try:
        answer = fake(Request(method=asked.method, target=asked.target, headers=asked.headers, body=asked.body))
        answer = await answer if inspect.isawaitable(answer) else answer
    except Exception:
        click.echo(traceback.format_exc(), err=True)
        answer = Answer(status=500)
    # Without the query: some networks want their token there.
    click.echo(f"      {asked.method} {asked.target.partition('?')[0]} -> {answer.status}")
    yield as_bytes(answer, {})


def _banner(settings: Settings, found: Sequence[Found]) -> None:
    key = settings.bootstrap_key.reveal() if settings.bootstrap_key else "…"
    click.echo(
        f"\nA hub with {', '.join(one.connector.network for one in found)}, each played by its fake; everything goes at the end."
        f"\n  Docs   {settings.base_url}/v1/docs"
        f"\n  curl -s '{settings.base_url}/v1/mentions' -H 'Authorization: Bearer {key}'\n\n{HELP}\n"
    )
    sys.stdout.flush()


async def _listen(fakes: Mapping[str, FakeNetwork]) -> None:
    reader = asyncio.StreamReader()
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except (ValueError, OSError):
        return
    while line := await reader.readline():
        text = line.decode("utf-8", "replace").strip()
        for network, fake in fakes.items():
            try:
                act(fake, text)
            except NotOffered as error:
                click.echo(f"{network}: {error}", err=True)
            except Exception as error:
                click.echo(f"{network}: the fake failed: {type(error).__name__}: {error}", err=True)


def act(fake: FakeNetwork, line: str, say: Callable[[str], None] = click.echo) -> None:
    """Do what a typed line wants of the fake."""
    word, _, rest = line.partition(" ")
    match word:
        case "":
            return
        case "/edit":
            external_id, _, text = rest.partition(" ")
            fake.edit(external_id, text)
        case "/delete":
            fake.delete(rest.strip())
        case "/posts":
            for post in fake.posts():
                say(f"      {post.external_id}: {post.text}")
        case _ if word.startswith("/"):
            say(HELP)
        case _:
            say(f"      said as {fake.add(line)}")
