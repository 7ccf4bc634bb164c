"""A network with bad manners of the worst kind: what its connector does to its worker is a setting of the channel."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from smhub.sdk import Account, Author, Connector, FetchesMentions, Mention, Page, Plugin, PluginContext

KEPT: list[bytearray] = []
"""What leaks outlives the call that leaked it, so that the deadline of a page does not give it back."""


class Settings(msgspec.Struct, kw_only=True):
    manner: str = ""
    address: str = ""


class Place(msgspec.Struct, frozen=True):
    at: int = 0


class Unheard(BaseException):
    """Not even an Exception."""


def spin() -> None:
    while True:
        pass


def wait_for_nobody() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.accept()


def fork(times: int) -> None:
    for _ in range(times):
        os.fork()


def raises(error: BaseException) -> None:
    raise error


AT_ONCE: dict[str, Callable[[], Any]] = {
    "spins": spin,
    "spins in c": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
    "sleeps": lambda: time.sleep(3600),
    "blocks on a socket": wait_for_nobody,
    "wants 8 GB": lambda: len(bytearray(8 << 30)),
    "starts a program": lambda: subprocess.Popen(["sleep", "600"]),
    "forks": lambda: fork(1),
    "forks and forks": lambda: fork(50),
    "exits": lambda: sys.exit(3),
    "exits the loop": lambda: asyncio.get_running_loop().call_soon(sys.exit, 3),
    "exits for good": lambda: os._exit(3),
    "crashes": lambda: ctypes.string_at(0),
    "kills": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stops": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "terminates": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "prints": lambda: print("x" * 100_000_000),
    "raises": lambda: raises(ZeroDivisionError()),
    "raises what nobody hears": lambda: raises(Unheard()),
    "interrupts": lambda: raises(KeyboardInterrupt()),
}


class Rowdy(Connector[Settings], FetchesMentions):
    network, title = "rowdy", "Rowdy"
    Config, Cursor = Settings, Place
    checked_against = "nothing: it is a fake for tests"
    poll_seconds = 1

    async def verify(self) -> Account:
        return Account(external_id="1", handle="rowdy")

    async def fetch_mentions(self, cursor: Place | None) -> AsyncIterator[Page]:
        manner = self.config.manner
        if manner in AT_ONCE:
            AT_ONCE[manner]()
        if manner in ("exits the loop", "hangs"):
            await asyncio.sleep(3600)
        if manner == "leaks":
            while True:
                KEPT.append(bytearray(os.urandom(1 << 20)) * 10)
                await asyncio.sleep(0.01)
        if manner == "reads a line of 1 GB":
            await self.http.request("GET", self.config.address)
        if manner == "gives something else":
            yield "not a page"  # type: ignore[misc]
        while manner == "does not end":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue
        now = datetime.now(UTC)
        one = Mention(
            external_id=f"{manner}-{now.timestamp()}", author=Author(external_id="1", handle="r"), text="Hallo", published_at=now
        )
        yield Page(items=[one], cursor=Place((cursor.at if cursor else 0) + 1))


class RowdyPlugin(Plugin):
    id, title = "rowdy", "Rowdy"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Rowdy]
