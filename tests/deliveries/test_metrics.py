"""What the network counts: asked often at first, told as it was, and never in the way of anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import pytest

import world
from echo import Echo
from smhub.deliveries.metrics import TIMES
from smhub.sdk import AuthExpired, Connector, Gone, Metrics, Plugin, PluginContext, RateLimited, ReportsMetrics
from world import Hub


class Counting(Echo, ReportsMetrics):
    """Echo, where likes grow by one each time that somebody looks."""

    network, title = "counting", "Counting"
    asked: ClassVar[list[list[str]]] = []
    gone: ClassVar[set[str]] = set()
    script: ClassVar[list[Any]] = []

    async def metrics(self, external_ids: Sequence[str]) -> list[Metrics]:
        self.asked.append(list(external_ids))
        now = self.context.clock.now()
        if self.script and (next_one := self.script.pop(0)) is not None:
            if isinstance(next_one, BaseException):
                raise next_one
            return [Metrics(external_id=id_, observed_at=now, values=next_one) for id_ in external_ids]
        values = {"likes": len(self.asked), "replies": 0, "boosts": 2}
        return [Metrics(external_id=id_, observed_at=now, values=values) for id_ in external_ids if id_ not in self.gone]


class CountingPlugin(Plugin):
    id, title = "counting", "Counting"

    def register_connectors(self, context: PluginContext) -> list[type[Connector[Any]]]:
        return [Counting]


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[Hub]:
    Counting.asked, Counting.gone, Counting.script = [], set(), []
    async with world.start(database_url, plugins=[CountingPlugin()], shared=True) as hub:
        yield hub


async def said(hub: Hub, *texts: str) -> list[dict[str, Any]]:
    channel = await hub.post("/v1/channels", {"network": "counting", "name": "C", "settings": {}})
    made = [await hub.post(f"/v1/channels/{channel['id']}/posts", {"text": text}) for text in texts]
    await hub.work()
    return [await hub.get(f"/v1/deliveries/{one['id']}") for one in made]


async def figures(hub: Hub, row: dict[str, Any]) -> dict[str, Any]:
    return await hub.get(f"/v1/deliveries/{row['id']}/metrics")  # type: ignore[no-any-return]


async def test_it_is_asked_after_a_quarter_of_an_hour_then_more_and_more_seldom_and_all_at_once(counted: Hub) -> None:
    one, two = await said(counted, "eins", "zwei")
    assert (await figures(counted, one))["newest"] is None
    await counted.work(minutes=10)
    assert Counting.asked == []
    await counted.work(minutes=7)
    assert Counting.asked == [[one["external_id"], two["external_id"]]]
    told = await figures(counted, one)
    assert {name: told["newest"][name] for name in ("likes", "replies", "shares", "others")} == {
        "likes": 1,
        "replies": 0,
        "shares": None,
        "others": {"boosts": 2},
    }
    await counted.work(minutes=30)
    assert len(Counting.asked) == 1
    await counted.work(minutes=20)
    assert [each["likes"] for each in (await figures(counted, two))["history"]] == [2, 1]


async def test_after_a_month_nobody_asks_any_more(counted: Hub) -> None:
    (row,) = await said(counted, "eins")
    for _ in range(35):
        await counted.work(days=1)
    told = await figures(counted, row)
    assert 28 <= len(told["history"]) <= len(TIMES) and told["next_at"] is None
    asked = len(Counting.asked)
    await counted.work(days=2)
    assert len(Counting.asked) == asked


async def test_what_is_gone_fails_no_other_and_what_we_took_back_is_not_asked_for(counted: Hub) -> None:
    one, two, three = await said(counted, "eins", "zwei", "drei")
    Counting.gone.add(one["external_id"])
    await counted.post(f"/v1/deliveries/{three['id']}/take-back")
    await counted.work()
    await counted.work(minutes=17)
    assert Counting.asked == [[one["external_id"], two["external_id"]]]
    assert [(await figures(counted, row))["newest"] is not None for row in (one, two, three)] == [False, True, False]
    assert (await figures(counted, three))["next_at"] is None


@pytest.mark.parametrize(
    ("trouble", "minutes"),
    [
        (RateLimited("slow down", retry_after=1200.0), 21),
        (AuthExpired("who are you?"), 61),
        (Gone("nothing here"), 61),
        (RuntimeError("a bug"), 61),
        ({"likes": -1}, None),
        ({"likes": "many"}, None),
    ],
)
async def test_trouble_only_moves_the_next_time(counted: Hub, trouble: Any, minutes: int | None) -> None:
    (row,) = await said(counted, "eins")
    Counting.script.append(trouble)
    await counted.work(minutes=16)
    told = await figures(counted, row)
    assert told["newest"] is None and told["next_at"] is not None
    assert (await counted.get(f"/v1/deliveries/{row['id']}"))["state"] == "published"
    assert (await counted.get("/v1/holds"))["items"] == []
    await counted.work(minutes=(minutes or 45) + 1)
    assert (await figures(counted, row))["newest"]["likes"] == 2
