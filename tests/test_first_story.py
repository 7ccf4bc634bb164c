"""From the network to the list, once around."""

from __future__ import annotations

from echo import mention
from smhub.sdk import Tombstone
from world import Hub


async def test_what_is_said_on_the_network_stands_in_the_list(hub: Hub) -> None:
    hub.echo.says(mention("1", "Wo bleibt meine Lieferung?"), mention("2", "Danke, super Service!"))
    await hub.connect()
    await hub.work()
    assert [one["text"] for one in await hub.mentions()] == ["Danke, super Service!", "Wo bleibt meine Lieferung?"]
    assert [one["external_id"] for one in await hub.mentions("lieferungen")] == ["1"]


async def test_an_edit_and_a_deletion_arrive(hub: Hub) -> None:
    hub.echo.says(mention("1", "Kaputt!"), mention("2", "Bald weg"))
    await hub.connect()
    await hub.work()
    hub.echo.says(mention("1", "Kaputt! Nachtrag: geht wieder.", edited_at=hub.clock.now()), Tombstone(external_id="2"))
    await hub.work(minutes=2)
    items = await hub.mentions()
    assert [(one["text"], one["content_state"]) for one in items] == [("Kaputt! Nachtrag: geht wieder.", "edited")]
    versions = await hub.get(f"/v1/mentions/{items[0]['id']}/versions")
    assert [one["text"] for one in versions["items"]] == ["Kaputt!"]
    gone = await hub.mentions("content:deleted", deleted=True)
    assert [(one["external_id"], one["text"]) for one in gone] == [("2", "")]
    assert await hub.mentions("weg", deleted=True) == []


async def test_a_keyword_of_a_department_brings_the_mention_there(hub: Hub) -> None:
    service = await hub.post("/v1/departments", {"name": "Service", "slug": "service", "keywords": ["liefer"]})
    hub.echo.says(mention("1", "Meine Lieferung fehlt"), mention("2", "Schönes Wetter"))
    await hub.connect()
    await hub.work()
    assert {one["external_id"]: one["department_id"] for one in await hub.mentions()} == {"1": service["id"], "2": None}
    assert [one["external_id"] for one in await hub.mentions("department:service")] == ["1"]
