"""What reports count: the same as the mentions themselves say, in whatever order things happen, and still there when they are gone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from echo import mention
from hearing import monitoring
from smhub.db.search import SearchDoc
from smhub.mentions.models import Author as AuthorRow
from smhub.mentions.models import Mention as MentionRow
from smhub.sdk import Author, Tombstone
from smhub_monitoring.reports.models import Counted, Hourly
from world import Hub

RECOUNT = "/v1/monitoring/reports/recount"


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with monitoring(database_url) as started:
        yield started


async def settle(hub: Hub) -> None:
    await hub.work(minutes=5)
    await hub.work(seconds=31)


def key(at: Any, said: dict[str, Any], department: Any, channel: Any, followers: int | None) -> tuple[Any, ...]:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return (hour, *(said.get(one, {}).get("value") for one in ("mood", "intent")), department, channel, followers)


async def told(hub: Hub) -> Counter[Any]:
    """Every mention by itself, out of the core's own tables."""
    of = select(
        MentionRow.published_at, MentionRow.annotations, MentionRow.department_id, MentionRow.channel_id, AuthorRow.followers
    ).join(AuthorRow, (AuthorRow.organisation_id == MentionRow.organisation_id) & (AuthorRow.id == MentionRow.author_id), isouter=True)
    async with hub.database.read() as session:
        return Counter(key(*row) for row in await session.execute(of))


async def counted(hub: Hub) -> tuple[Counter[Any], Counter[Any]]:
    """The same out of what is counted: how many in each hour, and how many followers these have."""
    numbers: Counter[Any] = Counter()
    followers: Counter[Any] = Counter()
    async with hub.database.read() as session:
        for row in await session.scalars(select(Hourly)):
            numbers[row.hour, row.mood, row.intent, row.department_id, row.channel_id] += row.mentions
            followers[row.hour, row.mood, row.intent, row.department_id, row.channel_id] += row.followers
    return numbers, followers


def summed(each: Counter[Any]) -> tuple[Counter[Any], Counter[Any]]:
    numbers: Counter[Any] = Counter()
    followers: Counter[Any] = Counter()
    for one, number in each.items():
        numbers[one[:-1]] += number
        followers[one[:-1]] += number * (one[-1] or 0)
    return numbers, followers


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_counted_is_what_the_mentions_say_after_any_order_of_things(hub: Hub, seed: int) -> None:
    chance = random.Random(seed)
    start = hub.clock.now() - timedelta(hours=3)
    department = (await hub.post("/v1/departments", {"name": "Service", "slug": "service"}))["id"]
    texts = ("Wo ist mein Paket?", "Danke, super!", "Das ist kaputt und furchtbar", "Hallo")
    gone: Counter[Any] = Counter()
    live: list[str] = []

    def said(name: str, **more: Any) -> Any:
        number = int(name[1:])
        at = start + timedelta(minutes=number * 7)
        who = Author(external_id=f"a{number % 5}", handle="h", name="N", followers=(number % 5) * 10 or None)
        return mention(name, chance.choice(texts), published_at=at, author=who, **more)

    for step in range(40):
        what = chance.choice(("new", "new", "edit", "delete", "annotate", "route", "vanish", "work"))
        known = {one["external_id"]: one["id"] for one in await hub.mentions()}
        some = chance.choice(live) if live else None
        if what == "new":
            live.append(f"m{step}")
            hub.echo.says(said(f"m{step}"))
        elif what == "edit" and some:
            hub.echo.says(said(some, edited_at=hub.clock.now()))
        elif what == "delete" and some:
            hub.echo.says(Tombstone(external_id=some, at=hub.clock.now()))
            live.remove(some)
        elif what == "annotate" and some in known:
            value = chance.choice(("positive", "negative", "neutral"))
            await hub.post(f"/v1/mentions/{known[some]}/annotations", {"key": "mood", "value": value})
        elif what == "route" and some in known:
            chosen = chance.choice((department, None))
            await hub.ok("PATCH", f"/v1/mentions/{known[some]}", json={"department_id": chosen})
        elif what == "vanish" and some in known:
            await settle(hub)
            gone += await _vanish(hub, some)
            live.remove(some)
        else:
            await settle(hub)
    await settle(hub)
    assert await counted(hub) == summed(await told(hub) + gone)
    assert (await _recount(hub, start))["hours_different"] == 0


async def _vanish(hub: Hub, external_id: str) -> Counter[Any]:
    """As retention would: the row goes and nobody is told. What it was."""
    every = await told(hub)
    async with hub.database.write() as session:
        row = (await session.scalars(select(MentionRow).where(MentionRow.external_id == external_id))).one()
        await session.execute(delete(SearchDoc).where(SearchDoc.mention_id == row.id))
        await session.delete(row)
    return every - await told(hub)


async def _recount(hub: Hub, start: Any) -> dict[str, Any]:
    times = {"from": (start - timedelta(days=1)).isoformat(), "to": (start + timedelta(days=2)).isoformat()}
    started = await hub.post(RECOUNT, times)
    await hub.work()
    operation = await hub.get(f"/v1/operations/{started['operation_id']}")
    assert operation["state"] == "done", operation
    return operation["result"]  # type: ignore[no-any-return]


async def test_counting_anew_finds_and_mends_what_was_counted_wrong(hub: Hub) -> None:
    start = hub.clock.now()
    hub.echo.says(*(mention(f"m{n}", "Danke!", published_at=start + timedelta(minutes=n)) for n in range(5)))
    await settle(hub)
    before = await counted(hub)
    async with hub.database.write() as session:
        await session.execute(update(Hourly).values(mentions=99))
        await session.execute(update(Counted).values(mood="negative"))
    found = await _recount(hub, start)
    assert (found["mentions"], found["mentions_different"]) == (5, 5)
    assert await counted(hub) == before
    again = await _recount(hub, start)
    assert (again["mentions_different"], again["hours_different"]) == (0, 0)


async def test_followers_are_those_of_the_time_when_the_mention_was_counted(hub: Hub) -> None:
    def by(followers: int | None) -> Author:
        return Author(external_id="star", handle="star", name="S", followers=followers)

    hub.echo.says(mention("m1", "Eins", author=by(100)))
    await settle(hub)
    hub.echo.says(mention("m2", "Zwei", author=by(5000)))
    await settle(hub)
    async with hub.database.read() as session:
        found = (await session.scalars(select(Counted.followers).order_by(Counted.followers))).all()
    assert list(found) == [100, 5000]


async def test_a_mention_of_which_only_its_deletion_was_told_is_none(hub: Hub) -> None:
    hub.echo.says(Tombstone(external_id="never-seen", at=hub.clock.now()))
    await settle(hub)
    assert (await counted(hub))[0].total() == 0
