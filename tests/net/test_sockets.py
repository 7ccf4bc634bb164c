"""A WebSocket, read from real servers that behave well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from smhub.net import AllowList, Client, ConnectorHttp
from smhub.net.sockets import LARGEST, accepted
from smhub.sdk import (
    AuthExpired,
    ConfigInvalid,
    CursorExpired,
    Gone,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    Response,
    StandingClock,
    Transient,
)
from smhub.testing import framed

from .conftest import MakeClient, Request, Serve, Server, answer

Speak = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def spoken(speak: Speak, **more: Any) -> AsyncIterator[ConnectorHttp]:
    """An http at a server of the library `websockets`; close it to leave."""
    async with serve(speak, "127.0.0.1", 0, compression="deflate", close_timeout=0.2, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        client = Client(AllowList.parse(f"127.0.0.1:{port}"), StandingClock())
        url = f"http://127.0.0.1:{port}"
        yield ConnectorHttp(client=client, network="radio", clock=StandingClock(), base_url=url, **more)
        await client.aclose()


async def heard(http: ConnectorHttp, silence: float = 5.0, **more: Any) -> list[str | bytes]:
    return [message async for message in http.messages("/socket", silence=silence, **more)]


def raw(*frames: bytes, head: bytes = b"", stay: float = 0.0) -> Callable[[Request, asyncio.StreamWriter], Awaitable[None]]:
    """A server that agrees to a WebSocket and then sends these bytes."""

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        key = accepted(request.headers["sec-websocket-key"]).encode()
        lines = [b"HTTP/1.1 101 Switching", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + key]
        writer.write(b"\r\n".join([*lines, *([head] if head else []), b"", b""]))
        for frame in frames:
            writer.write(frame)
            await writer.drain()
        await asyncio.sleep(stay)
        writer.close()

    return reply


def at(client: Client, server: Server, **more: Any) -> ConnectorHttp:
    return ConnectorHttp(client=client, network="radio", clock=StandingClock(), base_url=server.url, **more)


async def test_messages_are_heard_at_once_with_our_credentials_and_what_we_say_first_is_said() -> None:
    more, seen = asyncio.Event(), list[Any]()

    async def speak(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.extend([socket.request.path, socket.request.headers["authorization"], await socket.recv()])
        await socket.send("eins ü")
        await more.wait()
        await socket.send(b"\x00zwei")
        await socket.send(["dr", "ei"])

    async with spoken(speak, headers={"Authorization": "Bearer geheim"}) as http:
        signs: list[int] = []
        http.heard = lambda: signs.append(1)
        messages = http.messages("/socket", params={"tag": "kessel"}, say=['{"type": "hello"}'])
        async with aclosing(messages) as each:  # type: ignore[type-var]
            assert await anext(each) == "eins ü"
            more.set()
            assert [await anext(each), await anext(each)] == [b"\x00zwei", "drei"]
            assert await anext(each, None) is None
        assert seen == ["/socket?tag=kessel", "Bearer geheim", '{"type": "hello"}']
        assert len(signs) >= 3


async def test_the_address_may_begin_with_ws_and_our_credentials_stay_at_home() -> None:
    seen: list[Any] = []

    async def speak(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.append(socket.request.headers.get("authorization"))

    async with spoken(speak, headers={"Authorization": "Bearer geheim"}) as home:
        url = home._base_url.replace("http://", "ws://")
        assert [one async for one in home.messages(f"{url}/socket")] == []
        home._base_url = "https://elsewhere.test"
        assert [one async for one in home.messages(f"{url}/socket")] == []
    assert seen == ["Bearer geheim", None]


async def test_a_pong_keeps_a_connection_that_says_nothing_and_without_one_it_is_given_up(
    serve: Serve, make_client: MakeClient
) -> None:
    async def speak(socket: ServerConnection) -> None:
        await asyncio.sleep(1.2)
        await socket.send("noch da")

    async with spoken(speak) as http:
        assert await heard(http, silence=0.4) == ["noch da"]
    dead = await serve(raw(framed("eins"), stay=5.0))
    one = at(make_client(dead), dead)
    messages = one.messages("/socket", silence=0.3)
    assert await anext(messages) == "eins"
    with pytest.raises(Transient, match="nothing was heard"):
        await anext(messages)


async def test_a_ping_of_the_server_is_answered() -> None:
    async def speak(socket: ServerConnection) -> None:
        await (await socket.ping(b"da?"))
        await socket.send("du bist da")

    async with spoken(speak) as http:
        assert await heard(http) == ["du bist da"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1000, None),
        (1001, None),
        (1008, PermissionMissing),
        (1011, Transient),
        (1012, Transient),
        (1013, RateLimited),
        (3000, AuthExpired),
        (3003, PermissionMissing),
        (4321, Transient),
    ],
)
async def test_each_code_of_a_close_means_one_thing_and_its_reason_is_shown_nobody(code: int, error: type[Exception] | None) -> None:
    async def speak(socket: ServerConnection) -> None:
        await socket.send("eins")
        await socket.close(code, "geheimes Wort")

    async with spoken(speak) as http:
        messages = http.messages("/socket")
        assert await anext(messages) == "eins"
        if error is None:
            assert await anext(messages, None) is None
            return
        with pytest.raises(error) as caught:
            await anext(messages)
        assert str(code) in str(caught.value) and "geheim" not in str(caught.value)


async def test_a_connector_says_what_the_codes_of_its_network_mean() -> None:
    async def speak(socket: ServerConnection) -> None:
        await socket.close(4009, "the session timed out")

    def means(response: Response) -> CursorExpired | None:
        return CursorExpired("The place is not known.") if (response.status, response.body[:11]) == (4009, b"the session") else None

    async with spoken(speak, map_error=means) as http:
        with pytest.raises(CursorExpired):
            await heard(http)


@pytest.mark.parametrize(
    "frames",
    [
        (framed("x" * (LARGEST + 1)),),
        (b"\x01\x7f" + LARGEST.to_bytes(8) + b"x" * LARGEST, b"\x80\x01x"),
        (b"\x81\x02\xff\xfe",),
        (b"\x81\x81abcdx",),
        (b"\xf1\x01x",),
        (b"\x80\x01x",),
    ],
    ids=["large", "large in pieces", "no UTF-8", "masked", "reserved bits", "nothing to continue"],
)
async def test_what_is_too_large_or_no_frame_is_refused(serve: Serve, make_client: MakeClient, frames: tuple[bytes, ...]) -> None:
    server = await serve(raw(framed("gut"), *frames, stay=2.0))
    messages = at(make_client(server), server).messages("/socket")
    assert await anext(messages) == "gut"
    with pytest.raises(PayloadMalformed):
        await anext(messages)


async def test_the_largest_message_is_whole_however_it_was_cut(serve: Serve, make_client: MakeClient) -> None:
    frames = framed("ü" * (LARGEST // 2)) + framed("kurz") + b"\x88\x00"
    server = await serve(raw(*(frames[begin : begin + 10_000] for begin in range(0, len(frames), 10_000))))
    assert await heard(at(make_client(server), server)) == ["ü" * (LARGEST // 2), "kurz"]


async def test_a_connection_that_breaks_without_a_close_is_no_end(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(raw(framed("eins"), b"\x81\x05hal"))
    messages = at(make_client(server), server).messages("/socket")
    assert await anext(messages) == "eins"
    with pytest.raises(Transient, match="broke"):
        await anext(messages)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(b'{"error":"token"}', 401), AuthExpired),
        (answer(b"", 404), Gone),
        (answer(b"", 429, "Retry-After: 17"), RateLimited),
        (answer(b"", 503), Transient),
        (answer(b"{}"), PayloadMalformed),
        (answer(b"", 302, "Location: /there"), PayloadMalformed),
        (raw(framed("x"), head=b"Sec-WebSocket-Extensions: permessage-deflate"), PayloadMalformed),
        (answer(b"", 101, "Upgrade: websocket", "Sec-WebSocket-Accept: bm8="), PayloadMalformed),
    ],
    ids=["401", "404", "429", "503", "200", "302", "extension", "wrong key"],
)
async def test_what_is_no_websocket_is_the_error_that_it_would_be_elsewhere(
    serve: Serve, make_client: MakeClient, reply: Any, error: type[Exception]
) -> None:
    server = await serve(reply)
    with pytest.raises(error):
        await heard(at(make_client(server), server))
    assert len(server.requests) == 1


async def test_no_private_address_is_called_and_no_header_of_the_handshake_is_a_connectors(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(raw(framed("x")))
    client = Client(AllowList(), StandingClock())
    with pytest.raises(ConfigInvalid, match="not a public address"):
        await heard(at(client, server))
    await client.aclose()
    with pytest.raises(ConfigInvalid, match="not set by connectors"):
        await heard(at(make_client(server), server), headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    assert server.connections == 0


async def test_what_is_still_open_is_closed_by_its_owner_and_the_server_is_told() -> None:
    gone: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def speak(socket: ServerConnection) -> None:
        await socket.send("eins")
        await socket.wait_closed()
        gone.set_result(socket.close_code)

    async with spoken(speak) as http:
        async with aclosing(http.messages("/socket")) as messages:  # type: ignore[type-var]
            assert await anext(messages) == "eins"
        async with asyncio.timeout(5):
            assert await gone
        await http.close()
