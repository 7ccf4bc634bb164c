"""A plugin is switched off and on again: its channels say so, and nothing of them is lost."""

from __future__ import annotations

import world
from echo import EchoPlugin, mention


async def test_the_channel_of_a_plugin_that_is_off_says_so_and_goes_on_when_it_is_back(database_url: str) -> None:
    async with world.start(database_url) as hub:
        hub.echo.says(mention("1", "Hallo"))
        channel = await hub.connect()
        await hub.work()
        seen = [one["external_id"] for one in await hub.mentions()]
        again = (hub.key, hub.clock)
    async with world.start(database_url, plugins=[], again=again) as hub:
        for _ in range(3):
            await hub.work(minutes=5)
        (intake,) = (await hub.get("/v1/intakes"))["items"]
        assert (intake["state"], intake["reason_code"]) == ("degraded", "plugin_away")
        assert "No plugin that is loaded speaks echo" in intake["reason"]
        assert [one["external_id"] for one in await hub.mentions()] == seen == ["1"]
        assert (await hub.get(f"/v1/channels/{channel['id']}"))["network"] == "echo"
    async with world.start(database_url, plugins=[EchoPlugin()], again=again) as hub:
        hub.echo.says(mention("1", "Hallo"))
        hub.echo.says(mention("2", "Wieder da"))
        await hub.work(minutes=60)
        await hub.work(minutes=5)
        (intake,) = (await hub.get("/v1/intakes"))["items"]
        assert (intake["state"], intake["reason_code"]) == ("active", None)
        assert sorted(one["external_id"] for one in await hub.mentions()) == ["1", "2"]
