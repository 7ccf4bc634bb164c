"""A listener looks for a query: networks are asked for its words, and what does not fit never gets in. A budget keeps a flood out."""

from __future__ import annotations

from typing import Any

import pytest

from echo import mention
from smhub.channels.looking import looked_for
from smhub.errors import QueryInvalid
from world import Hub

WHY = {"purpose": "Answer questions about us", "legal_basis": "Art. 6(1)(f)"}


async def listener(hub: Hub, **more: Any) -> dict[str, Any]:
    body = {"network": "echo", "name": "L", "settings": {}, **WHY, **more}
    return await hub.post("/v1/listeners", body)  # type: ignore[no-any-return]


async def texts(hub: Hub) -> list[str]:
    return sorted(one["text"] for one in await hub.mentions())


@pytest.mark.parametrize(
    ("query", "words", "excluded", "languages"),
    [
        ("nordwind", ("nordwind",), (), ()),
        ('nordwind OR "nord wind"', ("nordwind", "nord wind"), (), ()),
        ('(nordwind OR "nord wind") versand -aktie', ("versand",), ("aktie",), ()),
        ("(a OR b) (c OR d OR e)", ("a", "b"), (), ()),
        ("nordwind language:de,en -kind:article", ("nordwind",), (), ("de", "en")),
        ("nordwind (language:de OR author:chef)", ("nordwind",), (), ()),
        ("nordwind*", ("nordwind",), (), ()),
    ],
)
def test_networks_are_asked_for_words_that_every_match_must_have(
    query: str, words: tuple[str, ...], excluded: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    looked = looked_for(query)
    assert (looked.words, looked.excluded, looked.languages) == (words, excluded, languages)


@pytest.mark.parametrize("query", ["-nordwind", "language:de", "nordwind OR language:de", "mood:negative nordwind", "nordwind ("])
def test_a_query_by_which_no_network_can_be_searched_is_refused(query: str) -> None:
    with pytest.raises(QueryInvalid):
        looked_for(query)


async def test_what_does_not_fit_the_query_never_gets_in(hub: Hub) -> None:
    made = await listener(hub, query='(nordwind OR "nord wind") -aktie language:de,en')
    assert (made["words"], made["languages"]) == (["nordwind", "nord wind"], ["de", "en"])
    hub.echo.says(
        mention("1", "Nordwind liefert nicht", language="de"),
        mention("2", "Die Aktie von Nordwind steigt", language="de"),
        mention("3", "Le nordwind arrive", language="fr"),
        mention("4", "Nord Wind ist schnell", language="de"),
        mention("5", "Norden und Wind", language="de"),
    )
    await hub.work(minutes=1)
    assert await texts(hub) == ["Nord Wind ist schnell", "Nordwind liefert nicht"]


async def test_a_listener_can_turn_from_words_to_a_query_and_back(hub: Hub) -> None:
    made = await listener(hub, words=["liefer"], languages=["de"])
    assert made["query"] is None
    path = f"/v1/listeners/{made['id']}"
    changed = await hub.ok("PATCH", path, json={"query": "versand -aktie"})
    assert (changed["query"], changed["words"], changed["languages"]) == ("versand -aktie", ["versand"], [])
    back = await hub.ok("PATCH", path, json={"words": ["paket"]})
    assert (back["query"], back["words"]) == (None, ["paket"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid"),
        ({"query": "versand", "words": ["versand"]}, "invalid"),
        ({"query": "-versand"}, "query_invalid"),
        ({"query": "versand mood:negative"}, "query_invalid"),
        ({"query": "versand", "daily_budget": 0}, "invalid"),
    ],
)
async def test_a_listener_that_says_it_wrongly_is_told_where(hub: Hub, body: dict[str, Any], code: str) -> None:
    answer = await hub.admin.post("/v1/listeners", json={"network": "echo", "name": "L", "settings": {}, **WHY, **body})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_flood_stops_at_the_budget_with_a_gap_and_goes_on_the_next_day(hub: Hub) -> None:
    made = await listener(hub, query="nordwind", daily_budget=5)
    for page in range(4):
        hub.echo.says(*(mention(f"{page}-{number}", f"Nordwind {page} {number}") for number in range(3)))
    await hub.work(minutes=1)
    assert len(await hub.mentions()) == 6
    health = (await hub.get(f"/v1/listeners/{made['id']}"))["health"]
    assert (health["state"], health["reason_code"]) == ("paused", "budget_spent")
    assert health["advice"] and health["next_poll_at"].endswith("T00:00:00Z")
    gaps = (await hub.get("/v1/gaps"))["items"]
    assert [(gap["cause"], gap["state"]) for gap in gaps] == [("budget", "open")]
    events = (await hub.get("/v1/events", params={"limit": 200}))["items"]
    assert [one["subject_id"] for one in events if one["type"] == "listener.budget_spent"] == [made["id"]]
    await hub.work(days=1)
    assert len(await hub.mentions()) == 12


async def test_somebody_may_let_it_go_on_today(hub: Hub) -> None:
    made = await listener(hub, query="nordwind", daily_budget=2)
    for page in range(3):
        hub.echo.says(*(mention(f"{page}-{number}", f"Nordwind {page} {number}") for number in range(2)))
    await hub.work(minutes=1)
    assert len(await hub.mentions()) == 2
    await hub.post(f"/v1/listeners/{made['id']}/resume")
    await hub.work(minutes=1)
    assert len(await hub.mentions()) == 4
    await hub.ok("PATCH", f"/v1/listeners/{made['id']}", json={"daily_budget": None})
    await hub.post(f"/v1/listeners/{made['id']}/resume")
    await hub.work(minutes=1)
    assert len(await hub.mentions()) == 6
    assert [gap["state"] for gap in (await hub.get("/v1/gaps"))["items"]] == ["closed", "closed"]
