"""The conformance kit for connectors. The author of one writes a `FakeNetwork`; the rest is here.

`smhub plugin check` runs it for an installed plugin; `check_connector` does from a test. Importing this is cheap: what runs the checks is
imported when they run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from smhub.sdk import Connector, Plugin
from smhub.testing.network import Answer, FakeNetwork, NotOffered, Post, Request, Talk, answer, framed, websocket
from smhub.testing.report import LEVELS, Report, Result

if TYPE_CHECKING:
    from smhub.testing.recording import Replayed

GROUP = "smhub.testing.v1"
"""The entry points that name fakes: `network = "package.fake:Fake"`."""


def check_connector(
    connector: type[Connector[Any]],
    fake: type[FakeNetwork],
    *,
    plugin: Plugin | None = None,
    only: frozenset[int] | None = None,
    chaos_seconds: float | None = None,
    seed: int = 1,
    processes: int = 1,
) -> Report:
    """Run every check that applies, `only` those numbers when given. It takes a few seconds and opens no connection.

    `plugin` is what hands the connector over; without it the checks of its description do not apply. With `chaos_seconds`, of the kit's
    clock, the checks of platinum are run: `seed` is the chance of 75. With several `processes` the checks are shared between copies of this
    one; call it so from a process with one thread. Not to be called in a running event loop. Raises nothing for a broken connector: what is
    wrong stands in the report.
    """
    from smhub.testing.running import run
    from smhub.testing.trial import Chaos

    chaos = Chaos(seconds=chaos_seconds, seed=seed) if chaos_seconds is not None else None
    return run(connector, fake, plugin=plugin, only=only, chaos=chaos, processes=processes)


def replayed(connector: type[Connector[Any]], file: Path) -> Replayed:
    """What a connector makes of a recording of `smhub plugin record`: the account and the pages. Not to be called in a running event loop."""
    from smhub.testing.recording import replayed as replay

    return replay(connector, file)


__all__ = [
    "GROUP",
    "LEVELS",
    "Answer",
    "FakeNetwork",
    "NotOffered",
    "Post",
    "Report",
    "Request",
    "Result",
    "Talk",
    "answer",
    "check_connector",
    "framed",
    "replayed",
    "websocket",
]
