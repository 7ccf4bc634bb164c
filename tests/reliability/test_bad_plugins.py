"""Whatever a plugin does to its worker, it does to itself: the others go on, the API answers, and the hub says who it was."""

from __future__ import annotations

import http.server
import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from running import Running, running, until

QUICK = {"SMHUB_STUCK_SECONDS": "2", "SMHUB_PAGE_SECONDS": "3", "SMHUB_WORKER_MEMORY_MB": "400"}
HUNG, CRASHED, MEMORY = ("quarantined", "connector_hung"), ("quarantined", "connector_crashed"), ("quarantined", "connector_memory")
BUG = ("degraded", "connector_bug")
WELL = ("active", None)
MANNERS: dict[str, tuple[str, str | None]] = {
    "spins": HUNG,
    "spins in c": HUNG,
    "sleeps": HUNG,
    "blocks on a socket": HUNG,
    "stops": HUNG,
    "does not end": HUNG,
    "leaks": MEMORY,
    "wants 8 GB": MEMORY,
    "exits the loop": CRASHED,
    "exits for good": CRASHED,
    "crashes": CRASHED,
    "kills": CRASHED,
    "exits": BUG,
    "raises": BUG,
    "interrupts": BUG,
    "raises what nobody hears": BUG,
    "gives something else": BUG,
    "reads a line of 1 GB": ("connecting", "payload_malformed"),
    "forks": WELL,
    "forks and forks": WELL,
    "prints": WELL,
    "terminates": WELL,
}

FEW = ("spins", "spins in c", "does not end", "wants 8 GB", "crashes", "raises", "forks")


class OneLine(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for _ in range(1024):
                self.wfile.write(b"x" * (1 << 20))
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def line() -> Iterator[str]:
    """Host and port of a server whose answer is one line of 1 GB."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OneLine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Watch:
    """What a user sees meanwhile: how long answers take, and how long nothing new came in."""

    def __init__(self) -> None:
        self.answers: list[float] = []
        self.wrong: list[Any] = []
        self.longest_silence = 0.0

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.answers, n=100)[98]


@contextmanager
def watching(hub: Running, good: str, *, every: float = 0.1) -> Iterator[Watch]:
    seen, stop = Watch(), threading.Event()

    def look() -> None:
        with httpx2.Client(base_url=hub.address, headers=hub.headers, timeout=20) as client:
            count, since = -1, time.monotonic()
            while not stop.wait(every):
                began = time.monotonic()
                answer = client.get("/v1/mentions", params={"limit": 50})
                seen.answers.append(time.monotonic() - began)
                if answer.status_code != 200:
                    seen.wrong.append((answer.status_code, answer.text))
                if len(seen.answers) % 5 == 0:
                    found = {one["channel_id"]: one["mentions"] for one in client.get("/v1/intakes?limit=200").json()["items"]}
                    seen.longest_silence = max(seen.longest_silence, time.monotonic() - since)
                    if found[good] != count:
                        count, since = found[good], time.monotonic()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def verdict(hub: Running, channel: str) -> tuple[str, str | None]:
    told = hub.health(channel)
    return told["state"], told["reason_code"]


def test_bad_plugins_harm_only_themselves(database_url: str, tmp_path: Path, line: str) -> None:
    """All at the same time; what they do to their worker has little to do with the database, so on PostgreSQL one of each kind will do."""
    manners = MANNERS if database_url.startswith("sqlite") else {one: MANNERS[one] for one in FEW}
    with running(database_url, tmp_path, SMHUB_ALLOW_PRIVATE_HOSTS=line, **QUICK) as hub:
        good = hub.channel(manner="well")
        until(lambda: hub.mentions(good))
        with watching(hub, good) as seen:
            bad = {manner: hub.channel(manner=manner, address=f"http://{line}/") for manner in manners}
            waiting = dict(bad)
            end = time.monotonic() + 120
            while waiting and time.monotonic() < end:
                waiting = {manner: one for manner, one in waiting.items() if verdict(hub, one) != manners[manner]}
                time.sleep(0.2)
        assert {manner: verdict(hub, one) for manner, one in waiting.items()} == {}, hub.said()[-6000:]
        assert seen.wrong == []
        assert max(seen.answers) < 5
        assert seen.longest_silence < 30
        told = hub.health(bad["crashes"])
        assert told["reason"] == "its worker ended by SIGSEGV"
        assert "resume the channel" in told["advice"]
        assert told["since"] < told["next_poll_at"]
        assert "line" in hub.health(bad["spins"])["reason"]
        before = hub.mentions(good)
        until(lambda: hub.mentions(good) > before + 1)


@pytest.mark.soak
def test_each_bad_plugin_alone_and_what_it_costs_the_others(database_url: str, tmp_path: Path, line: str) -> None:
    usual = {"SMHUB_ALLOW_PRIVATE_HOSTS": line, "SMHUB_PAGE_SECONDS": "5", "SMHUB_WORKER_MEMORY_MB": "400"}
    with running(database_url, tmp_path, **usual) as hub:
        good = hub.channel(manner="well")
        until(lambda: hub.mentions(good))
        for manner, expected in MANNERS.items():
            with watching(hub, good, every=0.02) as before:
                time.sleep(8)
            began = time.monotonic()
            with watching(hub, good, every=0.02) as during:
                bad = hub.channel(manner=manner, address=f"http://{line}/")
                until(lambda bad=bad, expected=expected: verdict(hub, bad) == expected, 120, why=f"{manner}: {hub.said()[-3000:]}")
                seconds = time.monotonic() - began
                time.sleep(max(0.0, 8 - seconds))
            hub.client.delete(f"/v1/channels/{bad}").raise_for_status()
            figures = {
                "manner": manner,
                "verdict": expected[1],
                "seconds": round(seconds, 1),
                "silence": round(during.longest_silence, 1),
                "p99_before_ms": round(before.p99 * 1000, 1),
                "p99_during_ms": round(during.p99 * 1000, 1),
                "answers": len(during.answers),
            }
            print(json.dumps(figures), flush=True)
            assert before.wrong + during.wrong == []
            assert during.longest_silence < 60
