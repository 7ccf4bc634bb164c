"""The levels of the connectors are shown with their plugins."""

from __future__ import annotations

import json
from pathlib import Path

import world
from smhub.hub import conformance
from smhub_feeds.connector import Feeds
from smhub_feeds.plugin import FeedsPlugin


async def test_a_plugin_shows_the_level_of_its_connector(database_url):
    async with world.start(database_url, plugins=[FeedsPlugin(), world.EchoPlugin()]) as hub:
        shown = {one["id"]: one["conformance"] for one in (await hub.get("/v1/plugins"))["items"]}
    (feeds,) = shown["feeds"]
    assert (feeds["network"], feeds["level"], feeds["kit"], shown["echo"]) == ("feeds", "gold", "0.1.0", [])


def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, monkeypatch):
    broken = tmp_path / "conformance.json"
    for content in ("{", json.dumps({"connectors": [{"network": "feeds"}]}), json.dumps([])):
        broken.write_text(content)
        conformance._read.cache_clear()
        assert conformance._read(broken) == ()
    assert conformance._read(tmp_path / "nowhere.json") == ()
    assert conformance.badge_of(Feeds) is not None
