"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_feeds.connector import Feeds


class FeedsPlugin(Plugin):
    """News sites, blogs, press reviews and whatever else has a feed."""

    id = "feeds"
    title = "Feeds"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Feeds,)
