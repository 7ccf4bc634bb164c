"""A network in this process: the real client, with everything below its connections replaced."""

from __future__ import annotations

import pytest

from smhub.net import Asked, Inside, NoAnswer, client_inside
from smhub.sdk import PayloadMalformed
from smhub.time import StandingClock


async def test_a_request_comes_as_it_was_sent_and_its_answer_is_read_by_the_real_client():
    seen: list[Asked] = []

    async def serve(asked: Asked):
        seen.append(asked)
        yield b"HTTP/1.1 201 Said\r\nX-Two: a\r\nContent-Le"
        yield b"ngth: 5\r\nConnection: close\r\n\r\nhel"
        yield b"lo"

    inside = Inside(serve)
    client = client_inside(inside, StandingClock())
    answer = await client.send("POST", "https://network.test/a?b=c", {"X-One": "1"}, b"body")
    assert (answer.status, answer.headers["x-two"], answer.body) == (201, "a", b"hello")
    (asked,) = seen
    assert (asked.method, asked.target, asked.headers["x-one"], asked.body) == ("POST", "/a?b=c", "1", b"body")
    assert asked.headers["host"] == "network.test"
    assert inside.open == 0
    await client.aclose()


@pytest.mark.parametrize(("fault", "sent"), [(ConnectionResetError, True), (TimeoutError, True), (None, False)])
async def test_what_breaks_is_no_answer_and_tells_whether_the_request_arrived(fault, sent):
    async def serve(asked: Asked):
        raise fault
        yield b""

    inside = Inside(serve)
    inside.refuses = fault is None
    client = client_inside(inside, StandingClock())
    with pytest.raises(NoAnswer) as broken:
        await client.send("GET", "https://network.test/")
    assert broken.value.sent is sent
    assert inside.open == 0
    await client.aclose()


async def test_the_caps_hold_here_too():
    async def serve(asked: Asked):
        yield b"HTTP/1.1 200 Said\r\nConnection: close\r\n\r\n"
        while True:
            yield b" " * (1 << 20)

    client = client_inside(Inside(serve), StandingClock())
    with pytest.raises(PayloadMalformed):
        await client.send("GET", "https://network.test/")
    await client.aclose()
