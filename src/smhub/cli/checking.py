"""`smhub plugin check`: the conformance kit from the command line."""

from __future__ import annotations

import os
import random
from datetime import datetime
from pathlib import Path

import click
import msgspec

from smhub.hub import loader
from smhub.hub.loader import Hub
from smhub.sdk import Plugin
from smhub.testing import Report, check_connector
from smhub.testing.finding import Found, NoConnector, NothingToCheck, find


def check(what: str, *, as_json: bool, badge: bool, now: datetime, chaos: float | None = None, seed: int | None = None) -> bool:
    """Check the connectors of a plugin and show what came of it; whether everything passed."""
    try:
        found = find(what)
    except NoConnector as error:
        return _feature(error.plugin, as_json=as_json)
    except NothingToCheck as error:
        raise click.ClickException(str(error)) from error
    seed = random.randrange(1_000_000) if seed is None else seed
    reports = [
        (
            one,
            check_connector(one.connector, one.fake, plugin=one.plugin, chaos_seconds=chaos, seed=seed, processes=os.cpu_count() or 1),
        )
        for one in found
    ]
    if as_json:
        shown = [{**msgspec.to_builtins(report), "level": report.level} for _, report in reports]
        click.echo(msgspec.json.encode(shown).decode())
    else:
        click.echo("\n\n".join(report.text() for _, report in reports))
    if badge:
        for folder in sorted({one.folder for one in found}):
            path = _write(folder, [(one, report) for one, report in reports if one.folder == folder], now)
            click.echo(f"wrote {path}", err=as_json)
    return not any(report.failed for _, report in reports)


def _feature(plugin: Plugin, *, as_json: bool) -> bool:
    """Of a feature one can see whether the hub takes it; what it does is for its own tests."""
    record = Hub().add(loader.Found(plugin.id, lambda: plugin), enabled=True)
    if as_json:
        click.echo(msgspec.json.encode([{"plugin": record.id, "state": record.state, "reason": record.reason}]).decode())
    elif record.state == "loaded":
        click.echo(f"{plugin.id}: the hub takes it. It has no connector, and the kit checks connectors: the rest is for its own tests.")
    else:
        click.echo(f"{plugin.id}: the hub does not take it. {record.reason}")
    return record.state == "loaded"


def _write(folder: Path, reports: list[tuple[Found, Report]], now: datetime) -> Path:
    path = folder / "conformance.json"
    content = {"connectors": [report.badge(now) for _, report in reports]}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return path
