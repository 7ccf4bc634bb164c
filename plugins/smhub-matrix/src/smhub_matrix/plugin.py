"""The door of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smhub.sdk import Connector, Plugin, PluginContext
from smhub_matrix.connector import Matrix


class MatrixPlugin(Plugin):
    """A room on Matrix."""

    id = "matrix"
    title = "Matrix"
    version = "0.1.0"

    def register_connectors(self, context: PluginContext) -> Sequence[type[Connector[Any]]]:
        return (Matrix,)
