"""`smhub plugin check`, as the author of a plugin uses it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from smhub.cli import main
from smhub.testing.finding import NothingToCheck, find

ROOT = Path(__file__).parents[2]
PLUGIN = """
from smhub.testing.mutants.broken_contract import Nobody
from smhub.testing.mutants.market import Market
from smhub.testing.mutants.reference import Reference
from smhub.sdk import Plugin

class Own(KIND):
    pass

class MarketPlugin(Plugin):
    id = "market"
    def register_connectors(self, context):
        return [Own]

class Fake(Market):
    pass
"""
PROJECT = """
[project]
name = "smhub-stall"
[project.entry-points."smhub.plugins.v1"]
market = "smhub_stall:MarketPlugin"
[project.entry-points."smhub.testing.v1"]
market = "smhub_stall:Fake"
"""


@pytest.fixture
def stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A plugin's folder, with a connector derived from this one."""

    def make(kind: str) -> Path:
        (tmp_path / "src/smhub_stall").mkdir(parents=True)
        (tmp_path / "pyproject.toml").write_text(PROJECT)
        (tmp_path / "README.md").write_text("# Stall\n\nScopes: none. Limits: none. Removal: nothing.\n")
        (tmp_path / "src/smhub_stall/__init__.py").write_text(PLUGIN.replace("KIND", kind))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    path = sys.path[:]
    yield make
    sys.path[:] = path
    for name in ("smhub_stall", "stall"):
        sys.modules.pop(name, None)


def test_a_good_connector_gets_its_level_and_its_badge(stall):
    folder = stall("Reference")
    answer = CliRunner().invoke(main, ["plugin", "check", "--badge"])
    assert answer.exit_code == 0, answer.output
    assert "level: gold" in answer.output and "0 failed" in answer.output
    (badge,) = json.loads((folder / "src/smhub_stall/conformance.json").read_text())["connectors"]
    assert (badge["network"], badge["level"], badge["checks"]["49"], badge["checks"]["53"]) == (
        "market",
        "gold",
        "passed",
        "not_applicable",
    )
    assert badge["kit"] and badge["at"].endswith("Z")


def test_a_broken_one_is_told_what_was_done_expected_and_came_and_where_to_read(stall):
    stall("Nobody")
    answer = CliRunner().invoke(main, ["plugin", "check", "."])
    assert answer.exit_code == 1
    failed = answer.output.partition("FAIL  9 bronze   verify says who we are\n")[2].splitlines()[:4]
    assert [line.split(":")[0].strip() for line in failed] == ["done", "expected", "came", "see"]
    assert "docs/connectors/conformance.md, Credentials, 9" in failed[3]
    assert "level: none" in answer.output


def test_machines_get_json_and_nothing_else(stall):
    stall("Nobody")
    answer = CliRunner().invoke(main, ["plugin", "check", "--json"])
    (report,) = json.loads(answer.stdout)
    assert (answer.exit_code, report["level"], report["network"]) == (1, None, "market")
    assert {one["number"] for one in report["results"] if one["state"] == "failed"} >= {9}


def test_an_installed_plugin_is_found_by_its_name(stall, tmp_path: Path):
    folder = stall("Reference")
    shutil.move(folder / "src/smhub_stall", folder / "site/smhub_stall")
    info = folder / "site/smhub_stall-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: smhub-stall\nVersion: 1.0\n\nScopes, limits, removal.\n")
    entries = PROJECT.partition("[project.entry")[2].replace('-points."', "[").replace('"]', "]").replace("[project.entry[", "[")
    (info / "entry_points.txt").write_text(entries.replace('"', ""))
    code = (
        "import sys; from smhub.testing.finding import find; print([(one.plugin.id, one.fake.__name__) for one in find(sys.argv[1])])"
    )
    for name in ("smhub-stall", "market"):
        found = subprocess.run(
            [sys.executable, "-c", code, name],
            env={"PYTHONPATH": ":".join([str(folder / "site"), *filter(None, sys.path)])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stdout == "[('market', 'Fake')]\n", found.stderr


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nowhere", None, "No plugin called"),
        ("pyproject.toml", "[project]\nname = 'x'\n", "names no plugin"),
        ("pyproject.toml", "[project", "cannot be read"),
        ("pyproject.toml", PROJECT.partition('[project.entry-points."smhub.testing')[0], "There is no fake for the network 'market'"),
        ("pyproject.toml", PROJECT.replace(":Fake", ":MarketPlugin"), "not a class derived from"),
        ("pyproject.toml", PROJECT.replace(":MarketPlugin", ":Fake"), "is not a smhub.sdk.Plugin"),
        ("pyproject.toml", PROJECT.replace("market = ", "other = "), "both must be the same"),
        ("pyproject.toml", PROJECT.replace("smhub_stall:Fake", "smhub_stall.nowhere:Fake"), "cannot be imported"),
        ("stall.py", "import nothing_like_that", "cannot be imported"),
        ("stall.py", "x = 1", "must define one Plugin and a FakeNetwork"),
    ],
)
def test_what_cannot_be_checked_is_told_with_the_way_out(stall, name, content, told):
    folder = stall("Reference")
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(NothingToCheck) as refused:
        find(str(folder) if name == "pyproject.toml" else str(folder / name))
    assert told in str(refused.value)
    answer = CliRunner().invoke(main, ["plugin", "check", "nowhere"])
    assert (answer.exit_code, answer.output.startswith("Error: No plugin called")) == (1, True)
