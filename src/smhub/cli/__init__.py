"""The command line. Each command has its own --help."""

import gc

# What is loaded stays: looking through it again and again while it loads costs an eighth of the start.
gc.set_threshold(50_000, 20, 100)

from smhub.cli.commands import main  # noqa: E402

__all__ = ["main"]
