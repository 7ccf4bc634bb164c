"""`python -m bench [NAME …]`; all without a name."""

from __future__ import annotations

import importlib
import sys

ALL = (
    *("sdk", "kit", "start", "jobs", "take_in", "list", "search", "back_fill", "deliver", "stream", "workers", "webhook", "channels"),
    "analysis",
    "report",
)


def main() -> None:
    """Run the named benchmarks."""
    names = [name for name in sys.argv[1:] if name != "all"] or list(ALL)
    for name in names:
        if name not in ALL:
            sys.exit(f"There is no benchmark {name!r}; there are {', '.join(ALL)}.")
        importlib.import_module(f"bench.{name}").run()


main()
