"""`smhub plugin new`: what it writes is green as it stands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from smhub.cli import main
from smhub.cli.scaffold import BY_HAND, CAPS
from smhub.hub.loader import load
from smhub.sdk import CAPABILITIES
from smhub.testing import check_connector
from smhub.testing.finding import find


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `smhub plugin new` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    path, modules = sys.path[:], set(sys.modules)
    yield lambda *words: CliRunner().invoke(main, ["plugin", "new", *words])
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0].startswith(("smhub_acme", "acme", "smhub_plugin_")):
            sys.modules.pop(name)


def _run(folder: Path, *command: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
    given = {"PYTHONPATH": ":".join(one for one in sys.path if one), **environment}
    ran = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_new_connector_that_can_everything_is_gold(new, tmp_path: Path) -> None:
    answer = new("acme", "--caps", ",".join(CAPS))
    assert answer.exit_code == 0, answer.output
    assert f"It can: {', '.join(CAPS)}." in answer.output
    folder = tmp_path / "smhub-acme"
    (found,) = find(str(folder))
    report = check_connector(found.connector, found.fake, plugin=found.plugin)
    assert (report.failed, report.level) == ((), "gold"), report.text()


def test_what_is_made_has_style_and_types(new, tmp_path: Path) -> None:
    assert new("acme", "--caps", ",".join(CAPS)).exit_code == 0
    assert new("acme_less").exit_code == 0
    assert new("acme_more", "--kind", "feature").exit_code == 0
    for name in ("acme", "acme-less", "acme-more"):
        _run(tmp_path / f"smhub-{name}", "ruff", "check", "--no-cache", ".")
        _run(tmp_path / f"smhub-{name}", "ruff", "format", "--no-cache", "--check", ".")
    sources = [str(file) for name in ("acme", "acme-less", "acme-more") for file in sorted((tmp_path / f"smhub-{name}").rglob("*.py"))]
    folders = ":".join(str(tmp_path / f"smhub-{name}/src") for name in ("acme", "acme-less", "acme-more"))
    _run(
        tmp_path,
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path),
        "--explicit-package-bases",
        *sources,
        environment={"MYPYPATH": folders},
    )


@pytest.mark.parametrize("cap", CAPS)
def test_each_capability_stands_alone_in_a_single_file(new, tmp_path: Path, cap: str) -> None:
    assert new("acme", "--single", "--caps", cap).exit_code == 0
    (found,) = find(str(tmp_path / "acme.py"))
    report = check_connector(found.connector, found.fake, plugin=found.plugin)
    assert report.failed == (), report.text()
    assert report.level in ("silver", "gold")
    record = load("acme", str(tmp_path)).records["acme"]
    assert (record.state, record.reason) == ("loaded", None)
    _run(tmp_path, "ruff", "check", "--isolated", "--no-cache", "--line-length", "120", "--select", "E,F,I,UP,B,SIM", "acme.py")
    _run(tmp_path, "ruff", "format", "--isolated", "--no-cache", "--line-length", "120", "--check", "acme.py")


def test_a_new_feature_loads_and_its_test_passes(new, tmp_path: Path) -> None:
    assert new("acme", "--kind", "feature").exit_code == 0
    folder = tmp_path / "smhub-acme"
    answer = CliRunner().invoke(main, ["plugin", "check", str(folder)])
    assert (answer.exit_code, answer.output.startswith("acme: the hub takes it.")) == (0, True), answer.output
    _run(folder, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio")


def test_a_feature_that_the_hub_does_not_take_fails_the_check(new, tmp_path: Path) -> None:
    assert new("acme", "--kind", "feature", "--single").exit_code == 0
    file = tmp_path / "acme.py"
    file.write_text(file.read_text().replace('needs = ">=0.1,<2"', 'needs = ">=99"'))
    answer = CliRunner().invoke(main, ["plugin", "check", "acme.py"])
    assert (answer.exit_code, "it needs smhub >=99" in answer.output) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Acme-Net"], "Try 'acme_net'"),
        (["smhub-acme"], "Try 'acme'"),
        (["class"], "no word of Python"),
        (["a"], "2 to 31"),
        (["json", "--single"], "Try 'json_network'"),
        (["acme", "--caps", "fetch,teleport"], "Known are: fetch, search"),
        (["acme", "--caps", "stream"], "smhub.sdk.Streams"),
        (["acme", "--kind", "feature", "--caps", "fetch"], "Leave --caps out"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_way_out_and_leaves_nothing(new, tmp_path: Path, words, told: str) -> None:
    answer = new(*words)
    assert (answer.exit_code, told in answer.output) == (1, True), answer.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("single", [False, True])
def test_what_is_there_is_never_overwritten(new, tmp_path: Path, single: bool) -> None:
    words = ["acme", "--single"] if single else ["acme"]
    assert new(*words).exit_code == 0
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    answer = new(*words, "--caps", "publish")
    assert (answer.exit_code, "is there already" in answer.output) == (1, True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_every_capability_of_the_contract_is_made_or_named_as_not_made() -> None:
    assert {one[0] for one in CAPS.values()} | set(BY_HAND.values()) == {kind.__name__ for kind in CAPABILITIES.values()}
