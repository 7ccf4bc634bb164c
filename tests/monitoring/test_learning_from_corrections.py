"""People correct what the analysis says, and the organisation's own model learns it: judged on newer corrections, with a way back."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import update

from echo import mention
from smhub.mentions.models import Annotation
from smhub_monitoring.analysis import learning
from world import Hub

TRAINS = ("Der Bus", "Die Bahn", "Mein Zug", "Die Linie 5", "Der Regio", "Die Tram", "Die Fähre", "Der Sprinter")
BAD = ("blieb wieder auf der Strecke stehen", "hielt heute gar nicht", "war voll bis unter das Dach", "roch ganz merkwürdig")
GOOD = ("kam genau wie im Plan steht", "hatte endlich einen freien Sitz für mich", "fuhr ganz sanft", "war angenehm leer")
AT = ("am Bahnhof", "in Köln", "vor der Arbeit", "am Abend", "mit dem Rad", "im Regen", "zur Schule", "am Sonntag")


def texts(chance: random.Random, number: int) -> list[tuple[str, str]]:
    """Posts whose mood only this organisation's people know, with it."""
    found = []
    for serial in range(number):
        mood, ends = chance.choice((("negative", BAD), ("positive", GOOD)))
        found.append((f"{chance.choice(TRAINS)} {chance.choice(AT)} {chance.choice(ends)}, Nummer {serial}", mood))
    return found


async def corrected(hub: Hub, number: int, seed: int = 1) -> dict[str, str]:
    """So many mentions, each with a person's word; its mood by mention."""
    before = len(await hub.mentions())
    said = texts(random.Random(seed), number)
    hub.echo.says(*(mention(f"{before + n}", text) for n, (text, _) in enumerate(said)))
    if not before:
        await hub.connect()
    await hub.work(minutes=6)
    ids = {one["text"]: one["id"] for one in (await _all(hub))}
    moods = {ids[text]: mood for text, mood in said}
    for id_, mood in moods.items():
        hub.clock.forward(seconds=1)
        await hub.post(f"/v1/mentions/{id_}/annotations", {"key": "mood", "value": mood})
    return moods


async def _all(hub: Hub) -> list[dict[str, Any]]:
    return await hub.mentions()


async def learned(hub: Hub) -> dict[str, Any]:
    started = await hub.post("/v1/monitoring/own-models/learn", {"key": "mood"})
    await hub.work()
    operation = await hub.get(f"/v1/operations/{started['operation_id']}")
    assert operation["state"] == "done", operation
    return operation["result"]  # type: ignore[no-any-return]


async def test_a_model_is_made_of_corrections_and_decides_once_it_is_better(hub: Hub) -> None:
    await corrected(hub, 99)
    assert (await learned(hub))["model_id"] is None
    await corrected(hub, 41, seed=2)
    result = await learned(hub)
    assert result["in_force"] is True and result["labels"] == 140
    model = await hub.get(f"/v1/monitoring/own-models/{result['model_id']}")
    assert (model["number"], model["trained_on"], model["with_it"]["n"]) == (1, 112, 28)
    assert model["with_it"]["macro_f1"] > 0.9 > model["without_it"]["macro_f1"]
    said = await hub.post("/v1/monitoring/analyse", {"text": "Die Bahn am Abend hielt heute gar nicht"})
    mood = next(one for one in said["said"] if one["key"] == "mood")
    assert mood["value"] == "negative" and mood["version"].endswith("+own-mood@1")
    told = await hub.get("/v1/events", params={"type": "monitoring.learned"})
    assert [one["data"] for one in told["items"]] == [{"key": "mood", "number": 1, "better": True, "in_force": True}]


