"""A connector whose package requires a library of its own."""

from __future__ import annotations

from smhub.testing.mutants.reference import Reference
from smhub.testing.mutants.registry import breaks


@breaks(8)
class Needy(Reference):
    """Its pyproject.toml requires a client library."""
