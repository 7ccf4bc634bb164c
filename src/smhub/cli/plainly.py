"""What the commands have in common: settings, and errors that are one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from smhub import log
from smhub import settings as settings_
from smhub.cli.listen import ListenError
from smhub.db.file_copies import CopyError
from smhub.db.migrate import SchemaError
from smhub.hub.loader import PluginsFailed
from smhub.settings import Settings, SettingsError

P = ParamSpec("P")
R = TypeVar("R")


def plainly(function: Callable[P, R]) -> Callable[P, R]:
    """Errors that an operator can mend are one sentence, not a traceback."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (SettingsError, SchemaError, CopyError, PluginsFailed, ListenError) as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def settings_of(**flags: Any) -> Settings:
    """The settings, with logging set up by them."""
    read = settings_.read(os.environ, flags=flags)
    log.configure(read.log, read.log_format)
    return read
