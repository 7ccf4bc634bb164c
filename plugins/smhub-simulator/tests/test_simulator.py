"""The same seed tells the same story, however and whenever one listens."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smhub.sdk import (
    KINDS,
    VISIBILITIES,
    ConnectorContext,
    Mention,
    Search,
    StandingClock,
    Tombstone,
    Transient,
    capabilities,
    read_settings,
    settings_schema,
)
from smhub_simulator import english, german
from smhub_simulator.connector import Position, Simulator
from smhub_simulator.plugin import SimulatorPlugin

MORNING = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def simulator(clock=None, since=None, until=None, **config):
    clock = clock or StandingClock(MORNING)
    return Simulator(read_settings(Simulator.Config, config), None, ConnectorContext(clock=clock, since=since, until=until))


async def everything(connector, cursor=None):
    pages = [page async for page in connector.fetch_mentions(cursor)]
    return [item for page in pages for item in page.items], pages[-1].cursor if pages else cursor


def when(item):
    return item.at if isinstance(item, Tombstone) else item.edited_at or item.published_at


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**53), size=st.integers(1, 500), backlog=st.integers(0, 400), rate=st.floats(0.05, 300))
async def test_page_size_changes_nothing(seed, size, backlog, rate):
    config = {"seed": seed, "backlog": backlog, "per_minute": rate}
    whole, _ = await everything(simulator(**config))
    assert (await everything(simulator(page_size=size, **config)))[0] == whole


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 7200), max_size=8), size=st.integers(1, 100))
async def test_however_the_visits_fall_nothing_is_lost_or_doubled(cuts, size):
    clock = StandingClock(MORNING)
    heard, cursor = await everything(simulator(clock, page_size=size))
    for second in sorted(cuts):
        clock.forward(seconds=max(0.0, (MORNING + timedelta(seconds=second) - clock.now()).total_seconds()))
        more, cursor = await everything(simulator(clock, page_size=size), cursor)
        heard += more
    clock.forward(seconds=(MORNING + timedelta(hours=2) - clock.now()).total_seconds())
    more, _ = await everything(simulator(clock, page_size=size), cursor)
    late = StandingClock(MORNING)
    first, cursor = await everything(simulator(late))
    late.forward(hours=2)
    rest, _ = await everything(simulator(late), cursor)
    assert heard + more == first + rest
    assert [when(item) for item in heard + more] == sorted(when(item) for item in first + rest)


async def test_a_crash_between_two_pages_repeats_nothing_else():
    pages = [page async for page in simulator(page_size=50, backlog=330).fetch_mentions(None)]
    for at, page in enumerate(pages):
        rest, _ = await everything(simulator(page_size=50, backlog=330), msgspec.convert(msgspec.to_builtins(page.cursor), Position))
        assert rest == [item for later in pages[at + 1 :] for item in later.items]


async def test_the_backlog_is_spread_over_the_last_days_and_follows_working_hours():
    items, _ = await everything(simulator(backlog=3000))
    assert len(items) == pytest.approx(3000, abs=20)
    times = [when(item) for item in items]
    assert times[0] >= MORNING - timedelta(days=3) and times[-1] <= MORNING
    assert len({at.date() for at in times}) == 4
    hours = Counter(at.hour for at in times)
    assert sum(hours[hour] for hour in range(9, 18)) > 4 * sum(hours[hour] for hour in range(0, 6))


async def test_since_and_until_are_kept():
    since, until = MORNING - timedelta(hours=3), MORNING - timedelta(hours=1)
    items, _ = await everything(simulator(since=since, until=until))
    assert items and all(since <= when(item) <= until for item in items)
    assert (await everything(simulator(since=since, until=until, page_size=7)))[0] == items
    assert all(when(item) >= since for item in (await everything(simulator(since=since, backlog=100_000)))[0])


async def test_the_stream_is_varied_and_hangs_together():
    items, _ = await everything(simulator(backlog=20_000, per_minute=60, page_size=500))
    mentions = {item.external_id: item for item in items if isinstance(item, Mention)}
    assert {item.kind for item in mentions.values()} == set(KINDS)
    assert {item.visibility for item in mentions.values()} == set(VISIBILITIES)
    assert {item.language for item in mentions.values()} == {"de", "en"}
    assert len({item.text for item in mentions.values()}) > 8_000
    writers = Counter(item.author.external_id for item in mentions.values())
    assert 300 < len(writers) <= 620 and writers.most_common(1)[0][1] > 20
    parents = [(item, mentions[item.reply_to]) for item in mentions.values() if item.reply_to in mentions]
    assert len(parents) > 1_000
    assert all(parent.published_at <= item.published_at and parent.language == item.language for item, parent in parents)
    gone = set()
    for item in items:
        if isinstance(item, Tombstone):
            gone.add(item.external_id)
        else:
            assert item.edited_at is None or (item.external_id not in gone and item.edited_at > item.published_at)
    assert gone and any(item.edited_at for item in mentions.values()) and any(item.attachments for item in mentions.values())


def test_there_is_enough_to_say():
    assert len(german.LINES.strip().splitlines()) >= 60 and len(english.LINES.strip().splitlines()) >= 40


async def test_a_storm_is_about_one_topic():
    config = {"per_minute": 6, "storm_every_hours": 24, "since": MORNING - timedelta(days=1), "until": MORNING}
    stormy, _ = await everything(simulator(**config))
    calm, _ = await everything(simulator(**{**config, "storm_every_hours": 0}))
    assert len(stormy) - len(calm) == 6 * 5 * 30
    slots = Counter(int(when(item).timestamp()) // 600 for item in stormy)
    worst = max(slots, key=lambda slot: slots[slot])
    within = [item for item in stormy if isinstance(item, Mention) and int(when(item).timestamp()) // 600 == worst]
    topics = Counter(item.raw for item in within if item.reply_to is None)
    assert topics.most_common(1)[0][1] > 0.6 * topics.total()


async def test_an_outage_is_an_error_and_its_hole_is_filled_afterwards():
    clock, other = StandingClock(MORNING), StandingClock(MORNING)
    heard, cursor = await everything(simulator(clock, outage_every_hours=2))
    failures = 0
    for _ in range(48):
        clock.forward(minutes=5)
        try:
            more, cursor = await everything(simulator(clock, outage_every_hours=2), cursor)
            heard += more
        except Transient as error:
            failures += 1
            assert 0 < error.retry_after <= 900
    assert failures == 6
    clock.forward(minutes=20)
    heard += (await everything(simulator(clock), cursor))[0]
    first, start = await everything(simulator(other))
    other.forward(minutes=48 * 5 + 20)
    assert heard == first + (await everything(simulator(other), start))[0]


async def test_a_search_finds_words_in_the_languages_asked_for():
    query = Search(words=("paket", "PARCEL"), languages=("de",))
    items = [item async for page in simulator(backlog=3000).search(query, None) for item in page.items if isinstance(item, Mention)]
    assert items and all(item.language == "de" and ("paket" in item.text.lower() or "parcel" in item.text.lower()) for item in items)


async def test_it_says_twenty_thousand_mentions_a_second():
    connector = simulator(backlog=40_000, per_minute=6000, page_size=500)
    began, count = time.process_time(), 0
    async for page in connector.fetch_mentions(None):
        assert len(page.items) <= 500
        count += len(page.items)
    assert count / (time.process_time() - began) > 20_000


async def test_the_plugin_and_its_form():
    (connector,) = SimulatorPlugin().register_connectors(None)
    assert capabilities(connector) == ("fetches_mentions", "searches")
    assert settings_schema(connector.Config)["additionalProperties"] is False
    assert (await simulator().verify()).handle == "Nordwind Versand"
    with pytest.raises(msgspec.ValidationError):
        read_settings(Simulator.Config, {"per_minute": 60_001})
