"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_webhook.connector import Webhook


class WebhookPlugin(Plugin):
    """A system that posts signed JSON to the hub, and may be posted to."""

    id = "webhook"
    title = "Webhook"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Webhook,)
