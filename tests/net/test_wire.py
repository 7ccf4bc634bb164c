"""A connection that does not speak HTTP goes through the same guard, and knows what may have been done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from smhub.net import AddressRefused, AllowList, Client, ConnectorHttp
from smhub.sdk import ConfigInvalid, OutcomeUnknown, PayloadMalformed, Transient
from smhub.time import StandingClock

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def spoken(talk: Talk, **more: Any) -> AsyncIterator[tuple[ConnectorHttp, int]]:
    """An http whose operator allows this server, and the server's port."""

    tasks: list[Any] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(AllowList.parse(f"127.0.0.1:{port}"), StandingClock())
    try:
        yield ConnectorHttp(client=client, network="test", clock=StandingClock(), **more), port
    finally:
        await client.aclose()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello\r\n")
    while line := await reader.readline():
        writer.write(line.upper())


async def test_lines_and_bytes_come_as_they_were_sent() -> None:
    async with spoken(echo) as (http, port), http.wire("127.0.0.1", port, tls=False) as wire:
        assert await wire.line() == b"hello"
        await wire.write(b"a\r\nbcdef\n")
        assert [await wire.line(), await wire.exactly(2), await wire.line()] == [b"A", b"BC", b"DEF"]
        assert not http.acted


@pytest.mark.parametrize(
    ("host", "port", "ports"),
    [("127.0.0.1", 993, {993}), ("10.1.2.3", 993, {993}), ("8.8.8.8", 22, {993}), ("8.8.8.8", 8443, set()), ("2130706433", 993, {993})],
)
async def test_it_goes_to_public_addresses_at_declared_ports_only(host: str, port: int, ports: set[int]) -> None:
    async with spoken(echo, ports=frozenset(ports)) as (http, _):
        with pytest.raises(AddressRefused):
            async with http.wire(host, port):
                pass


async def test_a_declared_port_is_open_for_no_request_over_http() -> None:
    async with spoken(echo, ports=frozenset({993})) as (http, _):
        with pytest.raises(ConfigInvalid):
            await http.request("GET", "https://8.8.8.8:993/")


async def test_who_is_silent_longer_than_the_deadline_has_not_answered() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async with spoken(drip) as (http, port), http.wire("127.0.0.1", port, tls=False, deadline=0.1) as wire:
        with pytest.raises(Transient):
            await wire.line()


async def test_a_line_and_an_answer_have_caps() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()

    async with spoken(endless) as (http, port):
        async with http.wire("127.0.0.1", port, tls=False) as wire:
            with pytest.raises(PayloadMalformed):
                await wire.line()
        async with http.wire("127.0.0.1", port, tls=False, max_bytes=5000) as wire:
            with pytest.raises(PayloadMalformed):
                await wire.exactly(5001)


async def test_after_bytes_that_act_a_lost_answer_is_unknown_until_a_line_came() -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"250 taken\r\n")
        await reader.readline()

    asked: list[bool] = []

    async def fence(last: bool) -> None:
        asked.append(last)

    async with spoken(one, fence=fence) as (http, port), http.wire("127.0.0.1", port, tls=False) as wire:
        await wire.write(b"say it\r\n", acts=True)
        assert http.acted
        assert await wire.line() == b"250 taken"
        await wire.write(b"bye\r\n")
        with pytest.raises(Transient):
            await wire.line()
        assert asked == [True, False]
    async with spoken(one) as (http, port), http.wire("127.0.0.1", port, tls=False) as wire:
        await wire.write(b"hello\r\n")
        assert await wire.line() == b"250 taken"
        await wire.write(b"say it\r\n", acts=True)
        with pytest.raises(OutcomeUnknown):
            await wire.line()


async def test_who_may_not_say_it_any_more_sends_nothing() -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())

    async def fence(last: bool) -> None:
        if last:
            raise PermissionError("the lease is lost")

    async with spoken(listen, fence=fence) as (http, port):
        async with http.wire("127.0.0.1", port, tls=False) as wire:
            await wire.write(b"content")
            with pytest.raises(PermissionError):
                await wire.write(b".\r\n", acts=True)
        assert not http.acted
        while not heard:
            await asyncio.sleep(0)
    assert heard == [b"content"]


async def test_what_comes_before_the_encryption_is_not_taken_for_the_servers_word() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 go ahead\r\n250 injected\r\n")
        await reader.read()

    async with spoken(early) as (http, port), http.wire("127.0.0.1", port, tls=False) as wire:
        assert await wire.line() == b"220 go ahead"
        with pytest.raises(PayloadMalformed):
            await wire.start_tls()


async def test_who_speaks_no_tls_is_not_spoken_to() -> None:
    async with spoken(echo) as (http, port):
        with pytest.raises(Transient):
            async with http.wire("127.0.0.1", port):
                pass
