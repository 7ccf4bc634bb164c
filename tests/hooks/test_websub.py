"""A feed that names a hub: asked, asked back, delivered, renewed and ended, against a small WebSub hub on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

import world
from smhub.access.models import StoredSecret
from smhub.channels.models import Hook
from smhub_feeds.plugin import FeedsPlugin
from websub import Publisher, published
from world import Hub


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with published() as made:
        yield made


@pytest.fixture
async def hub(database_url: str, publisher: Publisher) -> AsyncIterator[Hub]:
    allowed = f"127.0.0.1:{publisher.port}"
    async with world.start(
        database_url, plugins=[FeedsPlugin()], allow_http_webhooks=True, allow_private_hosts=allowed, shared=True
    ) as started:
        publisher.world = started.as_key(None)
        yield started


async def connected(hub: Hub, publisher: Publisher) -> dict[str, Any]:
    made = await hub.post("/v1/channels", {"network": "feeds", "name": "News", "settings": {"url": f"{publisher.url}/feed.xml"}})
    await hub.work()
    return made  # type: ignore[no-any-return]


async def shown(hub: Hub, channel: dict[str, Any]) -> dict[str, Any]:
    return await hub.get(f"/v1/channels/{channel['id']}")  # type: ignore[no-any-return]


async def stands(hub: Hub, channel: dict[str, Any]) -> tuple[str, str]:
    found = await shown(hub, channel)
    return found["webhook"]["state"], found["health"]["source"]


async def subscribed(hub: Hub, publisher: Publisher) -> dict[str, Any]:
    channel = await connected(hub, publisher)
    assert await publisher.asks_back(publisher.asked[0])
    await hub.work(seconds=10)
    assert await stands(hub, channel) == ("subscribed", "webhook")
    return channel


async def titles(hub: Hub) -> dict[str, str]:
    return {one["external_id"]: one["title"] for one in await hub.mentions()}


@pytest.mark.parametrize("in_headers", [False, True])
async def test_a_subscription_counts_when_the_hub_has_asked_back_and_not_before(
    hub: Hub, publisher: Publisher, in_headers: bool
) -> None:
    publisher.in_headers = in_headers
    channel = await connected(hub, publisher)
    (asked,) = publisher.asked
    assert (asked.mode, asked.topic, asked.lease) == ("subscribe", publisher.topic, "864000")
    assert asked.callback.startswith(channel["webhook"]["callback_url"]) and len(asked.secret) > 40
    assert await stands(hub, channel) == ("subscribing", "polling")
    assert "not confirmed" in (await shown(hub, channel))["webhook"]["reason"]
    assert await publisher.asks_back(asked)
    await hub.work(seconds=10)
    assert await stands(hub, channel) == ("subscribed", "webhook")
    assert (await shown(hub, channel))["webhook"]["confirmed_until"][:10] == "2026-11-12"
    assert len(publisher.asked) == 1


async def test_only_what_we_asked_for_is_confirmed(hub: Hub, publisher: Publisher) -> None:
    channel = await connected(hub, publisher)
    (asked,) = publisher.asked
    assert not await publisher.asks_back(asked, topic="https://elsewhere.test/feed.xml")
    assert not await publisher.asks_back(asked, mode="unsubscribe")
    assert not await publisher.asks_back(asked, mode="publish")
    asked.callback = channel["webhook"]["callback_url"]
    assert not await publisher.asks_back(asked)
    assert (await shown(hub, channel))["webhook"]["confirmed_until"] is None


async def test_a_hub_that_does_not_ask_back_is_asked_again_ever_more_rarely_and_the_polls_go_on(hub: Hub, publisher: Publisher) -> None:
    channel = await connected(hub, publisher)
    publisher.entries.append(("urn:1", "Abgefragt"))
    for _ in range(18):
        await hub.work(minutes=10)
    assert 3 <= len(publisher.asked) <= 7
    assert await stands(hub, channel) == ("subscribing", "polling")
    assert await titles(hub) == {"urn:1": "Abgefragt"}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
async def test_what_is_delivered_is_read_as_the_feed_and_met_by_the_poll_in_one_row(
    hub: Hub, publisher: Publisher, algorithm: str
) -> None:
    await subscribed(hub, publisher)
    asked = publisher.asked[0]
    publisher.entries.append(("urn:1", "Neu"))
    assert await publisher.distributes(asked, algorithm=algorithm) == 200
    await hub.work()
    assert await titles(hub) == {"urn:1": "Neu"}
    before = publisher.fetched
    await hub.work(minutes=20)
    assert publisher.fetched > before
    assert await titles(hub) == {"urn:1": "Neu"}
    publisher.entries[0] = ("urn:1", "Berichtigt")
    assert await publisher.distributes(asked, publisher.feed("2026-11-02T08:30:00Z"), algorithm) == 200
    await hub.work()
    assert await titles(hub) == {"urn:1": "Berichtigt"}


async def test_what_is_not_signed_with_our_secret_is_refused_and_what_is_no_feed_or_old_brings_nothing(
    hub: Hub, publisher: Publisher
) -> None:
    await subscribed(hub, publisher)
    asked = publisher.asked[0]
    publisher.entries.append(("urn:1", "Neu"))
    assert await publisher.distributes(asked, secret="another") == 401
    unsigned = await publisher.world.post(asked.callback, content=publisher.feed())
    assert unsigned.status_code == 401
    md5 = await publisher.world.post(asked.callback, content=b"x", headers={"X-Hub-Signature": "md5=" + "0" * 32})
    assert md5.status_code == 401
    for body in (b"<html><p>Hello", b"", publisher.feed("2026-01-01T00:00:00Z")):
        assert await publisher.distributes(asked, body) == 200
    await hub.work()
    assert await titles(hub) == {}
    assert (await hub.get("/v1/bad-items"))["items"] == []
    bomb = b'<!DOCTYPE f [<!ENTITY a "b">]><feed xmlns="http://www.w3.org/2005/Atom"/>'
    assert await publisher.distributes(asked, bomb) == 200
    for _ in range(6):
        await hub.work(minutes=5)
    (bad,) = (await hub.get("/v1/bad-items"))["items"]
    assert bad["retryable"] and "entities" in bad["error"]


async def test_a_lease_is_renewed_a_day_before_its_end_and_when_the_hub_is_silent_the_polls_take_over(
    hub: Hub, publisher: Publisher
) -> None:
    channel = await subscribed(hub, publisher)
    for _ in range(8):
        await hub.work(hours=24)
    assert len(publisher.asked) == 1
    await hub.work(hours=26)
    assert len(publisher.asked) == 2
    assert await publisher.asks_back(publisher.asked[1])
    assert (await shown(hub, channel))["webhook"]["confirmed_until"][:10] == "2026-11-21"
    for _ in range(10):
        await hub.work(hours=25)
    assert await stands(hub, channel) == ("subscribing", "polling")


async def test_a_short_lease_is_renewed_in_time_and_not_all_the_time(hub: Hub, publisher: Publisher) -> None:
    publisher.lease = 1200
    channel = await subscribed(hub, publisher)
    before = len(publisher.asked)
    for _ in range(12):
        await hub.work(minutes=5)
        assert await publisher.asks_back(publisher.asked[-1])
    assert 3 <= len(publisher.asked) - before <= 8
    assert await stands(hub, channel) == ("subscribed", "webhook")


async def test_disconnecting_asks_the_hub_to_stop_confirms_that_and_forgets(hub: Hub, publisher: Publisher) -> None:
    channel = await subscribed(hub, publisher)
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    await hub.work()
    asked = publisher.asked[-1]
    assert (asked.mode, asked.topic, asked.callback) == ("unsubscribe", publisher.topic, publisher.asked[0].callback)
    assert not await publisher.asks_back(asked, mode="subscribe")
    assert await publisher.asks_back(asked)
    assert await publisher.distributes(publisher.asked[0]) == 404
    await hub.work(minutes=2)
    assert not await publisher.asks_back(asked)
    async with hub.database.read() as session:
        for kind in (StoredSecret, Hook):
            assert (await session.execute(select(func.count()).select_from(kind))).scalar_one() == 0
    assert [one.mode for one in publisher.asked] == ["subscribe", "unsubscribe"]


async def test_a_feed_without_a_hub_is_polled_and_looked_at_again(hub: Hub, publisher: Publisher) -> None:
    publisher.offers = False
    channel = await connected(hub, publisher)
    assert await stands(hub, channel) == ("by_hand", "polling")
    publisher.offers = True
    await hub.work(hours=1, minutes=10)
    assert len(publisher.asked) == 1


async def test_a_hub_that_refuses_is_shown_and_the_polls_go_on(hub: Hub, publisher: Publisher) -> None:
    publisher.status = 403
    channel = await connected(hub, publisher)
    assert await stands(hub, channel) == ("failed", "polling")
    publisher.entries.append(("urn:1", "Abgefragt"))
    await hub.work(minutes=6)
    assert await titles(hub) == {"urn:1": "Abgefragt"}
