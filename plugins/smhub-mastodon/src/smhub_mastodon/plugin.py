"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_mastodon.connector import Mastodon


class MastodonPlugin(Plugin):
    """An account on a Mastodon server, and hashtags to listen to."""

    id = "mastodon"
    title = "Mastodon"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Mastodon,)
