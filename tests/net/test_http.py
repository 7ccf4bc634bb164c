"""The `http` of a connector: one mapping of statuses, credentials that stay at home, and answers that are read carefully."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from smhub.net import AllowList, Client, ConnectorHttp
from smhub.net.waiting import from_reset, from_retry_after
from smhub.sdk import (
    AuthExpired,
    BadItem,
    ConfigInvalid,
    ConnectorError,
    ContentRejected,
    Duplicate,
    Gone,
    Http,
    OutcomeUnknown,
    PayloadMalformed,
    PermissionMissing,
    Rate,
    RateLimited,
    Response,
    StandingClock,
    Transient,
)

from .conftest import MakeClient, Names, Request, Serve, Server, answer

NOW = StandingClock().now()
EPOCH = NOW.timestamp()
RATE = Rate(calls=100, seconds=60, key="app", remaining="X-Rate-Remaining", reset="X-Rate-Reset")


class Toot(msgspec.Struct):
    id: str
    text: str = ""


def http_for(client: Client, server: Server, **more: Any) -> ConnectorHttp:
    return ConnectorHttp(client=client, network="mastodon", clock=StandingClock(), **({"base_url": server.url} | more))


def test_it_is_an_http_of_the_sdk(make_client: MakeClient) -> None:
    http: Http = ConnectorHttp(client=make_client(), network="mastodon", clock=StandingClock())
    assert http


READ, KEYED, BARE = "a read", "a write with a key", "a write without a key"
TABLE: list[tuple[int, type[ConnectorError] | None, type[ConnectorError] | None, type[ConnectorError] | None]] = [
    (200, None, None, None),
    (201, None, None, None),
    (204, None, None, None),
    (304, None, None, None),
    (302, PayloadMalformed, ConfigInvalid, ConfigInvalid),
    (400, PayloadMalformed, ContentRejected, ContentRejected),
    (401, AuthExpired, AuthExpired, AuthExpired),
    (403, PermissionMissing, PermissionMissing, PermissionMissing),
    (404, Gone, Gone, Gone),
    (408, Transient, Transient, OutcomeUnknown),
    (409, PayloadMalformed, ContentRejected, ContentRejected),
    (410, Gone, Gone, Gone),
    (413, PayloadMalformed, ContentRejected, ContentRejected),
    (418, PayloadMalformed, ContentRejected, ContentRejected),
    (422, PayloadMalformed, ContentRejected, ContentRejected),
    (429, RateLimited, RateLimited, RateLimited),
    (500, Transient, Transient, OutcomeUnknown),
    (502, Transient, Transient, OutcomeUnknown),
    (503, Transient, Transient, OutcomeUnknown),
    (504, Transient, Transient, OutcomeUnknown),
    (599, Transient, Transient, OutcomeUnknown),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row[0]))
async def test_every_status_has_one_meaning(serve: Serve, make_client: MakeClient, row: tuple[Any, ...]) -> None:
    server = await serve(answer(b"", row[0]))
    http = http_for(make_client(server), server)
    for expected, (method, key) in zip(row[1:], (("GET", None), ("POST", "k"), ("POST", None)), strict=True):
        if expected is None:
            assert (await http.request(method, "/x", key=key)).status == row[0]
            continue
        with pytest.raises(ConnectorError) as caught:
            await http.request(method, "/x", params={"token": "canary"}, key=key)
        assert type(caught.value) is expected
        assert caught.value.status == row[0]
        assert str(caught.value) == f"{method} 127.0.0.1 answered {row[0]}."
        assert (await http.request(method, "/x", key=key, accept=(row[0],))).status == row[0]


async def test_put_and_delete_may_be_repeated(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"", 500))
    http = http_for(make_client(server), server)
    for call in (http.delete("/x"), http.request("PUT", "/x")):
        with pytest.raises(Transient):
            await call
    with pytest.raises(OutcomeUnknown):
        await http.request("PATCH", "/x")


async def test_the_connector_is_asked_before_the_usual_mapping(serve: Serve, make_client: MakeClient) -> None:
    def judge(response: Response) -> ConnectorError | None:
        if b"duplicate" in response.body:
            return Duplicate("We have this.", external_id="7")
        return Gone("hidden in a good answer") if b"error" in response.body else None

    server = await serve(answer(b'{"error": 1}'))
    http = http_for(make_client(server), server, map_error=judge)
    with pytest.raises(Gone):
        await http.get("/x", Toot)
    server.answer = answer(b"duplicate", 422)
    with pytest.raises(Duplicate):
        await http.post("/x", Toot)
    server.answer = answer(b"", 404)
    with pytest.raises(Gone, match="answered 404"):
        await http.get("/x", Toot)


@pytest.mark.parametrize(
    ("headers", "status", "wait", "scope"),
    [
        ([], 429, None, "account"),
        (["Retry-After: 7"], 429, 7, "account"),
        (["Retry-After: 7", "X-Rate-Remaining: 0", "X-Rate-Reset: 99"], 429, 7, "app"),
        (["X-Rate-Remaining: 0", "X-Rate-Reset: 99"], 429, 99, "app"),
        (["X-Rate-Reset: 99"], 429, 99, "account"),
        (["X-Rate-Remaining: 0", "X-Rate-Reset: 99"], 403, 99, "app"),
        (["X-Rate-Remaining: 0.0"], 403, None, "app"),
    ],
)
async def test_a_limit_says_how_long_and_whom(
    serve: Serve, make_client: MakeClient, headers: list[str], status: int, wait: float | None, scope: str
) -> None:
    server = await serve(answer(b"", status, *headers))
    http = http_for(make_client(server), server, rates=(RATE,))
    with pytest.raises(RateLimited) as caught:
        await http.request("GET", "/x")
    assert (caught.value.retry_after, caught.value.scope, caught.value.status) == (wait, scope, status)


async def test_403_with_something_left_is_a_missing_permission(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"", 403, "X-Rate-Remaining: 3"))
    with pytest.raises(PermissionMissing):
        await http_for(make_client(server), server, rates=(RATE,)).request("GET", "/x")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5),
        ("0", 1),
        ("-1", 1),
        ("1.5", 1.5),
        ("3601", 3600),
        ("315360000", 3600),
        ("9" * 400, 3600),
        ("Mon, 02 Nov 2026 09:01:30 GMT", 90),
        ("Mon, 02 Nov 2026 10:01:30 +0100", 90),
        ("Monday, 02-Nov-26 09:01:30 GMT", 90),
        ("Mon, 02 Nov 2026 08:00:00 GMT", 1),
        ("Mon, 02 Nov 2036 08:00:00 GMT", 3600),
        ("2026-11-02T09:00:30Z", 30),
        ("", None),
        (None, None),
        ("abc", None),
        ("soon", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("٥", None),
        ("5, 6", None),
        ("Mon, 99 Nov 2026 09:01:30 GMT", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert from_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("584.0", 584),
        (f"{EPOCH + 40:.0f}", 40),
        (f"{EPOCH + 40.5:.1f}", 40.5),
        (f"{(EPOCH + 40) * 1000:.0f}", 40),
        (f"{EPOCH - 40:.0f}", 1),
        (f"{EPOCH + 86400:.0f}", 3600),
        ("2026-11-02T09:00:20+00:00", 20),
        ("2026-11-02T09:00:20.000Z", 20),
        ("2026-11-02T09:00:20", 20),
        ("Mon, 02 Nov 2026 09:00:20 GMT", 20),
        ("-5", 1),
        ("99999999999999999999", 3600),
        ("", None),
        (None, None),
        ("later", None),
    ],
)
def test_reset(text: str | None, seconds: float | None) -> None:
    assert from_reset(text, NOW) == seconds


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


PHASES = ["no name", "refused", "at accept", "after the headers", "after the request", "in the headers", "in the body", "silence"]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_break_in_every_phase_has_one_answer(serve: Serve, phase: str) -> None:
    async def serve_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if phase == "silence":
            await reader.read()
        elif phase == "after the headers":
            await reader.readuntil(b"\r\n\r\n")
        elif phase != "at accept":
            await reader.read(100_000)
        if phase in ("in the headers", "in the body"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le" + (b"ngth: 9\r\n\r\n{}" if phase == "in the body" else b""))
            await writer.drain()
            await asyncio.sleep(0.05)
        reset(writer)

    listener = await asyncio.start_server(serve_once, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    if phase == "refused":
        listener.close()
        await listener.wait_closed()
    host = "nobody.test" if phase == "no name" else "here.test"
    client = Client(AllowList.parse(f"here.test:{port}"), StandingClock(), Names(here_test=[["127.0.0.1"]]))
    http = ConnectorHttp(client=client, network="mastodon", clock=StandingClock(), base_url=f"http://{host}:{port}")
    never_sent = phase in ("no name", "refused")
    for method, key, expected in (
        ("GET", None, Transient),
        ("POST", "k", Transient),
        ("POST", None, Transient if never_sent else OutcomeUnknown),
    ):
        with pytest.raises(ConnectorError) as caught:
            await http.request(method, "/x", json={"a": 1} if method == "POST" else None, key=key, deadline=0.2)
        assert isinstance(caught.value, expected), (method, key, caught.value)
    await client.aclose()
    listener.close()
    await listener.wait_closed()


async def test_an_answer_to_a_write_that_cannot_be_read_is_an_unknown_outcome(serve: Serve, make_client: MakeClient) -> None:
    for reply in (answer(b"<html>"), answer(b'{"id": 5}'), answer(b"x", 200, "Content-Encoding: br"), answer(b"")):
        server = await serve(reply)
        http = http_for(make_client(server), server)
        with pytest.raises(OutcomeUnknown):
            await http.post("/x", Toot, json={})
        with pytest.raises(PayloadMalformed):
            await http.post("/x", Toot, json={}, key="k")


async def test_a_write_that_only_prepares_may_be_repeated_and_the_next_one_not(serve: Serve, make_client: MakeClient) -> None:
    broken = await serve(answer(b"x", 200, "Content-Encoding: br"))
    http = http_for(make_client(broken), broken)
    with pytest.raises(PayloadMalformed):
        await http.request("POST", "/upload", body=b"kettle", prepares=True)
    assert not http.acted
    with pytest.raises(OutcomeUnknown):
        await http.request("POST", "/post", json={})
    assert http.acted


async def test_relative_addresses_start_at_the_base(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b'{"id": "1"}'))
    http = http_for(make_client(server), server, base_url=f"{server.url}/v25.0/")
    await http.get("/me?a=1", Toot, params={"q": "ü &", "n": 3})
    await http.get(f"{server.url}/other", Toot)
    await http.request("GET", "//evil.example/x")
    assert [request.target for request in server.requests] == ["/v25.0/me?a=1&q=%C3%BC+%26&n=3", "/other", "/v25.0//evil.example/x"]


async def test_json_and_key_are_sent(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b'{"id": "1", "text": "hi", "more": true}'))
    http = http_for(make_client(server), server)
    assert await http.post("/x", Toot, json={"text": "ü"}, key="key-1") == Toot("1", "hi")
    [request] = server.requests
    assert request.body == '{"text":"ü"}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "key-1"
    with pytest.raises(ConfigInvalid):
        await http.request("POST", "/x", json={}, body=b"x")


async def test_private_headers_go_to_the_base_and_nowhere_else(serve: Serve, make_client: MakeClient) -> None:
    server, other = await serve(answer()), await serve(answer())
    client = make_client(server, other)
    http = http_for(client, server, headers={"Authorization": "Bearer canary"})
    await http.request("GET", "/x")
    await http.request("GET", f"{other.url}/x")
    assert server.requests[0].headers["authorization"] == "Bearer canary"
    assert "canary" not in str(other.requests[0].headers)
    homeless = http_for(client, server, base_url="", headers={"Authorization": "Bearer canary"})
    await homeless.request("GET", f"{server.url}/x")
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize(
    "body",
    [
        b"<html>canary</html>",
        b"",
        b"{",
        b'{"id": 5}',
        b'{"text": "canary"}',
        b"\xff\xfe",
        '{"id": "ü"}'.encode("latin-1"),
        b'{"id": ' + b"[" * 100000,
        b"null",
        b'"canary"',
    ],
)
async def test_an_answer_of_another_form_is_malformed_and_not_quoted(serve: Serve, make_client: MakeClient, body: bytes) -> None:
    server = await serve(answer(body))
    with pytest.raises(PayloadMalformed) as caught:
        await http_for(make_client(server), server).get("/x", Toot)
    assert "canary" not in repr(caught.value)


async def test_the_reason_names_the_place(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b'\xef\xbb\xbf[{"id": "1"}, {"id": 5}]'))
    with pytest.raises(PayloadMalformed, match=r"Expected `str`, got `int` at \$\[1\]\.id"):
        await http_for(make_client(server), server).get("/x", list[Toot])


async def test_one_bad_element_does_not_kill_the_page(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b'[{"id": "1"}, {"id": 5}, null, {"id": "\xff"}, {"id": "3"}]'))
    http = http_for(make_client(server), server)
    found = await http.items("/x", Toot)
    assert [type(one) for one in found] == [Toot, BadItem, BadItem, BadItem, Toot]
    assert isinstance(found[1], BadItem) and found[1].raw == b'{"id": 5}'
    server.answer = answer(b'{"items": []}')
    with pytest.raises(PayloadMalformed):
        await http.items("/x", Toot)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\uD83D\uDE00!", "\U0001f600!"),
        (r"\ud83d", "\ufffd"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\u00fc\n\ud800x", "ü\n\ufffdx"),
    ],
)
async def test_half_a_surrogate_pair_is_replaced_and_kills_nothing(serve: Serve, make_client: MakeClient, sent: str, read: str) -> None:
    server = await serve(answer(f'[{{"id": "1", "text": "{sent}"}}]'.encode()))
    http = http_for(make_client(server), server)
    assert await http.items("/x", Toot) == await http.get("/x", list[Toot]) == [Toot("1", read)]


async def test_caps_and_deadlines_can_be_set_for_one_request(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(b"x" * 6_000_000))
    http = http_for(make_client(server), server)
    with pytest.raises(PayloadMalformed):
        await http.request("GET", "/x")
    with pytest.raises(PayloadMalformed):
        await http.request("GET", "/x", max_bytes=1000)
    assert len((await http.request("GET", "/x", max_bytes=6_000_000)).body) == 6_000_000


async def test_a_secret_in_the_path_is_on_the_wire_at_the_base_and_nowhere_else(
    serve: Serve, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = [
        answer(b"{}"),
        answer(b"", 500),
        answer(b"", 302, "Location: /elsewhere"),
        answer(b"", 301, "Location: https://elsewhere.test/botcanary/me"),
    ]

    async def one_after_the_other(request: Request, writer: asyncio.StreamWriter) -> None:
        await told[len(server.requests) - 1](request, writer)

    server, other = await serve(one_after_the_other), await serve(answer(b"{}"))
    heard: list[Response] = []
    http = http_for(
        make_client(server, other), server, secret_path="/botcanary", map_error=lambda response: heard.append(response) or None
    )
    response = await http.request("GET", "/me", params={"a": 1})
    assert (server.requests[0].target, response.url) == ("/botcanary/me?a=1", f"{server.url}/me?a=1")
    errors: list[ConnectorError] = []
    for expected in (Transient, PayloadMalformed, PayloadMalformed):
        with pytest.raises(expected) as raised:
            await http.request("GET", "/me")
        errors.append(raised.value)
    # A redirect would take the address along: none is followed.
    assert [request.target for request in server.requests] == ["/botcanary/me?a=1", *["/botcanary/me"] * 3]
    await http.request("GET", f"{other.url}/me")
    assert other.requests[0].target == "/me"
    shown = "".join("".join(traceback.format_exception(error)) + repr(vars(error)) for error in errors)
    assert "canary" not in shown + caplog.text + "".join(one.url for one in heard)


async def test_no_secret_is_in_any_error_or_log(serve: Serve, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore2.http11", "httpcore2.connection", "smhub"):
        assert logging.getLogger(name).isEnabledFor(logging.DEBUG) is (name == "smhub")

    async def echo(request: Request, writer: asyncio.StreamWriter) -> None:
        status = int(request.target.split("/")[1].split("?")[0])
        if status == 999:
            reset(writer)
            return
        await answer(b'{"error": "canary"}', status, "Set-Cookie: canary", "X-Token: canary", "Location: /200?canary=canary")(
            request, writer
        )

    server = await serve(echo)
    http = http_for(make_client(server), server, headers={"Authorization": "Bearer canary"})
    caught: list[BaseException] = []
    for status in (200, 302, 400, 401, 403, 404, 422, 429, 500, 999):
        for method in ("GET", "POST"):
            try:
                await http.request(
                    method, f"/{status}", params={"token": "canary"}, headers={"X-Key": "canary"}, json={"text": "canary"}
                )
                await http.get(f"/{status}", Toot, params={"token": "canary"})
            except ConnectorError as error:
                caught.append(error)
    for url in ("http://canary:canary@127.0.0.1/", "http://[canary/", "http://exa mple/canary", "http://127.0.0.1:1/?canary"):
        with pytest.raises(ConnectorError) as refused:
            await http.request("GET", url)
        caught.append(refused.value)
    with pytest.raises(ConnectorError) as refused:
        await http_for(make_client(server), server, headers={"Authorization": "canary\n"}).request("GET", "/200")
    caught.append(refused.value)
    assert len(caught) > 20
    for error in caught:
        told = [str(error), repr(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error, limit=0)]
        assert "canary" not in " ".join(told)
    assert "GET 127.0.0.1 answered 200" in caplog.text
    assert "canary" not in caplog.text


def test_the_clock_is_the_one_of_the_tests() -> None:
    assert datetime(2026, 11, 2, 9, tzinfo=UTC) == NOW
