"""`smhub plugin …`: for operators who switch plugins, and for those who write them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click
import msgspec

from smhub.cli.plainly import plainly, settings_of
from smhub.hub import loader
from smhub.time import SystemClock


@click.group()
def plugin() -> None:
    """Plugins: list, examine, switch; make one, check it, try it."""


@plugin.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@plainly
def plugin_list(*, as_json: bool) -> None:
    """List the plugins that were found, and why one did not load."""
    settings = settings_of()
    hub = loader.load(settings.plugins, settings.plugin_folder)
    records = sorted(hub.records.values(), key=lambda one: one.id)
    if as_json:
        shown = [{"id": one.id, "state": one.state, "version": one.version, "reason": one.reason} for one in records]
        click.echo(msgspec.json.encode(shown).decode())
        return
    for one in records:
        click.echo(f"{one.id:<20} {one.state:<13} {one.version or '-':<10} {one.reason or one.title}")


@plugin.command("check")
@click.argument("what", metavar="[NAME|PATH]", default=".")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--badge", is_flag=True, help="Write conformance.json with the level into the package.")
@click.option(
    "--chaos",
    type=click.FloatRange(min=0),
    help="Also what platinum asks for: faults by chance for so many seconds of the kit's clock (86400).",
)
@click.option("--seed", type=int, help="The chance of --chaos: the same seed, the same faults. Default: another each time.")
@plainly
def plugin_check(what: str, *, as_json: bool, badge: bool, chaos: float | None, seed: int | None) -> None:
    """Check a plugin's connectors against the contract, without a network; ends with 1 when a check fails.

    NAME is an installed plugin, PATH a package's folder (default: this one) or a single file. The fake network of each connector is named by
    the entry points of the group smhub.testing.v1.
    """
    from smhub.cli import checking

    if not checking.check(what, as_json=as_json, badge=badge, now=SystemClock().now(), chaos=chaos, seed=seed):
        sys.exit(1)


@plugin.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(["connector", "feature"]), default="connector", show_default=True)
@click.option("--caps", default="", help="What the connector can, with commas; default: fetch.")
@click.option("--single", is_flag=True, help="One file NAME.py instead of a package.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to put it; default: here.")
@plainly
def plugin_new(name: str, kind: str, caps: str, folder: Path, *, single: bool) -> None:
    """Write the first files of a plugin called NAME. They are green as they are: tests, check, mypy and ruff.

    --caps: fetch, search, webhook, publish, reply, edit, delete, metrics, validate.
    """
    from smhub.cli import scaffold

    try:
        made = scaffold.make(name, kind=kind, caps=[one for one in caps.split(",") if one.strip()], single=single, folder=folder)
    except scaffold.CannotMake as error:
        raise click.ClickException(str(error)) from error
    for file in made.written:
        click.echo(f"wrote {file}")
    if made.caps:
        click.echo(f"It can: {', '.join(made.caps)}.")
    click.echo(f"Next: smhub plugin check {made.into}")


@plugin.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@plainly
def plugin_doctor(*, as_json: bool) -> None:
    """Look at every plugin: versions, dependencies, hooks, settings, migrations; ends with 1 when one is not well."""
    from smhub.cli import plugin_doctor as doctor

    settings = settings_of()
    findings = doctor.examine(settings)
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        for one in findings:
            click.echo(f"{doctor.MARKS[one.level]} {one.plugin}: {one.text}")
            if one.way_out:
                click.echo(f"     {one.way_out}")
    if any(one.level == "error" for one in findings):
        sys.exit(1)


@plugin.command("dev")
@click.argument("what", metavar="[NAME|PATH]", default=".")
@click.option("--port", type=int, default=8000, show_default=True, help="The port to listen on.")
@click.option("--once", is_flag=True, help="Do not begin anew when a file changes.")
@plainly
def plugin_dev(what: str, port: int, *, once: bool) -> None:
    """A hub whose network is the plugin's own fake: type what people say, and see it over the API. It leaves nothing.

    When a file of the plugin changes the hub begins anew and what was typed is said again. NAME and PATH as for `plugin check`.
    """
    from smhub.cli import developing
    from smhub.testing.finding import NothingToCheck

    try:
        if once:
            asyncio.run(developing.once(what, settings_of(port=port)))
        else:
            settings_of(port=port)
            developing.develop(what, port, environment=os.environ)
    except KeyboardInterrupt:
        return
    except (NothingToCheck, developing.CannotDevelop) as error:
        raise click.ClickException(str(error)) from error


@plugin.command("enable")
@click.argument("name")
@plainly
def plugin_enable(name: str) -> None:
    """Switch a plugin on: `plugins` in the settings file. It holds from the next start of each process."""
    _switch(name, on=True)


@plugin.command("disable")
@click.argument("name")
@plainly
def plugin_disable(name: str) -> None:
    """Switch a plugin off. It is not imported any more; its channels wait, and nothing of them is lost."""
    _switch(name, on=False)


def _switch(name: str, *, on: bool) -> None:
    from smhub.cli import switching

    try:
        click.echo(switching.switch(name, on=on, environment=os.environ))
    except switching.CannotSwitch as error:
        raise click.ClickException(str(error)) from error


@plugin.command("try")
@click.argument("what", metavar="[NAME|PATH]")
@click.option(
    "--settings", "file", type=click.Path(dir_okay=False, path_type=Path), help="A .json or .toml file with the channel's settings."
)
@click.option("--network", help="Which one, of a plugin with several.")
@click.option("--search", "words", multiple=True, help="Search for this instead of fetching mentions; may be given several times.")
@plainly
def plugin_try(what: str, file: Path | None, network: str | None, words: tuple[str, ...]) -> None:
    """Ask the real network who we are and show the first page. Nothing is stored, and no secret is shown.

    Settings come from --settings, or from variables called after network and setting: ACME_BASE_URL, ACME_TOKEN.
    """
    _try(what, file, network, words, None)


@plugin.command("record")
@click.argument("what", metavar="[NAME|PATH]")
@click.argument("to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--settings", "file", type=click.Path(dir_okay=False, path_type=Path), help="As for `plugin try`.")
@click.option("--network", help="Which one, of a plugin with several.")
@click.option("--search", "words", multiple=True, help="As for `plugin try`.")
@plainly
def plugin_record(what: str, to: Path, file: Path | None, network: str | None, words: tuple[str, ...]) -> None:
    """As `try`, and write what the network answered to FILE, without secrets and people. `smhub.testing.replayed` plays it to a test.

    Read the file before you publish it: what names people is recognised by its place, and a network may have other places.
    """
    _try(what, file, network, words, to)


def _try(what: str, file: Path | None, network: str | None, words: tuple[str, ...], record: Path | None) -> None:
    from smhub.cli import trying
    from smhub.testing.finding import NothingToCheck

    settings = settings_of()
    try:
        kind, config = trying.prepared(what, network, file, os.environ)
        asyncio.run(trying.first_page(kind, config, settings, words=words, record=record))
    except (NothingToCheck, trying.CannotTry) as error:
        raise click.ClickException(str(error)) from error
