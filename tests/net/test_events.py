"""A stream of server-sent events, read from real servers that behave well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from smhub.net import AllowList, Client, ConnectorHttp
from smhub.net.events import LARGEST, EventReader
from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    Gone,
    PayloadMalformed,
    RateLimited,
    ServerEvent,
    StandingClock,
    Transient,
)

from .conftest import MakeClient, Request, Serve, Server, answer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


def speaks(speak: Speak, head: bytes = HEAD) -> Callable[[Request, asyncio.StreamWriter], Awaitable[None]]:
    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await speak(writer)
        writer.close()

    return reply


def http(client: Client, server: Server, **more: object) -> ConnectorHttp:
    return ConnectorHttp(client=client, network="radio", clock=StandingClock(), base_url=server.url, **more)  # type: ignore[arg-type]


async def heard(one: ConnectorHttp, silence: float = 5.0) -> list[ServerEvent]:
    return [event async for event in one.events("/stream", silence=silence)]


def read(*pieces: bytes) -> list[tuple[str, str, str]]:
    reader = EventReader()
    return [(one.name, one.data, one.id) for piece in pieces for one in reader.feed(piece)]


WHOLE = (
    b'\xef\xbb\xbf:thump\n\nevent: update\r\ndata: {"a":\rdata: \xc3\xbc}\r\n\r\nid: 7\ndata\ndata:\n\nretry: 5\n\ndata: not ended\n'
)
TOLD = [("update", '{"a":\nü}', ""), ("message", "\n", "7")]


def test_messages_are_read_as_the_standard_says_however_the_bytes_are_cut() -> None:
    assert read(WHOLE) == TOLD
    assert read(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))) == TOLD
    for cut in range(len(WHOLE)):
        assert read(WHOLE[:cut], WHOLE[cut:]) == TOLD


def test_a_message_that_does_not_end_is_cut_off_and_a_million_heartbeats_are_not() -> None:
    reader = EventReader()
    for _ in range(64):
        assert list(reader.feed(b":" + b"x" * 64_000 + b"\n")) == []
    for raw in (b"data: " + b"x" * LARGEST, b"data: " + b"x" * 60_000 + b"\n"):
        with pytest.raises(PayloadMalformed, match="larger than"):
            for _ in range(20):
                list(reader.feed(raw))
        reader = EventReader()


async def test_what_is_told_is_heard_at_once_with_our_credentials_and_without_redirects(serve: Serve, make_client: MakeClient) -> None:
    more = asyncio.Event()

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(b"event: update\ndata: eins\n\n")
        await more.wait()
        writer.write(b"data: zwei\n\n")

    server = await serve(speaks(speak))
    one = http(make_client(server), server, headers={"Authorization": "Bearer geheim"})
    signs: list[int] = []
    one.heard = lambda: signs.append(1)
    async with aclosing(one.events("/stream", params={"tag": "kessel"})) as events:
        assert (await anext(events)).data == "eins"
        more.set()
        assert (await anext(events)).data == "zwei"
        assert await anext(events, None) is None
    asked = server.requests[0]
    assert (asked.target, asked.headers["authorization"], asked.headers["accept"]) == (
        "/stream?tag=kessel",
        "Bearer geheim",
        "text/event-stream",
    )
    assert asked.headers["accept-encoding"] == "identity"
    assert len(signs) >= 3

    elsewhere = await serve(answer(b"", 302, f"Location: {server.url}/stream"))
    with pytest.raises(PayloadMalformed):
        await heard(http(make_client(elsewhere), elsewhere, headers={"Authorization": "Bearer geheim"}))
    assert len(server.requests) == 1


async def test_a_connection_that_says_nothing_any_more_is_given_up_and_a_heartbeat_keeps_it(
    serve: Serve, make_client: MakeClient
) -> None:
    async def speak(writer: asyncio.StreamWriter) -> None:
        for _ in range(6):
            writer.write(b":thump\n")
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"data: noch da\n\n")
        await writer.drain()
        await asyncio.sleep(30)

    server = await serve(speaks(speak))
    one = http(make_client(server), server)
    events = one.events("/stream", silence=0.4)
    assert (await anext(events)).data == "noch da"
    with pytest.raises(Transient, match="nothing was heard"):
        await anext(events)


async def test_a_cut_in_the_middle_of_a_message_tells_nothing_of_it(serve: Serve, make_client: MakeClient) -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"5\r\ndata:\r\n")
        await writer.drain()
        writer.transport.abort()

    server = await serve(speaks(cut, HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")))
    with pytest.raises(Transient, match="broke"):
        await heard(http(make_client(server), server))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(b'{"error":"token"}', 401), AuthExpired),
        (answer(b"", 404), Gone),
        (answer(b"", 429, "Retry-After: 17"), RateLimited),
        (answer(b"", 503), Transient),
        (answer(b"{}", 200, "Content-Type: application/json"), PayloadMalformed),
    ],
    ids=["401", "404", "429", "503", "json"],
)
async def test_what_is_no_stream_is_the_error_that_it_would_be_elsewhere(
    serve: Serve, make_client: MakeClient, reply: object, error: type[Exception]
) -> None:
    server = await serve(reply)
    with pytest.raises(error) as caught:
        await heard(http(make_client(server), server))
    if error is RateLimited:
        assert caught.value.retry_after == 17  # type: ignore[attr-defined]


async def test_no_private_address_is_listened_to(serve: Serve) -> None:
    server = await serve(speaks(asyncio.sleep))  # type: ignore[arg-type]
    client = Client(AllowList(), StandingClock())
    with pytest.raises(ConfigInvalid, match="not a public address"):
        await heard(http(client, server))
    await client.aclose()
    assert server.connections == 0


async def test_what_is_still_open_is_closed_by_its_owner(serve: Serve, make_client: MakeClient) -> None:
    gone = asyncio.Event()

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(b"data: eins\n\n")
        while not writer.transport.is_closing():
            writer.write(b":thump\n")
            await writer.drain()
            await asyncio.sleep(0.02)
        gone.set()

    server = await serve(speaks(speak))
    one = http(make_client(server), server)
    events = one.events("/stream")
    assert (await anext(events)).data == "eins"
    await one.close()
    async with asyncio.timeout(5):
        while not gone.is_set() and server._tasks:
            await asyncio.sleep(0.02)
    await events.aclose()
