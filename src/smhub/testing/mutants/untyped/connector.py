"""A connector whose types do not hold. What the project itself checks leaves this file out (pyproject.toml)."""

from smhub.testing.mutants.reference import Reference
from smhub.testing.mutants.registry import breaks


@breaks(8)
class Untyped(Reference):
    """It says nothing of its types, and what it says is wrong."""

    def wanted(self, found):
        at: int = self.config.base_url
        return super().wanted(found) if at else found
