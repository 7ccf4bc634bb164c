"""The connector keeps the contract, and the package says so."""

from __future__ import annotations

import json
from pathlib import Path

import smhub_feeds
from smhub.testing import check_connector
from smhub_feeds.fake import Fake
from smhub_feeds.plugin import FeedsPlugin


def test_it_is_gold_and_its_badge_says_what_was_found():
    plugin = FeedsPlugin()
    (connector,) = plugin.register_connectors(None)
    report = check_connector(connector, Fake, plugin=plugin)
    assert [(one.number, one.done, one.expected, one.came) for one in report.failed] == []
    assert report.level == "gold"
    (badge,) = json.loads((Path(smhub_feeds.__file__).parent / "conformance.json").read_text("utf-8"))["connectors"]
    assert badge["level"] == "gold"
    assert badge["checks"] == {str(one.number): one.state for one in report.results}, "run `smhub plugin check --badge`"
