"""A network is told where to deliver, is looked after, told anew, and told to stop; polling is the net underneath."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

import hooked
import world
from hooked import Hooked, body_of, said, signed
from smhub.access.models import StoredSecret
from smhub.channels.models import Hook, WebhookDelivery
from smhub.sdk import AuthExpired, Transient
from world import Hub


@pytest.fixture
async def open_hub(database_url: str) -> AsyncIterator[Hub]:
    """A hub that networks may call."""
    async with world.start(database_url, allow_http_webhooks=True, webhook_backlog=5) as started:
        Hooked.world.__init__()  # type: ignore[misc]
        yield started


async def connected(hub: Hub, network: str = "hooked", **settings: Any) -> dict[str, Any]:
    new = {"network": network, "name": "Shop", "settings": {"secret": hooked.SECRET, **settings}}
    return await hub.post("/v1/channels", new)  # type: ignore[no-any-return]


async def shown(hub: Hub, channel: dict[str, Any]) -> dict[str, Any]:
    return await hub.get(f"/v1/channels/{channel['id']}")  # type: ignore[no-any-return]


async def deliver(hub: Hub, url: str, number: int, secret: str = hooked.SECRET) -> int:
    body = body_of(said(str(number)))
    headers = signed(body, hub.clock.now(), f"d{number}", secret=secret)
    return (await hub.as_key(None).post(url, content=body, headers=headers)).status_code


async def types(hub: Hub) -> list[str]:
    return [one["type"] for one in (await hub.get("/v1/events", params={"limit": 200}))["items"]]


async def test_connecting_subscribes_and_polling_becomes_rare(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    assert channel["webhook"]["state"] == "subscribing"
    await hub.work()
    found = await shown(hub, channel)
    assert (found["webhook"]["state"], found["health"]["source"]) == ("subscribed", "webhook")
    assert Hooked.world.subscribed == [channel["webhook"]["callback_url"]]
    assert channel["webhook"]["callback_url"].startswith("http://hub.test/v1/hooks/")
    assert "channel.subscribed" in await types(hub)
    # The first poll may still have been planned before; from then on every quarter of an hour.
    await hub.work(minutes=2)
    before = Hooked.world.fetched
    await hub.work(minutes=14)
    assert Hooked.world.fetched == before
    await hub.work(minutes=4)
    assert Hooked.world.fetched == before + 1


async def test_only_who_may_change_a_channel_sees_its_address(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    viewer = hub.as_key(await hub.member("viewer"))
    seen = await hub.ok("GET", f"/v1/channels/{channel['id']}", viewer)
    assert seen["webhook"]["callback_url"] is None
    assert channel["webhook"]["callback_url"].rpartition("/")[2] not in str(await hub.get("/v1/jobs"))
    token = channel["webhook"]["callback_url"].rpartition("/")[2]
    async with hub.database.read() as session:
        row = (await session.scalars(select(Hook))).one()
    assert token not in (row.token_hash, str(row.id))


async def test_a_subscription_that_the_network_forgot_is_made_again(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    await hub.work()
    Hooked.world.subscribed.clear()
    await hub.work(hours=1, minutes=10)
    assert Hooked.world.subscribed == [channel["webhook"]["callback_url"]]
    assert Hooked.world.asked == ["subscribe", "check", "subscribe"]


async def test_a_network_that_cannot_be_told_is_polled_as_usual_and_told_later(open_hub: Hub) -> None:
    hub = open_hub
    Hooked.world.error = Transient("it is away")
    channel = await connected(hub)
    await hub.work()
    found = await shown(hub, channel)
    assert (found["webhook"]["state"], found["webhook"]["reason"], found["health"]["source"]) == ("failed", "it is away", "polling")
    for error in (AuthExpired("no"), ZeroDivisionError(), SystemExit(1)):
        Hooked.world.error = error
        await hub.work(hours=1, minutes=10)
        assert (await shown(hub, channel))["webhook"]["state"] == "failed"
    Hooked.world.error = None
    await hub.work(hours=1, minutes=10)
    assert (await shown(hub, channel))["webhook"]["state"] == "subscribed"
    assert [one for one in await types(hub) if one.startswith("channel.subscr")] == [
        "channel.subscription_failed",
        "channel.subscribed",
    ]


async def test_without_an_address_for_the_world_nobody_is_told(hub: Hub) -> None:
    Hooked.world.__init__()  # type: ignore[misc]
    channel = await connected(hub)
    await hub.work(hours=3)
    found = await shown(hub, channel)
    assert found["webhook"]["state"] == "waiting"
    assert "SMHUB_PUBLIC_URL" in found["webhook"]["reason"]
    assert Hooked.world.asked == []


async def test_an_address_is_rotated_and_the_old_one_holds_for_a_day(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    await hub.work()
    old = channel["webhook"]["callback_url"]
    rotated = await hub.post(f"/v1/channels/{channel['id']}/rotate-webhook", {})
    new = rotated["webhook"]["callback_url"]
    assert new != old
    assert (await deliver(hub, old, 1), await deliver(hub, new, 2)) == (200, 200)
    await hub.work()
    assert Hooked.world.subscribed == [old, new]
    await hub.work(hours=23)
    assert await deliver(hub, old, 3) == 200
    await hub.work(hours=2)
    assert (await deliver(hub, old, 4), await deliver(hub, new, 5)) == (404, 200)
    await hub.work(hours=1)
    assert Hooked.world.subscribed == [new]
    assert (await shown(hub, channel))["webhook"]["old_address_until"] is None


async def test_an_address_that_somebody_knows_who_should_not_ends_at_once(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    old = channel["webhook"]["callback_url"]
    await hub.post(f"/v1/channels/{channel['id']}/rotate-webhook", {"end_old_now": True})
    assert await deliver(hub, old, 1) == 404
    await hub.work(minutes=1)
    assert old not in Hooked.world.subscribed
    feed = await hub.connect()
    assert (await hub.admin.post(f"/v1/channels/{feed['id']}/rotate-webhook", json={})).status_code == 409


async def test_while_the_secret_is_rotated_old_and_new_are_accepted(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    url = channel["webhook"]["callback_url"]
    await hub.work()
    await hub.ok("PATCH", f"/v1/channels/{channel['id']}", json={"settings": {"secret": "n3w"}})
    assert (await deliver(hub, url, 1), await deliver(hub, url, 2, "n3w"), await deliver(hub, url, 3, "other")) == (200, 200, 401)
    async with hub.database.read() as session:
        by = list((await session.scalars(select(WebhookDelivery.signed_by).order_by(WebhookDelivery.id))).all())
    assert by == ["old", "current"]
    await hub.work()
    # The network was told anew, for it has to know the secret.
    assert Hooked.world.asked == ["subscribe", "subscribe"]
    await hub.work(hours=25)
    assert (await deliver(hub, url, 4), await deliver(hub, url, 5, "n3w")) == (401, 200)
    # A change that leaves the secret out is no rotation.
    await hub.ok("PATCH", f"/v1/channels/{channel['id']}", json={"settings": {"word": "other"}})
    assert await deliver(hub, url, 6, "n3w") == 200


async def test_disconnecting_takes_in_what_was_acknowledged_tells_the_network_and_forgets(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    url = channel["webhook"]["callback_url"]
    await hub.work()
    assert await deliver(hub, url, 1) == 200
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    assert await deliver(hub, url, 2) == 404
    await hub.work()
    await hub.work(minutes=1)
    assert [one["external_id"] for one in await hub.mentions()] == ["1"]
    assert Hooked.world.subscribed == []
    async with hub.database.read() as session:
        assert (await session.execute(select(func.count()).select_from(StoredSecret))).scalar_one() == 0
        assert (await session.execute(select(func.count()).select_from(Hook))).scalar_one() == 0


async def test_a_network_that_does_not_answer_is_told_to_stop_five_times_and_then_forgotten(open_hub: Hub) -> None:
    hub = open_hub
    channel = await connected(hub)
    await hub.work()
    Hooked.world.error = Transient("away")
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    for _ in range(8):
        await hub.work(minutes=5)
    assert Hooked.world.asked.count("unsubscribe") == 5
    async with hub.database.read() as session:
        assert (await session.execute(select(func.count()).select_from(StoredSecret))).scalar_one() == 0


async def test_a_flood_is_told_to_come_back_and_nothing_that_was_acknowledged_is_lost(open_hub: Hub) -> None:
    hub = open_hub
    one, other = await connected(hub), await connected(hub)
    statuses = [await deliver(hub, one["webhook"]["callback_url"], number) for number in range(8)]
    assert statuses == [200] * 5 + [503] * 3
    body = body_of(said("8"))
    refused = await hub.as_key(None).post(one["webhook"]["callback_url"], content=body, headers=signed(body, hub.clock.now(), "d8"))
    assert (refused.json()["code"], int(refused.headers["retry-after"]) > 0) == ("unavailable", True)
    assert await deliver(hub, other["webhook"]["callback_url"], 100) == 200
    await hub.work()
    assert len(await hub.mentions()) == 6
    hub.clock.forward(seconds=1)
    assert await deliver(hub, one["webhook"]["callback_url"], 9) == 200


async def test_a_lost_delivery_is_late_and_not_lost(open_hub: Hub) -> None:
    hub = open_hub
    await connected(hub)
    await hub.work()
    Hooked.world.pages = [[hooked.item_of(said("lost"))]]
    await hub.work(minutes=20)
    assert [one["external_id"] for one in await hub.mentions()] == ["lost"]
