"""A guarded connection that does not speak HTTP: judged addresses, declared ports, TLS, a deadline and a cap for each question."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import httpcore2
import msgspec

from smhub.net.client import FAILURES, PIECE, Client, Fence, NoAnswer
from smhub.sdk.errors import OutcomeUnknown, PayloadMalformed

T = TypeVar("T")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a wire. `acted` is called when what acts leaves, `heard` for every sign of life."""

    deadline: float
    max_bytes: int
    fence: Fence | None
    acted: Callable[[], None]
    heard: Callable[[], None]


class OpenWire:
    """The sdk's Wire."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, host: str, tls: ssl.SSLContext, terms: Terms) -> None:
        self._stream, self._host, self._tls, self._terms = stream, host, tls, terms
        self._buffer = bytearray()
        self._unclear = False
        self._begin()

    @classmethod
    async def open(cls, client: Client, host: str, port: int, ports: frozenset[int], terms: Terms, *, tls: bool) -> OpenWire:
        """Connect to a judged address. Raises AddressRefused, NoAnswer."""
        try:
            async with asyncio.timeout(terms.deadline):
                stream = await client.dial(host, port, ports)
        except TimeoutError:
            raise NoAnswer(f"{host}: no connection within {terms.deadline:g} seconds.", sent=False) from None
        except FAILURES as error:
            raise NoAnswer(f"{host}: no connection ({type(error).__name__}).", sent=False) from None
        wire = cls(stream, host, client.wire_tls, terms)
        if tls:
            try:
                await wire.start_tls()
            except BaseException:
                await wire.close()
                raise
        return wire

    async def line(self, max_bytes: int = 8192, *, silence: float | None = None) -> bytes:
        """See `smhub.sdk.Wire`."""
        until = self._until if silence is None else asyncio.get_running_loop().time() + silence
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > max_bytes:
                raise PayloadMalformed(f"{self._host}: a line is longer than {max_bytes} bytes.")
            if silence is not None:
                self._left = self._terms.max_bytes
            await self._more(until)
        if end > max_bytes + 1:
            raise PayloadMalformed(f"{self._host}: a line is longer than {max_bytes} bytes.")
        found = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._unclear = False
        return found

    async def exactly(self, count: int) -> bytes:
        """See `smhub.sdk.Wire`."""
        if count - len(self._buffer) > self._left:
            raise PayloadMalformed(f"{self._host}: an answer is larger than {self._terms.max_bytes} bytes.")
        while len(self._buffer) < count:
            await self._more(self._until)
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    async def write(self, data: bytes, *, acts: bool = False) -> None:
        """See `smhub.sdk.Wire`."""
        if self._terms.fence is not None:
            await self._terms.fence(acts)
        self._begin()
        if acts:
            self._terms.acted()
            self._unclear = True
        await self._within(self._stream.write(data), self._until)

    async def start_tls(self) -> None:
        """See `smhub.sdk.Wire`."""
        # What somebody on the way put in before the encryption must not be taken for the server's word after it.
        if self._buffer:
            raise PayloadMalformed(f"{self._host} said something before the encryption that it should say after it.")
        self._begin()
        self._stream = await self._within(self._stream.start_tls(self._tls, server_hostname=self._host), self._until)

    async def close(self) -> None:
        """Let go of the connection."""
        try:
            await self._stream.aclose()
        except FAILURES:
            return

    def _begin(self) -> None:
        self._until = asyncio.get_running_loop().time() + self._terms.deadline
        self._left = self._terms.max_bytes

    async def _more(self, until: float) -> None:
        piece: bytes = await self._within(self._stream.read(PIECE), until)
        if not piece:
            self._broken("the connection ended")
        self._terms.heard()
        self._left -= len(piece)
        if self._left < 0:
            raise PayloadMalformed(f"{self._host}: an answer is larger than {self._terms.max_bytes} bytes.")
        self._buffer += piece

    async def _within(self, doing: Awaitable[T], until: float) -> T:
        try:
            async with asyncio.timeout_at(until):
                return await doing
        except TimeoutError:
            self._broken("no whole answer in time")
        except FAILURES as error:
            self._broken(f"the connection broke ({type(error).__name__})")

    def _broken(self, why: str) -> NoReturn:
        if self._unclear:
            raise OutcomeUnknown(f"{self._host}: {why}. It was sent; whether it was done is not known.") from None
        raise NoAnswer(f"{self._host}: {why}.", sent=False) from None
