"""WebSockets (RFC 6455) over a connection of ours: frames to messages within a cap, signs of life both ways, what a close means."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress

import httpcore2
from websockets.exceptions import PayloadTooBig
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from smhub.net.client import FAILURES, PIECE, NoAnswer
from smhub.sdk.errors import AuthExpired, ConnectorError, PayloadMalformed, PermissionMissing, RateLimited, Transient
from smhub.sdk.http import Response

LARGEST = 1024 * 1024
"""Bytes of one message. Whoever sends more is cut off."""
PINGS = 3
"""How often we ask for a sign of life before a connection is taken for dead."""
GOODBYE = 1.0

ENDED = frozenset({1000, 1001, 1005})
"""The other side ends it: it is done, it goes away, or it gives no reason."""
WHOLE = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

log = logging.getLogger("smhub.net.sockets")
log.setLevel(logging.WARNING)  # The library's debug lines hold what people say.


def handshake() -> tuple[dict[str, str], str]:
    """What asks for a WebSocket, and the answer that only who understood it gives."""
    key = base64.b64encode(os.urandom(16)).decode()
    asked = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": key}
    return asked, accepted(key)


def accepted(key: str) -> str:
    """What the other side answers to a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()


def closing(code: int, host: str) -> ConnectorError | None:
    """What the code of a close means; None for an end without an error. The reason beside it may hold anything, and is not shown."""
    said = f"{host} closed the connection ({code})."
    match code:
        case _ if code in ENDED:
            return None
        case 1002 | 1003 | 1007 | 1009 | 1010:
            return PayloadMalformed(said)
        case 3000:
            return AuthExpired(said)
        case 1008 | 3003:
            return PermissionMissing(said)
        case 1013:
            return RateLimited(said)
    return Transient(said)


class OpenSocket:
    """An open WebSocket. `heard` is called for every sign of life."""

    def __init__(
        self,
        stream: httpcore2.AsyncNetworkStream,
        host: str,
        silence: float,
        heard: Callable[[], None],
        map_error: Callable[[Response], ConnectorError | None],
    ) -> None:
        self._stream, self._host, self._silence, self._heard, self._map_error = stream, host, silence, heard, map_error
        self._protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=LARGEST, logger=log)
        self._begun = bytearray()
        self._text = False

    async def say(self, text: str) -> None:
        """Send a message."""
        self._protocol.send_text(text.encode())
        await self._flush()

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        """What the other side says, until it ends. Raises what its close means, Transient when it is silent or breaks."""
        try:
            while self._protocol.state is State.OPEN:
                piece = await self._piece()
                if not piece:
                    raise NoAnswer(f"GET {self._host}: the connection broke.", sent=False)
                self._heard()
                self._protocol.receive_data(piece)
                for message in self._completed():
                    yield message
                await self._flush()
            problem = self._problem()
            if problem is not None:
                raise problem
        finally:
            await self._leave()

    def _completed(self) -> Iterator[str | bytes]:
        for frame in self._protocol.events_received():
            opcode = getattr(frame, "opcode", None)
            if opcode not in WHOLE:
                continue
            if opcode is not Opcode.CONT:
                self._text = opcode is Opcode.TEXT
            self._begun += frame.data  # type: ignore[union-attr]
            if frame.fin:  # type: ignore[union-attr]
                whole, self._begun = bytes(self._begun), bytearray()
                yield self._read(whole) if self._text else whole

    def _read(self, whole: bytes) -> str:
        try:
            return whole.decode()
        except UnicodeDecodeError:
            self._protocol.fail(1007)
            raise PayloadMalformed(f"{self._host}: a message is not UTF-8.") from None

    def _problem(self) -> ConnectorError | None:
        """Why it is not open any more. The connector is asked first, with the code as the status."""
        broken, close = self._protocol.parser_exc, self._protocol.close_rcvd
        if isinstance(broken, PayloadTooBig):
            return PayloadMalformed(f"A message of {self._host} is larger than {LARGEST} bytes.")
        if broken is not None or close is None:
            return PayloadMalformed(f"{self._host} does not keep to RFC 6455.")
        own = self._map_error(Response(status=close.code, headers={}, body=close.reason.encode(), url=""))
        return own if own is not None else closing(close.code, self._host)

    async def _piece(self) -> bytes:
        """What comes next. Who is silent is asked for a sign of life, and given up when there is none."""
        time = asyncio.get_running_loop().time
        until, wait = time() + self._silence, self._silence / (PINGS + 1)
        while True:
            try:
                async with asyncio.timeout(wait) as waiting:
                    return await self._stream.read(PIECE)
            except FAILURES as error:
                if not waiting.expired():
                    raise NoAnswer(f"GET {self._host}: the connection broke ({type(error).__name__}).", sent=False) from None
            if time() >= until:
                raise NoAnswer(f"GET {self._host}: nothing was heard for {self._silence:g} seconds.", sent=False)
            self._protocol.send_ping(b"")
            await self._flush()

    async def _flush(self) -> None:
        """Send what is to be sent; who takes nothing within the time is gone."""
        try:
            async with asyncio.timeout(self._silence):
                for data in self._protocol.data_to_send():
                    if data:
                        await self._stream.write(data)
        except FAILURES as error:
            raise NoAnswer(f"GET {self._host}: the connection broke ({type(error).__name__}).", sent=False) from None

    async def _leave(self) -> None:
        """Say that we go, if anybody still listens; nobody is waited for."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1001)
        with suppress(Exception):
            async with asyncio.timeout(GOODBYE):
                await self._flush()


__all__ = ["LARGEST", "OpenSocket", "accepted", "closing", "handshake"]
