"""The client against real servers that behave badly."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

import pytest

from smhub.net import AllowList, Client, NoAnswer
from smhub.net.client import MAX_HEADERS
from smhub.sdk.errors import ConfigInvalid, ConnectorError, PayloadMalformed, Transient
from smhub.time import StandingClock

from .conftest import MakeClient, Names, Request, Serve, answer


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_an_answer_comes_back_whole(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"hello", 200, "X-Many: a", "X-Many: b"))
    response = await make_client(server, public_url="https://hub.example.com").send("GET", f"{server.url}/a b?q=ü#part")
    assert (response.status, response.body, response.headers["x-many"]) == (200, b"hello", "a, b")
    assert response.url == f"{server.url}/a%20b?q=%C3%BC"
    assert response.permanent_url is None
    assert server.requests[0].target == "/a%20b?q=%C3%BC"
    assert server.requests[0].headers["user-agent"] == "smhub/0.1.0 (+https://hub.example.com)"
    assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"


async def test_a_connection_is_used_again(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)
    for _ in range(3):
        await client.send("POST", server.url, body=b"x" * 200_000)
    assert server.connections == 1
    assert [len(request.body) for request in server.requests] == [200_000] * 3


async def test_proxies_of_the_environment_are_not_trusted(
    serve: Serve, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server = await serve(answer(b"direct"))
    assert (await make_client(server).send("GET", server.url)).body == b"direct"


async def test_a_slow_drip_hits_the_total_deadline(serve: Serve, make_client: MakeClient) -> None:
    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    server = await serve(drip)
    begun = time.monotonic()
    with pytest.raises(NoAnswer) as caught:
        await make_client(server).send("GET", server.url, deadline=0.3)
    assert 0.25 < time.monotonic() - begun < 0.6
    assert caught.value.sent


async def test_drips_in_the_headers_and_silence_hit_the_deadline_too(serve: Serve, make_client: MakeClient) -> None:
    async def informational(request: Request, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" if request.target == "/1xx" else b"")
            await writer.drain()
            await asyncio.sleep(0.01)

    server = await serve(informational)
    for path in ("/1xx", "/silent"):
        with pytest.raises(NoAnswer):
            await make_client(server).send("GET", server.url + path, deadline=0.2)


async def test_an_endless_body_ends_at_the_cap(serve: Serve, make_client: MakeClient) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    server = await serve(endless)
    with pytest.raises(PayloadMalformed, match="larger than 5242880"):
        await make_client(server).send("GET", server.url)


async def test_a_length_above_the_cap_is_refused_before_reading(serve: Serve, make_client: MakeClient) -> None:
    async def promise(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")

    server = await serve(promise)
    with pytest.raises(PayloadMalformed, match="larger"):
        await make_client(server).send("GET", server.url, deadline=1)


@pytest.mark.parametrize("size", [MAX_HEADERS + 1000, 90_000])
async def test_large_headers_are_refused(serve: Serve, make_client: MakeClient, size: int) -> None:
    server = await serve(answer(b"", 200, *(f"X-{n}: {'y' * 1000}" for n in range(size // 1000))))
    with pytest.raises(PayloadMalformed, match="headers"):
        await make_client(server).send("GET", server.url)


async def test_endless_headers_end(serve: Serve, make_client: MakeClient) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"Set-Cookie: a=" + b"b" * 4000 + b"\r\n")
            await writer.drain()

    server = await serve(endless)
    with pytest.raises((PayloadMalformed, NoAnswer)):
        await make_client(server).send("GET", server.url, deadline=1.5)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
)
async def test_what_is_not_http_is_no_answer(serve: Serve, make_client: MakeClient, raw: bytes) -> None:
    async def write(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await serve(write)
    with pytest.raises(Transient):
        await make_client(server).send("GET", server.url, deadline=1.5)


async def test_nobody_listening_and_no_such_name_are_no_answer(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server, resolver=Names())
    await server.stop()
    for url in (server.url, "http://nobody.example/"):
        with pytest.raises(NoAnswer) as caught:
            await client.send("POST", url, body=b"x")
        assert not caught.value.sent


async def test_a_reset_in_the_middle_of_a_large_upload_was_not_sent(serve: Serve, make_client: MakeClient) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        reset(writer)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1000)
    port = listener.sockets[0].getsockname()[1]
    client = Client(AllowList.parse(f"127.0.0.1:{port}"), StandingClock())
    with pytest.raises(NoAnswer) as caught:
        await client.send("POST", f"http://127.0.0.1:{port}/", body=b"x" * 30_000_000)
    assert not caught.value.sent
    await client.aclose()
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize("body", [b"", b"x"])
async def test_a_reset_after_the_request_was_sent(serve: Serve, make_client: MakeClient, body: bytes) -> None:
    async def hang_up(request: Request, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    server = await serve(hang_up)
    with pytest.raises(NoAnswer) as caught:
        await make_client(server).send("POST", server.url, body=body)
    assert caught.value.sent


async def test_a_cancellation_passes_through_and_leaves_the_client_usable(serve: Serve, make_client: MakeClient) -> None:
    async def sometimes(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.target == "/wait":
            await asyncio.sleep(60)
        await answer(b"ok")(request, writer)

    server = await serve(sometimes)
    client = make_client(server)
    task = asyncio.create_task(client.send("GET", f"{server.url}/wait"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await client.send("GET", server.url)).body == b"ok"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "",
        "http://",
        "http:///path",
        "http://user:secret@example.com/",
        "http://user@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/\r\nHost: other",
        "http://exa\tmple.com/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://exa mple.com/",
        "http://%31%32%37.0.0.1/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://straße.de/",
        "http://a..b/",
        f"http://{'a' * 64}.de/",
        f"http://example.com/{'a' * 9000}",
        " http://example.com/",
        "http://example.com/\x00",
        "http://example.com/\ud800",
    ],
)
async def test_addresses_that_can_be_read_in_two_ways_are_refused(make_client: MakeClient, url: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        await make_client(resolver=Names()).send("GET", url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X\r\n": "a"},
        {"X": "\x00"},
        {"": "a"},
        {"X Y": "a"},
        {"X": "ü"},
        {"Host": "a"},
        {"Content-Length": "3"},
        {"Transfer-Encoding": "chunked"},
        {"Expect": "100-continue"},
        {"Connection": "close"},
        {"Accept-Encoding": "br"},
    ],
)
async def test_headers_that_would_split_or_redirect_a_request_are_refused(make_client: MakeClient, headers: dict[str, str]) -> None:
    for way in ("headers", "private_headers"):
        with pytest.raises(ConfigInvalid) as caught:
            await make_client().send("GET", "http://example.com/", **{way: headers})  # type: ignore[arg-type]
        assert caught.value.field == "headers"


async def test_an_unknown_method_is_refused(make_client: MakeClient) -> None:
    with pytest.raises(ConnectorError):
        await make_client().send("GET / HTTP/1.1\r\n", "http://example.com/")


async def test_forty_requests_at_once(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"ok"))
    client = make_client(server)
    found = await asyncio.gather(*(client.send("GET", f"{server.url}/{n}") for n in range(40)))
    assert {response.body for response in found} == {b"ok"}


async def test_an_answer_to_head_has_no_body_whatever_its_headers_say(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"x" * 100, 200, "Content-Encoding: gzip"))
    assert (await make_client(server).send("HEAD", server.url)).body == b""
