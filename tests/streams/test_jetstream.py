"""A listener on Bluesky hears of every post as it is written, from a Jetstream on a real socket, and stores those with its words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from jetstream import Jetstream, on_air
from sky import Stage, under_the_sky
from smhub.mentions import streaming
from smhub.work.running import Runner
from smhub_bluesky.fake import event

WITHIN = 60.0


@pytest.fixture(autouse=True)
def quick_looks() -> Iterator[None]:
    usual, streaming.LOOK = streaming.LOOK, 0.1
    yield
    streaming.LOOK = usual


@pytest.fixture
async def jetstream() -> AsyncIterator[Jetstream]:
    async with on_air() as made:
        yield made


@pytest.fixture
async def stage(database_url: str, jetstream: Jetstream) -> AsyncIterator[Stage]:
    async with under_the_sky(database_url, jetstream.port) as found:
        yield found


@asynccontextmanager
async def worker(stage: Stage) -> AsyncIterator[None]:
    runner = Runner(stage.hub.runtime, name="listener", endless=10, idle=0.05)
    working = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        runner.stop()
        async with asyncio.timeout(WITHIN):
            await working


async def listener(stage: Stage, jetstream: str) -> None:
    given = {"network": "bluesky", "name": "Kessel", "words": ["kessel"], "languages": ["de"]}
    settings = {**stage.settings(), "jetstream": jetstream}
    legal = {"purpose": "service", "legal_basis": "legitimate interest"}
    await stage.hub.post("/v1/listeners", {**given, **legal, "settings": settings})


def finds_nothing(stage: Stage) -> None:
    """Searches of the network find nothing from now on: what is there was heard."""
    stage.sky.faults.append(lambda name: (200, {"posts": []}) if name.endswith("searchPosts") else None)


async def until(stage: Stage, holds: Callable[[], Any]) -> None:
    """Wait for a condition while time goes on."""
    async with asyncio.timeout(WITHIN):
        looks = 0
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            looks += 1
            if looks % 25 == 0:
                stage.hub.clock.forward(seconds=3)
            await asyncio.sleep(0.02)


def said(stage: Stage, text: str, who: str = "kundin", **more: Any) -> str:
    """Somebody writes a post that nobody is notified of."""
    uri = stage.sky.says(who, text, stage.hub.clock.now(), **more)
    stage.sky.notes.clear()
    return uri


def told(stage: Stage, uri: str, operation: str = "create") -> str:
    return event(uri, operation, stage.hub.clock.now(), stage.sky.records.get(uri) if operation != "delete" else None)


async def texts(stage: Stage) -> dict[str, tuple[str, str]]:
    found = await stage.hub.mentions()
    return {one["external_id"]: (one["text"], one["content_state"]) for one in found}


async def found(stage: Stage, wanted: dict[str, tuple[str, str]]) -> bool:
    return await texts(stage) == wanted


async def stream(stage: Stage) -> dict[str, Any]:
    (intake,) = (await stage.hub.get("/v1/intakes"))["items"]
    return intake["stream"]  # type: ignore[no-any-return]


async def state_is(stage: Stage, wanted: str) -> bool:
    return bool((await stream(stage))["state"] == wanted)


async def test_what_has_a_word_is_there_at_once_with_its_author_and_edits_and_deletions_follow(
    stage: Stage, jetstream: Jetstream
) -> None:
    finds_nothing(stage)
    await listener(stage, jetstream.url)
    async with worker(stage):
        await until(stage, lambda: jetstream.sockets)
        uri = said(stage, "Mein Kesselhaus pfeift")
        others = [said(stage, "Ganz etwas anderes"), said(stage, "The kessel", langs=["en"]), said(stage, "Unser Kessel", who="firma")]
        await jetstream.tells(*(told(stage, one) for one in others), told(stage, uri))
        await until(stage, lambda: found(stage, {uri: ("Mein Kesselhaus pfeift", "live")}))
        (mention,) = await stage.hub.mentions()
        assert (mention["author"]["handle"], mention["author"]["name"]) == ("kundin.test", "Kundin")
        stage.hub.clock.forward(seconds=1)
        stage.sky.edit(uri, "Mein Kessel pfeift laut")
        await jetstream.tells(told(stage, uri, "update"))
        await until(stage, lambda: found(stage, {uri: ("Mein Kessel pfeift laut", "edited")}))
        stage.sky.remove(uri)
        await jetstream.tells(told(stage, others[0], "delete"), told(stage, uri, "delete"))
        await until(stage, lambda: found(stage, {}))


async def test_a_stream_that_broke_goes_on_some_seconds_before_its_place_and_nothing_is_there_twice(
    stage: Stage, jetstream: Jetstream
) -> None:
    finds_nothing(stage)
    await listener(stage, jetstream.url)
    async with worker(stage):
        await until(stage, lambda: jetstream.sockets)
        assert "cursor" not in jetstream.asked[0]
        first = said(stage, "Kessel eins")
        await jetstream.tells(told(stage, first))
        at = jetstream.history[0]["time_us"]
        await until(stage, lambda: found(stage, {first: ("Kessel eins", "live")}))
        await jetstream.breaks()
        await until(stage, lambda: not jetstream.sockets)
        second = said(stage, "Kessel zwei")
        await jetstream.tells(told(stage, second))
        await until(stage, lambda: jetstream.sockets)
        assert jetstream.asked[1]["cursor"] == [str(at - 5_000_000)]
        both = {first: ("Kessel eins", "live"), second: ("Kessel zwei", "live")}
        await until(stage, lambda: found(stage, both))


async def test_what_the_jetstream_does_not_keep_any_more_is_a_gap(stage: Stage, jetstream: Jetstream) -> None:
    finds_nothing(stage)
    await listener(stage, jetstream.url)
    async with worker(stage):
        await until(stage, lambda: jetstream.sockets)
        uri = said(stage, "Kessel eins")
        await jetstream.tells(told(stage, uri))
        await until(stage, lambda: found(stage, {uri: ("Kessel eins", "live")}))
        await jetstream.breaks()
        await until(stage, lambda: not jetstream.sockets)
        later = stage.hub.clock.now() + timedelta(days=3)
        jetstream.oldest = int(later.timestamp() * 1_000_000)
        last = said(stage, "Anderes")
        await jetstream.tells(event(last, "create", later, stage.sky.records[last]))
        await until(stage, lambda: jetstream.sockets)

        async def gap() -> bool:
            reasons = [one["reason"] or "" for one in (await stage.hub.get("/v1/gaps"))["items"]]
            return any("Jetstream" in one for one in reasons)

        await until(stage, gap)


async def test_without_a_jetstream_there_is_no_stream_and_the_searches_go_on(stage: Stage, jetstream: Jetstream) -> None:
    await listener(stage, "")
    uri = said(stage, "Mein Kessel")
    async with worker(stage):
        await until(stage, lambda: found(stage, {uri: ("Mein Kessel", "live")}))
        await until(stage, lambda: state_is(stage, "refused"))
    assert (await stream(stage))["reason_code"] == "unsupported"
    assert jetstream.asked == []
