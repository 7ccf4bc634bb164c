"""The tutorial is run as it stands: its files are written, its commands are typed, and what they print is compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs/connectors/tutorial.md"
BLOCK = re.compile(r"^```(?:console|python file=(\S+))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = re.compile(r"in \d+\.\d s")


def _like(text: str) -> str:
    """Without what differs from run to run: seconds, and lines of our own code."""
    return re.sub(r"line \d+", "line N", SECONDS.sub("in N s", text))


def test_every_block_of_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    shim = tmp_path / "bin/smhub"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m smhub "$@"\n')
    shim.chmod(0o755)
    path = ":".join(one for one in sys.path if one)
    environment = {"PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    folder, ran = tmp_path / "empty", 0
    folder.mkdir()
    for file, body in BLOCK.findall(TUTORIAL.read_text("utf-8")):
        if file:
            assert (folder / file).is_file(), f"{file} was not made by `plugin new`"
            (folder / file).write_text(body)
            continue
        for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            if command.startswith("cd "):
                folder = folder / command.removeprefix("cd ")
                continue
            done = subprocess.run(
                ["sh", "-c", f"exec 2>&1; {command}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert _like(done.stdout) == _like(expected), command
            ran += 1
    assert ran == 4
    style = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    checked = subprocess.run(style, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
