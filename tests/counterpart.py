"""Servers that others wrote, started for a test (tests/counterparts), and a relay that loses their answers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError

SCRIPTS = Path(__file__).parent / "counterparts"
INSTALLED_WITHIN = 600.0


@contextmanager
def running(name: str, path: str, log: Path) -> Iterator[str]:
    """Start a counterpart on a free port and wait until `path` answers; its address. It fails when it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(SCRIPTS / name / "start.sh")],
            env={**os.environ, "PORT": str(port)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = monotonic() + INSTALLED_WITHIN
        while not _answers(url + path):
            if process.poll() is not None or monotonic() > until:
                raise AssertionError(f"the counterpart {name} did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")
            sleep(0.05)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@asynccontextmanager
async def relay(url: str, lose: Callable[[str, int], bool], hold: asyncio.Event | None = None) -> AsyncIterator[str]:
    """A relay in front of a server. An answer is thrown away after the server has acted when `lose(method, number of the request of this
    method)` says so. With `hold` requests are passed on only when it is set, though nobody may wait for an answer any more."""
    host, port = url.removeprefix("http://").split(":")
    counts: dict[str, int] = {}

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head[:-4].split(b"\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                method = lines[0].split(b" ")[0].decode()
                counts[method] = counts.get(method, 0) + 1
                if hold is not None:
                    await hold.wait()
                kept = [line for line in lines if not line.lower().startswith(b"connection:")]
                there, back = await asyncio.open_connection(host, int(port))
                back.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]) + body)
                await back.drain()
                answer = await there.read()
                back.close()
                if not lose(method, counts[method]):
                    writer.write(answer)
                    await writer.drain()
                return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
