"""Who watches the worker: what is silent is killed, what has to end ends in time, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from running import Running, alive, children, is_worker, running, until

QUICK = {"SMHUB_STUCK_SECONDS": "2", "SMHUB_DRAIN_SECONDS": "1", "SMHUB_PAGE_SECONDS": "600"}


def family(hub: Running) -> list[int]:
    """The workers, and what their plugins started."""
    workers = children(hub.working.pid)
    return workers + [one for worker in workers for one in children(worker)]


def test_a_silent_worker_is_replaced_and_the_end_leaves_nothing_behind_not_even_who_does_not_want_to_end(
    database_url: str, tmp_path: Path
) -> None:
    with running(database_url, tmp_path, **QUICK) as hub:
        good = hub.channel(manner="well")
        hub.channel(manner="starts a program")
        until(lambda: hub.mentions(good))
        first = until(lambda: (pid := hub.worker()) and children(pid) and pid)
        (program, *_) = children(first)
        os.kill(first, signal.SIGSTOP)
        began = time.monotonic()
        second = hub.worker(other_than=first)
        assert 3 < time.monotonic() - began < 15
        assert not alive(first)
        until(lambda: not alive(program), 2)
        before = hub.mentions(good)
        until(lambda: hub.mentions(good) > before)
        assert hub.worker() == second
        # It is running, and has just begun not to end.
        hub.channel(manner="does not end")
        until(lambda: children(second))
        time.sleep(3)
        everybody = family(hub)
        began = time.monotonic()
        assert hub.end() == 0
        assert time.monotonic() - began < 1 + 3 + 5
        assert [one for one in everybody if alive(one)] == []


def test_when_the_supervisor_is_killed_its_worker_and_all_that_it_started_go_with_it(database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path, **{**QUICK, "SMHUB_STUCK_SECONDS": "60"}) as hub:
        hub.channel(manner="starts a program")
        worker = until(lambda: (pid := hub.worker()) and children(pid) and pid)
        # Not even the interpreter gets its turn now.
        bad = hub.channel(manner="spins in c")
        until(lambda: "spins in c" in hub.said() or _is_busy(worker))
        everybody = family(hub)
        assert len(everybody) > 1
        hub.end(signal.SIGKILL)
        until(lambda: not any(alive(one) for one in everybody), 2)
        assert bad


def _is_busy(pid: int) -> bool:
    """Whether it used the processor for most of a second."""

    def used() -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11])

    before = used()
    time.sleep(1)
    return is_worker(pid) and used() - before > 0.5 * os.sysconf("SC_CLK_TCK")
