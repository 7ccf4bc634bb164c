"""The connector keeps the contract, and the package says so."""

from __future__ import annotations

import json
from pathlib import Path

import smhub_matrix
from smhub.testing import check_connector
from smhub_matrix.fake import Fake
from smhub_matrix.plugin import MatrixPlugin


def test_it_is_gold_and_its_badge_says_what_was_found():
    plugin = MatrixPlugin()
    (connector,) = plugin.register_connectors(None)
    report = check_connector(connector, Fake, plugin=plugin)
    assert [(one.number, one.done, one.expected, one.came) for one in report.failed] == []
    assert report.level == "gold"
    (badge,) = json.loads((Path(smhub_matrix.__file__).parent / "conformance.json").read_text("utf-8"))["connectors"]
    assert badge["level"] == "gold"
    assert badge["checks"] == {str(one.number): one.state for one in report.results}, "run `smhub plugin check --badge`"
