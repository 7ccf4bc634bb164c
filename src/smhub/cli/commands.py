"""The commands of `smhub`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from smhub import __version__
from smhub import settings as settings_
from smhub.access.keyring import new_secret_key
from smhub.access.keys import new_key
from smhub.access.secrets import seal_anew
from smhub.app import backing_up, restoring, serving, starting, supervising
from smhub.app.contract import check_files, write_files
from smhub.app.making import make_runtime
from smhub.cli import doctor as doctor_
from smhub.cli import healthy as healthy_
from smhub.cli import keeping
from smhub.cli import listen as listen_
from smhub.cli.plainly import plainly, settings_of
from smhub.cli.plugins import plugin
from smhub.cli.showing import show_banner, tail
from smhub.hub import loader
from smhub.hub.runtime import Runtime
from smhub.secret import Secret
from smhub.settings import Settings, SettingsError

R = TypeVar("R")


class _WithPlugins(click.Group):
    """The hub's own commands, and those of each loaded plugin under its id. Plugins are loaded only when somebody asks for theirs."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*super().list_commands(context), *sorted(_plugin_groups())]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, name) or _plugin_groups().get(name)


def _plugin_groups() -> dict[str, click.Group]:
    try:
        settings = settings_.read(os.environ)
    except SettingsError:
        return {}
    hub = loader.load(settings.plugins, settings.plugin_folder)
    groups: dict[str, click.Group] = {}
    for owner, command in hub.commands:
        title = hub.records[owner].title
        groups.setdefault(owner, click.Group(owner, help=f"Commands of the plugin {title}.")).add_command(command)
    return groups


@click.group(cls=_WithPlugins, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smhub")
def main() -> None:
    """smhub: a headless social-media hub for companies.

    Settings come from flags, the environment (SMHUB_…) and smhub.toml, in this order; `smhub config example` lists them.
    """


@main.command()
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on.")
@click.option("--database-url", help="sqlite:///PATH or postgresql://…")
@click.option("--demo/--no-demo", default=False, help="Put a demonstration fed by the simulator into an empty database.")
@click.option("--worker/--no-worker", default=None, help="Start and watch a worker (always with SQLite, unless --no-worker).")
@plainly
def serve(host: str | None, port: int | None, database_url: str | None, *, demo: bool, worker: bool | None) -> None:
    """Serve the API; with SQLite start and watch a worker too."""
    settings = settings_of(host=host, port=port, database_url=database_url)
    asyncio.run(_serve(settings, demo=demo, worker=settings.sqlite if worker is None else worker))


async def _serve(settings: Settings, *, demo: bool, worker: bool) -> None:
    runtime = make_runtime(settings)
    prepared = await starting.prepare(runtime, demo=demo)
    await serving.serve(runtime, worker=worker, ready=lambda: show_banner(settings, prepared))


@main.command()
@click.option("--port", type=int, default=8000, show_default=True, help="The port to listen on.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the data in this folder; else it goes at the end.")
@plainly
def demo(port: int, keep: Path | None) -> None:
    """A hub with a simulated company, to look at and to build against. It needs nothing and leaves nothing."""
    if keep is not None:
        asyncio.run(_demo(keep, port))
        return
    with tempfile.TemporaryDirectory(prefix="smhub-demo-") as folder:
        asyncio.run(_demo(Path(folder), port))


async def _demo(folder: Path, port: int) -> None:
    settings = settings_of(port=port, database_url=f"sqlite:///{folder.absolute() / 'smhub.db'}")
    runtime = make_runtime(settings)
    prepared = await starting.prepare(runtime, demo=True)
    showing = asyncio.create_task(tail(runtime))
    try:
        await serving.serve(runtime, worker=True, ready=lambda: show_banner(settings, prepared))
    finally:
        showing.cancel()


@main.command()
@plainly
def work() -> None:
    """Run a worker: as many as wanted with PostgreSQL, one with SQLite (`smhub serve` starts that one)."""
    asyncio.run(_work(settings_of()))


async def _work(settings: Settings) -> None:
    runtime = make_runtime(settings)
    await starting.prepare(runtime)
    await supervising.work(runtime)


@main.command()
@plainly
def migrate() -> None:
    """Bring the database to the newest schema; `serve` and `work` do it at their start."""
    settings = settings_of()

    async def run() -> None:
        runtime = make_runtime(settings)
        done = (await starting.prepare(runtime)).migrated
        await runtime.database.close()
        click.echo("\n".join(done) if done else "The schema is up to date.")

    asyncio.run(run())


@main.command()
@click.argument("to", metavar="[FILE]", type=click.Path(path_type=Path), default=Path())
@plainly
def backup(to: Path) -> None:
    """Write a consistent copy of everything that is stored, while the hub goes on.

    FILE may be a folder (default: this one): then the name is made of the time, smhub-20260131T030000Z.db, or .dump with PostgreSQL,
    whose pg_dump must be on the PATH. An existing file is never overwritten.

    Secrets lie in the backup encrypted with SMHUB_SECRET_KEYS (with SQLite the file secret-keys in the data folder). The keys are NOT in the
    backup: keep them separately, for without them no channel can be read and no API key is valid.
    """
    keeping.show_backup(asyncio.run(_with_runtime(lambda runtime: backing_up.backup(runtime, to))))


@main.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take the place of a hub that is there; it is kept beside.")
@plainly
def restore(file: Path, *, replace: bool) -> None:
    """Put a backup into the place of the hub's database. The hub must not run.

    Always restore with this command, never by hand. The hub went on after the backup was made: whatever may have gone out since then becomes
    `unknown`, so that nothing is said twice. It needs the SMHUB_SECRET_KEYS of the time of the backup.
    """
    keeping.show_restored(asyncio.run(_with_runtime(lambda runtime: restoring.restore(runtime, file, replace=replace))))


async def _with_runtime(act: Callable[[Runtime], Awaitable[R]]) -> R:
    runtime = make_runtime(settings_of())
    try:
        return await act(runtime)
    finally:
        await runtime.net.close()
        await runtime.database.close()


@main.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("openapi"), show_default=True)
@click.option("--check", is_flag=True, help="Change nothing; end with an error when a file is not current.")
@plainly
def openapi(folder: Path, *, check: bool) -> None:
    """Write the contract: core.json without plugins, smhub.json with those that are bundled."""
    if check:
        stale = check_files(folder)
        if stale:
            raise click.ClickException(f"not current: {', '.join(stale)}; run `smhub openapi`")
        click.echo("The contract is current.")
        return
    for file in write_files(folder):
        click.echo(f"wrote {file}")


