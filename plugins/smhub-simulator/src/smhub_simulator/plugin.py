"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_simulator.connector import Simulator


class SimulatorPlugin(Plugin):
    """A company's mentions without a company."""

    id = "simulator"
    title = "Simulator"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Simulator,)