async def test_one_goes_back_to_an_older_model_or_to_none_and_stays_there(hub: Hub) -> None:
    await corrected(hub, 120)
    first = (await learned(hub))["model_id"]
    without = await hub.ok("PATCH", "/v1/monitoring/choices/mood", json={"model_id": None})
    assert (without["model_id"], without["automatic"]) == (None, False)
    said = await hub.post("/v1/monitoring/analyse", {"text": "Die Bahn am Abend hielt heute gar nicht"})
    assert all("own-mood" not in one["version"] for one in said["said"])
    second = await learned(hub)
    assert second["in_force"] is False and second["model_id"] != first
    again = await hub.ok("PATCH", "/v1/monitoring/choices/mood", json={"model_id": first, "automatic": True})
    assert (again["model_id"], again["automatic"]) == (first, True)
    assert [one["number"] for one in (await hub.get("/v1/monitoring/own-models"))["items"]] == [2, 1]
    wrong = await hub.admin.patch("/v1/monitoring/choices/intent", json={"model_id": first})
    assert wrong.status_code == 404


async def test_it_learns_by_itself_once_there_are_markedly_more_corrections(hub: Hub, monkeypatch: Any) -> None:
    monkeypatch.setattr(learning, "FEWEST", 30)
    await corrected(hub, 40)
    await hub.work(minutes=16)
    await hub.work()
    assert [one["number"] for one in (await hub.get("/v1/monitoring/own-models"))["items"]] == [1]
    await hub.work(minutes=16)
    assert len((await hub.get("/v1/monitoring/own-models"))["items"]) == 1
    choice = await hub.get("/v1/monitoring/choices/mood")
    assert (choice["labels"], choice["automatic"]) == (40, True)


async def test_corrections_that_say_nothing_make_no_model_that_decides(hub: Hub) -> None:
    moods = await corrected(hub, 120)
    chance = random.Random(3)
    async with hub.database.write() as session:
        for id_ in moods:
            value = chance.choice(("negative", "positive"))
            await session.execute(update(Annotation).where(Annotation.mention_id == id_, Annotation.human).values(value=value))
    result = await learned(hub)
    model = await hub.get(f"/v1/monitoring/own-models/{result['model_id']}")
    assert model["with_it"]["macro_f1"] < 0.75
    assert result["in_force"] is model["better"] is (model["with_it"]["macro_f1"] > model["without_it"]["macro_f1"])


async def test_contradictions_are_listed_of_one_mention_and_of_its_copies(hub: Hub) -> None:
    text = "Die Seilbahn am Rheinufer war gestern wieder einmal bis in den späten Abend geöffnet"
    hub.echo.says(mention("1", text), mention("2", f"RT @jemand: {text}"), mention("3", "Der Bahnhof hat jetzt eine neue Uhr bekommen"))
    await hub.connect()
    await hub.work(minutes=6)
    ids = {one["external_id"]: one["id"] for one in await hub.mentions()}
    other = hub.as_key(await hub.member("agent"))
    await hub.post(f"/v1/mentions/{ids['1']}/annotations", {"key": "mood", "value": "positive"})
    await hub.ok("POST", f"/v1/mentions/{ids['2']}/annotations", other, json={"key": "mood", "value": "negative"})
    await hub.post(f"/v1/mentions/{ids['3']}/annotations", {"key": "intent", "value": "praise"})
    assert (await hub.get("/v1/monitoring/choices/mood"))["labels"] == 2
    (one,) = (await hub.get("/v1/monitoring/contradictions"))["items"]
    assert one["key"] == "mood"
    assert {(said["mention_id"], said["value"]) for said in one["said"]} == {(ids["1"], "positive"), (ids["2"], "negative")}
    assert len({said["producer"] for said in one["said"]}) == 2
    await hub.ok("POST", f"/v1/mentions/{ids['3']}/annotations", other, json={"key": "intent", "value": "complaint"})
    page = await hub.get("/v1/monitoring/contradictions", params={"limit": 1})
    rest = await hub.get("/v1/monitoring/contradictions", params={"limit": 1, "cursor": page["next_cursor"]})
    assert {page["items"][0]["key"], rest["items"][0]["key"]} == {"mood", "intent"} and rest["next_cursor"] is None
