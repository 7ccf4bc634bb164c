"""What a network delivers: believed when it is signed, stored before it is answered, taken in as a page is, each once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
from sqlalchemy import select

import hooked
from hooked import Hooked, body_of, deleted, said, signed
from smhub.channels.models import WebhookDelivery
from world import Hub


async def connected(hub: Hub, network: str = "hooked", **settings: Any) -> dict[str, Any]:
    Hooked.world.__init__()  # type: ignore[misc]
    new = {"network": network, "name": "Shop", "settings": {"secret": hooked.SECRET, **settings}}
    return await hub.post("/v1/channels", new)  # type: ignore[no-any-return]


async def deliver(hub: Hub, channel: dict[str, Any], body: bytes, delivery: str = "d1", **more: Any) -> httpx2.Response:
    headers = {**signed(body, hub.clock.now(), delivery, **more), "Content-Type": "application/octet-stream"}
    return await hub.as_key(None).post(channel["webhook"]["callback_url"], content=body, headers=headers)


async def rows(hub: Hub) -> list[WebhookDelivery]:
    async with hub.database.read() as session:
        return list((await session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id))).all())


async def intake(hub: Hub) -> dict[str, Any]:
    return (await hub.get("/v1/intakes"))["items"][0]  # type: ignore[no-any-return]


async def test_what_is_delivered_is_stored_as_it_came_and_taken_in_by_the_worker(hub: Hub) -> None:
    channel = await connected(hub)
    answer = await deliver(hub, channel, body_of(said("1", "Wo bleibt das Paket?")))
    assert (answer.status_code, answer.text) == (200, "ok")
    [row] = await rows(hub)
    assert (row.state, row.signed_by, row.body) == ("new", "current", body_of(said("1", "Wo bleibt das Paket?")))
    assert not {"x-hooked-signature", "host"} & row.headers.keys()
    assert await hub.mentions() == []
    await hub.work()
    assert [one["text"] for one in await hub.mentions()] == ["Wo bleibt das Paket?"]
    [row] = await rows(hub)
    assert (row.state, row.body, row.headers) == ("done", b"", {})
    shown = await hub.get(f"/v1/channels/{channel['id']}")
    assert (shown["webhook"]["deliveries"], shown["webhook"]["last_delivery_at"]) == (1, shown["health"]["last_delivery_at"])
    assert shown["health"]["last_delivery_at"] is not None


async def test_without_a_good_signature_nothing_is_kept(hub: Hub) -> None:
    channel = await connected(hub)
    url, body, stranger = channel["webhook"]["callback_url"], body_of(said("1")), hub.as_key(None)
    good = signed(body, hub.clock.now(), "d1")
    wrong = {
        "none": ({}, body),
        "another secret": (signed(body, hub.clock.now(), "d1", secret="other"), body),
        "another body": (good, body + b" "),
        "another time": ({**good, "X-Hooked-Time": "1"}, body),
        "too old": (signed(body, hub.clock.now() - timedelta(seconds=301), "d1"), body),
        "too new": (signed(body, hub.clock.now() + timedelta(seconds=301), "d1"), body),
        "an endless time": ({**good, "X-Hooked-Time": "9" * 5000}, body),
        "a time in other digits": ({**good, "X-Hooked-Time": "²"}, body),
    }
    for name, (headers, content) in wrong.items():
        raw = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
        answer = await stranger.post(url, content=content, headers=raw)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_refused"), name
        assert answer.headers["content-type"] == "application/problem+json"
    assert await rows(hub) == []
    async with hub.database.write() as session:
        await hub.runtime.refused.write_down(session, hub.clock.now())
    assert (await hub.get(f"/v1/channels/{channel['id']}"))["webhook"]["refused"] == len(wrong)
    assert (await stranger.post(url, content=body, headers=good)).status_code == 200


async def test_an_address_that_leads_nowhere_says_no_more_than_any_other(hub: Hub) -> None:
    channel = await connected(hub)
    stranger, body = hub.as_key(None), body_of(said("1"))
    headers = signed(body, hub.clock.now(), "d1")
    before = (await stranger.post("/v1/hooks/nothing", content=body, headers=headers)).json()
    assert (before["status"], before["code"]) == (404, "route_not_found")
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    after = await stranger.post(channel["webhook"]["callback_url"], content=body, headers=headers)
    assert {**after.json(), "request_id": ""} == {**before, "request_id": ""}
    assert (await stranger.get("/v1/hooks/nothing", params={"challenge": "x"})).json()["code"] == "route_not_found"


async def test_one_byte_more_than_a_mebibyte_is_refused_and_any_content_type_is_taken(hub: Hub) -> None:
    channel = await connected(hub)
    assert (await deliver(hub, channel, b" " * (1_048_576 + 1))).status_code == 413
    body = body_of(said("1")) + b" " * (1_048_576 - len(body_of(said("1"))))
    assert (await deliver(hub, channel, body)).status_code == 200
    await hub.work()
    assert len(await hub.mentions()) == 1


async def test_the_same_delivery_is_taken_once_by_its_id_or_by_its_bytes(hub: Hub) -> None:
    channel, told = await connected(hub), await connected(hub, "told")
    for _ in range(3):
        assert (await deliver(hub, channel, body_of(said("1")), "d1")).status_code == 200
        assert (await deliver(hub, told, body_of(said("2")), rule=hooked.Told.webhook)).status_code == 200
    await hub.work()
    assert (await deliver(hub, channel, body_of(said("1")), "d1")).status_code == 200
    assert sorted(one.state for one in await rows(hub)) == ["done", "done"]
    # The same bytes an hour later are another delivery where nothing else tells them apart.
    hub.clock.forward(hours=1)
    assert (await deliver(hub, told, body_of(said("2")), rule=hooked.Told.webhook)).status_code == 200
    assert sorted(one.state for one in await rows(hub)) == ["done", "new"]
    await hub.work()
    assert len(await hub.mentions()) == 2


async def test_a_mention_that_comes_by_webhook_and_by_polling_is_one(hub: Hub) -> None:
    channel = await connected(hub)
    Hooked.world.pages = [[hooked.item_of(said("1")), hooked.item_of(said("2"))]]
    await deliver(hub, channel, body_of(said("1"), said("3")))
    await hub.work()
    assert sorted(one["external_id"] for one in await hub.mentions()) == ["1", "2", "3"]


async def test_edits_and_deletions_that_come_before_what_they_change_give_the_same_end(hub: Hub) -> None:
    channel = await connected(hub)
    for number, body in enumerate([body_of(said("1", "neu", 2)), body_of(said("1", "alt")), body_of(deleted("2")), body_of(said("2"))]):
        await deliver(hub, channel, body, f"d{number}")
        await hub.work()
    found = {one["external_id"]: one for one in await hub.mentions(deleted=True)}
    assert (found["1"]["text"], found["1"]["content_state"]) == ("neu", "edited")
    assert (found["2"]["text"], found["2"]["content_state"]) == ("", "deleted")


async def test_a_channel_that_is_only_told_is_well_once_something_came(hub: Hub) -> None:
    channel = await connected(hub, "told")
    await hub.work()
    assert ((await intake(hub))["state"], (await intake(hub))["next_poll_at"]) == ("connecting", None)
    assert (await hub.get(f"/v1/channels/{channel['id']}"))["webhook"]["state"] == "waiting"
    answer = await hub.admin.post(f"/v1/intakes/{channel['health']['intake_id']}/poll")
    assert answer.status_code == 409
    await deliver(hub, channel, body_of(said("1")), rule=hooked.Told.webhook)
    await hub.work()
    found = await intake(hub)
    assert (found["state"], found["source"]) == ("active", "webhook")
    assert found["last_delivery_at"] is not None


async def test_what_comes_while_a_channel_is_paused_is_kept_and_taken_in_when_it_goes_on(hub: Hub) -> None:
    channel = await connected(hub, "told")
    await hub.post(f"/v1/channels/{channel['id']}/pause")
    assert (await deliver(hub, channel, body_of(said("1")), rule=hooked.Told.webhook)).status_code == 200
    await hub.work(minutes=5)
    assert await hub.mentions() == []
    await hub.post(f"/v1/channels/{channel['id']}/resume")
    await hub.work(minutes=5)
    assert len(await hub.mentions()) == 1
    assert [gap["state"] for gap in (await hub.get("/v1/gaps"))["items"]] == ["closed"]


async def test_what_cannot_be_read_is_tried_again_then_shown_and_may_be_read_once_more(hub: Hub) -> None:
    channel = await connected(hub)
    assert (await deliver(hub, channel, b"no JSON \xff", "bad")).status_code == 200
    assert (await deliver(hub, channel, body_of({"what": "unreadable"}, said("1")), "half")).status_code == 200
    await hub.work()
    assert [one["external_id"] for one in await hub.mentions()] == ["1"]
    for _ in range(5):
        await hub.work(minutes=10)
    bad = {one["retryable"]: one for one in (await hub.get("/v1/bad-items"))["items"]}
    assert "JSONDecodeError" in bad[True]["error"] or "UnicodeDecodeError" in bad[True]["error"]
    assert (await hub.admin.post(f"/v1/bad-items/{bad[False]['id']}/retry")).status_code == 409
    assert (await intake(hub))["bad_items"] == 2
    # Nothing was mended: it is bad again after one attempt, and listed once.
    await hub.post(f"/v1/bad-items/{bad[True]['id']}/retry")
    assert (await hub.admin.post(f"/v1/bad-items/{bad[True]['id']}/retry")).status_code == 409
    await hub.work(seconds=5)
    assert len((await hub.get("/v1/bad-items"))["items"]) == 2
    async with hub.database.write() as session:
        row = (await session.scalars(select(WebhookDelivery).where(WebhookDelivery.state == "bad"))).one()
        row.body = body_of(said("2"))
    await hub.post(f"/v1/bad-items/{bad[True]['id']}/retry")
    await hub.work(seconds=5)
    assert len(await hub.mentions()) == 2
    assert [one["retryable"] for one in (await hub.get("/v1/bad-items"))["items"]] == [False]


async def test_a_connector_that_misbehaves_while_it_reads_holds_up_no_other_delivery(hub: Hub) -> None:
    channel = await connected(hub)
    for manner in ("raises", "exits", "gives something else"):
        Hooked.world.manner = manner
        assert (await deliver(hub, channel, body_of(said(manner)), manner)).status_code == 200
        await hub.work()
    Hooked.world.manner = ""
    assert (await deliver(hub, channel, body_of(said("good")), "good")).status_code == 200
    await hub.work()
    assert [one["external_id"] for one in await hub.mentions()] == ["good"]
    await hub.work(minutes=10)
    assert len(await hub.mentions()) == 4
    assert (await hub.get("/v1/bad-items"))["items"] == []


async def test_done_deliveries_are_forgotten_when_nobody_repeats_them_any_more(hub: Hub) -> None:
    channel = await connected(hub)
    await deliver(hub, channel, body_of(said("1")))
    await hub.work(hours=75)
    assert len(await rows(hub)) == 1
    await hub.work(hours=78)
    assert await rows(hub) == []
