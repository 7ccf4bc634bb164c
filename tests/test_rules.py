"""Rules of the house that a reviewer would forget: read from the code, each as a sentence."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import smhub.app.tables  # noqa: F401  (every table is known afterwards)
from smhub import features, sdk
from smhub.db.types import OrganisationRow
from smhub.events.types import CORE_EVENTS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/smhub"
FILES = {str(file.relative_to(SOURCE)): ast.parse(file.read_text("utf-8")) for file in sorted(SOURCE.rglob("*.py"))}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Every call in the code: file, call, what is called."""
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield file, node, ast.unparse(node.func)


def test_only_the_edge_and_the_database_commit() -> None:
    guilty = [f"{file}:{call.lineno}" for file, call, name in calls() if name.endswith(".commit")]
    assert [one for one in guilty if not one.startswith(("app/edge.py:", "db/"))] == []
    assert any(one.startswith("app/edge.py:") for one in guilty)


def test_only_the_clock_asks_the_machine_for_the_time() -> None:
    asking = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "_time.time")
    guilty = {file for file, _, name in calls() if name.removeprefix("datetime.") in asking or name in asking}
    assert {file for file in guilty if file != "time.py" and not file.startswith("cli/")} == set()
    assert "time.py" in guilty


def _organisation_rows() -> set[str]:
    found, todo = set(), [OrganisationRow]
    while todo:
        for sub in todo.pop().__subclasses__():
            found.add(sub.__name__)
            todo.append(sub)
    return found


def test_a_row_of_an_organisation_is_asked_for_with_the_organisation() -> None:
    rows, seen = _organisation_rows() | {"model"}, 0
    for file, call, name in calls():
        if name in ("session.get", "session.get_one") and ast.unparse(call.args[0]) in rows:
            seen += 1
            key = call.args[1]
            assert isinstance(key, ast.Tuple) and len(key.elts) >= 2, f"{file}:{call.lineno}"
    assert seen > 5


def test_every_hook_is_documented() -> None:
    text = (ROOT / "docs/plugins.md").read_text("utf-8")
    assert len(sdk.HOOKS) == 13
    assert [hook for hook in sdk.HOOKS if f"`{hook}" not in text] == []
    assert [point for point in sdk.POINTS if f"`{point}`" not in text] == []
    assert [one for one in sdk.CAPABILITIES if not any(f"`{name}`" in text for name in (one, one.title().replace("_", "")))] == []


def test_the_names_of_the_sdk_are_frozen() -> None:
    for module, file in ((sdk, "sdk-names.txt"), (features, "features-names.txt")):
        frozen = (ROOT / "docs" / file).read_text("utf-8").split()
        assert sorted(module.__all__) == frozen
        assert all(hasattr(module, name) for name in frozen)


PREFIXES = (
    "mention",
    "person",
    "channel",
    "listener",
    "intake",
    "gap",
    "organisation",
    "member",
    "grant",
    "key",
    "department",
    "delivery",
    "hold",
    "oauth_app",
)


def _recorded() -> set[str]:
    """What is said where facts are written: first or later arguments that look like an event's name. f-strings are spread out."""
    found = set()
    for file, tree in FILES.items():
        if file in ("events/types.py", "sdk/plugin.py", "cli/listen.py") or file.endswith("schemas.py"):
            continue
        text = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found |= {one for one in text if one.partition(".")[0] in PREFIXES and one.partition(".")[2].replace("_", "").isalpha()}
    return found


NOT_EVENTS = {
    "mention.annotate",
    "mention.route",
    "mention.look_at",
    "channel.authorize",
    "channel.give_back",
    "channel.verify",
    "gap.fill",
    "delivery.advance",
    "delivery.before",
    "delivery.edit",
    "delivery.sweep",
    "delivery.take_back",
    "intake.listen",
    "intake.poll",
    "intake.stream",
    "intake.wake",
    "organisation.slug",
}
SPREAD = {f"{source}.{what}" for source in ("channel", "listener") for what in ("changed", "paused", "resumed")} | {
    f"intake.{state}" for state in ("degraded", "auth_required", "config_error", "blocked", "quarantined")
}
"""Written with an f-string: channels/asking.py and channels/health.py."""


def test_every_event_that_is_written_is_in_the_table_and_the_other_way_round() -> None:
    table = {one.name for one in CORE_EVENTS}
    recorded = _recorded() - NOT_EVENTS
    assert recorded - table == set(), "not in events/types.py"
    assert table - recorded - SPREAD == set(), "never written"


def test_every_point_at_which_a_test_may_kill_is_listed() -> None:
    points = {ast.literal_eval(call.args[0]) for _, call, name in calls() if name == "faults.point"}
    text = (ROOT / "docs/reliability.md").read_text("utf-8")
    section = text.partition("## Points at which a test may kill")[2].partition("\n## ")[0]
    listed = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert points
    assert listed == points


def test_what_a_package_needs_is_in_the_lock() -> None:
    """`make run` installs the packages without their dependencies, so one missing in the lock would be found by a user."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        asked += tomllib.loads(file.read_text("utf-8"))["project"].get("dependencies", [])
    names = {canonicalize_name(Requirement(one).name) for one in asked}
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", (ROOT / "requirements/run.txt").read_text("utf-8"), re.M))
    assert {name for name in names if not name.startswith("smhub")} - locked == set()
    assert "litestar" in names & locked
