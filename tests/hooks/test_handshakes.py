"""A network asks whether an address is ours. What its connector does then cannot hurt the API."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx2

import hooked
from hooked import Hooked, body_of, said, signed
from smhub.channels import handshakes
from world import Hub


async def connected(hub: Hub, network: str = "hooked") -> str:
    Hooked.world.__init__()  # type: ignore[misc]
    new = {"network": network, "name": "Shop", "settings": {"secret": hooked.SECRET}}
    channel: dict[str, Any] = await hub.post("/v1/channels", new)
    url: str = channel["webhook"]["callback_url"]
    return url


async def ask(hub: Hub, url: str, **params: str) -> httpx2.Response:
    return await hub.as_key(None).get(url, params=params)


async def test_a_get_with_the_right_word_is_echoed_as_plain_text(hub: Hub) -> None:
    url = await connected(hub)
    answer = await ask(hub, url, word="swordfish", challenge="<b>1158201444</b>", more="whatever")
    assert (answer.status_code, answer.text) == (200, "<b>1158201444</b>")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await ask(hub, url, word="other", challenge="1")).json()["code"] == "handshake_refused"
    assert (await ask(hub, url)).status_code == 400
    # One whose connector declares no handshake has nothing there.
    assert (await ask(hub, await connected(hub, "told"))).json()["code"] == "route_not_found"


async def test_a_signed_post_is_answered_and_not_stored(hub: Hub) -> None:
    url = await connected(hub)
    body = json.dumps({"challenge": "abc"}).encode()
    answer = await hub.as_key(None).post(url, content=body, headers=signed(body, hub.clock.now(), "d1"))
    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})
    assert (await hub.as_key(None).post(url, content=body)).status_code == 401
    await hub.work()
    assert (await hub.get("/v1/channels"))["items"][0]["webhook"]["deliveries"] == 0


async def test_whatever_accept_or_query_a_network_sends_it_is_heard(hub: Hub) -> None:
    url = await connected(hub)
    body = body_of(said("1"))
    headers = {**signed(body, hub.clock.now(), "d1"), "Accept": "text/csv", "Content-Type": "text/xml", "Idempotency-Key": "ü"}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await hub.as_key(None).post(url, params={"a": "1", "limit": "x"}, content=body, headers=raw)
    assert answer.status_code == 200


async def test_a_connector_that_raises_is_a_400_and_one_that_hangs_a_503_that_nobody_waits_for(hub: Hub) -> None:
    url = await connected(hub)
    for manner in ("raises", "exits", "gives something else"):
        Hooked.world.manner = manner
        assert (await ask(hub, url, word="swordfish", challenge="1")).json()["code"] == "handshake_refused", manner
    Hooked.world.manner = "hangs"
    began = time.monotonic()
    answers = await asyncio.gather(*(ask(hub, url, word="swordfish", challenge="1") for _ in range(6)))
    assert {one.status_code for one in answers} == {503}
    assert time.monotonic() - began < 0.4
    # Nobody is asked while so many of them hang.
    before = Hooked.world.parsed
    assert (await ask(hub, url, word="swordfish", challenge="1")).status_code == 503
    assert Hooked.world.parsed == before
    await handshakes_end()
    Hooked.world.manner = ""
    assert (await ask(hub, url, word="swordfish", challenge="1")).status_code == 200


async def test_a_post_whose_reading_hangs_or_raises_is_stored_all_the_same(hub: Hub) -> None:
    url = await connected(hub)
    for manner in ("raises", "hangs"):
        Hooked.world.manner = manner
        body = body_of(said(manner))
        answer = await hub.as_key(None).post(url, content=body, headers=signed(body, hub.clock.now(), manner))
        assert (answer.status_code, answer.text) == (200, "ok")
    await handshakes_end()
    Hooked.world.manner = ""
    await hub.work()
    assert len(await hub.mentions()) == 2


async def handshakes_end() -> None:
    """Wait until nothing hangs any more."""
    async with asyncio.timeout(10):
        while handshakes.hanging(Hooked.network):
            await asyncio.sleep(0.02)


async def test_many_that_ask_at_once_are_all_answered(hub: Hub) -> None:
    url = await connected(hub)
    answers = await asyncio.gather(*(ask(hub, url, word="swordfish", challenge=str(number)) for number in range(10)))
    assert sorted(one.text for one in answers) == [str(number) for number in range(10)]
