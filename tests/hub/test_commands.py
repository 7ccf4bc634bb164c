"""The command line, as an operator uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from smhub.access.keys import parse_key
from smhub.cli import main

COMMANDS = (
    "serve",
    "demo",
    "work",
    "migrate",
    "openapi",
    "key",
    "config",
    "doctor",
    "plugin",
    "listen",
    "healthy",
    "backup",
    "restore",
)
PLUGIN = """
import click
from smhub.sdk import Plugin

@click.command()
def hello():
    "Say hello."
    click.echo("hello from a plugin")

class Mine(Plugin):
    id, title = "mine", "Mine"
    def register_commands(self, context):
        return [hello]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMHUB_DATABASE_URL", f"sqlite:///{tmp_path}/hub.db")
    return lambda *words: CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command: str) -> None:
    answer = run(command, "--help")
    assert answer.exit_code == 0
    assert len(answer.output.splitlines()) > 3


def test_a_database_is_migrated_once_and_then_well(run) -> None:
    assert "core: empty to" in run("migrate").output
    assert "up to date" in run("migrate").output
    answer = run("doctor")
    assert answer.exit_code == 0, answer.output
    assert "ok   schema: up to date" in answer.output
    assert "WARN worker" in answer.output


def test_keys_are_well_formed_and_settings_are_shown_without_secrets(run, monkeypatch: pytest.MonkeyPatch) -> None:
    key = run("key", "new").output.strip()
    assert parse_key(key) is not None
    assert run("key", "secret", "--id", "k7").output.startswith("k7:")
    monkeypatch.setenv("SMHUB_BOOTSTRAP_KEY", key)
    shown = run("config", "show").output
    assert "bootstrap_key = ***" in shown
    assert key not in shown


def test_a_plugins_commands_stand_under_its_name(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/mine.py").write_text(PLUGIN)
    monkeypatch.setenv("SMHUB_PLUGIN_FOLDER", str(tmp_path / "plugins"))
    monkeypatch.setenv("SMHUB_PLUGINS", "mine")
    assert run("mine", "hello").output == "hello from a plugin\n"
    assert "mine" in run("--help").output
    assert "mine" in run("plugin", "list").output


def test_a_wrong_setting_is_one_sentence(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMHUB_PORT", "abc")
    answer = run("doctor")
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: SMHUB_PORT is not valid")
