"""One query for several networks, tried on what is stored before it is saved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hearing import hear, said
from world import Hub

LISTENERS = "/v1/monitoring/listeners"
WHY = {"purpose": "Answer questions about us", "legal_basis": "Art. 6(1)(f)"}
QUERY = '(kettle OR "tea pot") -advert'


def body(*networks: str, **more: Any) -> dict[str, Any]:
    return {"name": "Us", "query": QUERY, "networks": [{"network": one} for one in networks], **WHY, **more}


async def test_a_query_is_tried_before_it_is_saved(hub: Hub) -> None:
    await hub.connect()
    old = said(hub, "An old kettle", ago=timedelta(days=40))
    days = [said(hub, f"kettle {n}", ago=timedelta(days=n)) for n in (3, 2)]
    await hear(hub, old, *days, said(hub, "My tea pot"), said(hub, "kettle advert"), said(hub, "weather"))
    tried = await hub.post(f"{LISTENERS}/try", {"query": QUERY, "days": 10})
    assert (tried["looked_at"], tried["found"], tried["a_day"]) == (5, 3, 0.3)
    assert tried["asked"] == {"words": ["kettle", "tea pot"], "excluded": ["advert"], "languages": []}
    assert [one["count"] for one in tried["days"]] == [1, 1, 1]
    assert [one["text"] for one in tried["examples"]] == ["My tea pot", "kettle 2", "kettle 3"]
    echo = next(one for one in tried["networks"] if one["network"] == "echo")
    assert (echo["count"], echo["searches"], echo["streams"]) == (3, True, False)
    assert (await hub.get("/v1/listeners"))["items"] == []


async def test_what_was_tried_is_what_is_found(hub: Hub) -> None:
    made = await hub.post(LISTENERS, body("echo", department_id=None))
    assert made["asked"]["words"] == ["kettle", "tea pot"]
    [listener] = (await hub.get("/v1/listeners"))["items"]
    assert (listener["id"], listener["query"]) == (made["items"][0]["listener_id"], QUERY)
    await hear(hub, said(hub, "My tea pot"), said(hub, "kettle advert"), said(hub, "weather"))
    assert [one["text"] for one in await hub.mentions()] == ["My tea pot"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (body("echo", "echo"), "networks"),
        (body("echo", "nowhere"), "networks.1.network"),
        (body(), "networks"),
        ({**body("echo"), "purpose": ""}, "purpose"),
    ],
)
async def test_all_networks_listen_or_none(hub: Hub, wrong: dict[str, Any], field: str) -> None:
    answer = await hub.admin.post(LISTENERS, json=wrong)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (400, [field])
    assert (await hub.get("/v1/listeners"))["items"] == []


async def test_a_query_without_a_word_is_refused_where_it_is_tried(hub: Hub) -> None:
    answer = await hub.admin.post(f"{LISTENERS}/try", json={"query": "-advert"})
    assert (answer.status_code, answer.json()["code"]) == (400, "query_invalid")
