"""What a connector does wrong costs its own intake something, and nobody else; what it finds too much is left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

import world
from echo import AT, mention
from odd import Odd, OddCursor, OddPlugin
from smhub.sdk import BadItem, Tombstone
from world import Hub


@pytest.fixture
def page_seconds() -> float:
    """How long a connector may take for a page; a test that waits for the end of that time says a shorter one."""
    return 60.0


@pytest.fixture
async def odd(database_url: str, page_seconds: float) -> AsyncIterator[Hub]:
    Odd.items, Odd.asked_from, Odd.yielded, Odd.understands, Odd.filling = [], [], 0, True, asyncio.Event()
    async with world.start(database_url, plugins=[OddPlugin()], page_seconds=page_seconds) as hub:
        yield hub


async def connect(hub: Hub, manner: str = "") -> dict[str, Any]:
    channel = await hub.post("/v1/channels", {"network": "odd", "name": manner or "good", "settings": {"manner": manner}})
    found = (await hub.get("/v1/intakes"))["items"]
    return next(one for one in found if one["channel_id"] == channel["id"])  # type: ignore[no-any-return]


@pytest.mark.parametrize("page_seconds", [1.0])
@pytest.mark.parametrize(
    ("manner", "state", "code", "words"),
    [
        ("no page", "degraded", "connector_bug", "the connector failed: TypeError"),
        ("large cursor", "degraded", "payload_malformed", "the cursor is larger than 4096 bytes"),
        ("hangs", "degraded", "transient", "no page within 1 s"),
    ],
)
async def test_a_connector_that_breaks_the_contract_stops_only_its_own_intake(
    odd: Hub, manner: str, state: str, code: str, words: str
) -> None:
    Odd.items = [mention("good")]
    bad = await connect(odd, manner)
    good = await connect(odd)
    for _ in range(3):
        await odd.work(hours=2)
    found = await odd.get(f"/v1/intakes/{bad['id']}")
    assert (found["state"], found["reason_code"], found["reason"]) == (state, code, words)
    assert (await odd.get(f"/v1/intakes/{good['id']}"))["state"] == "active"
    assert [one["external_id"] for one in await odd.mentions()] == ["good"]


async def test_a_page_that_repeats_its_cursor_is_the_last_of_its_turn(odd: Hub) -> None:
    intake = await connect(odd, "endless")
    await odd.work()
    assert (Odd.yielded, len(await odd.mentions())) == (2, 1)
    assert (await odd.get(f"/v1/intakes/{intake['id']}"))["state"] == "active"


async def test_a_listener_keeps_only_what_has_one_of_its_words(odd: Hub) -> None:
    Odd.items = [
        mention("prefix", "Die LIEFERUNG fehlt"),
        mention("inside", "Die Auslieferung fehlt"),
        mention("phrase", "Die Firma\nStraße AG antwortet nicht"),
        mention("title", "nichts", title="Lieferant"),
        mention("html", "", html="<p>Liefer<b>ung</b></p>"),
        mention("hidden", "", html='<p title="lieferung">nichts</p>'),
        mention("no blanks", "昨日会社で"),
        mention("other", "ganz anderes"),
        Tombstone(external_id="phrase", at=AT + timedelta(days=1)),
        BadItem(raw=b"?", error="odd"),
    ]
    words = ["liefer", "firma strasse", "会社"]
    listener = {"network": "odd", "name": "Brand", "words": words, "purpose": "care", "legal_basis": "Art. 6(1)(f)"}
    await odd.post("/v1/listeners", listener)
    await odd.work()
    found = {one["external_id"]: one["content_state"] for one in await odd.mentions()}
    assert found == {"prefix": "live", "title": "live", "html": "live", "no blanks": "live"} | {
        key: "deleted" for key in found if key == "phrase"
    }
    assert len((await odd.get("/v1/bad-items"))["items"]) == 1


@pytest.mark.parametrize("understands", [True, False])
async def test_a_cursor_of_an_older_version_is_brought_along_or_begun_afresh_with_a_gap(
    odd: Hub, monkeypatch: pytest.MonkeyPatch, understands: bool
) -> None:
    Odd.items = [mention("1", published_at=odd.clock.now())]
    await connect(odd)
    await odd.work()
    monkeypatch.setattr(Odd, "cursor_version", 2)
    Odd.understands = understands
    Odd.filling.set()
    await odd.work(hours=2)
    await odd.work(hours=2)
    gaps = (await odd.get("/v1/gaps"))["items"]
    if understands:
        assert (Odd.asked_from, gaps) == ([None, OddCursor(101), OddCursor(102)], [])
    else:
        assert Odd.asked_from[-1] is None
        assert [(gap["cause"], gap["state"]) for gap in gaps] == [("missed", "closed")]


async def test_the_word_of_a_person_is_in_force_for_ever(odd: Hub) -> None:
    Odd.items = [mention("1", "first")]
    await connect(odd)
    await odd.work()
    (one,) = await odd.mentions()
    assert one["annotations"]["mood"]["value"] == "program: first"
    await odd.post(f"/v1/mentions/{one['id']}/annotations", {"key": "mood", "value": "negative"})
    Odd.items = [mention("1", "second", edited_at=AT + timedelta(hours=1))]
    await odd.work(hours=2)
    (one,) = await odd.mentions()
    assert (one["text"], one["annotations"]["mood"]["value"]) == ("second", "negative")
    said = (await odd.get(f"/v1/mentions/{one['id']}/annotations"))["items"]
    assert sorted(row["value"] for row in said) == ["negative", "program: second"]


async def test_a_long_back_fill_does_not_hold_up_what_is_new(odd: Hub) -> None:
    intake = await connect(odd)
    await odd.work()
    started = await odd.post(f"/v1/intakes/{intake['id']}/back-fill", {"from_at": AT.isoformat()})
    Odd.items = [mention("new")]
    await odd.post(f"/v1/intakes/{intake['id']}/poll")
    odd.clock.forward(seconds=3)
    async with asyncio.timeout(30):
        while not await odd.mentions():
            await odd.runner.step()
            await asyncio.sleep(0.02)
    assert [gap["state"] for gap in (await odd.get("/v1/gaps"))["items"]] == ["filling"]
    Odd.filling.set()
    await odd.work()
    assert (await odd.get(f"/v1/operations/{started['operation_id']}"))["state"] == "done"