@main.group()
def key() -> None:
    """Keys: for the API, and for secrets at rest."""


@key.command("new")
def key_new() -> None:
    """Print a key for SMHUB_BOOTSTRAP_KEY; it becomes the first admin key of an empty hub."""
    click.echo(new_key().text().reveal())


@key.command("secret")
@click.option("--id", "key_id", default="k1", show_default=True, help="A short name of a-z and 0-9, another one for each key.")
def key_secret(key_id: str) -> None:
    """Print an entry for SMHUB_SECRET_KEYS. To rotate, put the new one in front, restart, and run `smhub key seal`."""
    click.echo(new_secret_key(key_id))


@key.command("seal")
@plainly
def key_seal() -> None:
    """Seal all stored secrets with the newest key; afterwards the older ones may be taken away. May be stopped and run again."""
    settings = settings_of()

    async def run() -> int:
        runtime = make_runtime(settings)
        total = 0
        while True:
            async with runtime.database.write() as session:
                count = await seal_anew(session, runtime.keyring)
            total += count
            if count == 0:
                break
        await runtime.database.close()
        return total

    click.echo(f"{asyncio.run(run())} secrets were sealed anew.")


@main.group()
def config() -> None:
    """Settings: what holds, and what there is."""


@config.command("show")
@plainly
def config_show() -> None:
    """Print the settings in force; secrets stay hidden."""
    read = settings_.read(os.environ)
    for name in Settings.__struct_fields__:
        value = getattr(read, name)
        shown = "***" if isinstance(value, Secret) else msgspec.json.encode(value).decode()
        click.echo(f"{name} = {shown}")


@config.command("example")
def config_example() -> None:
    """Print smhub.toml with every setting, its meaning and its default."""
    click.echo(settings_.example())


@main.command()
@plainly
def doctor() -> None:
    """Look at settings, database, schema, secrets, plugins, worker and disk; say what is wrong and how to mend it."""
    settings = settings_of()
    findings = asyncio.run(doctor_.examine(settings))
    for finding in findings:
        mark = {"ok": "ok  ", "warning": "WARN", "error": "BAD "}[finding.level]
        click.echo(f"{mark} {finding.name}: {finding.text}")
    if any(finding.level == "error" for finding in findings):
        sys.exit(1)


@main.command()
@plainly
def healthy() -> None:
    """Ask the hub on this machine whether it can serve; ends with 1 when it cannot. For health checks of containers."""
    if not asyncio.run(healthy_.is_ready(settings_of())):
        sys.exit(1)


main.add_command(plugin)


@main.command()
@click.argument("address")
@click.option("--hub", "hub_url", default="http://127.0.0.1:8000", show_default=True, help="The hub to listen to.")
@click.option("--key", "key_text", required=True, help="An API key that may read events.")
@click.option("--after", type=int, default=None, help="Begin after this seq; left out: with what happens from now on.")
@click.option("--type", "types", multiple=True, help="Only events of this type; may be given several times.")
@click.option("--once", is_flag=True, help="End when there is nothing more, instead of waiting.")
@plainly
def listen(address: str, hub_url: str, key_text: str, after: int | None, types: tuple[str, ...], *, once: bool) -> None:
    """Follow a hub's events and POST each to ADDRESS (http://127.0.0.1:3000/hook), to build against without a public address.

    ADDRESS may be - to print them only. An event that ADDRESS does not take with a 2xx is sent again.
    """
    asyncio.run(listen_.listen(address, hub_url=hub_url, key=Secret(key_text), after=after, types=types, once=once))
