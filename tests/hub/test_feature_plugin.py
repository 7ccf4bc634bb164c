"""A feature plugin uses every door of the contract, and stays shut until the organisation reaches its stage."""

from __future__ import annotations

import pytest
from sqlalchemy import text

import favourites
import world
from echo import EchoPlugin, mention
from favourites import FavouritesPlugin


@pytest.fixture
async def hub(database_url: str):
    async with world.start(database_url, plugins=[EchoPlugin(), FavouritesPlugin()]) as started:
        yield started


async def test_its_routes_say_which_stage_they_need(hub: world.Hub) -> None:
    answer = await hub.admin.get("/v1/favourites")
    assert (answer.status_code, answer.json()["code"]) == (409, "stage_too_low")
    assert "stage 2" in answer.json()["detail"]
    await hub.ok("PATCH", "/v1/organisation", json={"stage": 2})
    assert await hub.get("/v1/favourites") == {"items": []}


async def test_its_routes_model_permission_event_and_query_field_work_together(hub: world.Hub) -> None:
    await hub.ok("PATCH", "/v1/organisation", json={"stage": 2})
    hub.echo.says(mention("1", "Schön"), mention("2", "Nicht schön"))
    await hub.connect()
    await hub.work()
    wanted = next(one for one in await hub.mentions() if one["external_id"] == "1")
    added = await hub.post("/v1/favourites", {"mention_id": wanted["id"], "reason": "nice"})
    assert added["reason"] == "nice"
    assert [one["external_id"] for one in await hub.mentions("favourites.reason:nice")] == ["1"]
    assert [one["external_id"] for one in await hub.mentions("-favourites.reason:nice")] == ["2"]
    told = await hub.get("/v1/events", params={"type": "favourites.added"})
    assert [one["data"] for one in told["items"]] == [{"reason": "nice"}]
    assert "favourites.added" in {one["name"] for one in (await hub.get("/v1/event-types"))["items"]}
    reader = hub.as_key(await hub.member("viewer"))
    assert (await reader.get("/v1/favourites")).status_code == 200
    refused = await reader.post("/v1/favourites", json={"mention_id": wanted["id"]})
    assert (refused.status_code, refused.json()["permission"]) == (403, "favourites:write")
    assert "smhub_favourites_kept 1.0" in (await hub.admin.get("/metrics")).text


async def test_its_subscriber_hears_every_event_once_the_stage_is_reached(hub: world.Hub) -> None:
    await hub.connect()
    await hub.work()
    hub.echo.says(mention("1", "Danke, zu früh"))
    await hub.work(minutes=2)
    await hub.work(seconds=5)
    await hub.ok("PATCH", "/v1/organisation", json={"stage": 2})
    hub.echo.says(mention("2", "Danke für alles"), mention("3", "Hallo"))
    await hub.work(minutes=2)
    await hub.work(seconds=5)
    kept = (await hub.get("/v1/favourites"))["items"]
    ids = {one["external_id"]: one["id"] for one in await hub.mentions()}
    assert [one["mention_id"] for one in kept] == [ids["2"]]


async def test_its_interceptor_annotates_by_the_organisations_settings(hub: world.Hub) -> None:
    await hub.ok("PUT", "/v1/plugins/favourites/settings", json={"settings": {"word": "prima"}})
    hub.echo.says(mention("1", "Prima gemacht"), mention("2", "Danke"))
    await hub.connect()
    await hub.work()
    assert [one["external_id"] for one in await hub.mentions("mood:positive")] == ["1"]
    shown = await hub.get("/v1/plugins/favourites/settings")
    assert shown["settings"] == {"word": "prima"}
    wrong = await hub.admin.put("/v1/plugins/favourites/settings", json={"settings": {"wrod": "x"}})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "settings")


async def test_its_interceptor_reads_and_writes_a_page_at_once(hub: world.Hub) -> None:
    await hub.ok("PATCH", "/v1/organisation", json={"stage": 2})
    hub.echo.says(mention("1", "Bitte merken"), mention("2", "Danke"))
    await hub.connect()
    await hub.work()
    ids = {one["external_id"]: one["id"] for one in await hub.mentions()}
    kept = (await hub.get("/v1/favourites"))["items"]
    assert {one["mention_id"]: one["reason"] for one in kept}[ids["1"]] == "says so"
    hub.echo.says(mention("3", "Danke sehr"))
    await hub.work(minutes=2)
    newest = next(one["id"] for one in await hub.mentions() if one["external_id"] == "3")
    said = (await hub.get(f"/v1/mentions/{newest}/annotations"))["items"]
    assert [(one["key"], one["value"]) for one in said] == [("mood", "positive")]
    assert said[0]["producer_version"].startswith("danke!")


async def test_what_it_wrote_before_it_broke_is_taken_back_and_the_rest_stands(hub: world.Hub) -> None:
    await hub.ok("PATCH", "/v1/organisation", json={"stage": 2})
    hub.echo.says(mention("1", "Bitte merken"), mention("2", "Kaputt"), mention("3", "Prima, danke", language="de"))
    await hub.connect()
    await hub.work()
    assert [one["external_id"] for one in await hub.mentions("mood:positive")] == ["3"]
    assert "says so" not in {one["reason"] for one in (await hub.get("/v1/favourites"))["items"]}


async def test_its_job_runs_by_itself(hub: world.Hub) -> None:
    favourites.COUNTED.clear()
    await hub.work()
    await hub.work(seconds=61)
    assert favourites.COUNTED == [0, 0]


async def test_its_tables_have_a_version_table_of_their_own(hub: world.Hub) -> None:
    async with hub.database.read() as session:
        assert (await session.execute(text("select version_num from alembic_version_favourites"))).scalar_one() == "f0001"
        assert (await session.execute(text("select version_num from alembic_version_core"))).scalar_one() != "f0001"


async def test_the_contract_shows_its_operations_and_leaves_the_core_as_it_was(hub: world.Hub) -> None:
    document = hub.app.state["describe"]()
    operation = document["paths"]["/v1/favourites"]["get"]
    assert operation["x-smhub-plugin"] == "favourites"
    assert "409" in operation["responses"]
