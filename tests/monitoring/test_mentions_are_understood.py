"""From a network's words to what they mean: annotated when taken in, corrected by people, recomputed on demand."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from echo import mention
from smhub.sdk import Tombstone
from smhub_monitoring.analysis.models import Band, Keyword, Likeness
from world import Hub


async def take_in(hub: Hub, *texts: str) -> dict[str, dict[str, Any]]:
    """Texts from the network, analysed; the mentions by text."""
    before = len(await hub.mentions())
    hub.echo.says(*(mention(f"{before + number}", text) for number, text in enumerate(texts)))
    if not (await hub.get("/v1/channels"))["items"]:
        await hub.connect()
    await hub.work(minutes=6)
    return {one["text"]: one for one in await hub.mentions()}


def values(one: dict[str, Any]) -> dict[str, Any]:
    return {key: said["value"] for key, said in one["annotations"].items()}


async def test_a_mention_is_understood_when_it_is_taken_in(hub: Hub) -> None:
    found = await take_in(hub, "Meine Lieferung ist nie angekommen, ich bin so enttäuscht 😡", "Thank you, excellent service!", "ok")
    by_text = {text[:5]: one for text, one in found.items()}
    german, english, short = by_text["Meine"], by_text["Thank"], by_text["ok"]
    assert (
        values(german).items()
        >= {"language": "de", "mood": "negative", "intent": "complaint", "topic": "delivery", "relevant": True}.items()
    )
    assert values(english).items() >= {"language": "en", "mood": "positive", "intent": "praise"}.items()
    assert values(short) == {"relevant": True}
    assert [one["id"] for one in await hub.mentions("intent:complaint mood:negative monitoring.language:de")] == [german["id"]]
    assert [one["id"] for one in await hub.mentions("monitoring.relevant:true monitoring.language:none")] == [short["id"]]
    said = (await hub.get(f"/v1/mentions/{german['id']}/annotations"))["items"]
    (mood,) = (one for one in said if one["key"] == "mood")
    assert mood["producer"] == "monitoring.analysis" and "mood-de@" in mood["producer_version"]
    assert 0.5 <= mood["confidence"] < 1


async def test_a_persons_word_stays_whatever_is_analysed_afterwards(hub: Hub) -> None:
    found = await take_in(hub, "Vielen Dank für nichts, ihr großartigen Helden, super gemacht")
    (one,) = found.values()
    await hub.post(f"/v1/mentions/{one['id']}/annotations", {"key": "intent", "value": "complaint"})
    started = await hub.post("/v1/monitoring/recompute", {})
    await hub.work()
    operation = await hub.get(f"/v1/operations/{started['operation_id']}")
    assert (operation["state"], operation["done"], operation["total"], operation["result"]) == ("done", 1, 1, {"mentions": 1})
    intent = (await hub.mentions())[0]["annotations"]["intent"]
    assert (intent["value"], intent["human"]) == ("complaint", True)


async def test_other_rules_hold_for_what_comes_and_after_recomputing_for_what_was(hub: Hub) -> None:
    await take_in(hub, "Die Seilbahn stand heute still")
    rules = "rules:\n- {key: topic, value: cablecar, words: ['seilbahn*']}\n"
    changed = await hub.ok("PUT", "/v1/monitoring/rule-sets/de", json={"yaml": rules})
    assert (changed["number"], changed["shipped"], changed["yaml"]) == (1, False, rules)
    await take_in(hub, "Die Seilbahn fährt wieder, die Rechnung stimmt")
    assert [one["text"][:18] for one in await hub.mentions("topic:cablecar")] == ["Die Seilbahn fährt"]
    await hub.post("/v1/monitoring/recompute", {})
    await hub.work()
    assert len(await hub.mentions("topic:cablecar")) == 2
    back = await hub.post("/v1/monitoring/rule-sets/de/restore", {"number": 0})
    assert back["shipped"] and back["number"] == 2 and "beschwer*" in back["yaml"]
    await hub.post("/v1/monitoring/recompute", {})
    await hub.work()
    assert await hub.mentions("topic:cablecar") == []
    assert len(await hub.mentions("topic:billing")) == 1
    versions = (await hub.get("/v1/monitoring/rule-sets/de/versions"))["items"]
    assert [(one["number"], one["shipped"]) for one in versions] == [(2, True), (1, False)]
    told = await hub.get("/v1/events", params={"type": "monitoring.rules_changed"})
    assert [one["data"] for one in told["items"]] == [{"language": "de", "number": 1}, {"language": "de", "number": 2}]


@pytest.mark.parametrize(
    ("yaml", "detail"),
    [
        ("rules:\n- key: intnet\n", "line 2, column 8: 'intnet' is no key; allowed: mood, intent, urgency, topic"),
        ("rules: &a [*a]", "line 1, column 8: anchors and aliases"),
        ("\t", "not YAML"),
    ],
)
async def test_rules_that_cannot_be_read_are_refused_and_the_old_ones_stay(hub: Hub, yaml: str, detail: str) -> None:
    answer = await hub.admin.put("/v1/monitoring/rule-sets/de", json={"yaml": yaml})
    assert answer.status_code == 400
    (fault,) = answer.json()["errors"]
    assert (fault["field"], fault["code"]) == ("yaml", "rule_invalid") and detail in fault["detail"]
    assert (await hub.get("/v1/monitoring/rule-sets/de"))["number"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "rule-sets/de", {"yaml": "rules: []", "colour": "red"}, 400),
        ("PUT", "rule-sets/de", {"yaml": 7}, 400),
        ("PUT", "rule-sets/xx", {"yaml": "rules: []"}, 404),
        ("POST", "rule-sets/de/restore", {"number": 7}, 404),
        ("POST", "rule-sets/de/restore", {"number": -1}, 400),
        ("POST", "rule-sets/de/restore", {"number": 2**40}, 400),
        ("POST", "own-models/learn", {"key": "weather"}, 400),
        ("PATCH", "choices/weather", {"model_id": None}, 404),
        ("PATCH", "choices/mood", {"model_id": "00000000-0000-7000-8000-000000000000"}, 404),
        ("POST", "recompute", {"since": "2026-11-02T08:00:00"}, 400),
        ("POST", "analyse", {"text": ""}, 400),
        ("POST", "analyse", {"text": "x" * 10_001}, 400),
        ("GET", "clusters?cursor=x", None, 400),
        ("GET", "contradictions?cursor=x", None, 400),
        ("GET", "own-models/00000000-0000-7000-8000-000000000000", None, 404),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_happens(hub: Hub, method: str, path: str, body: Any, status: int) -> None:
    answer = await hub.admin.request(method, f"/v1/monitoring/{path}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (await hub.get("/v1/monitoring/rule-sets/de"))["number"] == 0
    assert (await hub.get("/v1/operations"))["items"] == []


async def test_a_language_that_is_not_the_organisations_has_no_rules(hub: Hub) -> None:
    assert [one["language"] for one in (await hub.get("/v1/monitoring/rule-sets"))["items"]] == ["any", "de", "en"]
    assert (await hub.admin.get("/v1/monitoring/rule-sets/fr")).status_code == 404
    await hub.ok("PUT", "/v1/plugins/monitoring/settings", json={"settings": {"languages": ["fr"]}})
    await hub.ok("PUT", "/v1/monitoring/rule-sets/fr", json={"yaml": "rules:\n- {key: intent, value: praise, words: [merci]}\n"})
    found = await take_in(hub, "Merci beaucoup à toute l'équipe du service")
    assert values(next(iter(found.values()))).items() >= {"language": "fr", "intent": "praise"}.items()


async def test_one_sees_why_something_would_be_said(hub: Hub) -> None:
    analysis = await hub.post("/v1/monitoring/analyse", {"text": "Mein Paket ist kaputt angekommen"})
    intent = next(one for one in analysis["said"] if one["key"] == "intent")
    assert (intent["value"], intent["because"], intent["version"]) == ("complaint", ["kaputt"], "rules-de@0")
    assert await hub.mentions() == []


async def test_copies_are_found_and_forgotten_with_the_mention(hub: Hub) -> None:
    text = "Die Filiale am Bahnhof hat heute ohne jede Ankündigung geschlossen, das ist sehr ärgerlich"
    found = await take_in(hub, text, "Ein ganz anderes Thema: Die neue App gefällt mir wirklich gut")
    await take_in(hub, f"RT @jemand: {text}", f"{text[:80]} https://example.org/x")
    (cluster,) = (await hub.get("/v1/monitoring/clusters"))["items"]
    assert cluster["size"] == 3
    copies = await hub.mentions(f"monitoring.cluster:{cluster['id']}")
    assert len(copies) == 3 and found[text]["id"] in {one["id"] for one in copies}
    await hub.post("/v1/monitoring/recompute", {})
    await hub.work()
    assert [one["size"] for one in (await hub.get("/v1/monitoring/clusters"))["items"]] == [3]
    hub.echo.says(Tombstone(external_id=found[text]["external_id"]))
    await hub.work(minutes=6)
    await hub.work(seconds=5)
    assert (await hub.get(f"/v1/monitoring/clusters/{cluster['id']}"))["size"] == 2
    async with hub.database.read() as session:
        for table in (Likeness, Band, Keyword):
            left = select(func.count()).select_from(table).where(table.mention_id == found[text]["id"])
            assert (await session.execute(left)).scalar_one() == 0


async def test_a_page_of_copies_is_one_cluster(hub: Hub) -> None:
    text = "Alle Züge zwischen Köln und Bonn fallen heute wegen eines Stellwerksschadens aus"
    await take_in(hub, *(f"{text} {'!' * n} https://example.org/{n}" for n in range(20)))
    assert [one["size"] for one in (await hub.get("/v1/monitoring/clusters"))["items"]] == [20]


async def test_an_edited_mention_is_understood_anew(hub: Hub) -> None:
    await take_in(hub, "Super Service, vielen Dank an das ganze Team!")
    assert len(await hub.mentions("intent:praise")) == 1
    hub.echo.says(mention("0", "Das Team hat leider meine Rechnung vertauscht, ich reklamiere", edited_at=hub.clock.now()))
    await hub.work(minutes=6)
    (one,) = await hub.mentions()
    assert values(one).items() >= {"intent": "complaint", "topic": "billing"}.items()


async def test_keywords_come_once_there_is_something_to_compare_with(hub: Hub) -> None:
    plain = [f"Hallo zusammen, wann kommt meine Bestellung Nummer {n} an?" for n in range(25)]
    await take_in(hub, *plain, "Wo bleibt der Adventskalender?", "Der Adventskalender ist ausverkauft")
    assert await hub.mentions("monitoring.keyword:adventskalender") == []
    await hub.work(hours=1)
    await take_in(hub, "Gibt es den #Adventskalender noch?")
    assert [one["text"] for one in await hub.mentions("monitoring.keyword:adventskalender")] == ["Gibt es den #Adventskalender noch?"]


async def test_departments_are_suggested_by_their_keywords(hub: Hub) -> None:
    await hub.post("/v1/departments", {"name": "Billing", "slug": "billing", "keywords": ["rechnung"]})
    await take_in(hub, "Eine Frage zu meiner Rechnung vom Mai")
    assert len(await hub.mentions("monitoring.suggested_department:billing")) == 1
