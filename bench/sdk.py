"""What `import smhub.sdk` costs a process that has imported nothing yet. Bound: 150 ms, and neither litestar nor sqlalchemy in it.

The floor is msgspec alone, of which the contract is made.
"""

from __future__ import annotations

import subprocess
import sys

from bench.common import percentile, show

ROUNDS = 11
HEAVY = ("litestar", "sqlalchemy")
CODE = """
import sys, time
began = time.perf_counter()
import {module}
print((time.perf_counter() - began) * 1000, *[name for name in {heavy!r} if name in sys.modules])
"""


def run() -> None:
    # In turns, so that a slow minute of the machine hits both.
    rounds = [(_milliseconds("smhub.sdk"), _milliseconds("msgspec")) for _ in range(ROUNDS)]
    ours, floor = (percentile([one[side] for one in rounds], 0.5) for side in (0, 1))
    show("sdk", "none", ours, "ms", floor, ROUNDS)


def _milliseconds(module: str) -> float:
    code = CODE.format(module=module, heavy=HEAVY)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    if said[1:]:
        sys.exit(f"importing {module} brings {', '.join(said[1:])}")
    return float(said[0])
