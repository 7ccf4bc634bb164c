"""`smhub plugin check` of a full connector, from the command to its end. Bound: 5 s.

The floor is an interpreter that imports what the kit is made of, which is a hub.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.common import percentile, show

ROUNDS = 3
CONNECTORS = os.environ.get("BENCH_CONNECTORS", "mastodon,bluesky").split(",")


def run() -> None:
    for name in CONNECTORS:
        rounds = [
            (_seconds("-m", "smhub", "plugin", "check", name), _seconds("-c", "import smhub.testing.running")) for _ in range(ROUNDS)
        ]
        ours, floor = (percentile([one[side] for one in rounds], 0.5) for side in (0, 1))
        show(f"kit, {name}", "sqlite", ours, "s", floor, ROUNDS)


def _seconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
