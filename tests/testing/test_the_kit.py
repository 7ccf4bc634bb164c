"""The conformance kit itself: its reference passes, and each check catches the connectors that were broken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smhub.testing import LEVELS, check_connector
from smhub.testing.mutants.market import Market
from smhub.testing.mutants.reference import REFERENCES, MarketPlugin
from smhub.testing.mutants.registry import Mutant, mutants
from smhub.testing.registry import GROUPS, Checks
from smhub.testing.running import GROUPS as MODULES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/connectors/conformance.md"


@pytest.mark.parametrize("kind", REFERENCES, ids=lambda kind: kind.__name__)
def test_the_reference_passes_everything(kind):
    report = check_connector(kind, Market, plugin=MarketPlugin())
    assert [(one.number, one.came) for one in report.failed] == []
    assert report.level == "gold"
    lacking = {one.number for one in report.results if one.state == "not_applicable"}
    assert lacking <= {48, 52, 53}


@pytest.mark.parametrize("mutant", mutants(), ids=lambda one: f"{one.number}-{one.connector.__name__}")
def test_a_broken_connector_is_caught(mutant: Mutant):
    report = check_connector(mutant.connector, mutant.fake, plugin=mutant.plugin, only=frozenset({mutant.number}))
    (result,) = report.results
    assert result.state == "failed", mutant.connector.__doc__
    assert result.done and result.expected and result.came
    assert report.level is None or LEVELS.index(report.level) < LEVELS.index(result.level)


def test_every_check_has_a_broken_connector():
    assert len(MODULES) == len(GROUPS) and {one.group for one in Checks.sorted()} == set(GROUPS)
    assert {one.number for one in Checks.sorted()} - {one.number for one in mutants()} == set()
    assert all(one.connector.__doc__ for one in mutants())
