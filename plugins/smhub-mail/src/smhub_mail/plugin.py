"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_mail.connector import Mail


class MailPlugin(Plugin):
    """A mailbox."""

    id = "mail"
    title = "E-mail"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Mail,)
