"""How an intake fares: each error has one reaction, each time of trouble is a gap, and no connector brings the hub down."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from echo import AT, mention
from smhub.sdk import (
    AuthExpired,
    BadItem,
    ConfigInvalid,
    CursorExpired,
    Gone,
    PayloadMalformed,
    PermissionMissing,
    RateLimited,
    Tombstone,
    Transient,
)
from world import Hub


async def intake(hub: Hub) -> dict[str, Any]:
    return (await hub.get("/v1/intakes"))["items"][0]  # type: ignore[no-any-return]


async def gaps(hub: Hub) -> list[dict[str, Any]]:
    return (await hub.get("/v1/gaps"))["items"]  # type: ignore[no-any-return]


async def failing(hub: Hub, error: BaseException | None, times: int = 1) -> dict[str, Any]:
    hub.echo.error = error
    for _ in range(times):
        await hub.work(hours=2)
    return await intake(hub)


@pytest.mark.parametrize(
    ("error", "times", "state", "code"),
    [
        (RateLimited(retry_after=60), 4, "active", "rate_limited"),
        (RateLimited(retry_after=-5), 1, "active", "rate_limited"),
        (AuthExpired("refused"), 1, "auth_required", "auth_expired"),
        (ConfigInvalid("no such page", field="account"), 1, "config_error", "config_invalid"),
        (PermissionMissing("scope"), 1, "blocked", "permission_missing"),
        (Gone("moved"), 1, "config_error", "gone"),
        (Transient("away"), 2, "active", "transient"),
        (Transient("away"), 3, "degraded", "transient"),
        (PayloadMalformed("half"), 3, "degraded", "payload_malformed"),
        (ZeroDivisionError(), 4, "degraded", "connector_bug"),
        (ZeroDivisionError(), 5, "quarantined", "connector_bug"),
        (SystemExit(3), 5, "quarantined", "connector_bug"),
        (asyncio.CancelledError(), 5, "quarantined", "connector_bug"),
        (Transient("a\0b\ud800" + "x" * 5000), 3, "degraded", "transient"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
async def test_each_error_has_one_reaction_and_the_trouble_is_a_gap(
    hub: Hub, error: BaseException, times: int, state: str, code: str
) -> None:
    await hub.connect()
    await hub.work()
    found = await failing(hub, error, times)
    assert (found["state"], found["reason_code"]) == (state, code)
    assert (found["next_poll_at"] is None) == (state not in ("active", "degraded", "quarantined"))
    assert [gap["state"] for gap in await gaps(hub)] == ([] if state == "active" else ["open"])
    if isinstance(error, ConfigInvalid):
        assert found["reason"].startswith("account: ")
    if state == "active":
        return
    hub.echo.error = None
    hub.echo.says(mention("after", "after the outage"))
    channel = (await hub.get("/v1/channels"))["items"][0]
    if state != "degraded":
        await hub.post(f"/v1/channels/{channel['id']}/resume")
    await hub.work(hours=2)
    assert (await intake(hub))["state"] == "active"
    assert [(gap["state"], bool(gap["proof"])) for gap in await gaps(hub)] == [("closed", True)]
    assert len(await hub.mentions()) == 1


async def test_a_pause_before_the_first_page_is_a_gap_that_closes(hub: Hub) -> None:
    channel = await hub.connect()
    await hub.post(f"/v1/channels/{channel['id']}/pause")
    await hub.work(hours=1)
    assert hub.echo.fetched == 0
    await hub.post(f"/v1/channels/{channel['id']}/resume")
    await hub.work(minutes=1)
    assert [gap["state"] for gap in await gaps(hub)] == ["closed"]


@pytest.mark.parametrize(("minutes", "state"), [(0, "closed"), (30, "closed_partial")])
async def test_what_the_network_dropped_is_filled_or_its_end_is_told(hub: Hub, minutes: int, state: str) -> None:
    await hub.connect()
    await hub.work()
    hub.echo.missed = "the feed dropped entries"
    hub.echo.says(mention("1", "new", published_at=hub.clock.now() + timedelta(minutes=minutes)))
    await hub.work(hours=1)
    (first,) = await gaps(hub)
    assert (first["state"], bool(first["proof"])) == (state, state == "closed")
    hub.echo.missed = None
    hub.echo.says(mention("0", "old", published_at=AT))
    started = await hub.post(f"/v1/intakes/{(await intake(hub))['id']}/back-fill", {"from_at": (AT + timedelta(minutes=1)).isoformat()})
    await hub.work()
    operation = await hub.get(f"/v1/operations/{started['operation_id']}")
    assert (operation["state"], operation["result"]["found"]) == ("done", 1)
    assert sorted(gap["state"] for gap in await gaps(hub)) == sorted(["closed", state])


async def test_a_back_fill_that_fails_to_the_end_leaves_the_gap_open_and_says_why(hub: Hub) -> None:
    await hub.connect()
    await hub.work()
    hub.echo.error = Transient("away")
    started = await hub.post(f"/v1/intakes/{(await intake(hub))['id']}/back-fill", {"from_at": AT.isoformat()})
    for _ in range(6):
        await hub.work(hours=2)
    assert (await hub.get(f"/v1/operations/{started['operation_id']}"))["state"] == "failed"
    (asked,) = [gap for gap in await gaps(hub) if gap["cause"] == "missed"]
    assert (asked["state"], asked["reason"]) == ("open", "the back-fill failed: away")


async def test_a_network_that_forgot_our_place_is_read_afresh_with_one_gap(hub: Hub) -> None:
    hub.echo.says(mention("1"))
    await hub.connect()
    await hub.work()
    await failing(hub, CursorExpired("gone"), 2)
    assert len([gap for gap in await gaps(hub) if gap["cause"] == "missed"]) == 1
    hub.echo.error = None
    hub.echo.says(mention("2"))
    await hub.work(hours=2)
    await hub.work(hours=2)
    assert len(await hub.mentions()) == 2


async def test_hostile_items_cost_only_themselves(hub: Hub) -> None:
    naive = datetime(2026, 11, 2)  # noqa: DTZ001
    hub.echo.says(
        mention("x" * 5000),
        mention("é" * 900),
        mention("naive", published_at=naive),
        Tombstone(external_id="naive2", at=naive),
        mention("early", published_at=AT.replace(year=1)),
        BadItem(raw=b"\0\xff", error="odd\0"),
        mention("nul\0", "a\0b \ud800 c", reply_to="p\0", root="q\ud800", language="d\0e", title="t\0"),
        mention("marks", "e" + "\u0301" * 10_000),
        mention("html", html="<p>Hallo</p><script>alert(1)</script><img src=x onerror=alert(1)>"),
    )
    await hub.connect()
    await hub.work()
    found = {one["external_id"]: one for one in await hub.mentions()}
    assert found.keys() == {"nul", "marks", "html"}
    assert (found["nul"]["text"], found["nul"]["reply_to"]) == ("ab  c", "p")
    assert len(found["marks"]["text"]) < 20
    assert "script" not in found["html"]["html"]
    assert found["html"]["text"] == "Hallo"
    assert (await intake(hub))["state"] == "active"
    assert len((await hub.get("/v1/bad-items"))["items"]) == 6


async def test_a_disconnected_channel_stays_so_and_what_it_brought_stays(hub: Hub) -> None:
    hub.echo.says(mention("1"))
    channel = await hub.connect()
    await hub.work()
    await hub.ok("DELETE", f"/v1/channels/{channel['id']}")
    fetched = hub.echo.fetched
    await hub.work(hours=1)
    assert (hub.echo.fetched, len(await hub.mentions())) == (fetched, 1)


async def test_three_intakes_see_one_mention_and_each_keeps_its_sighting(hub: Hub) -> None:
    hub.echo.says(mention("1", "Lieferung fehlt"))
    for _ in range(3):
        await hub.connect()
    await hub.work()
    (one,) = await hub.mentions()
    assert len((await hub.get(f"/v1/mentions/{one['id']}/sightings"))["items"]) == 3


async def test_looking_now_comes_before_the_next_time_but_not_before_the_network_wants_us(hub: Hub) -> None:
    await hub.connect()
    await hub.work()
    hub.echo.says(mention("1"))
    await hub.work(seconds=3)
    assert await hub.mentions() == []
    path = f"/v1/intakes/{(await intake(hub))['id']}/poll"
    await hub.post(path)
    await hub.work(seconds=3)
    assert len(await hub.mentions()) == 1
    hub.echo.error = RateLimited(retry_after=600)
    await hub.post(path)
    await hub.work(seconds=3)
    refused = await hub.admin.post(path)
    assert (refused.status_code, 500 < refused.json()["retry_after"] < 800) == (409, True)


async def test_verify_tells_who_we_are_or_which_setting_is_wrong(hub: Hub) -> None:
    channel = await hub.connect(account="firma", token="geheim")

    async def verified() -> dict[str, Any]:
        started = await hub.post(f"/v1/channels/{channel['id']}/verify")
        await hub.work()
        return await hub.get(f"/v1/operations/{started['operation_id']}")  # type: ignore[no-any-return]

    operation = await verified()
    assert (operation["state"], operation["result"]["account"]["handle"]) == ("done", "firma")
    assert (await hub.get(f"/v1/channels/{channel['id']}"))["account"]["handle"] == "firma"
    assert set(hub.echo.tokens) == {"geheim"}
    hub.echo.error = ConfigInvalid("no such account", field="account")
    operation = await verified()
    assert (operation["state"], operation["error"]["field"]) == ("failed", "settings.account")
