"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_bluesky.connector import Bluesky


class BlueskyPlugin(Plugin):
    """An account on Bluesky, and words to listen to."""

    id = "bluesky"
    title = "Bluesky"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Bluesky,)
