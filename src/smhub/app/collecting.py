"""Python's collector of cycles, told what a long-running process is like."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 50)


def settle() -> None:
    """Call once when everything is loaded: what is there now stays, so it is never looked at again; and look at what is new less often.

    With the usual thresholds the collector takes a fifth of the processor time that a delivery needs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
