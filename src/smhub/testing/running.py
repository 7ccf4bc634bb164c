"""Runs the checks of one connector, each on a fresh network and a fresh clock."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from smhub.sdk import Connector, Plugin, capabilities
from smhub.testing.checks import (
    chaos,
    contract,
    credentials,
    fetching,
    letting_in,
    limits,
    metrics,
    operations,
    packaging,
    publishing,
    streams,
    texts,
    webhooks,
)
from smhub.testing.hub import MEMORY, Bench, template
from smhub.testing.loop import MUTANTS, QuickLoop, sqlite_at_once
from smhub.testing.network import FakeNetwork, NotOffered
from smhub.testing.registry import Broken, Check, Checks, NotApplicable, NotRun, shown
from smhub.testing.report import Report, Result
from smhub.testing.sharing import shared
from smhub.testing.trial import Chaos, Trial, heard

MODULES = (
    contract,
    credentials,
    letting_in,
    fetching,
    limits,
    texts,
    publishing,
    webhooks,
    streams,
    metrics,
    operations,
    packaging,
    chaos,
)
"""The modules that hold the checks; importing them registers them."""


def run(
    connector: type[Connector[Any]],
    fake: type[FakeNetwork],
    *,
    plugin: Plugin | None = None,
    only: frozenset[int] | None = None,
    chaos: Chaos | None = None,
    processes: int = 1,
) -> Report:
    """See `smhub.testing.check_connector`."""
    began = time.perf_counter()
    template()
    chosen = [one for one in Checks.sorted() if only is None or one.number in only]
    shares = shared(chosen, processes, lambda share: _some(share, connector, fake, plugin, chaos))
    return Report(
        network=str(getattr(connector, "network", "")),
        connector=f"{connector.__module__}:{connector.__qualname__}",
        results=tuple(sorted(shares, key=lambda one: one.number)),
        seconds=time.perf_counter() - began,
    )


def _some(
    chosen: Iterator[Check], connector: type[Connector[Any]], fake: type[FakeNetwork], plugin: Plugin | None, chaos: Chaos | None
) -> Iterator[Result]:
    """These checks, one after the other, around one database."""
    with tempfile.TemporaryDirectory(prefix="smhub-kit-", dir=MEMORY) as folder, asyncio.Runner(loop_factory=QuickLoop) as runner:
        logs: list[str] = []
        with heard(logs), sqlite_at_once():
            bench = Bench(connector, Path(folder))
            for one in chosen:
                start = time.perf_counter()
                result = _one(runner, one, connector, fake, plugin, bench, logs, chaos)
                yield msgspec.structs.replace(result, seconds=round(time.perf_counter() - start, 3))
            runner.run(bench.close())


def _one(
    runner: asyncio.Runner,
    one: Check,
    connector: type[Connector[Any]],
    fake: type[FakeNetwork],
    plugin: Plugin | None,
    bench: Bench,
    logs: list[str],
    chaos: Chaos | None,
) -> Result:
    said: dict[str, Any] = {"number": one.number, "level": one.level, "title": one.title, "group": one.group}
    lacking = [name for name in one.needs if name not in capabilities(connector)]
    if lacking:
        return Result(**said, state="not_applicable", why=f"it does not have {', '.join(lacking)}")

    async def tried() -> str:
        before = asyncio.all_tasks()
        trial = Trial(connector, fake, plugin, bench)
        logs.clear()
        trial.logs, trial.chaos = logs, chaos
        try:
            await one.run(trial)
            return trial.note
        finally:
            with _quiet():
                await trial.close()
            for task in asyncio.all_tasks() - before:
                if not _is_the_hubs(task):
                    task.cancel()

    try:
        note = runner.run(tried())
    except (NotApplicable, NotOffered) as error:
        return Result(**said, state="not_applicable", why=str(error))
    except NotRun as error:
        return Result(**said, state="not_run", why=str(error))
    except Broken as error:
        return Result(**said, state="failed", done=error.done, expected=error.expected, came=error.came)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = _place(error)
        return Result(**said, state="failed", done=one.title, expected="no error", came=f"{shown(error)}{place}")
    return Result(**said, state="passed", note=note)


def _is_the_hubs(task: asyncio.Task[Any]) -> bool:
    """The database keeps tasks of its own beyond a check."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    name = str(frame.f_globals.get("__name__", "")) if frame else ""
    return name.startswith("smhub.") and not name.startswith(MUTANTS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What fails while everything is put away was said before, or is of no interest."""
    with contextlib.suppress(Exception):
        yield


def _place(error: BaseException) -> str:
    """Where it was raised."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f" ({Path(at.tb_frame.f_code.co_filename).name}, line {at.tb_lineno})" if at else ""
