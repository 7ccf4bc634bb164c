"""The wire between the hub's http and the fake network: here everything goes wrong that can go wrong on the way."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from smhub.net import Asked, Hear, Inside
from smhub.testing.loop import this_loop
from smhub.testing.network import Answer, FakeNetwork, NotOffered, Request, Talk
from smhub.testing.tokens import TokenEndpoint

DRIP_SECONDS = 5.0
MEGABYTE = b" " * (1 << 20)
ENDLESS = 64
SWITCHED = 101
"""From here on it is another protocol, and no body."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to a request instead of being answered.

    instead  the network never sees it, `answer` comes
    reset    the connection breaks before the request is read
    lose     the network does what was asked, and the answer is lost
    silence  nothing comes until the time is up
    drip     the answer comes byte by byte, each after five seconds
    cut      half of the answer comes
    garbage  bytes come that are no HTTP
    endless  an answer that does not end
    hang     nothing happens until somebody cancels
    """

    kind: Literal["instead", "reset", "lose", "silence", "drip", "cut", "garbage", "endless", "hang"]
    answer: Answer | None = None


Judge = Callable[[Request, int], Fault | None]
"""Asked for every request, with its number (from 1)."""


def instead(answer: Answer) -> Fault:
    """This answer, and not the network's."""
    return Fault(kind="instead", answer=answer)


class Wire:
    """Carries requests to the fake. `before(request, number)` decides their fate; `after(number)` is called when one was answered. What goes
    to the token endpoint is answered by the kit, and counted there."""

    def __init__(self, fake: FakeNetwork, tokens: TokenEndpoint | None = None) -> None:
        self.fake, self.tokens = fake, tokens
        self.inside = Inside(self._serve, self._talk)
        self.requests: list[Request] = []
        self.before: Judge = lambda request, number: None
        self.after: Callable[[int], None] = lambda number: None
        self.headers: dict[str, str] = {}
        self.hanging = asyncio.Event()
        self.sent = 0

    def reset(self) -> None:
        """From now on nothing goes wrong, and requests are counted anew."""
        self.requests.clear()
        self.before, self.after = (lambda request, number: None), (lambda number: None)
        self.inside.refuses = False

    def fails(self, fault: Fault, begin: int = 1, end: int | None = None) -> None:
        """Every request from number `begin` on, until `end`, meets this."""
        if fault.kind == "instead" and type(self.fake).talk is not FakeNetwork.talk:
            # Not applicable where the network has no words for this.
            self.fake.in_words(fault.answer or Answer(), Request(method="WIRE", target="", headers={}))
        self.reset()
        self.before = lambda request, number: fault if begin <= number and (end is None or number <= end) else None

    def _talk(self, port: int) -> Hear | None:
        try:
            talk = self.fake.talk(port)
        except NotOffered:
            return None
        return lambda data: self._converse(talk, port, data)

    async def _converse(self, talk: Talk, port: int, data: bytes | None) -> AsyncIterator[bytes]:
        """One write of a connection that is not HTTP; an empty piece is the end of it."""
        if data is None:
            yield talk.greeting()
            return
        request = Request(method="WIRE", target=str(port), headers={}, body=data)
        self.requests.append(request)
        number = len(self.requests)
        fault = self.before(request, number)
        match fault.kind if fault else "":
            case "instead":
                assert fault is not None
                yield self.fake.in_words(fault.answer or Answer(), request)
                yield b""
            case "reset":
                raise ConnectionResetError
            case "silence":
                raise TimeoutError
            case "garbage":
                # On an encrypted connection bytes of no protocol never get as far as the lines.
                raise ssl.SSLError
            case "hang":
                self.hanging.set()
                await asyncio.Event().wait()
            case "endless":
                for _ in range(ENDLESS):
                    self.sent += len(MEGABYTE)
                    yield MEGABYTE
                yield b""
        said = talk.hear(data)
        self.after(number)
        match fault.kind if fault else "":
            case "lose":
                raise ConnectionResetError
            case "cut":
                yield said[: len(said) // 2]
                yield b""
            case "drip":
                for byte in said:
                    this_loop().forward(DRIP_SECONDS)
                    await asyncio.sleep(0)
                    yield bytes([byte])
            case _:
                if said:
                    yield said

    @property
    def writes(self) -> int:
        """How many requests were to change something."""
        return sum(one.method not in ("GET", "HEAD") for one in self.requests)

    async def _serve(self, asked: Asked) -> AsyncIterator[bytes]:
        request = Request(method=asked.method, target=asked.target, headers=asked.headers, body=asked.body)
        if self.tokens is not None and self.tokens.is_asked(request):
            yield as_bytes(self.tokens.answer(request), {})
            return
        self.requests.append(request)
        number = len(self.requests)
        fault = self.before(request, number)
        match fault.kind if fault else "":
            case "instead":
                assert fault is not None
                yield as_bytes(fault.answer or Answer(), {})
                return
            case "reset":
                raise ConnectionResetError
            case "silence":
                raise TimeoutError
            case "garbage":
                yield b"\x16\x03\x01 nobody speaks this\r\n\r\n"
                return
            case "hang":
                self.hanging.set()
                await asyncio.Event().wait()
            case "endless":
                yield b"HTTP/1.1 200 Said\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n["
                for _ in range(ENDLESS):
                    self.sent += len(MEGABYTE)
                    yield MEGABYTE
                return
        answered = self.fake(request)
        whole = as_bytes(await answered if inspect.isawaitable(answered) else answered, self.headers)
        self.after(number)
        match fault.kind if fault else "":
            case "lose":
                raise ConnectionResetError
            case "cut":
                yield whole[: whole.index(b"\r\n\r\n") + 4 + len(whole.partition(b"\r\n\r\n")[2]) // 2]
                return
            case "drip":
                for byte in whole:
                    this_loop().forward(DRIP_SECONDS)
                    await asyncio.sleep(0)
                    yield bytes([byte])
                return
        yield whole


def as_bytes(answer: Answer, more: dict[str, str]) -> bytes:
    """An answer as it goes over the wire."""
    ends = {} if answer.status == SWITCHED else {"content-length": str(len(answer.body)), "connection": "close"}
    headers = {**ends, **answer.headers, **more}
    lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
