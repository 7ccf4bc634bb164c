"""Named points at which a test may kill the process.

`point("take_in.before_commit")` does nothing, unless a kill test has put a function into `hook`.
The names are listed in docs/reliability.md; a test holds that list against the code.
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Pass the named point."""
    if hook is not None:
        hook(name)
