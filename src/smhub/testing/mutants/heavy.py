"""A connector that brings a database with it."""

from __future__ import annotations

import sqlalchemy

from smhub.testing.mutants.reference import Reference
from smhub.testing.mutants.registry import breaks


@breaks(5)
class Heavy(Reference):
    """Importing it imports sqlalchemy."""

    checked_against = sqlalchemy.__name__
