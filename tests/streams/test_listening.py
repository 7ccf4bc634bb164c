"""A channel whose network tells at once: what is heard is stored as if it had been asked for, and what was missed is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

import world
from echo import mention
from radio import Air, RadioPlugin, fresh
from smhub.mentions import streaming
from smhub.sdk import AuthExpired, CursorExpired, PermissionMissing, RateLimited, Tombstone, Transient
from smhub.work.models import Worker
from smhub.work.running import Runner

WITHIN = 60.0


@pytest.fixture(autouse=True)
def quick_looks() -> Iterator[None]:
    usual, streaming.LOOK = streaming.LOOK, 0.1
    yield
    streaming.LOOK = usual


@pytest.fixture
def air() -> Air:
    return fresh()


@pytest.fixture
async def hub(database_url: str, air: Air) -> AsyncIterator[world.Hub]:
    async with world.start(database_url, plugins=[RadioPlugin()]) as started:
        yield started


@asynccontextmanager
async def worker(hub: world.Hub, name: str = "listener") -> AsyncIterator[Runner]:
    """A worker that works until the end of the block."""
    runner = Runner(hub.runtime, name=name, endless=10, idle=0.05)
    working = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        async with asyncio.timeout(WITHIN):
            await working


async def until(holds: Callable[[], Any]) -> None:
    """Wait for a condition, which may have to be awaited."""
    async with asyncio.timeout(WITHIN):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


async def in_time(hub: world.Hub, holds: Callable[[], Any]) -> None:
    """Wait for a condition while time goes on: whoever looked at the clock just before it moved looks at it again."""
    looks = 0

    async def held() -> bool:
        nonlocal looks
        looks += 1
        if looks % 25 == 0:
            hub.clock.forward(seconds=3)
        found = holds()
        return bool(await found if asyncio.iscoroutine(found) else found)

    await until(held)


async def channel(hub: world.Hub, network: str = "radio", **settings: Any) -> dict[str, Any]:
    return await hub.post("/v1/channels", {"network": network, "name": "On air", "settings": settings})  # type: ignore[no-any-return]


async def beat(hub: world.Hub) -> datetime:
    """When the least recent of the workers was seen."""
    async with hub.database.read() as session:
        return (await session.scalars(select(Worker.seen_at).order_by(Worker.seen_at).limit(1))).one()


async def beaten(hub: world.Hub, before: datetime) -> bool:
    return await beat(hub) > before


async def intake(hub: world.Hub) -> dict[str, Any]:
    (one,) = (await hub.get("/v1/intakes"))["items"]
    return one  # type: ignore[no-any-return]


def told(hub: world.Hub, *texts: str) -> Callable[[], Any]:
    async def found() -> bool:
        return {one["text"] for one in await hub.mentions()} == set(texts)

    return found


def stream_is(hub: world.Hub, state: str) -> Callable[[], Any]:
    async def found() -> bool:
        return (await intake(hub))["stream"]["state"] == state  # type: ignore[no-any-return]

    return found


async def test_what_is_said_is_there_at_once_and_not_twice_when_it_is_asked_for(hub: world.Hub, air: Air) -> None:
    made = await channel(hub)
    async with worker(hub):
        await until(stream_is(hub, "open"))
        air.says("Mein Wasserkocher ist kaputt")
        await until(told(hub, "Mein Wasserkocher ist kaputt"))
        polls = air.polls
        hub.clock.forward(minutes=6)
        await in_time(hub, lambda: air.polls > polls)
        await until(told(hub, "Mein Wasserkocher ist kaputt"))
        shown = (await hub.get(f"/v1/channels/{made['id']}"))["health"]["stream"]
        assert (shown["state"], shown["reason_code"], shown["failures"], shown["next_try_at"]) == ("open", None, 0, None)
        assert shown["last_heard_at"] is not None


async def test_what_was_said_before_the_stream_was_open_is_asked_for_as_soon_as_it_is(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    async with worker(hub):
        await until(stream_is(hub, "open"))
        await until(lambda: air.polls > 0)
        air.breaks(Transient("the network is away"))
        await until(stream_is(hub, "waiting"))
        air.says("Niemand hat zugehört", live=False)
        air.error = None
        hub.clock.forward(seconds=5)
        await in_time(hub, told(hub, "Niemand hat zugehört"))


async def test_while_the_stream_is_open_polls_are_rare_and_they_are_as_usual_when_it_broke(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    async with worker(hub):
        await until(stream_is(hub, "open"))

        async def rare() -> bool:
            one = await intake(hub)
            return one["state"] == "active" and _ahead(hub, one) > 250

        await in_time(hub, rare)
        broken = hub.clock.now()
        air.breaks(Transient("the network is away"))

        async def usual() -> bool:
            return _ahead(hub, await intake(hub)) <= 61

        await in_time(hub, usual)
        assert hub.clock.now() - broken < timedelta(seconds=60)
        assert (await intake(hub))["state"] == "active"


def _ahead(hub: world.Hub, one: dict[str, Any]) -> float:
    return (datetime.fromisoformat(one["next_poll_at"]) - hub.clock.now()).total_seconds()


async def test_a_stream_that_breaks_again_and_again_is_opened_ever_more_rarely(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    air.error = Transient("the network is away")
    waits = []
    async with worker(hub):
        for number in range(1, 6):
            await until(lambda number=number: failed(hub, number))
            waits.append(_until_next_try(hub, await intake(hub)))
            hub.clock.forward(seconds=waits[-1] + 1)
    assert all(2 * 2**number <= wait <= 3 * 2**number + 1 for number, wait in enumerate(waits)), waits


async def failed(hub: world.Hub, number: int) -> bool:
    return bool((await intake(hub))["stream"]["failures"] == number)


def _until_next_try(hub: world.Hub, one: dict[str, Any]) -> float:
    return (datetime.fromisoformat(one["stream"]["next_try_at"]) - hub.clock.now()).total_seconds()


async def test_a_network_that_asks_for_time_gets_it(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    air.error = RateLimited("too many streams", retry_after=300)
    async with worker(hub):
        await until(stream_is(hub, "waiting"))
        one = await intake(hub)
    assert one["stream"]["reason_code"] == "rate_limited"
    assert 290 <= _until_next_try(hub, one) <= 450


async def test_when_credentials_end_the_intake_stops_and_nobody_knocks_again(hub: world.Hub, air: Air) -> None:
    made = await channel(hub)
    async with worker(hub):
        await until(stream_is(hub, "open"))
        await until(lambda: air.polls > 0)
        air.poll_error = AuthExpired("the token was refused")
        air.breaks(AuthExpired("the token was refused"))
        await until(stream_is(hub, "waiting"))
        hub.clock.forward(seconds=3)

        async def stopped() -> bool:
            return bool((await intake(hub))["state"] == "auth_required")

        await until(stopped)
        knocked, polled = len(air.places), air.polls
        hub.clock.forward(hours=3)
        await hub.work()
        assert (len(air.places), air.polls) == (knocked, polled)
        air.error = air.poll_error = None
        await hub.ok("PATCH", f"/v1/channels/{made['id']}", json={"settings": {"token": "new"}})
        hub.clock.forward(seconds=3)
        await in_time(hub, stream_is(hub, "open"))


async def test_a_token_that_may_read_but_not_listen_leaves_the_polls_alone(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    air.error = AuthExpired("Access token does not cover required scopes")
    air.says("Abgefragt", live=False)
    async with worker(hub):
        await until(told(hub, "Abgefragt"))
        await until(stream_is(hub, "waiting"))
    one = await intake(hub)
    assert (one["state"], one["stream"]["reason_code"]) == ("active", "auth_expired")
    assert _until_next_try(hub, one) >= 55


async def test_a_right_that_is_missing_refuses_the_stream_for_a_day(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    air.error = PermissionMissing("no streams for you", scopes=("read:stream",))
    async with worker(hub):
        await until(stream_is(hub, "refused"))
    one = await intake(hub)
    assert one["stream"]["reason_code"] == "permission_missing"
    assert 86_000 < _until_next_try(hub, one) < 100_000


async def test_a_flood_is_stored_in_batches_and_keeps_nobody_else_waiting(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    async with worker(hub):
        await until(stream_is(hub, "open"))
        await until(lambda: air.polls > 0)
        events = len((await hub.get("/v1/intakes"))["items"])
        air.tells(mention(f"flood-{number}", f"Flut {number}") for number in range(600))
        done = await hub.post("/v1/channels", {"network": "radio", "name": "Another", "settings": {}})
        hub.clock.forward(seconds=3)
        await in_time(hub, lambda: air.listening == 2)
        assert done["id"] and events == 1

        async def all_there() -> bool:
            rows = (await hub.get("/v1/intakes"))["items"]
            return max(one["mentions"] for one in rows) == 600

        await until(all_there)


async def test_a_channel_that_is_paused_or_disconnected_is_heard_no_more(hub: world.Hub, air: Air) -> None:
    made = await channel(hub)
    async with worker(hub):
        await until(lambda: air.listening == 1)
        await hub.post(f"/v1/channels/{made['id']}/pause")
        await until(lambda: air.listening == 0)
        await hub.post(f"/v1/channels/{made['id']}/resume")
        hub.clock.forward(seconds=3)
        await in_time(hub, lambda: air.listening == 1)
        await hub.ok("DELETE", f"/v1/channels/{made['id']}")
        await until(lambda: air.listening == 0)
        hub.clock.forward(hours=1)
        await hub.work()
        assert air.listening == 0


async def test_new_settings_are_listened_with_and_a_new_name_changes_nothing(hub: world.Hub, air: Air) -> None:
    made = await channel(hub)
    async with worker(hub):
        await until(lambda: air.listening == 1)
        await hub.ok("PATCH", f"/v1/channels/{made['id']}", json={"name": "Other name"})
        await asyncio.sleep(0.3)
        assert len(air.places) == 1
        await hub.ok("PATCH", f"/v1/channels/{made['id']}", json={"settings": {"account": "other"}})

        async def again() -> bool:
            hub.clock.forward(seconds=3)
            return len(air.places) == 2 and air.listening == 1

        await until(again)


async def test_of_two_workers_one_listens_and_the_other_goes_on_where_it_ends(hub: world.Hub, air: Air) -> None:
    await channel(hub, "tape")
    async with worker(hub, "second"):
        async with worker(hub, "first"):
            await until(stream_is(hub, "open"))
            air.says("eins")
            await until(told(hub, "eins"))
            for _ in range(4):
                # Between two of these the lease is renewed; without that the other one would begin.
                before = await beat(hub)
                hub.clock.forward(seconds=9)
                await until(lambda before=before: beaten(hub, before))
            assert air.most == 1
        air.says("zwei")
        await until(told(hub, "eins", "zwei"))
        assert air.most == 1


async def test_a_worker_that_dies_gives_its_stream_away_when_its_lease_ends_and_stores_nothing_any_more(
    hub: world.Hub, air: Air
) -> None:
    await channel(hub, "tape")
    dead = Runner(hub.runtime, name="dead", endless=10, idle=0.05)
    working = asyncio.create_task(dead.run())
    await until(stream_is(hub, "open"))
    air.says("eins")
    await until(told(hub, "eins"))
    # It is cut off as by a kill: it gives nothing back.
    dead._listening.clear()
    await dead.cut_off()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    air.says("zwei")
    async with worker(hub, "alive"):
        assert air.listening == 0
        hub.clock.forward(seconds=31)
        await in_time(hub, told(hub, "eins", "zwei"))
        assert air.places == [None, 1]


async def test_a_stream_continues_from_its_place_and_forgets_one_that_the_network_does_not_know(hub: world.Hub, air: Air) -> None:
    await channel(hub, "tape")
    async with worker(hub):
        await until(stream_is(hub, "open"))
        air.says("eins")
        await until(told(hub, "eins"))
        air.breaks(None)
        await until(stream_is(hub, "waiting"))
        air.says("zwei")
        hub.clock.forward(seconds=5)
        await in_time(hub, told(hub, "eins", "zwei"))
        assert air.places == [None, 1]
        await until(stream_is(hub, "open"))
        air.breaks(CursorExpired("too long ago"))
        await until(stream_is(hub, "waiting"))
        air.error = None
        hub.clock.forward(minutes=1)
        await in_time(hub, lambda: air.places[-1] is None)
        gaps = (await hub.get("/v1/gaps"))["items"]
        assert [gap["cause"] for gap in gaps] == ["missed"]


async def test_an_intake_that_can_only_be_heard_fares_as_its_stream_does(hub: world.Hub, air: Air) -> None:
    await channel(hub, "tape")
    async with worker(hub):
        await until(stream_is(hub, "open"))
        assert ((await intake(hub))["state"], (await intake(hub))["source"]) == ("active", "stream")
        air.breaks(AuthExpired("the token was refused"))

        async def stopped() -> bool:
            one = await intake(hub)
            return bool(one["state"] == "auth_required" and one["next_poll_at"] is None)

        await until(stopped)
        hub.clock.forward(days=1)
        await hub.work()
        assert air.listening == 0


async def test_deletions_and_bad_connectors_are_contained(hub: world.Hub, air: Air) -> None:
    await channel(hub)
    async with worker(hub):
        await until(stream_is(hub, "open"))
        air.says("bleibt nicht")
        await until(told(hub, "bleibt nicht"))
        air.tells([Tombstone(external_id="m0")])
        await until(lambda: _wiped(hub))
        for error in (SystemExit(3), RuntimeError("bug"), asyncio.CancelledError()):
            air.breaks(error)

            async def said() -> bool:
                return bool((await intake(hub))["stream"]["reason_code"] == "connector_bug")

            await until(said)
            air.error = None
            hub.clock.forward(minutes=2)
            await in_time(hub, stream_is(hub, "open"))


async def _wiped(hub: world.Hub) -> bool:
    return [one["text"] for one in await hub.mentions()] in ([""], [])


async def test_a_listener_hears_what_has_its_words(hub: world.Hub, air: Air) -> None:
    given = {"network": "radio", "name": "Listening", "words": ["kessel"], "languages": [], "settings": {}}
    await hub.post("/v1/listeners", {**given, "purpose": "service", "legal_basis": "legitimate interest"})
    async with worker(hub):
        await until(stream_is(hub, "open"))
        air.says("Der Kessel kocht", "Das Rad rollt")
        await until(told(hub, "Der Kessel kocht"))
