"""Schemathesis asks everything that the document allows, and much that it does not. No 5xx, no answer that is not in the document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from serving_hub import served

CONFIG = Path(__file__).with_name("schemathesis.toml")
EVERYDAY = {"sqlite": "examples,coverage,fuzzing,stateful", "postgresql": "examples,fuzzing,stateful"}


# With these it could end its own key and see nothing but 401 from then on; so they are asked by themselves, without following links.
AGAINST_ITSELF = ("revoke_key", "rotate_key", "change_member", "take_role")

# It does not end by itself; tests/events/test_stream.py asks it.
ENDLESS = ("stream_events",)


def attack(database_url: str, folder: Path, *, phases: str, most: int, seconds: int, more: tuple[str, ...] = ()) -> None:
    """Run it as the first admin against a hub on this database."""
    with served(database_url) as hub:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{hub.url}/v1/openapi.json"),
            *("--url", hub.url, "-H", f"Authorization: Bearer {hub.key}", "--checks", "all"),
            *("--max-examples", str(most), "--no-color", "--no-shrink", "--warnings", "off", *more),
        ]
        others = [word for name in (*AGAINST_ITSELF, *ENDLESS) for word in ("--exclude-operation-id", name)]
        these = [word for name in AGAINST_ITSELF for word in ("--include-operation-id", name)]
        for part in (["--phases", phases, *others], ["--phases", "examples,coverage", *these]):
            done = subprocess.run([*command, *part], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
            assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
            # The key still works: what was refused was not refused for the lack of one.
            assert httpx2.get(f"{hub.url}/v1/me", headers={"Authorization": f"Bearer {hub.key}"}).status_code == 200


@pytest.mark.xdist_group("schemathesis")
def test_nothing_that_can_be_asked_breaks_the_hub(database_url: str, tmp_path: Path) -> None:
    phases = EVERYDAY[database_url.partition(":")[0]]
    attack(database_url, tmp_path, phases=phases, most=3, seconds=300, more=("--generation-deterministic",))


@pytest.mark.soak
@pytest.mark.xdist_group("schemathesis")
def test_nothing_that_can_be_asked_for_long_breaks_the_hub(database_url: str, tmp_path: Path) -> None:
    attack(
        database_url,
        tmp_path,
        phases="examples,coverage,fuzzing,stateful",
        most=100,
        seconds=7200,
        more=("--generation-database", "none"),
    )
