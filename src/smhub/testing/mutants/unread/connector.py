"""A connector of which an operator learns nothing."""

from __future__ import annotations

from smhub.testing.mutants.reference import Reference
from smhub.testing.mutants.registry import breaks


@breaks(73)
class Unread(Reference):
    """Its README names neither scopes nor limits nor how to remove it."""
