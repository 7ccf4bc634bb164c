"""What lies in the package beside the code: what it requires, its types, and recordings of the real network."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from smhub.testing.checks.contract import is_single_file
from smhub.testing.recording import Recording, replay
from smhub.testing.registry import NotApplicable, NotRun, check
from smhub.testing.trial import BadItem, Trial, items

GROUP = "Operations"
ABOVE = 4
OURS = frozenset({"smhub", "msgspec"})
"""smhub itself, and what the contract is made of: it is there wherever smhub is."""
HUB = "smhub"
RECORDINGS = "recordings"
TYPES_SECONDS = 240


@check(8, "platinum", "It needs nothing but smhub, and is clean under mypy --strict")
async def needs_nothing_else(t: Trial) -> None:
    module = t.kind.__module__
    if is_single_file(module):
        raise NotApplicable("it was loaded from a single file")
    if t.chaos is None:
        raise NotRun("it is run with 75: --chaos")
    found = {Requirement(one).name.lower() for one in _requirements(module)} - OURS
    t.expect(not found, done="read what the package requires", expected="smhub, and msgspec at most", came=", ".join(sorted(found)))
    if importlib.util.find_spec("mypy") is None:
        raise NotRun("mypy is not installed here: pip install mypy")
    ran = await asyncio.to_thread(_types, module)
    errors = [line for line in ran.stdout.splitlines() if ": error:" in line] or [ran.stdout[-200:] + ran.stderr[-200:]]
    t.expect(ran.returncode == 0, done="ran mypy --strict", expected="no error", came=f"{len(errors)}: {errors[0]}")


@check(74, "gold", "Recorded answers of the real network are read")
async def recordings(t: Trial) -> None:
    files = sorted((_file(t.kind.__module__).parent / RECORDINGS).glob("*.json")) if not is_single_file(t.kind.__module__) else []
    played = 0
    for file in files:
        done = f"replayed {file.name}"
        try:
            recording = msgspec.json.decode(file.read_bytes(), type=Recording)
        except msgspec.DecodeError as error:
            t.expect(False, done=done, expected="a file of `smhub plugin record`", came=error)
        if recording.network != t.kind.network:
            continue
        played += 1
        try:
            made = await replay(t.kind, recording)
        except Exception as error:
            t.expect(False, done=done, expected="no error", came=error)
        t.expect(made.account.external_id and made.account.handle, done=done, expected="who we are", came=made.account)
        bad = [one for one in items(made.pages) if isinstance(one, BadItem)]
        t.expect(not bad, done=done, expected="nothing that cannot be read", came=bad)
    if not played:
        raise NotApplicable(f"the package ships no recording in {RECORDINGS}/: `smhub plugin record` writes one")


def _file(module: str) -> Path:
    return Path(sys.modules[module].__file__ or ".").absolute()


def _requirements(module: str) -> list[str]:
    """What the package says that it needs to run: beside the sources, else of the installed package."""
    top = module.partition(".")[0]
    for folder in _file(module).parents[:ABOVE]:
        if (folder / "pyproject.toml").is_file():
            project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
            return list(project.get("dependencies", []))
    for name in packages_distributions().get(top, ()):
        try:
            return [] if name == HUB else [one for one in requires(name) or () if not re.search(r";.*\bextra\b", one)]
        except PackageNotFoundError:
            continue
    raise NotApplicable("it is not installed, and there is no pyproject.toml beside it")


def _types(module: str) -> subprocess.CompletedProcess[str]:
    """mypy over the package, by the kit's own settings. What it found out about smhub is kept from one run to the next: it is most of it."""
    top = module.partition(".")[0]
    what = ["-m", module] if top == HUB else ["-p", top]
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smhub-kit" / "mypy"
    options = ["--strict", "--config-file=", "--follow-imports=silent", "--no-error-summary", f"--cache-dir={kept}"]
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "mypy", *options, *what],
        capture_output=True,
        text=True,
        check=False,
        timeout=TYPES_SECONDS,
        cwd=_file(module).parents[module.count(".")],
    )
