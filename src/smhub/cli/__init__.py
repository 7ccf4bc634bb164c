"""The command line. Each command has its own --help."""

from smhub.cli.commands import main

__all__ = ["main"]
