"""The small Mastodon as a server on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from urllib.parse import parse_qs

from smhub.net.sockets import accepted
from smhub.testing import framed
from smhub_mastodon.fake import Instance


class Server(Instance):
    """`lose(number)` says whether the answer to this write gets lost."""

    def __init__(self, software: str = "mastodon") -> None:
        super().__init__(software)
        self.lose: Callable[[int], bool] = lambda number: False
        self._writes = 0
        self.deaf = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _stream(self, target: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        """As Mastodon's streaming server: heartbeats, and what happens from now on."""
        status, _, problem = self.answer("GET", "/api/v1/accounts/verify_credentials", headers, b"")
        if status != 200 or self.deaf:
            body = json.dumps({"error": self.deaf or problem["error"]}).encode()
            writer.write(f"HTTP/1.1 401 Said\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            return
        if self.gotosocial:
            await self._socket(target, headers, writer)
            return
        name, _, tag = target.removeprefix("/api/v1/streaming/").partition("?tag=")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n:)\n")
        ear = (f"{name}:{tag}" if tag else name, writer.write)
        self.ears.append(ear)
        try:
            while not writer.transport.is_closing():
                writer.write(b":thump\n")
                await asyncio.sleep(0.1)
        finally:
            self.ears.remove(ear)

    async def _socket(self, target: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        """As GoToSocial: WebSockets alone, with the token as their protocol."""
        if headers.get("upgrade", "").lower() != "websocket" or not target.startswith("/api/v1/streaming?"):
            writer.write(b"HTTP/1.1 400 Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        asked = parse_qs(target.partition("?")[2])
        assert headers["sec-websocket-protocol"] == "tok-firma"
        key = accepted(headers["sec-websocket-key"])
        lines = ["HTTP/1.1 101 Switching", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {key}", "", ""]
        writer.write("\r\n".join(lines).encode())

        def say(event: bytes) -> None:
            name, data = event.decode().strip().removeprefix("event: ").split("\ndata: ")
            writer.write(framed(json.dumps({"stream": asked["stream"], "event": name, "payload": data})))

        ear = (":".join([asked["stream"][0], *asked.get("tag", [])]), say)
        self.ears.append(ear)
        try:
            while not writer.transport.is_closing():
                writer.write(b"\x89\x00")
                await asyncio.sleep(0.1)
        finally:
            self.ears.remove(ear)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                if target.startswith("/api/v1/streaming"):
                    await self._stream(target, headers, writer)
                    return
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, more, content = self.answer(method, target, headers, body)
                if method == "POST":
                    self._writes += 1
                    if self.lose(self._writes):
                        return  # it was done, and nobody hears of it
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                lines = [
                    f"HTTP/1.1 {status} Said",
                    f"Content-Length: {len(data)}",
                    *(f"{name}: {value}" for name, value in more.items()),
                ]
                writer.write("\r\n".join([*lines, "", ""]).encode() + data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
